//! The server callback in scripts, run by the real binary.

use crate::api::callback::{A3, A3_NONCE, A3_SIGNATURE, A3_TIMESTAMP, APPID, KEY, TOKEN, push, safe_mode};
use std::{fs, path::Path, process::Command};

const VARIABLES: [&str; 4] =
    ["MPSCRIPT_APPID", "MPSCRIPT_SECRET", "MPSCRIPT_CALLBACK_TOKEN", "MPSCRIPT_AES_KEY"];

/// What came of a command: exit code, standard output, standard error.
type Came = (i32, String, String);

fn mpscript(arguments: &[&str], environment: &[(&str, &str)], folder: &Path) -> Came {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mpscript"));
    command.args(arguments).current_dir(folder).env("HOME", folder).env_remove("XDG_CONFIG_HOME");
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn configured() -> [(&'static str, &'static str); 3] {
    [("MPSCRIPT_CALLBACK_TOKEN", TOKEN), ("MPSCRIPT_AES_KEY", KEY), ("MPSCRIPT_APPID", APPID)]
}

/// Runs a script with keys, and gives what it printed.
fn printed(script: &str, params: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let params: Vec<String> = params.iter().map(|(name, value)| format!("--param={name}={value}")).collect();
    let mut arguments = vec!["run", "-e", script];
    arguments.extend(params.iter().map(String::as_str));
    let (code, out, err) = mpscript(&arguments, &configured(), folder.path());
    assert_eq!((code, err.as_str()), (0, ""), "{script}: {out}");
    out
}

/// Runs a script that fails, and gives its exit code and message.
fn failure(script: &str, params: &[(&str, &str)], environment: &[(&str, &str)]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let params: Vec<String> = params.iter().map(|(name, value)| format!("--param={name}={value}")).collect();
    let mut arguments = vec!["run", "-e", script];
    arguments.extend(params.iter().map(String::as_str));
    let (code, out, err) = mpscript(&arguments, environment, folder.path());
    assert_eq!(out, "", "{script}");
    for secret in [TOKEN, KEY] {
        assert!(!err.contains(secret), "{err}");
    }
    // The message and the hint, without the frame.
    let line =
        |start: &str| err.lines().find_map(|line| line.trim_start_matches([' ', '=']).strip_prefix(start));
    let hint = line("hint: ").map_or_else(String::new, |hint| format!(" | {hint}"));
    (code, format!("{}{hint}", line("error: ").unwrap_or(&err)))
}

#[test]
fn signature_is_verified() {
    let script = r#"
        let right = "76480565cbe296026c53aaacd1ad523a1ddba24f";
        print(callback::verify(right, "1409304348", "xxxxxx"));
        print(callback::verify(right, 1409304348, "xxxxxx"));
        print(callback::verify(right, "1409304348", "xxxxxy"));
        print(callback::verify("", "", ""));
    "#;
    assert_eq!(printed(script, &[]), "true\ntrue\nfalse\nfalse\n");
}

#[test]
fn encrypted_push_is_answered_encrypted() {
    let script = r#"
        let xml = callback::decrypt(param("body"), param("msg_signature"), param("timestamp"), param("nonce"));
        let m = callback::parse(xml);
        print(`${m.MsgType} from ${m.FromUserName}: ${m.Content} (${m.MsgId + 1})`);
        let reply = callback::reply(m, #{MsgType: "text", Content: "你好 ]]>"});
        let sealed = callback::encrypt(reply, 1409304348, "xxxxxx");
        print(sealed.contains("<TimeStamp>1409304348</TimeStamp><Nonce><![CDATA[xxxxxx]]></Nonce>"));
        let signature = sealed.split("<MsgSignature><![CDATA[")[1].split("]]>")[0];
        print(callback::decrypt(sealed, signature, 1409304348, "xxxxxx") == reply);
        let answer = callback::parse(reply);
        print(`${answer.ToUserName} ${answer.Content}`);
        print(callback::encrypt(reply) != callback::encrypt(reply));
    "#;
    let body = safe_mode(A3);
    let params = [
        ("body", body.as_str()),
        ("msg_signature", A3_SIGNATURE),
        ("timestamp", A3_TIMESTAMP),
        ("nonce", A3_NONCE),
    ];
    assert_eq!(
        printed(script, &params),
        "text from asdasdasdsadasd: hello (12346)\ntrue\ntrue\nasdasdasdsadasd 你好 ]]>\ntrue\n"
    );
}

#[test]
fn message_has_the_platform_s_fields() {
    let body = push(
        "<MsgType><![CDATA[event]]></MsgType>\n<Event><![CDATA[subscribe]]></Event>\n\
         <EventKey><![CDATA[qrscene_98765]]></EventKey>\n<Ticket><![CDATA[T]]></Ticket>\n\
         <SendPicsInfo><Count>1</Count><PicList><item><PicMd5Sum>1b</PicMd5Sum></item></PicList></SendPicsInfo>\n\
         <Added><![CDATA[new]]></Added>",
    );
    let script = r#"
        let m = callback::parse(param("body"));
        print([m.MsgType, m.Event, m.EventKey, m.CreateTime, m.scene == 98765, m.Added, m["Ticket"]]);
        print([type_of(m), m.Content, m.MsgId, m["scene"]]);
        print(m.SendPicsInfo.PicList.item[0].PicMd5Sum);
        print(m);
    "#;
    assert_eq!(
        printed(script, &[("body", &body)]),
        "[\"event\", \"subscribe\", \"qrscene_98765\", 1395658920, true, \"new\", \"T\"]\n\
         [\"Message\", (), (), 98765]\n1b\n\
         {\"ToUserName\":\"gh_7f083739789a\",\"FromUserName\":\"oia2TjjewbmiOUlr6X-1crbLOvLw\",\
         \"CreateTime\":1395658920,\"MsgType\":\"event\",\"Event\":\"subscribe\",\"EventKey\":\"qrscene_98765\",\
         \"Ticket\":\"T\",\"SendPicsInfo\":{\"Count\":1,\"PicList\":{\"item\":[{\"PicMd5Sum\":\"1b\"}]}},\
         \"Added\":\"new\"}\n"
    );
}

#[test]
fn reply_with_a_value_that_can_t_be_sent_is_refused() {
    let body = push("<MsgType>text</MsgType><Content>hi</Content>");
    for (value, kind) in [
        ("followers()", "an Audience"),
        ("timestamp()", "a timestamp"),
        ("|x| x", "a closure"),
        ("0.0 / 0.0", "no finite number"),
        ("1..3", "a range"),
        ("blob(3, 65)", "a blob"),
        ("callback::parse(param(\"body\"))", "a Message"),
    ] {
        let script = format!(
            "let m = callback::parse(param(\"body\")); callback::reply(m, #{{MsgType: \"text\", Content: {value}}})"
        );
        let message = format!("callback::reply: `fields` can't be sent: `Content` is {kind}");
        let hint = "give texts, numbers, true or false, arrays and maps";
        assert_eq!(
            failure(&script, &[("body", &body)], &configured()),
            (1, format!("{message} | {hint}")),
            "{value}"
        );
    }
}

#[test]
fn misspelt_field_or_function_is_reported_with_a_suggestion() {
    let body = push("<MsgType>text</MsgType><Content>hi</Content>");
    let fails = |script: &str| failure(script, &[("body", &body)], &configured());
    let parsed = |rest: &str| fails(&format!("let m = callback::parse(param(\"body\")); {rest}"));
    assert_eq!(
        parsed("m.FromUserNam"),
        (1, "a message has no field `FromUserNam` | did you mean `FromUserName`?".to_owned())
    );
    assert_eq!(
        parsed("m.xyz"),
        (1, "a message has no field `xyz` | print the message to see the fields that it has".to_owned())
    );
    assert_eq!(
        parsed("callback::reply(m, #{MsgType: \"text\", Contents: \"x\"})"),
        (1, "a reply of MsgType `text` has no field `Contents` | did you mean `Content`?".to_owned())
    );
    assert_eq!(
        parsed("callback::reply(param(\"body\"), #{})"),
        (
            1,
            "callback::reply: `message` must be a Message, not a string | it is callback::reply(message, fields)"
                .to_owned()
        )
    );
    assert_eq!(
        parsed("callback::reply(m, m)"),
        (
            1,
            "callback::reply: `fields` must be a map, as in #{MsgType: \"text\", Content: \"…\"}, not a Message \
             | it is callback::reply(message, fields)"
                .to_owned()
        )
    );
    assert_eq!(
        parsed("callback::parse(m.MsgType)"),
        (1, "can't read the XML at byte 0: there is text outside of `xml`".to_owned())
    );
    assert_eq!(
        parsed("callback::verify(1, 2, 3)"),
        (
            1,
            "callback::verify: `signature` must be a string, not an integer | \
             it is callback::verify(signature, timestamp, nonce)"
                .to_owned()
        )
    );
    assert_eq!(
        parsed("callback::encrypt(\"\", \"now\", 1)").1,
        "callback::encrypt: `timestamp` must be Unix seconds | it is callback::encrypt(xml, timestamp, nonce)"
    );
    assert_eq!(
        parsed("callback::verfy(\"\", \"\", \"\")"),
        (1, "there is no function `callback::verfy` | did you mean `callback::verify`?".to_owned())
    );
    assert_eq!(
        parsed("callbak::parse(\"\")"),
        (1, "there is no module `callbak` | did you mean `callback`?".to_owned())
    );
    assert_eq!(
        parsed("callback::verify(\"\")"),
        (
            1,
            "`callback::verify` can't be called with 1 argument | it is callback::verify(signature, timestamp, nonce)"
                .to_owned()
        )
    );
}

#[test]
fn callback_error_has_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let script = "let m = callback::parse(\"<xml></xml>\");";
    let (code, _, err) = mpscript(&["run", "-e", script, "--sandbox"], &[], folder.path());
    assert_eq!(code, 1);
    assert!(err.starts_with("error: field `MsgType` is missing\n --> -e:1:"), "{err}");
}

#[test]
fn push_for_another_account_is_not_opened() {
    let script = r#"callback::decrypt(param("body"), param("signature"), "1458300676", "260774613")"#;
    let body = safe_mode(A3);
    let open = |signature: &str, environment: &[(&str, &str)]| {
        failure(script, &[("body", &body), ("signature", signature)], environment)
    };
    let (code, message) = open("4f3ad57b6989f09f4eb392acce4f9e93942ed891", &configured());
    assert_eq!(code, 1);
    assert!(
        message.starts_with("msg_signature does not fit the message | is the callback's token"),
        "{message}"
    );
    let mut other = configured();
    other[2].1 = "wx0000000000000000";
    assert_eq!(
        open(A3_SIGNATURE, &other),
        (
            1,
            "the message is for AppID wxb11529c136998cb6, not wx0000000000000000 | \
             is the message from another account's URL?"
                .to_owned()
        )
    );
    let mut other = configured();
    other[1].1 = "short";
    let (code, message) = open(A3_SIGNATURE, &other);
    assert_eq!(code, 2);
    assert!(
        message.starts_with("the EncodingAESKey is not 43 letters and digits: it has 5 characters | copy it"),
        "{message}"
    );
    let (code, message) = failure("callback::parse(param(\"body\"))", &[("body", &body)], &configured());
    assert_eq!(
        (code, message.as_str()),
        (
            1,
            "the message is encrypted | callback::decrypt(xml, msg_signature, timestamp, nonce) gives the XML to parse"
        )
    );
}

#[test]
fn missing_keys_are_reported_with_what_to_set() {
    let verify = r#"callback::verify("", "", "")"#;
    let (code, message) = failure(verify, &[], &[]);
    assert_eq!(code, 2);
    assert!(
        message.starts_with(
            "no server callback is configured | set MPSCRIPT_CALLBACK_TOKEN and MPSCRIPT_AES_KEY"
        ),
        "{message}"
    );
    let encrypt = r#"callback::encrypt("<xml></xml>")"#;
    let (code, message) = failure(encrypt, &[], &[("MPSCRIPT_CALLBACK_TOKEN", TOKEN)]);
    assert_eq!(code, 2);
    assert!(message.starts_with("no EncodingAESKey is configured | set MPSCRIPT_AES_KEY "), "{message}");
    assert_eq!(
        failure(verify, &[], &[("MPSCRIPT_AES_KEY", KEY)]),
        (
            2,
            "MPSCRIPT_AES_KEY is set, but MPSCRIPT_CALLBACK_TOKEN is not | \
             set both, or neither and use mpscript.toml"
                .to_owned()
        )
    );
    assert_eq!(
        failure(verify, &[], &configured()[..2]),
        (2, "MPSCRIPT_AES_KEY is set, but MPSCRIPT_APPID is not | set it to the account's AppID".to_owned())
    );
    // With keys and no AppSecret, only calls fail.
    let (code, message) = failure("tag::list()", &[], &configured());
    assert_eq!(
        (code, message.as_str()),
        (
            2,
            "MPSCRIPT_APPID is set, but MPSCRIPT_SECRET is not | set it to the AppSecret to call the platform"
        )
    );
    // Reading a message needs no keys.
    let folder = tempfile::tempdir().unwrap();
    let read = r#"callback::parse("<xml><MsgType>text</MsgType></xml>").MsgType"#;
    assert_eq!(mpscript(&["run", "-e", read], &[], folder.path()), (0, "text\n".to_owned(), String::new()));
}

#[test]
fn account_keys_are_read_from_its_variables() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[accounts.shop]\nappid = \"{APPID}\"\nsecret_env = \"SHOP_SECRET\"\n\
         callback_token_env = \"SHOP_TOKEN\"\naes_key_env = \"SHOP_KEY\"\n"
    );
    fs::write(folder.path().join("mpscript.toml"), config).unwrap();
    let script = r#"
        print(callback::verify("76480565cbe296026c53aaacd1ad523a1ddba24f", 1409304348, "xxxxxx"));
        print(callback::encrypt("<xml></xml>").contains("MsgSignature"));
    "#;
    let run = |environment: &[(&str, &str)], named: bool| {
        let mut arguments = vec!["run", "-e", script];
        if named {
            arguments.extend(["--account", "shop"]);
        }
        let environment = [&[("SHOP_SECRET", "s3cr3t-s3cr3t")], environment].concat();
        mpscript(&arguments, &environment, folder.path())
    };
    let good = (0, "true\ntrue\n".to_owned(), String::new());
    assert_eq!(run(&[("SHOP_TOKEN", TOKEN), ("SHOP_KEY", KEY)], false), good);
    assert_eq!(run(&[("MPSCRIPT_CALLBACK_TOKEN", TOKEN), ("MPSCRIPT_AES_KEY", KEY)], false), good);
    // An account that is named has its own keys or none.
    let (code, _, err) = run(&[("MPSCRIPT_CALLBACK_TOKEN", TOKEN), ("MPSCRIPT_AES_KEY", KEY)], true);
    assert_eq!(code, 2);
    assert!(err.starts_with("error: no server callback is configured\n"), "{err}");
}

#[test]
fn sandbox_has_keys_and_check_needs_none() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        let m = callback::parse(param("body", "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>"));
        let sealed = callback::encrypt(callback::reply(m, #{MsgType: "text", Content: "x"}), 1, "n");
        let signature = sealed.split("<MsgSignature><![CDATA[")[1].split("]]>")[0];
        print(callback::parse(callback::decrypt(sealed, signature, 1, "n")).Content);
    "#;
    let file = folder.path().join("answer.rhai");
    fs::write(&file, script).unwrap();
    let check = mpscript(&["check", "answer.rhai"], &[], folder.path());
    assert_eq!(check, (0, "answer.rhai: ok\n  parameters: body\n".to_owned(), String::new()));
    let run = mpscript(&["run", "answer.rhai", "--sandbox"], &[], folder.path());
    assert_eq!(run, (0, "x\n".to_owned(), String::new()));
}
