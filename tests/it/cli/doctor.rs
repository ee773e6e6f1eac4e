//! `mpscript doctor`: everything in order, and one thing broken at a time, with the whole output.

use crate::fixtures::{program::Folder, sandbox_process::SandboxProcess};
use mpscript::sandbox::DEFAULT_APPID;
use serde_json::json;

fn folder(base_url: &str) -> Folder {
    Folder::new().shop(base_url, "")
}

/// What differs from run to run is given a name.
fn plain(folder: &Folder, text: &str, url: &str) -> String {
    let text = text.replace(&folder.path().canonicalize().unwrap().display().to_string(), "HERE");
    let text = text.replace(&folder.path().display().to_string(), "HERE");
    let text = if url.is_empty() { text } else { text.replace(url, "URL") };
    let line = |line: &str| {
        // Seconds pass between a question and its answer.
        let seconds = |before: &str, after: &str| {
            let seconds = line.strip_prefix(before)?.strip_suffix(after)?.parse::<i64>().ok()?;
            (seconds.abs() < 5 || (7_195..7_200).contains(&seconds)).then_some(())
        };
        if seconds("ok   clock          ", " s from the platform's").is_some() {
            return CLOCK.trim_end().to_owned();
        }
        if seconds("ok   token          stable, good for ", " s").is_some() {
            return "ok   token          stable, good for 7200 s".to_owned();
        }
        match line.split_once(" answered in ") {
            Some((before, _)) => format!("{before} answered in TIME"),
            None => line.split(" (rid ").next().unwrap_or_default().to_owned(),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

fn look(folder: &Folder, url: &str, code: i32) -> String {
    let finished = folder.run(&["doctor"]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(code), ""), "{}", finished.out);
    plain(folder, &finished.out, url)
}

fn look_at(sandbox: &SandboxProcess, code: i32) -> String {
    look(&folder(&sandbox.url()), &sandbox.url(), code)
}

const CONFIGURATION: &str =
    "ok   configuration  wx5a2db0c5a9d0b0c5 from HERE/mpscript.toml [accounts.shop], stable tokens\n";
const STORE: &str = "ok   store          HERE/.local/state/mpscript/store.sqlite3\n";
const CLOCK: &str = "ok   clock          0 s from the platform's\n";
const HOSTS: &str = "ok   hosts          URL at 127.0.0.1 answered in TIME\n";
const TOKEN: &str = "ok   token          stable, good for 7200 s
ok   whitelist      this machine's address may fetch tokens
";
const RIGHTS: &str = "ok   rights         tag::…
ok   rights         user::…
ok   rights         blacklist::…
ok   rights         network::…
-    rights         not checked: oauth, media, card and qrcode can only be tried by using them
";
const WRONG: &str = "something is wrong: fix the first FAIL, then run doctor again\n";

#[test]
fn doctor_passes_when_everything_works() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let seen = look_at(&sandbox, 0);
    assert_eq!(seen, [CONFIGURATION, STORE, CLOCK, HOSTS, TOKEN, RIGHTS, "everything works\n"].concat());
}

#[test]
fn missing_account_fails_doctor() {
    assert_eq!(
        look(&Folder::new(), "", 2),
        "FAIL configuration  no account is configured
                    → set MPSCRIPT_APPID and MPSCRIPT_SECRET (设置与开发 > 基本配置 in the console shows them), write mpscript.toml, or try it with --sandbox
ok   store          HERE/.local/state/mpscript/store.sqlite3
-    clock          not checked: there is no account
-    hosts          not checked: there is no account
-    token          not checked: there is no account
-    whitelist      not checked: there is no account
-    rights         not checked: there is no account
something is wrong: fix the first FAIL, then run doctor again
"
    );
}

#[test]
fn foreign_store_file_fails_doctor() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder =
        folder(&sandbox.url()).file("diary", "my diary\n".repeat(500)).env("MPSCRIPT_STORE", "diary");
    let seen = look(&folder, &sandbox.url(), 2);
    let store = "FAIL store          HERE/diary is no store of mpscript, or is damaged
                    → move the file away to start with an empty store (tokens are fetched again, today's counts are lost), or restore it
";
    assert_eq!(seen, [CONFIGURATION, store, CLOCK, HOSTS, TOKEN, RIGHTS, WRONG].concat());
}

#[test]
fn wrong_clock_fails_doctor() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    sandbox.control("clock", &json!({"advance": "10m"}));
    let seen =
        look_at(&sandbox, 2).replace("10m 1s behind", "10m behind").replace("9m 59s behind", "10m behind");
    let clock = "FAIL clock          10m behind the platform's
                    → set this machine's clock (timedatectl set-ntp true): tokens and triggers depend on it
";
    assert_eq!(seen, [CONFIGURATION, STORE, clock, HOSTS, TOKEN, RIGHTS, WRONG].concat());
}

const UNREACHED: &str = "-    token          not checked: no host answers
-    whitelist      not checked: no host answers
-    rights         not checked: no host answers
something is wrong: fix the first FAIL, then run doctor again
";

#[test]
fn unresolvable_host_fails_doctor() {
    let url = "https://mpscript.invalid";
    let seen = look(&folder(url), url, 2);
    // Systems word it differently.
    let (before, rest) = seen.split_once("URL has no address: ").unwrap_or_else(|| panic!("{seen}"));
    let (_, after) = rest.split_once('\n').unwrap();
    assert_eq!(
        before,
        format!(
            "{CONFIGURATION}{STORE}-    clock          not checked: no host has sent its time\nFAIL hosts          "
        )
    );
    let remedy = "                    → check the name, and this machine's DNS (/etc/resolv.conf)\n";
    assert_eq!(after, format!("{remedy}{UNREACHED}"));
}

#[test]
fn refused_connection_fails_doctor() {
    let url = "http://127.0.0.1:9";
    let hosts = "-    clock          not checked: no host has sent its time
FAIL hosts          URL does not answer: Connection refused (os error 111)
                    → check the network, the proxy (HTTPS_PROXY), and that the certificate is one this machine trusts
";
    assert_eq!(look(&folder(url), url, 2), [CONFIGURATION, STORE, hosts, UNREACHED].concat());
}

#[test]
fn failing_proxy_fails_doctor() {
    let server = crate::fixtures::raw_server::RawServer::start(|_| {
        crate::fixtures::raw_server::Act::Answer(crate::fixtures::raw_server::answer(
            "502 Bad Gateway",
            "",
            "<html>",
        ))
    });
    let url = format!("http://{}", server.address());
    let hosts = "-    clock          not checked: no host has sent its time
FAIL hosts          URL does not answer: HTTP status 502
                    → check the network, the proxy (HTTPS_PROXY), and that the certificate is one this machine trusts
";
    assert_eq!(look(&folder(&url), &url, 2), [CONFIGURATION, STORE, hosts, UNREACHED].concat());
}

#[test]
fn failing_token_command_fails_doctor() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let config = format!(
        "[accounts.shop]\nappid = \"{DEFAULT_APPID}\"\ntoken_command = \"exit 4\"\nbase_url = \"{}\"\n",
        sandbox.url()
    );
    let seen = look(&Folder::new().file("mpscript.toml", config), &sandbox.url(), 2);
    let token = "FAIL token          there is no access token: the token's command ended with exit status: 4
                    → run token_command by hand: it prints a token, alone or as the platform's JSON
-    whitelist      not checked: there is no token
-    rights         not checked: there is no token
";
    let configuration = CONFIGURATION.replace("stable tokens", "external tokens");
    assert_eq!(seen, [&configuration, STORE, CLOCK, HOSTS, token, WRONG].concat());
}

#[test]
fn wrong_app_secret_fails_doctor() {
    let sandbox = SandboxProcess::start(&["--followers", "10", "--secret", "another"]);
    let seen = look_at(&sandbox, 2);
    let token = "FAIL token          token::stable was refused: 40125 invalid appsecret (无效的 AppSecret)
                    → compare it with 设置与开发 > 基本配置 > 开发者密码(AppSecret) in the console, and reset it there if it is lost
-    whitelist      not checked: there is no token
-    rights         not checked: there is no token
";
    assert_eq!(seen, [CONFIGURATION, STORE, CLOCK, HOSTS, token, WRONG].concat());
}

#[test]
fn app_secret_that_is_wrong_since_the_token_was_fetched_fails_the_token() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = folder(&sandbox.url());
    look(&folder, &sandbox.url(), 0);
    let seen = look(&folder.env("SHOP_SECRET", "another"), &sandbox.url(), 2);
    let (before, after) =
        seen.split_once("FAIL token          good for 7").unwrap_or_else(|| panic!("{seen}"));
    let (_, after) = after.split_once(" s, ").unwrap_or_else(|| panic!("{seen}"));
    assert_eq!(before, [CONFIGURATION, STORE, CLOCK, HOSTS].concat());
    let rest = "but no other can be fetched: token::stable was refused: 40125 invalid appsecret (无效的 AppSecret)
                    → compare it with 设置与开发 > 基本配置 > 开发者密码(AppSecret) in the console, and reset it there if it is lost
-    whitelist      not checked: no token can be fetched
";
    assert_eq!(after, [rest, RIGHTS, WRONG].concat());
}

#[test]
fn address_outside_the_whitelist_fails_doctor() {
    let sandbox = SandboxProcess::start(&["--followers", "10", "--ip-whitelist", "10.0.0.1"]);
    let seen = look_at(&sandbox, 2);
    let token = "FAIL token          token::stable was refused: 40164 invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist (调用接口的 IP 地址不在白名单中)
                    → see the whitelist
FAIL whitelist      127.0.0.1 is not in the IP白名单
                    → add 127.0.0.1 under 设置与开发 > 基本配置 > IP白名单 in the console
-    rights         not checked: there is no token
";
    assert_eq!(seen, [CONFIGURATION, STORE, CLOCK, HOSTS, token, WRONG].concat());
}

#[test]
fn missing_rights_fail_doctor() {
    let sandbox = SandboxProcess::start(&["--followers", "10", "--account-kind", "uncertified"]);
    let seen = look_at(&sandbox, 2);
    let remedy = "                    → look at 设置与开发 > 接口权限 in the console: the account lacks this right (most need 微信认证)\n";
    let refused = |area: &str, function: &str| {
        format!(
            "FAIL rights         {area}::…: {function} was refused: 48001 api unauthorized (api 功能未授权)\n{remedy}"
        )
    };
    let rights = [
        refused("tag", "tag::list"),
        refused("user", "user::list"),
        refused("blacklist", "blacklist::list"),
        "ok   rights         network::…\n".to_owned(),
        "-    rights         not checked: oauth, media, card and qrcode can only be tried by using them\n"
            .to_owned(),
    ];
    assert_eq!(seen, [CONFIGURATION, STORE, CLOCK, HOSTS, TOKEN, &rights.concat(), WRONG].concat());
}

#[test]
fn doctor_passes_on_the_sandbox() {
    let printed = Folder::new().run(&["doctor", "--sandbox"]).success();
    assert!(
        printed.starts_with("ok   configuration  a sandbox of its own, wx5a2db0c5a9d0b0c5\n"),
        "{printed}"
    );
    assert!(printed.ends_with("everything works\n"), "{printed}");
}
