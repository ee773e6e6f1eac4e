//! The sandbox's web authorization: codes, people's tokens, profiles.

use crate::fixtures::account::{Account, errcode, ok};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET, Options};
use serde_json::{Value, json};

const USERINFO: &str = "snsapi_userinfo";

fn code(account: &Account, scope: &str) -> String {
    let body = account.control("oauth/code", json!({"scope": scope}));
    body["code"].as_str().unwrap().to_owned()
}

fn exchange(account: &Account, code: &str) -> Value {
    let query =
        format!("appid={DEFAULT_APPID}&secret={DEFAULT_SECRET}&code={code}&grant_type=authorization_code");
    account.get(&format!("/sns/oauth2/access_token?{query}")).json()
}

fn refresh(account: &Account, token: &str) -> Value {
    let query = format!("appid={DEFAULT_APPID}&grant_type=refresh_token&refresh_token={token}");
    account.get(&format!("/sns/oauth2/refresh_token?{query}")).json()
}

fn with_token(account: &Account, path: &str, token: &Value, openid: &Value) -> Value {
    let (token, openid) = (token.as_str().unwrap_or_default(), openid.as_str().unwrap_or_default());
    account.get(&format!("{path}?access_token={token}&openid={openid}&lang=zh_CN")).json()
}

#[test]
fn code_is_exchanged_once_within_five_minutes() {
    let account = Account::of(3);
    let first = code(&account, USERINFO);
    let grant = exchange(&account, &first);
    assert_eq!(grant["expires_in"], 7200);
    assert_eq!(grant["scope"], USERINFO);
    assert_eq!(grant["openid"], account.openids()[0]);
    assert!(grant.get("unionid").is_none() && grant.get("errcode").is_none(), "{grant}");
    assert_eq!(errcode(&exchange(&account, &first)), 40163);
    assert_eq!(errcode(&exchange(&account, "nonsense")), 40029);
    assert_eq!(errcode(&exchange(&account, "")), 41008);
    let late = code(&account, USERINFO);
    account.advance("299s");
    let in_time = code(&account, USERINFO);
    account.advance("1s");
    assert_eq!(errcode(&exchange(&account, &late)), 42003);
    assert_eq!(errcode(&exchange(&account, &in_time)), 0);
}

#[test]
fn sns_answer_is_plain_text_ending_in_comma_and_rid() {
    let account = Account::of(3);
    let answer =
        account.get("/sns/oauth2/access_token?appid=wx&secret=s&code=c&grant_type=authorization_code");
    assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("text/plain")));
    let body = answer.json();
    assert_eq!(errcode(&body), 40013);
    assert!(body["errmsg"].as_str().unwrap().starts_with("invalid appid, rid: "), "{body}");
}

#[test]
fn exchange_with_wrong_app_credentials_is_refused() {
    let account = Account::of(3);
    let get = |query: &str| errcode(&account.get(&format!("/sns/oauth2/access_token?{query}")).json());
    assert_eq!(get("secret=s&code=c&grant_type=authorization_code"), 41002);
    assert_eq!(get(&format!("appid={DEFAULT_APPID}&code=c&grant_type=authorization_code")), 41004);
    assert_eq!(get(&format!("appid={DEFAULT_APPID}&secret=s&code=c&grant_type=authorization_code")), 40125);
    assert_eq!(get(&format!("appid={DEFAULT_APPID}&secret={DEFAULT_SECRET}&code=c&grant_type=x")), 40002);
}

#[test]
fn profile_needs_the_userinfo_scope_and_hides_sex_and_region() {
    let account = Account::of(3);
    let grant = exchange(&account, &code(&account, USERINFO));
    let profile = with_token(&account, "/sns/userinfo", &grant["access_token"], &grant["openid"]);
    assert_eq!(profile["openid"], grant["openid"]);
    assert_eq!(profile["sex"], 0);
    assert_eq!(
        (&profile["province"], &profile["city"], &profile["country"]),
        (&json!(""), &json!(""), &json!(""))
    );
    assert!(!profile["nickname"].as_str().unwrap().is_empty());
    assert_eq!(profile["privilege"], json!([]));
    let silent = exchange(&account, &code(&account, "snsapi_base"));
    let refused = with_token(&account, "/sns/userinfo", &silent["access_token"], &silent["openid"]);
    assert_eq!(errcode(&refused), 48001);
}

#[test]
fn token_check_requires_the_openid_it_was_issued_for() {
    let account = Account::of(3);
    let grant = exchange(&account, &code(&account, USERINFO));
    let check = |token: &Value, openid: &Value| with_token(&account, "/sns/auth", token, openid);
    assert_eq!(check(&grant["access_token"], &grant["openid"]), ok());
    assert_eq!(errcode(&check(&grant["access_token"], &json!(account.openids()[1]))), 40003);
    assert_eq!(errcode(&check(&json!("96_nobody"), &grant["openid"])), 40001);
    assert_eq!(errcode(&check(&json!("not!a!token"), &grant["openid"])), 40014);
    assert_eq!(errcode(&check(&json!(""), &grant["openid"])), 41001);
    // The account's own token is none of a person's.
    let own = account.renew();
    assert_eq!(errcode(&check(&json!(own), &grant["openid"])), 40001);
    account.advance("2h");
    assert_eq!(errcode(&check(&grant["access_token"], &grant["openid"])), 42001);
}

#[test]
fn refresh_extends_a_valid_token_and_replaces_an_expired_one() {
    let account = Account::of(3);
    let grant = exchange(&account, &code(&account, USERINFO));
    let token = grant["refresh_token"].as_str().unwrap();
    account.advance("1h");
    let renewed = refresh(&account, token);
    assert_eq!(renewed["access_token"], grant["access_token"]);
    assert_eq!(renewed["refresh_token"], grant["refresh_token"]);
    account.advance("119m");
    assert_eq!(with_token(&account, "/sns/auth", &grant["access_token"], &grant["openid"]), ok());
    account.advance("1m");
    let replaced = refresh(&account, token);
    assert_ne!(replaced["access_token"], grant["access_token"]);
    assert_eq!(replaced["openid"], grant["openid"]);
    assert_eq!(errcode(&refresh(&account, "nonsense")), 40030);
    assert_eq!(errcode(&refresh(&account, "")), 41003);
    account.advance("30days");
    assert_eq!(errcode(&refresh(&account, token)), 42002);
}

#[test]
fn bound_account_returns_a_unionid() {
    let account = Account::with(Options { followers: 3, unionid: true, ..Options::default() });
    let grant = exchange(&account, &code(&account, USERINFO));
    let union = grant["unionid"].as_str().unwrap().to_owned();
    assert_eq!(union.len(), 28);
    let openid = account.openids()[0].clone();
    assert_eq!(account.ask("/cgi-bin/user/info", &format!("&openid={openid}"))["unionid"], union);
    let profile = with_token(&account, "/sns/userinfo", &grant["access_token"], &grant["openid"]);
    assert_eq!(profile["unionid"], union);
    let silent = exchange(&account, &code(&account, "snsapi_base"));
    assert!(silent.get("unionid").is_none(), "{silent}");
}
