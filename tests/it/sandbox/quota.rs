//! Rights and quotas of the sandbox's accounts.

use crate::fixtures::{
    account::{Account, FOREIGN, errcode, token_target},
    paths::LIST_USERS,
};
use mpscript::sandbox::{AccountKind, DEFAULT_APPID, DEFAULT_SECRET, Options};
use serde_json::json;
use std::collections::BTreeMap;

const DAY: i64 = 24 * 3600;

/// Seconds until midnight in Beijing, which is eight hours ahead of UTC.
fn until_midnight(now: i64) -> i64 {
    DAY - (now + 8 * 3600).rem_euclid(DAY)
}

/// Calls `user/get` this often.
fn call(account: &Account, times: usize) {
    for time in 1..=times {
        assert_eq!(errcode(&account.ask(LIST_USERS, "")), 0, "call {time}");
    }
}

fn kind(account_kind: AccountKind) -> Account {
    Account::with(Options { followers: 3, account_kind, ..Options::default() })
}

#[test]
fn exhausted_daily_quota_is_45009_until_midnight_in_beijing() {
    let quotas = BTreeMap::from([(LIST_USERS.to_owned(), 2)]);
    let account = Account::with(Options { followers: 3, quotas, ..Options::default() });
    // Begin in the morning, so that midnight does not come between two calls.
    let now = account.advance("0s");
    account.advance(&format!("{}s", until_midnight(now) + 3600));
    account.renew();
    call(&account, 2);
    let answer = account.ask(LIST_USERS, "");
    assert_eq!(errcode(&answer), 45009);
    let text = "reach max api daily quota limit rid: ";
    assert!(answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with(text)), "{answer}");
    // Each path has its own.
    assert_eq!(errcode(&account.ask("/cgi-bin/tags/get", "")), 0);

    let now = account.advance("0s");
    account.advance(&format!("{}s", until_midnight(now) - 60));
    account.renew();
    assert_eq!(errcode(&account.ask(LIST_USERS, "")), 45009);
    account.advance("60s");
    call(&account, 2);
    assert_eq!(errcode(&account.ask(LIST_USERS, "")), 45009);
}

#[test]
fn quota_reset_hour_follows_the_switch() {
    let quotas = BTreeMap::from([(LIST_USERS.to_owned(), 1)]);
    let account = Account::with(Options { followers: 3, quotas, ..Options::default() });
    account.control("switches", json!({"quota_reset_hour": 5}));
    let now = account.advance("0s");
    account.advance(&format!("{}s", until_midnight(now) + 4 * 3600));
    account.renew();
    call(&account, 1);
    assert_eq!(errcode(&account.ask(LIST_USERS, "")), 45009);
    account.advance("59m");
    assert_eq!(errcode(&account.ask(LIST_USERS, "")), 45009);
    account.advance("1m");
    call(&account, 1);
}

#[test]
fn exhausted_minute_limit_is_45011_until_the_next_minute() {
    let account = Account::with(Options { followers: 3, minute_limit: Some(3), ..Options::default() });
    // Begin at a minute's start, so that the next one does not come between two calls.
    let now = account.advance("0s");
    account.advance(&format!("{}s", 60 - now.rem_euclid(60)));
    call(&account, 3);
    let answer = account.ask(LIST_USERS, "");
    assert_eq!(errcode(&answer), 45011);
    let text = "api minute-quota reach limit, must slower, retry next minute rid: ";
    assert!(answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with(text)), "{answer}");
    assert_eq!(errcode(&account.ask("/cgi-bin/tags/get", "")), 0);
    account.advance("60s");
    call(&account, 3);
}

#[test]
fn new_account_lists_followers_500_times_a_day() {
    let account = kind(AccountKind::Service);
    let now = account.advance("0s");
    account.advance(&format!("{}s", until_midnight(now) + 60));
    account.renew();
    call(&account, 500);
    assert_eq!(errcode(&account.ask(LIST_USERS, "")), 45009);
}

#[test]
fn test_account_has_every_right_and_smaller_quotas() {
    let account = kind(AccountKind::Test);
    let now = account.advance("0s");
    account.advance(&format!("{}s", until_midnight(now) + 60));
    for _ in 0..200 {
        account.renew();
    }
    call(&account, 100);
    assert_eq!(errcode(&account.ask(LIST_USERS, "")), 45009);
    assert_eq!(errcode(&account.get(&token_target(DEFAULT_APPID, DEFAULT_SECRET)).json()), 45009);
    assert_eq!(account.tag("测试号"), 100);
}

#[test]
fn tag_quota_follows_the_switch() {
    let account = kind(AccountKind::Service);
    account.control("switches", json!({"tags_quota": 2}));
    let now = account.advance("0s");
    account.advance(&format!("{}s", until_midnight(now) + 60));
    account.renew();
    let codes = [0; 3].map(|_| errcode(&account.ask("/cgi-bin/tags/get", "")));
    assert_eq!(codes, [0, 0, 45009]);
    let codes = [0; 3].map(|_| errcode(&account.tell("/cgi-bin/user/tag/get", json!({"tagid": 2}))));
    assert_eq!(codes, [0, 0, 45009]);
    call(&account, 3);
}

#[test]
fn uncertified_account_gets_only_a_token() {
    let account = kind(AccountKind::Uncertified);
    let answers = [
        account.ask(LIST_USERS, ""),
        account.ask("/cgi-bin/user/info", &format!("&openid={FOREIGN}")),
        account.ask("/cgi-bin/tags/get", ""),
        account.tell("/cgi-bin/tags/create", json!({"tag": {"name": "未认证"}})),
        account.tell("/cgi-bin/user/info/updateremark", json!({"openid": FOREIGN, "remark": "备注"})),
    ];
    for answer in answers {
        assert_eq!(errcode(&answer), 48001);
        let errmsg = answer["errmsg"].as_str().expect("there is a message");
        assert!(errmsg.starts_with("api unauthorized rid: "), "{errmsg}");
    }
}

#[test]
fn subscription_account_has_all_rights_but_remarks() {
    let account = kind(AccountKind::Subscription);
    let openid = account.openids().remove(0);
    assert_eq!(account.tag("订阅号"), 100);
    let answer = account.tell("/cgi-bin/user/info/updateremark", json!({"openid": openid, "remark": "备注"}));
    assert_eq!(errcode(&answer), 48001);
}
