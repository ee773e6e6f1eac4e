//! Web authorization from a script: the page's address, the exchange, and which token failed.

use crate::fixtures::{
    account::Account,
    program::{Folder, run_on},
    raw_server::{RawServer, ok},
};
use serde_json::json;

fn printed(account: &Account, script: &str) -> String {
    run_on(account, script, &[]).0.success()
}

fn code(account: &Account) -> String {
    account.control("oauth/code", json!({"scope": "snsapi_userinfo"}))["code"].as_str().unwrap().to_owned()
}

#[test]
fn repeated_code_is_exchanged_once() {
    let account = Account::of(3);
    let code = code(&account);
    let script = format!(
        "let a = oauth::exchange(\"{code}\"); let b = oauth::exchange(\"{code}\"); print(a.openid == b.openid); \
         print(oauth::userinfo(a.access_token, a.openid).openid == a.openid); \
         oauth::check(a.access_token, a.openid); print(oauth::refresh(a.refresh_token).scope); \
         print(`${{a.access_token}} ${{a.refresh_token}}`);"
    );
    assert_eq!(printed(&account, &script), "true\ntrue\nsnsapi_userinfo\n*** ***\n");
    let calls = account.get("/__sandbox/stats").json()["calls"].clone();
    assert_eq!(calls["GET /sns/oauth2/access_token"], 1);
}

#[test]
fn error_names_the_token_that_failed() {
    let account = Account::of(3);
    let openid = &account.openids()[0];
    let script =
        format!("try {{ oauth::check(\"96_nonsense\", \"{openid}\") }} catch (e) {{ print(e.message) }}");
    let message = printed(&account, &script);
    assert!(message.contains("40001") && message.contains("the person's token"), "{message}");
    // The account's own token is not renewed for it.
    assert_eq!(account.get("/__sandbox/stats").json()["calls"]["GET /sns/auth"], 1);
}

#[test]
fn missing_state_is_generated() {
    let account = Account::of(3);
    let script = "print(oauth::authorize_url(#{redirect_uri: \"https://www.example.com/回来\"}))";
    let url = printed(&account, script);
    let (front, state) = url.trim().split_once("&state=").unwrap();
    assert!(front.ends_with("redirect_uri=https%3A%2F%2Fwww.example.com%2F%E5%9B%9E%E6%9D%A5&response_type=code&scope=snsapi_userinfo"), "{url}");
    let state = state.strip_suffix("#wechat_redirect").unwrap();
    assert_eq!((state.len(), state.bytes().all(|byte| byte.is_ascii_alphanumeric())), (32, true));
    assert_ne!(printed(&account, script).trim(), url.trim());
}

#[test]
fn personal_tokens_are_masked_everywhere() {
    const ACCESS: &str = "96_ACCESS-of-a-person";
    const REFRESH: &str = "96_REFRESH-of-a-person";
    let server = RawServer::start(|request| {
        if request.contains("/sns/oauth2/access_token") {
            return ok(json!({
                "access_token": ACCESS, "expires_in": 7200, "refresh_token": REFRESH, "openid": "oX", "scope": "snsapi_base",
            })
            .to_string());
        }
        // A server that repeats what it was sent.
        ok(json!({"errcode": 40003, "errmsg": format!("no: {ACCESS} {REFRESH}")}).to_string())
    });
    let folder = Folder::with(
        "let g = oauth::exchange(\"c\"); print(g); debug(g); print(g.access_token); print([g.refresh_token, g]); \
         print(#{g: g}.to_json()); try { #{t: g.access_token}.to_json(); } catch (e) { print(e.message); } \
         try { oauth::userinfo(g.access_token, g.openid) } catch (e) { print(`${e.errmsg} ${e.message}`); } \
         oauth::refresh(g.refresh_token);",
    )
    .account();
    let url = format!("http://{}", server.address());
    let finished = folder.run(&["run", "script.rhai", "-v", "--base-url", &url, "--report", "report.json"]);
    assert_eq!(finished.code, Some(1), "{}", finished.err);
    let seen = format!("{}{}{}", finished.out, finished.err, folder.json("report.json"));
    assert!(seen.contains("no: *** ***"), "{seen}");
    let sent: String = server.exchanges().into_iter().map(|exchange| exchange.request).collect();
    for token in [ACCESS, REFRESH] {
        assert!(sent.contains(token), "it travels: {token}");
        assert!(!seen.contains(token), "{token}: {seen}");
    }
}
