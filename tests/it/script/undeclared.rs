//! `api::get` and `api::post` reach every path, with the same token, retries and redaction.

use crate::fixtures::{
    account::Account,
    client::fault,
    program::{Finished, Folder, run_on},
    raw_server::{RawServer, ok, token},
    runs::newest_run_id,
    sandbox_process::SandboxProcess,
};
use serde_json::json;

fn printed(account: &Account, script: &str) -> String {
    run_on(account, script, &[]).0.success()
}

fn refused(account: &Account, script: &str) -> String {
    run_on(account, script, &[]).0.failure(1)
}

#[test]
fn undeclared_path_is_called_and_returns_a_map() {
    let account = Account::of(3);
    let openid = account.openids()[0].clone();
    let script = format!(
        "let u = api::get(\"/cgi-bin/user/info\", #{{openid: \"{openid}\"}}); print(u.openid == \"{openid}\"); \
         let t = api::post(\"/cgi-bin/tags/create\", #{{tag: #{{name: \"广东\"}}}}); print(t.tag.name); \
         print(api::get(\"/cgi-bin/tags/get\").tags.len());"
    );
    assert_eq!(printed(&account, &script), "true\n广东\n2\n");
}

#[test]
fn errcode_of_an_undeclared_path_is_a_full_error() {
    let account = Account::of(3);
    let script = "try { api::post(\"/cgi-bin/tags/create\", #{tag: #{name: \"\"}}) } \
                  catch (e) { print(`${e.errcode} ${e.endpoint}`) }";
    assert_eq!(printed(&account, script), "45157 api::post\n");
}

#[test]
fn write_post_is_sent_once_and_read_post_is_retried() {
    let account = Account::of(3);
    // The sandbox has neither path; a 404 is final, and what counts is how a fault is taken.
    for (path, calls) in [("/cgi-bin/tags/create", 1), ("/cgi-bin/tags/getidlist", 5)] {
        account.control("reset", json!({}));
        fault(&account, path, json!({"status": 502}));
        refused(&account, &format!("api::post(\"{path}\", #{{}})"));
        let stats = account.get("/__sandbox/stats").json();
        assert_eq!(stats["calls"][format!("POST {path}")], calls, "{path}");
    }
}

/// `GET /cgi-bin/menu/delete` on an account that is marked as production; gives the calls that it was sent.
fn deletion_of_the_menu(arguments: &[&str]) -> (Finished, Vec<String>) {
    let server = RawServer::start(|request| match request {
        request if request.contains("/cgi-bin/stable_token") => token("96_T0KEN"),
        _ => ok(r#"{"errcode":0,"errmsg":"ok"}"#),
    });
    let folder = Folder::with("print(api::get(\"/cgi-bin/menu/delete\").errmsg);");
    let folder = folder.shop(&format!("http://{}", server.address()), "production = true\n");
    let finished = folder.run(&[&["run", "script.rhai"], arguments].concat());
    (finished, server.calls().into_iter().filter(|call| call.ends_with("/cgi-bin/menu/delete")).collect())
}

#[test]
fn get_that_is_not_known_to_read_is_not_sent_in_a_dry_run() {
    let (finished, calls) = deletion_of_the_menu(&["--dry-run"]);
    assert_eq!((finished.code, calls.len()), (Some(0), 0), "{}", finished.err);
    assert!(finished.err.contains("1 call  of GET /cgi-bin/menu/delete would be made"), "{}", finished.err);
}

#[test]
fn get_not_known_to_read_asks_before_changing_production() {
    let (finished, calls) = deletion_of_the_menu(&[]);
    assert_eq!((finished.code, calls.len()), (Some(1), 0));
    assert!(
        finished.err.starts_with("error: account `shop` is marked `production = true`"),
        "{}",
        finished.err
    );
}

#[test]
fn get_that_is_not_known_to_read_is_sent_when_confirmed() {
    let (finished, calls) = deletion_of_the_menu(&["--yes"]);
    assert_eq!((finished.success().as_str(), calls.len()), ("ok\n", 1));
}

#[test]
fn get_that_is_not_known_to_read_is_in_doubt_after_a_crash() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    let folder = Folder::with("api::get(\"/cgi-bin/menu/delete\");").account();
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "call-intent:1");
    assert_eq!(sandbox.run(&folder, &[]).code, None);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
    let resumed = folder.run(&["resume", &newest_run_id(&folder), "--quiet"]);
    assert_eq!(resumed.code, Some(5), "{}", resumed.err);
    assert!(
        resumed.err.contains("may have taken effect or not, and must not be done twice"),
        "{}",
        resumed.err
    );
}

#[test]
fn secret_or_invalid_path_is_refused_before_any_call() {
    let account = Account::of(3);
    for (script, error) in [
        ("api::get(\"/cgi-bin/token\")", "/cgi-bin/token is called by token::get, which keeps its secret"),
        ("api::post(\"/cgi-bin/stable_token\", #{})", "is called by token::stable"),
        ("api::get(\"cgi-bin/tags/get\")", "`cgi-bin/tags/get` is no path"),
        ("api::get(\"/cgi-bin/tags/get?x=1\")", "is no path"),
        ("api::get(\"/cgi-bin/x/../menu/delete\")", "`/cgi-bin/x/../menu/delete` is no path"),
        ("api::get(\"/cgi-bin/%2e%2e/menu/delete\")", "is no path"),
        ("api::post(\"/cgi-bin/./menu/create\", #{})", "is no path"),
        ("api::get(\"/cgi-bin//token\")", "is no path"),
        ("api::get(\"/cgi-bin/tags/create\")", "/cgi-bin/tags/create is a POST"),
        (
            "api::get(\"/cgi-bin/user/info\", #{openid: [1]})",
            "`openid` must be a string, a number or true or false",
        ),
    ] {
        let message = refused(&account, script);
        assert!(message.contains(error), "{script}: {message}");
        assert!(message.contains(" --> script.rhai:1:"), "{message}");
    }
}
