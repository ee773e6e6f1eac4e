//! The sandbox's authorize page: its checks in the platform's words, silence, the person's choice.

use crate::fixtures::account::{Account, Answer, request};
use mpscript::{
    api::oauth::Authorize,
    sandbox::{AccountKind, DEFAULT_APPID, Options},
};
use serde_json::json;

const BACK: &str = "http://127.0.0.1:9/back";

fn open(account: &Account, query: &str, cookies: &str) -> Answer {
    let target = format!("/connect/oauth2/authorize?{query}");
    account.attempt(&request("GET", &target, &[("Cookie", cookies)], b"")).unwrap()
}

fn query(scope: &str) -> String {
    format!(
        "appid={DEFAULT_APPID}&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback&response_type=code&scope={scope}&state=abc"
    )
}

/// The code and the rest of the address that a person is sent to.
fn code_of(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 302, "{}", answer.text());
    let location = answer.header("Location").unwrap();
    let (front, rest) = location.split_once("code=").unwrap();
    let (code, back) = rest.split_once('&').unwrap();
    (code.to_owned(), format!("{front}…&{back}"))
}

#[test]
fn silent_scope_redirects_with_code_and_state() {
    let account = Account::of(3);
    let (code, address) = code_of(&open(&account, &query("snsapi_base"), ""));
    assert_eq!(address, format!("{BACK}?…&state=abc"));
    assert_eq!(code.len(), 32);
    let with_query = query("snsapi_base").replace("back&", "back%3Fx%3D1&");
    let (_, address) = code_of(&open(&account, &with_query, ""));
    assert!(address.starts_with(&format!("{BACK}?x=1&")), "{address}");
}

#[test]
fn code_and_state_go_into_the_query_whatever_the_address_has() {
    let account = Account::of(3);
    for (redirect_uri, back) in [
        ("http://127.0.0.1/app#/spa", "http://127.0.0.1/app?…&state=abc#/spa"),
        ("http://127.0.0.1:9/app?x=1#/spa?y=2", "http://127.0.0.1:9/app?x=1&…&state=abc#/spa?y=2"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9/?…&state=abc"),
        ("http://127.0.0.1/?", "http://127.0.0.1/?…&state=abc"),
        ("http://127.0.0.1/a?x=%E4%B8%80&y=a+b", "http://127.0.0.1/a?x=%E4%B8%80&y=a+b&…&state=abc"),
        ("http://user:word@127.0.0.1:9/a", "http://user:word@127.0.0.1:9/a?…&state=abc"),
        ("https://127.0.0.1/回来", "https://127.0.0.1/%E5%9B%9E%E6%9D%A5?…&state=abc"),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(redirect_uri.as_bytes()).collect();
        let query = query("snsapi_base").replace("http%3A%2F%2F127.0.0.1%3A9%2Fback", &encoded);
        assert_eq!(code_of(&open(&account, &query, "")).1, back, "{redirect_uri}");
    }
}

#[test]
fn address_of_another_domain_in_any_spelling_is_refused() {
    let account = Account::of(3);
    for redirect_uri in [
        "http://127.0.0.1@evil.example/",
        "http://evil.example/127.0.0.1",
        "http://evil.example?127.0.0.1",
        "http://evil.example#@127.0.0.1",
        "http://evil.example\\@127.0.0.1/",
        "javascript://127.0.0.1/%0aalert(1)",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "nonsense",
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(redirect_uri.as_bytes()).collect();
        let query = query("snsapi_base").replace("http%3A%2F%2F127.0.0.1%3A9%2Fback", &encoded);
        let answer = open(&account, &query, "");
        assert!(answer.text().contains("10003</b>"), "{redirect_uri}: {answer:?}");
    }
}

#[test]
fn userinfo_scope_asks_unless_opened_from_the_menu() {
    let account = Account::of(3);
    let openid = &account.openids()[1];
    let asked = open(&account, &query("snsapi_userinfo"), "");
    assert_eq!(asked.status, 200);
    for part in [DEFAULT_APPID, BACK, openid, "id=\"allow\"", "id=\"refuse\"", "你的昵称、头像"] {
        assert!(asked.text().contains(part), "{part}");
    }
    let cookies = format!("sandbox_openid={openid}; sandbox_from=menu");
    code_of(&open(&account, &query("snsapi_userinfo"), &cookies));
    // A person who has left is asked, wherever they come from.
    account.control("followers", json!({"openid": openid, "subscribe": 0}));
    assert_eq!(open(&account, &query("snsapi_userinfo"), &cookies).status, 200);
}

#[test]
fn allowing_gives_a_code_and_refusing_does_not() {
    let account = Account::of(3);
    let openid = &account.openids()[2];
    let link: String = url::form_urlencoded::byte_serialize(query("snsapi_userinfo").as_bytes()).collect();
    let decide = |decision: &str, openid: &str| {
        account
            .get(&format!("/connect/oauth2/authorize/decide?link={link}&openid={openid}&decision={decision}"))
    };
    let (_, address) = code_of(&decide("allow", openid));
    assert!(address.starts_with(BACK), "{address}");
    // A visitor who has never followed gets an openid too.
    code_of(&decide("allow", ""));
    let refused = decide("refuse", openid);
    assert_eq!(refused.status, 200);
    assert!(refused.text().contains("已拒绝授权"));
}

#[test]
fn page_error_is_shown_with_its_code() {
    let shown = |account: &Account, query: &str, cookies: &str| {
        let answer = open(account, query, cookies);
        assert_eq!(answer.status, 200, "{query}");
        answer.text().to_owned()
    };
    let account = Account::of(3);
    let good = query("snsapi_base");
    for (query, error) in [
        (good.replace(DEFAULT_APPID, ""), "10012</b> appid不能为空"),
        (
            good.replace("redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fback&", ""),
            "10011</b> redirect_uri不能为空",
        ),
        (good.replace("snsapi_base", ""), "10010</b> scope不能为空"),
        (good.replace("snsapi_base", "snsapi_login"), "10005</b> 此公众号并没有这些scope的权限"),
        (
            good.replace("127.0.0.1", "sub.127.0.0.1.example.com"),
            "10003</b> redirect_uri域名与后台配置不一致",
        ),
        (good.replace(DEFAULT_APPID, "wx0000000000000000"), "10016</b> 不支持微信开放平台的Appid"),
        (
            good.replace("response_type=code&scope=snsapi_base", "scope=snsapi_base&response_type=code"),
            "该链接无法访问",
        ),
        (good.replace("response_type=code", "response_type=token"), "该链接无法访问"),
        (good.replace("state=abc", "state=a-b"), "该链接无法访问"),
    ] {
        let page = shown(&account, &query, "");
        assert!(page.contains(error), "{query}: {page}");
    }
    account.control("switches", json!({"empty_state": "10013"}));
    assert!(shown(&account, &good.replace("abc", ""), "").contains("10013</b> state不能为空"));
    for code in ["10004", "10009", "10015"] {
        account.control("switches", json!({"authorize_page": code}));
        assert!(shown(&account, &good, "").contains(&format!("{code}</b>")));
    }
    let subscription =
        Options { followers: 3, account_kind: AccountKind::Subscription, ..Options::default() };
    assert!(shown(&Account::with(subscription), &good, "").contains("10005</b>"));
    let test = Account::with(Options { followers: 3, account_kind: AccountKind::Test, ..Options::default() });
    let openid = &test.openids()[0];
    test.control("followers", json!({"openid": openid, "subscribe": 0}));
    let left = shown(&test, &good, &format!("sandbox_openid={openid}"));
    assert!(left.contains("10006</b> 必须关注此测试号"), "{left}");
}

#[test]
fn authorize_url_built_by_the_api_is_accepted() {
    let account = Account::of(3);
    let authorize = Authorize {
        redirect_uri: "http://127.0.0.1:9/回来?a=1&b=2#x".to_owned(),
        scope: "snsapi_base".to_owned(),
        state: "abc".to_owned(),
    };
    let url = authorize.url("", DEFAULT_APPID).unwrap();
    let target = url.strip_suffix("#wechat_redirect").unwrap();
    let query = target.strip_prefix("/connect/oauth2/authorize?").unwrap();
    assert_eq!(open(&account, query, "").status, 302);
}

#[test]
fn link_text_is_escaped_on_the_page() {
    let account = Account::of(3);
    let query =
        query("snsapi_userinfo").replace("back&", "back%3F%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E&");
    let page = open(&account, &query, "");
    assert!(!page.text().contains("<script>alert"), "{}", page.text());
}
