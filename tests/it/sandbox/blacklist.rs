//! The sandbox's blacklist: pages, limits, refusals, and what it does to the list of followers.

use crate::fixtures::account::{Account, FOREIGN, errcode, ok, openids_of};
use serde_json::{Value, json};

const LIST: &str = "/cgi-bin/tags/members/getblacklist";
const ADD: &str = "/cgi-bin/tags/members/batchblacklist";
const REMOVE: &str = "/cgi-bin/tags/members/batchunblacklist";

fn block(account: &Account, openids: &[String]) {
    for part in openids.chunks(20) {
        assert_eq!(account.tell(ADD, json!({"openid_list": part})), ok());
    }
}

fn blacklist(account: &Account) -> Value {
    account.tell(LIST, json!({"begin_openid": ""}))
}

#[test]
fn page_has_1_000_openids_and_continues_after_begin_openid() {
    let account = Account::of(2_100);
    let openids: Vec<String> = account.openids().into_iter().take(2_050).collect();
    // Those who are gone can't be blocked; there are two of them among so many.
    let details = |openid: &String| account.ask("/cgi-bin/user/info", &format!("&openid={openid}"));
    let followers: Vec<String> =
        openids.into_iter().filter(|openid| details(openid)["subscribe"] == 1).collect();
    block(&account, &followers);
    let first = blacklist(&account);
    assert_eq!(first["total"], followers.len());
    assert_eq!(first["count"], 1_000);
    assert_eq!(openids_of(&first), followers[..1_000]);
    assert_eq!(first["next_openid"], json!(followers[999]));
    let second = account.tell(LIST, json!({"begin_openid": followers[999]}));
    assert_eq!(openids_of(&second), followers[1_000..2_000]);
    let last = account.tell(LIST, json!({"begin_openid": followers[1_999]}));
    assert_eq!(openids_of(&last), followers[2_000..]);
    let beyond = account.tell(LIST, json!({"begin_openid": followers.last()}));
    assert_eq!(beyond, json!({"total": followers.len(), "count": 0, "next_openid": ""}));
    account.control("switches", json!({"blacklist_page": "10000"}));
    assert_eq!(openids_of(&blacklist(&account)), followers);
    account.control("switches", json!({"empty_blacklist_page": "present"}));
    let beyond = account.tell(LIST, json!({"begin_openid": followers.last()}));
    assert_eq!(beyond["data"], json!({"openid": []}));
}

#[test]
fn call_with_fewer_than_1_or_more_than_20_openids_is_refused() {
    let account = Account::of(30);
    let openids = account.openids();
    for path in [ADD, REMOVE] {
        assert_eq!(errcode(&account.tell(path, json!({"openid_list": openids[..21]}))), 40032);
        assert_eq!(errcode(&account.tell(path, json!({"openid_list": []}))), 40032);
        assert_eq!(account.tell(path, json!({"openid_list": openids[..20]})), ok());
    }
}

#[test]
fn one_invalid_openid_refuses_the_whole_call() {
    let account = Account::of(5);
    let openids = account.openids();
    account.control("followers", json!({"openid": openids[4], "subscribe": 0}));
    for (bad, code) in [("bad", 40003), (FOREIGN, 49003), (openids[4].as_str(), 40003)] {
        assert_eq!(errcode(&account.tell(ADD, json!({"openid_list": [openids[0], bad]}))), code, "{bad}");
    }
    assert_eq!(blacklist(&account)["total"], 0);
    account.control("switches", json!({"blacklist_gone_openid": "ok"}));
    assert_eq!(account.tell(ADD, json!({"openid_list": [openids[4]]})), ok());
    assert_eq!(blacklist(&account)["total"], 1);
}

#[test]
fn blacklisted_followers_are_listed_only_with_the_switch() {
    let account = Account::of(5);
    let openids = account.openids();
    block(&account, &openids[..2]);
    let page = account.ask("/cgi-bin/user/get", "");
    assert_eq!((&page["total"], openids_of(&page)), (&json!(3), openids[2..].to_vec()));
    account.control("switches", json!({"blacklisted_in_user_get": "yes"}));
    let page = account.ask("/cgi-bin/user/get", "");
    assert_eq!((&page["total"], openids_of(&page)), (&json!(5), openids.clone()));
    account.control("switches", json!({"blacklisted_in_user_get": "no"}));
    assert_eq!(account.tell(REMOVE, json!({"openid_list": openids[..1]})), ok());
    assert_eq!(openids_of(&blacklist(&account)), openids[1..2]);
    assert_eq!(account.ask("/cgi-bin/user/get", "")["total"], 4);
}
