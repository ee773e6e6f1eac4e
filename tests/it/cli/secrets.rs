//! The AppSecret and the tokens: on the wire, and nowhere else, whatever goes wrong.
//!
//! Every case runs the real binary with `--verbose` and `--report` against a server that records
//! what it is sent and what it answers, so that the tokens to look for are those of the wire.

use crate::fixtures::{
    account::Account,
    paths::ATTACH,
    program::project,
    raw_server::{self, Act, Exchange, RawServer, answer, ok},
};
use mpscript::{
    sandbox::{DEFAULT_APPID, Options, Switches},
    store::{Statement, Store},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};
use tempfile::TempDir;

/// Not of a real AppSecret's form, so that nothing else looks like it.
pub(crate) const SECRET: &str = "S3CRET-walrus-0f4d9b7a1c6e";

/// The tokens of servers that are no sandbox.
const TOKEN: &str = "96_T0KEN-pelican-7d21e8b35a90cc41";
const NEXT_TOKEN: &str = "96_T0KEN-heron-c3a86f0d194be572";

/// A part of a secret as long as this is as good as the secret.
const PART: usize = 12;

const INVALID_TOKEN: &str = r#"{"errcode":40001,"errmsg":"invalid credential rid: 6580"}"#;

/// The program in a folder of its own, with an empty environment.
pub(crate) fn mpscript(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mpscript"));
    command.current_dir(folder).env_clear().env("HOME", folder).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run_on(address: SocketAddr, folder: &Path, script: &str) -> Command {
    let mut command = mpscript(folder);
    command.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", SECRET);
    command.args(["run", "--verbose", "--report", "report.json", "-e", script]);
    command.args(["--base-url", &format!("http://{address}")]);
    command
}

/// All output: both streams, and every file that it left.
pub(crate) fn all_output(mut command: Command, folder: &Path) -> String {
    let output = command.output().expect("the program starts");
    let mut text = format!("{}\n", output.status);
    text.push_str(&String::from_utf8_lossy(&output.stdout));
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    for path in files(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path).expect("the file can be read");
        if name.starts_with("store.sqlite3") {
            assert_kept_well(&path, &bytes);
            if name == "store.sqlite3" {
                text.push_str(&recorded(&path));
            }
        } else if name != "mpscript.toml" {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    text
}

/// What runs and their journals have left in the store, beside its tokens.
pub(crate) fn recorded(store: &Path) -> String {
    let statements = [
        "SELECT id || account || script || source_id || options || report || note FROM mpscript_run",
        "SELECT id || text FROM mpscript_source",
        "SELECT label || effect || target || checkpoint || answer FROM mpscript_step",
        "SELECT items || unresolved || failed FROM mpscript_batch",
        "SELECT text FROM mpscript_output",
    ];
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
    runtime.block_on(async {
        let store = Store::sqlite(store).await.expect("the store opens");
        let mut text = String::new();
        for statement in statements {
            let rows = store.query(Statement::new(statement)).await.expect("the store can be read");
            text.extend(rows.iter().filter_map(|row| row.text(0)).map(|text| format!("{text}\n")));
        }
        store.close().await;
        text
    })
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The store is the one place where tokens are, for its owner alone, and the AppSecret is not there.
fn assert_kept_well(path: &Path, bytes: &[u8]) {
    assert!(!bytes.windows(PART).any(|part| SECRET.as_bytes().windows(PART).any(|secret| secret == part)));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

/// Every token that the server gave or was given.
fn tokens(server: &RawServer) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    for exchange in server.exchanges() {
        for (text, before) in
            [(&exchange.answer, "\"access_token\":\""), (&exchange.request, "access_token=")]
        {
            let ends = |char: char| !(char.is_ascii_alphanumeric() || char == '_' || char == '-');
            let found = text.split(before).skip(1).filter_map(|rest| rest.split(ends).next());
            tokens.extend(found.map(str::to_owned));
        }
    }
    tokens
}

pub(crate) fn assert_hidden<'a>(case: &str, text: &str, secrets: impl IntoIterator<Item = &'a str>) {
    for secret in secrets {
        for part in secret.as_bytes().windows(PART) {
            let part = std::str::from_utf8(part).expect("a secret is ASCII");
            assert!(!text.contains(part), "{case}: `{part}` of `{secret}` is in\n{text}");
        }
    }
}

/// Runs a script on a server and looks for secrets in what it said, which must hold `shows` so
/// that the case is the one that it means to be.
fn check(case: &str, server: &RawServer, script: &str, shows: &str) {
    let folder = TempDir::new().expect("there is room for a folder");
    fs::copy(project("scripts/logo.png"), folder.path().join("logo.png")).expect("the picture can be copied");
    let text = all_output(run_on(server.address(), folder.path(), script), folder.path());
    assert!(text.contains(shows), "{case}: `{shows}` is not in\n{text}");
    let tokens = tokens(server);
    assert_hidden(case, &text, tokens.iter().map(String::as_str).chain([SECRET, TOKEN, NEXT_TOKEN]));
    let of_tokens =
        |exchange: &Exchange| exchange.request.contains("token HTTP") || exchange.request.contains("/token?");
    for exchange in server.exchanges().iter().filter(|exchange| !of_tokens(exchange)) {
        let body = exchange.request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert_hidden(case, body, [SECRET, TOKEN, NEXT_TOKEN]);
    }
    let is_sent = server.exchanges().iter().any(|exchange| exchange.request.contains(SECRET));
    assert!(is_sent, "{case}: the AppSecret is on the wire");
}

/// Passes requests on to a sandbox of this account, with these faults.
fn sandbox(options: Options, faults: &[Value]) -> RawServer {
    let mut switches = Switches::default();
    switches.set("connection", "close").expect("there is such a switch");
    let account = Account::without_token(Options { followers: 8, switches, ..options });
    for fault in faults {
        account.control("faults", fault.clone());
    }
    RawServer::start(move |request| {
        let mut stream = TcpStream::connect(account.address()).expect("the sandbox listens");
        stream.write_all(request.as_bytes()).expect("the request can be sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the sandbox closes the connection");
        Act::Answer(bytes)
    })
}

fn ours() -> Options {
    Options { secret: SECRET.to_owned(), ..Options::default() }
}

/// Gives a token, and this body for everything else.
fn after_token(body: impl Into<String>) -> RawServer {
    let body = body.into();
    RawServer::start(move |request| match request {
        request if request.contains("/cgi-bin/stable_token") => raw_server::token(TOKEN),
        request if request.contains("/cgi-bin/token") => raw_server::token(NEXT_TOKEN),
        _ => ok(&body),
    })
}

/// The token's endpoint says this, whatever it is asked.
fn instead_of_token(body: impl Into<String>) -> RawServer {
    let body = body.into();
    RawServer::start(move |_| ok(&body))
}

pub(crate) const LIST: &str = "tag::list()";
const JOB: &str = r#"followers().tag("广东")"#;
const UPLOAD: &str = "media::upload_image(\"logo.png\")";

type Case = (&'static str, RawServer, &'static str, &'static str);

/// What a sandbox refuses or does wrong.
fn cases_of_the_sandbox() -> Vec<Case> {
    let whitelist = vec!["192.0.2.7".parse().expect("it is an address")];
    let on = |path: &str, effect: &str, value: Value| json!({"path": path, effect: value});
    vec![
        ("wrong secret", sandbox(Options::default(), &[]), LIST, "40125"),
        ("not whitelisted", sandbox(Options { ip_whitelist: whitelist, ..ours() }, &[]), LIST, "40164"),
        (
            "502 for ever",
            sandbox(ours(), &[on("/cgi-bin/tags/get", "status", json!(502))]),
            LIST,
            "HTTP status 502",
        ),
        ("502 to a job", sandbox(ours(), &[on(ATTACH, "status", json!(502))]), JOB, "HTTP status 502"),
        ("drops for ever", sandbox(ours(), &[on(ATTACH, "drop", json!("after"))]), JOB, "5 tries"),
        ("no token, 502", sandbox(ours(), &[on("/cgi-bin/stable_token", "status", json!(502))]), LIST, "502"),
        (
            "no token, drops",
            sandbox(ours(), &[on("/cgi-bin/stable_token", "drop", json!("before"))]),
            LIST,
            "5 tries",
        ),
        (
            "40001 for ever",
            sandbox(ours(), &[on("/cgi-bin/tags/get", "errcode", json!(40001))]),
            LIST,
            "40001",
        ),
        ("40001 to a job", sandbox(ours(), &[on(ATTACH, "errcode", json!(40001))]), JOB, "40001"),
        ("failures of a job", sandbox(ours(), &[on(ATTACH, "errcode", json!(50005))]), JOB, "exit status: 3"),
        ("success", sandbox(ours(), &[]), JOB, "exit status: 0"),
        ("token printed", sandbox(ours(), &[]), "print(token::get()); print(token::stable())", "***"),
        (
            "token in a text",
            sandbox(ours(), &[]),
            "print(`<${token::stable()}>`); `<${token::get()}>`",
            "<***>",
        ),
        ("token debugged", sandbox(ours(), &[]), "debug(token::stable()); debug([token::get()])", "***"),
        (
            "token as text",
            sandbox(ours(), &[]),
            "print(token::stable().to_string() + token::get().to_string())",
            "******",
        ),
        ("token as debug text", sandbox(ours(), &[]), "print(token::stable().to_debug())", "***"),
        ("token as a value", sandbox(ours(), &[]), "token::stable()", "***"),
        ("token in a map", sandbox(ours(), &[]), "let m = #{t: token::stable()}; print(m); m", "\"t\""),
        ("token as JSON", sandbox(ours(), &[]), "print(#{t: token::stable(), n: 17}.to_json())", "17"),
        ("token in an array", sandbox(ours(), &[]), "print([token::get(), token::stable()])", "***"),
        ("token thrown", sandbox(ours(), &[]), "throw token::stable()", "exit status: 1"),
        ("token thrown in a map", sandbox(ours(), &[]), "throw #{t: token::get()}", "exit status: 1"),
        ("token as an argument", sandbox(ours(), &[]), "tag::create(eval(\"token::get()\"))", "not a Token"),
        ("token added", sandbox(ours(), &[]), "let t = token::stable(); t + \"x\"", "exit status"),
        (
            "field of a token",
            sandbox(ours(), &[]),
            "eval(\"token::stable().access_token\")",
            "exit status: 1",
        ),
        ("expiry of a token", sandbox(ours(), &[]), "token::stable().expires_in", "7200"),
    ]
}

/// What a server echoes that is none of the platform, or a proxy before it.
fn cases_of_an_echo() -> Vec<Case> {
    let page = format!("<html>\"errcode\" appid={DEFAULT_APPID}&amp;secret={SECRET} {TOKEN}</html>");
    let refused = format!(r#"{{"errcode":45157,"errmsg":"no {SECRET} {TOKEN}","rid":"{TOKEN}"}}"#);
    let rid = format!(r#"{{"errcode":45157,"errmsg":"no rid: {TOKEN} {SECRET}"}}"#);
    let of_openids = format!(
        r#"{{"errcode":45171,"errmsg":"{TOKEN} {SECRET}","fail_openid_list":["{TOKEN}"],"tag":{{"id":134,"name":"x"}}}}"#
    );
    let new_token =
        format!(r#"{{"errcode":40013,"errmsg":"no {SECRET} {TOKEN} rid: 6","access_token":"{TOKEN}"}}"#);
    let soon = format!(r#"{{"access_token":"{TOKEN}","expires_in":"soon"}}"#);
    let cut = format!(r#"{{"access_token":"{TOKEN}"#);
    let in_a_list = format!(r#"["{TOKEN}"]"#);
    let location = format!("Location: https://127.0.0.1:1/?secret={SECRET}&access_token={TOKEN}\r\n");
    let redirect = RawServer::start(move |request| match request {
        request if request.contains("stable_token") => raw_server::token(TOKEN),
        _ => Act::Answer(answer("302 Found", &location, "")),
    });
    // The renewal names the token before it, and gives a new one in the same answer.
    let mut number = 0;
    let renewal = RawServer::start(move |request| {
        if !request.contains("stable_token") {
            return ok(INVALID_TOKEN);
        }
        number += 1;
        match number {
            1 => raw_server::token(TOKEN),
            _ => ok(format!(
                r#"{{"errcode":40013,"errmsg":"{TOKEN} became {NEXT_TOKEN} by {SECRET}","access_token":"{NEXT_TOKEN}"}}"#
            )),
        }
    });
    let classic = format!(r#"{{"errcode":45157,"errmsg":"not with {NEXT_TOKEN}"}}"#);
    vec![
        ("page for a token", instead_of_token(page.clone()), LIST, "not what the platform documents"),
        ("page for an answer", after_token(page), LIST, "not what the platform documents"),
        ("token of another kind", instead_of_token(soon), LIST, "is a string and must be an integer"),
        ("token cut short", instead_of_token(cut), LIST, "it ends too early"),
        ("token in a list", instead_of_token(in_a_list), LIST, "not a JSON object"),
        ("refusal with a token", instead_of_token(new_token), LIST, "40013 no *** *** "),
        ("renewal that echoes", renewal, LIST, "40013 *** became *** by ***"),
        ("refusal that echoes", after_token(refused.clone()), LIST, "45157 no *** ***"),
        (
            "refusal that echoes, caught",
            after_token(refused.clone()),
            "try { tag::list() } catch(e) { print(e); print(e.errmsg); debug(e) }",
            "***",
        ),
        (
            "refusal that echoes, thrown on",
            after_token(refused.clone()),
            "try { tag::list() } catch(e) { throw e }",
            "***",
        ),
        ("rid that echoes", after_token(rid), LIST, "*** ***"),
        (
            "failures that echo",
            after_token(of_openids),
            r#"openids(["o6_bmjrPTlm6_2sgVt7hMZOPfL2M"]).tag(134)"#,
            "45171 *** ***",
        ),
        (
            "answer that echoes, written down",
            after_token(format!(
                r#"{{"errcode":0,"component_access_token":"{NEXT_TOKEN}","said":["{TOKEN}"]}}"#
            )),
            "api::post(\"/cgi-bin/x/y\", #{a: 1}); print(\"well\")",
            "well",
        ),
        ("upload that echoes", after_token(refused.clone()), UPLOAD, "45157 no *** ***"),
        ("upload to nobody", RawServer::in_turn([raw_server::token(TOKEN)]), UPLOAD, "refused"),
        (
            "classic token echoed",
            after_token(classic),
            r#"token::get(); tag::create("x")"#,
            "45157 not with ***",
        ),
        ("redirect", redirect, LIST, "HTTP status 302"),
        // The server closes after the token.
        ("connection refused", RawServer::in_turn([raw_server::token(TOKEN)]), LIST, "refused"),
    ]
}

/// An answer that a script sees, and that echoes secrets.
fn cases_of_an_echoed_answer() -> Vec<Case> {
    let echo = format!(r#"{{"errcode":0,"said":"{SECRET}-{TOKEN}","tag":{{"id":134,"name":"x"}}}}"#);
    vec![
        (
            "answer that echoes, printed",
            after_token(echo.clone()),
            "print(api::get(\"/cgi-bin/menu/get\").said)",
            "***",
        ),
        (
            "answer that echoes, debugged",
            after_token(echo.clone()),
            "debug(api::get(\"/cgi-bin/menu/get\"))",
            "***",
        ),
        (
            "answer that echoes, as a value",
            after_token(echo.clone()),
            "api::get(\"/cgi-bin/menu/get\").said",
            "***",
        ),
        (
            "answer that echoes, thrown",
            after_token(echo.clone()),
            "throw api::get(\"/cgi-bin/menu/get\").said",
            "***",
        ),
        (
            "answer that echoes, among openids",
            after_token(echo),
            "openids([api::get(\"/cgi-bin/menu/get\").said]).write_csv(\"名单.csv\")",
            "***-***",
        ),
    ]
}

/// Runs the cases side by side: most of their time is the client's pauses.
fn check_all(cases: Vec<Case>) {
    thread::scope(|scope| {
        for (case, server, script, shows) in cases {
            scope.spawn(move || check(case, &server, script, shows));
        }
    });
}

#[test]
fn runs_on_the_sandbox_show_no_secret() {
    check_all(cases_of_the_sandbox());
}

#[test]
fn echoing_server_makes_no_run_show_a_secret() {
    check_all(cases_of_an_echo());
    check_all(cases_of_an_echoed_answer());
}

/// A platform whose answers, the details of its only follower among them, repeat this.
fn repeating(said: &str) -> RawServer {
    const OPENID: &str = "o6_bmjrPTlm6_2sgVt7hMZOPfL2M";
    let answer = json!({
        "errcode": 0, "said": said, "total": 1, "count": 1, "data": {"openid": [OPENID]}, "next_openid": "",
        "user_info_list": [{"subscribe": 1, "openid": OPENID, "remark": said, "tagid_list": []}],
        "tags": [{"id": 134, "name": said, "count": 0}], "tag": {"id": 135, "name": "x"},
    });
    after_token(answer.to_string())
}

#[test]
fn echoed_secret_is_neither_sent_nor_recorded() {
    let scripts = [
        "tag::create(SAID)",
        "tag::update(134, SAID)",
        "tag::update(134, \"广东\")",
        "user::remark(\"o6_bmjrPTlm6_2sgVt7hMZOPfL2M\", SAID)",
        "user::remark(\"o6_bmjrPTlm6_2sgVt7hMZOPfL2M\", \"广东\")",
        "qrcode::create(\"QR_LIMIT_STR_SCENE\", #{scene: #{scene_str: SAID}})",
        "api::post(\"/cgi-bin/menu/create\", #{button: [#{name: SAID}]})",
        "api::get(\"/cgi-bin/menu/delete\", #{x: SAID})",
        "followers().tag(SAID)",
        "followers().remark(|u| SAID + \"x\")",
        "followers().remark(|u| \"广东\")",
        "members(SAID).count()",
        "followers().write_csv(SAID + \".csv\")",
    ];
    for (secret, shows) in
        [(SECRET, "holds the AppSecret of an account, or a key"), (TOKEN, "holds an access token")]
    {
        // A tag's name is no longer than 30 bytes, whatever is in it.
        let takes = |script: &&&str| {
            secret.len() <= 30 || !(script.contains("tag(SAID)") || script.contains("members("))
        };
        let cases = scripts.iter().filter(takes).map(|script| {
            let script = script.replace("SAID", "api::get(\"/cgi-bin/menu/get\").said");
            (script, repeating(secret))
        });
        thread::scope(|scope| {
            for (script, server) in cases {
                scope.spawn(move || check(&script, &server, &script, shows));
            }
        });
    }
}

#[test]
fn secret_and_token_are_sent_to_the_platform() {
    let server = sandbox(ours(), &[]);
    let folder = TempDir::new().expect("there is room for a folder");
    let text = all_output(run_on(server.address(), folder.path(), LIST), folder.path());
    assert!(text.contains("exit status: 0"), "{text}");
    let tokens = tokens(&server);
    let token = tokens.first().expect("there is a token");
    assert_eq!((tokens.len(), token.len()), (1, 136));
    let [first, second] = &server.exchanges()[..] else { panic!("two calls: {:?}", server.calls()) };
    assert!(first.request.contains(SECRET) && first.answer.contains(token.as_str()));
    assert!(second.request.contains(&format!("access_token={token}")) && !second.request.contains(SECRET));
}

#[cfg(target_os = "linux")]
#[test]
fn secret_is_not_in_the_process_arguments() {
    let (asked, is_asked) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let server = RawServer::start(move |_| {
        // The test may have failed, and then the receiver was dropped.
        let _ = asked.send(());
        let _ = may_go_on.recv();
        raw_server::token(TOKEN)
    });
    let folder = TempDir::new().expect("there is room for a folder");
    let mut child =
        run_on(server.address(), folder.path(), "token::stable()").spawn().expect("the program starts");
    is_asked.recv().expect("it calls");
    let arguments = fs::read_to_string(format!("/proc/{}/cmdline", child.id())).expect("it is running");
    go_on.send(()).expect("the server waits");
    child.wait().expect("it ends");
    assert!(arguments.contains("--base-url"), "{arguments}");
    assert_hidden("arguments", &arguments, [SECRET, TOKEN]);
}
