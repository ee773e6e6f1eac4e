//! The whole message for each mistake that a person can make with accounts, files and arguments.

use crate::fixtures::{program::Folder, sandbox_process::SandboxProcess};
use mpscript::sandbox::DEFAULT_APPID;
use std::net::TcpListener;

const COUNT: &str = "followers().count();";

#[track_caller]
fn assert_message(folder: &Folder, arguments: &[&str], code: i32, expected: &str) {
    assert_eq!(folder.run(arguments).failure(code), expected);
}

#[test]
fn missing_account_is_reported() {
    let expected = "\
error: no account is configured
 --> script.rhai:1:13
  |
1 | followers().count();
  |             ^^^^^
  |
  = hint: set MPSCRIPT_APPID and MPSCRIPT_SECRET (设置与开发 > 基本配置 in the console shows them), write mpscript.toml, or try it with --sandbox
";
    assert_message(&Folder::with(COUNT), &["run", "script.rhai"], 2, expected);
    // A script without calls needs none.
    assert_eq!(Folder::with("print(1);").run(&["run", "script.rhai"]).success(), "1\n");
}

#[test]
fn half_set_environment_is_reported() {
    let folder = Folder::with(COUNT).env("MPSCRIPT_APPID", DEFAULT_APPID);
    let expected = "\
error: MPSCRIPT_APPID is set, but MPSCRIPT_SECRET is not
  hint: set both, or neither and use mpscript.toml
";
    assert_message(&folder, &["run", "script.rhai"], 2, expected);
    // One that is set to nothing is as good as none.
    let folder = Folder::with(COUNT).env("MPSCRIPT_APPID", "").env("MPSCRIPT_SECRET", "secret-secret");
    let expected = "\
error: MPSCRIPT_SECRET is set, but MPSCRIPT_APPID is not
  hint: set both, or neither and use mpscript.toml
";
    assert_message(&folder, &["run", "script.rhai"], 2, expected);
}

#[test]
fn occupied_port_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it has an address").to_string();
    let reason = TcpListener::bind(&address).expect_err("the port is taken");
    let expected = format!(
        "error: can't listen on {address}: {reason}
  hint: another program may hold the port: choose another, or 127.0.0.1:0 for a free one
"
    );
    assert_message(&Folder::new(), &["sandbox", "--listen", &address], 2, &expected);
}

#[test]
fn unreadable_script_is_reported() {
    let folder = Folder::new().file("folder.rhai/a", "").file("latin.rhai", b"print(\"caf\xe9\");");
    for (file, reason) in [
        ("missing.rhai", "No such file or directory (os error 2)"),
        ("folder.rhai", "it is a folder"),
        ("latin.rhai", "it is not UTF-8 text: save it as UTF-8"),
    ] {
        let expected = format!(
            "error: can't read {file}: {reason}\n  \
             hint: give the path of a .rhai script; `-` reads one from standard input\n"
        );
        assert_message(&folder, &["run", file], 2, &expected);
        if file != "folder.rhai" {
            assert_message(&folder, &["check", file], 2, &expected);
        }
    }
}

#[test]
fn wrong_or_missing_parameter_is_reported() {
    let folder = Folder::with("let scene = param(\"scene\", 98765);\nlet name = param(\"名称\");");
    let expected = "\
error: parameter `scene` must be a whole number, but `展台` was given
 --> script.rhai:1:13
  |
1 | let scene = param(\"scene\", 98765);
  |             ^^^^^
  |
  = hint: for example --param scene=98765
";
    assert_message(&folder, &["run", "script.rhai", "--param", "scene=展台"], 2, expected);
    let expected = "\
error: parameter `名称` is not given
 --> script.rhai:2:12
  |
2 | let name = param(\"名称\");
  |            ^^^^^
  |
  = hint: give it with --param 名称=VALUE
";
    assert_message(&folder, &["run", "script.rhai"], 2, expected);
}

#[test]
fn wrong_secret_is_reported() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    let wrong = "0123456789abcdef0123456789abcdef";
    let folder = Folder::with(COUNT).env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", wrong);
    let message = sandbox.run(&folder, &[]).failure(2);
    assert!(!message.contains(wrong), "{message}");
    let rid = message.split("rid ").nth(1).and_then(|rest| rest.split(' ').next()).expect("there is a rid");
    let expected = format!(
        "\
error: token::stable was refused: 40125 invalid appsecret (无效的 AppSecret)
 --> script.rhai:1:13
  |
1 | followers().count();
  |             ^^^^^
  |
  = note: rid {rid} (the platform's support can look it up)
  = hint: compare it with 设置与开发 > 基本配置 > 开发者密码(AppSecret) in the console, and reset it there if it is lost
"
    );
    assert_eq!(message, expected);
}

#[test]
fn unknown_account_is_reported() {
    let accounts = "[accounts.flagship]\nappid = \"wx1\"\nsecret_env = \"A\"\n\n\
                    [accounts.booth]\nappid = \"wx2\"\nsecret_env = \"B\"\n";
    let folder = Folder::with(COUNT).file("mpscript.toml", accounts);
    let file = folder.path().canonicalize().expect("the folder is there").join("mpscript.toml");
    let file = file.display();
    let run = |arguments: &[&str], expected: &str| {
        assert_message(&folder, &[&["run", "script.rhai"], arguments].concat(), 2, expected);
    };
    run(
        &["--account", "flagshop"],
        &format!("error: {file} has no account `flagshop`\n  hint: did you mean `flagship`?\n"),
    );
    run(
        &["--account", "展台"],
        &format!("error: {file} has no account `展台`\n  hint: it has booth, flagship\n"),
    );
    run(
        &[],
        &format!(
            "error: {file} has several accounts: booth, flagship\n  \
             hint: choose one with --account NAME, or write `default = \"NAME\"` at the top of the file\n"
        ),
    );
    run(
        &["--account", "booth"],
        "error: the environment variable B of account `booth` is not set\n  hint: set it to the AppSecret\n",
    );
    let folder = Folder::with(COUNT);
    let expected = "\
error: account `booth` is not configured: there is no mpscript.toml
  hint: write mpscript.toml with [accounts.booth], or name the file with --config
";
    assert_message(&folder, &["run", "script.rhai", "--account", "booth"], 2, expected);
}

#[test]
#[cfg(unix)]
fn secret_file_readable_by_others_is_refused() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    let folder = Folder::with("print(followers().count());")
        .file(
            "mpscript.toml",
            format!("[accounts.booth]\nappid = \"{DEFAULT_APPID}\"\nsecret_file = \"booth.secret\"\n"),
        )
        .file("booth.secret", format!("{}\n", mpscript::sandbox::DEFAULT_SECRET));
    let secret = folder.path().canonicalize().expect("the folder is there").join("booth.secret");
    let allow = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).expect("it is ours");
    allow(0o644);
    let expected = format!(
        "error: {secret} holds a secret and others can read it\n  hint: chmod 600 {secret}\n",
        secret = secret.display()
    );
    assert_eq!(sandbox.run(&folder, &[]).failure(2), expected);
    allow(0o600);
    assert_eq!(sandbox.run(&folder, &[]).success(), "3\n");
}

#[test]
fn invalid_configuration_is_reported_without_its_lines() {
    let folder = Folder::with(COUNT)
        .file("mpscript.toml", "[accounts.booth]\nappid = \"wx1\"\nsecrett = \"0123456789abcdef\"\n");
    let message = folder.run(&["run", "script.rhai"]).failure(2);
    assert!(message.contains("mpscript.toml, line 3: unknown field `secrett`"), "{message}");
    assert!(!message.contains("0123456789abcdef"), "{message}");
}

#[test]
fn invalid_switch_is_reported() {
    let folder = Folder::new();
    let run =
        |switch: &str, expected: &str| assert_message(&folder, &["sandbox", "--switch", switch], 2, expected);
    run("gone_openi=ok", "error: there is no switch `gone_openi`\n  hint: did you mean `gone_openid`?\n");
    run("gone_openid=1", "error: switch `gone_openid` can't be `1`; it is 50005 or 40003 or 45171 or ok\n");
    let names: Vec<&str> = mpscript::sandbox::SWITCHES.iter().map(|switch| switch.name).collect();
    run("x=1", &format!("error: there is no switch `x`\n  hint: the switches are {}\n", names.join(", ")));
}

#[test]
fn impossible_sandbox_options_are_reported() {
    let folder = Folder::new();
    let expected = "\
error: the scenes have 11 followers together, but the account has only 10
  hint: give fewer with --scene, or more with --followers
";
    assert_message(&folder, &["sandbox", "--followers", "10", "--scene", "1=11"], 2, expected);
    let expected = "\
error: the EncodingAESKey is not 43 letters and digits: it has 5 characters
  hint: omit --aes-key to use the sandbox's own
";
    assert_message(&folder, &["sandbox", "--aes-key", "short"], 2, expected);
    for (switch, value, part) in [
        ("--scene", "0=5", "a scene's id is a number from 1 to 4294967295"),
        (
            "--quota",
            "/cgi-bin/nothing=5",
            "`/cgi-bin/nothing` is not a path of the sandbox; one is /cgi-bin/user/get",
        ),
        ("--quota", "/cgi-bin/user/get", "write it as PATH=N"),
        ("--latency", "soon", "write a number with its unit, as in 20ms, 30s or 2h"),
    ] {
        let message = folder.run(&["sandbox", switch, value]).failure(2);
        assert!(message.contains(part), "{message}");
    }
}
