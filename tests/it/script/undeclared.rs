//! `api::get` and `api::post` reach every path, with the same token, retries and redaction.

use crate::fixtures::{account::Account, client::fault, program::run_on};
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

#[test]
fn secret_or_invalid_path_is_refused_before_any_call() {
    let account = Account::of(3);
    for (script, error) in [
        ("api::get(\"/cgi-bin/token\")", "/cgi-bin/token is called by token::get, which keeps its secret"),
        ("api::post(\"/cgi-bin/stable_token\", #{})", "is called by token::stable"),
        ("api::get(\"cgi-bin/tags/get\")", "`cgi-bin/tags/get` is no path"),
        ("api::get(\"/cgi-bin/tags/get?x=1\")", "is no path"),
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
