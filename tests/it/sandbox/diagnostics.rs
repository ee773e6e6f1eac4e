//! What an operator asks the platform about itself: quotas, refused requests, addresses.

use crate::fixtures::account::{Account, errcode, ok};
use mpscript::sandbox::{DEFAULT_APPID, Options};
use serde_json::{Value, json};

fn quota(account: &Account, path: &str) -> Value {
    account.tell("/cgi-bin/openapi/quota/get", json!({"cgi_path": path}))
}

fn clear(account: &Account) -> Value {
    account.tell("/cgi-bin/clear_quota", json!({"appid": DEFAULT_APPID}))
}

#[test]
fn quota_reports_limit_used_and_remaining() {
    let account = Account::with(Options { followers: 3, minute_limit: Some(600), ..Options::default() });
    account.ask("/cgi-bin/user/get", "");
    let answer = quota(&account, "/cgi-bin/user/get");
    assert_eq!(answer["quota"], json!({"daily_limit": 500, "used": 1, "remain": 499}));
    assert_eq!(answer["rate_limit"], json!({"call_count": 600, "refresh_second": 60}));
    assert_eq!((errcode(&answer), &answer["errmsg"]), (0, &json!("ok")));
    assert_eq!(errcode(&quota(&account, "cgi-bin/user/get")), 76003);
    assert_eq!(errcode(&quota(&account, "/cgi-bin/nowhere")), 76021);
    assert_eq!(errcode(&quota(&account, "/sns/userinfo")), 76022);
}

#[test]
fn clear_quota_works_ten_times_a_month() {
    let quotas = [("/cgi-bin/tags/get".to_owned(), 1)].into();
    let account = Account::with(Options { followers: 3, quotas, ..Options::default() });
    let list = || errcode(&account.ask("/cgi-bin/tags/get", ""));
    for _ in 0..10 {
        assert_eq!((list(), list()), (0, 45009));
        assert_eq!(clear(&account), ok());
    }
    assert_eq!(errcode(&clear(&account)), 48006);
    account.advance("30days");
    account.renew();
    assert_eq!(clear(&account), ok());
    assert_eq!(errcode(&account.tell("/cgi-bin/clear_quota", json!({"appid": "wx0"}))), 40013);
}

#[test]
fn rid_is_found_for_seven_days_and_shows_no_token() {
    let account = Account::of(3);
    let refused = account.ask("/cgi-bin/user/info", "&openid=bad");
    let message = refused["errmsg"].as_str().unwrap();
    let rid = message.rsplit_once("rid: ").unwrap().1.to_owned();
    let find = |rid: &str| account.tell("/cgi-bin/openapi/rid/get", json!({"rid": rid}));
    let found = find(&rid);
    assert_eq!(errcode(&found), 0);
    assert_eq!(found["request"]["request_url"], "openid=bad");
    assert_eq!(found["request"]["response_body"], refused.to_string());
    assert_eq!(found["request"]["client_ip"], "127.0.0.1");
    assert_eq!(errcode(&find("61725984-6126f6f9-040f19c4")), 76001);
    assert_eq!(errcode(&find("nonsense")), 76002);
    account.advance("7days");
    account.renew();
    let find = |rid: &str| account.tell("/cgi-bin/openapi/rid/get", json!({"rid": rid}));
    assert_eq!(errcode(&find(&rid)), 76004);
}

#[test]
fn network_check_reports_addresses_and_reachability() {
    let account = Account::of(3);
    for path in ["/cgi-bin/getcallbackip", "/cgi-bin/get_api_domain_ip"] {
        assert!(!account.ask(path, "")["ip_list"].as_array().unwrap().is_empty(), "{path}");
    }
    let check = |action: &str, operator: &str| {
        account.tell("/cgi-bin/callback/check", json!({"action": action, "check_operator": operator}))
    };
    let all = check("all", "UNICOM");
    assert_eq!(all["dns"][0]["real_operator"], "UNICOM");
    assert_eq!(all["ping"][0]["package_loss"], "0%");
    assert!(check("dns", "DEFAULT").get("ping").is_none());
    assert_eq!(errcode(&check("look", "DEFAULT")), 40202);
    assert_eq!(errcode(&check("all", "NOBODY")), 40203);
}
