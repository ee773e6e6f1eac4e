//! The sandbox's switches: every question that the platform's documents leave open, and what each
//! answer changes.

use crate::fixtures::{
    account::{Account, FOREIGN, JSON, errcode, ok, openids_of, request},
    paths::ATTACH,
};
use mpscript::sandbox::SWITCHES;
use serde_json::{Value, json};

const UPDATE: &str = "/cgi-bin/tags/update";

/// The open questions, as the collection of the platform's facts lists them.
const OPEN_QUESTIONS: [&str; 16] = [
    "tags/* quotas",
    "which openid faults give 40003, 49003, 50005 or 45171 in batchtagging",
    "exactly 30 bytes for remark",
    "tags/update with an unknown or unchanged name",
    "tag state after unfollow/refollow",
    "blacklisted users in user/get",
    "order of user/get",
    "next_openid of a departed user",
    "duplicates in openid_list/user_list",
    "errcode for a coupon refused since 2021",
    "3 pushes or 1+3",
    "hour of the quota reset",
    "string vs number tagid",
    "raw `\\u` handling in tags/* today",
    "empty `data` of getblacklist",
    "Content-Type of tags/* in 2026 (only 2022/2023 evidence for cgi-bin)",
];

/// Switches beside that list: what has changed with the years, what its sections leave open in
/// passing, and what a simulator need not do.
const OF_ITS_OWN: [&str; 11] = [
    "seconds of a minute of quotas: fewer, for tests",
    "which of 40005, 40113 and 40137 a GIF yields",
    "nickname, sex and region in user/info and sns/userinfo: empty today, given in 2020",
    "what follows an error's text: a rid today, a hint alone in 2020",
    "expire_seconds of a temporary code when absent: 30 or 60",
    "state of the authorize page: optional, or 10013",
    "errors of the authorize page that depend on the account's standing",
    "page of getblacklist: 1,000 today, 10,000 in 2020",
    "pages of lists: full, or with fewer than the most (最多)",
    "batchblacklist with a non-follower",
    "`Connection: close` on every answer",
];

fn set(account: &Account, name: &str, value: &str) {
    account.control("switches", json!({name: value}));
}

#[test]
fn every_open_question_has_a_switch() {
    let mut questions: Vec<&str> = SWITCHES.iter().map(|switch| switch.question).collect();
    questions.dedup();
    let mut expected: Vec<&str> = OPEN_QUESTIONS.into_iter().chain(OF_ITS_OWN).collect();
    questions.sort_unstable();
    expected.sort_unstable();
    assert_eq!(questions, expected);
}

#[test]
fn switch_accepts_its_values_and_no_other() {
    let account = Account::of(3);
    let all = account.get("/__sandbox/switches").json();
    let all = all.as_object().expect("switches have names");
    assert_eq!(all.len(), SWITCHES.len());
    for (name, switch) in all {
        assert_eq!(switch["value"], switch["default"], "{name}");
        let (good, bad) = match &switch["values"] {
            Value::Array(values) => (values.clone(), vec![json!("maybe"), json!(""), json!(null), json!(-1)]),
            range => {
                let max = range["to"].as_u64().expect("a range has an end");
                let above = u128::from(max) + 1;
                let bad =
                    vec![json!("maybe"), json!(-1), json!(above.to_string()), json!("1.5"), json!(null)];
                (vec![json!("0"), json!(0), json!(max), json!(max.to_string())], bad)
            }
        };
        for value in good {
            let now = account.control("switches", json!({name: value}));
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(now[name]["value"], text, "{name}");
        }
        let before = account.get("/__sandbox/switches").json();
        for value in bad {
            let reason = account.refused_control("switches", json!({name: value}));
            assert!(reason.contains(name.as_str()), "{reason}");
        }
        assert_eq!(account.get("/__sandbox/switches").json(), before);
    }
}

#[test]
fn switches_are_set_all_or_none() {
    let account = Account::of(3);
    let reason =
        account.refused_control("switches", json!({"connection": "close", "user_get_order": "random"}));
    let expected = "switch `user_get_order` can't be `random`; it is oldest_first or newest_first";
    assert_eq!(reason, expected);
    assert_eq!(account.refused_control("switches", json!({"colour": "red"})), "there is no switch `colour`");
    account.refused_control("switches", json!(["connection"]));
    assert_eq!(account.get("/__sandbox/switches").json()["connection"]["value"], "keep-alive");
}

#[test]
fn invalid_openid_errcode_follows_the_switch() {
    let account = Account::of(4);
    let openids = account.openids();
    let tagid = account.tag("开关");
    account.control("followers", json!({"openid": openids[0], "subscribe": 0}));
    let attach =
        |openid: &str| account.tell(ATTACH, json!({"openid_list": [openids[1], openid], "tagid": tagid}));
    for (name, openid) in [("foreign_openid", FOREIGN), ("gone_openid", &openids[0])] {
        set(&account, name, "40003");
        assert_eq!(errcode(&attach(openid)), 40003, "{name}");
    }
    assert_eq!(account.tags_of(&openids[1]), json!([]));
    set(&account, "gone_openid", "ok");
    assert_eq!(attach(&openids[0]), ok());
    assert_eq!((account.tags_of(&openids[1]), account.tags_of(&openids[0])), (json!([tagid]), json!([])));
}

#[test]
fn remark_of_30_bytes_is_accepted_with_the_switch() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    set(&account, "remark_of_30_bytes", "accept");
    let remark = |text: &str| {
        errcode(&account.tell("/cgi-bin/user/info/updateremark", json!({"openid": openid, "remark": text})))
    };
    let ten = "客户经理王小明上海店";
    assert_eq!((remark(ten), remark(&format!("{ten}a"))), (0, 40092));
}

#[test]
fn rename_without_effect_is_accepted_with_the_switch() {
    let account = Account::of(3);
    let id = account.tag("广东");
    let rename = |id: i64| errcode(&account.tell(UPDATE, json!({"tag": {"id": id, "name": "广东"}})));
    assert_eq!((rename(id), rename(134)), (45157, 45159));
    account.control("switches", json!({"update_unchanged_name": "ok", "update_unknown_tag": "ok"}));
    assert_eq!((rename(id), rename(134)), (0, 0));
    assert_eq!(account.ask("/cgi-bin/tags/get", "")["tags"][2], Value::Null);
}

#[test]
fn follower_list_is_newest_first_with_the_switch() {
    let account = Account::of(30);
    let mut openids = account.openids();
    set(&account, "user_get_order", "newest_first");
    openids.reverse();
    assert_eq!(account.openids(), openids);
    let page = account.ask("/cgi-bin/user/get", &format!("&next_openid={}", openids[9]));
    assert_eq!(openids_of(&page), openids[10..]);
}

#[test]
fn page_has_fewer_openids_with_the_switch() {
    let account = Account::of(30);
    let openids = account.openids();
    let tagid = account.tag("短页");
    account.tell(ATTACH, json!({"openid_list": openids[..20], "tagid": tagid}));
    account.tell("/cgi-bin/tags/members/batchblacklist", json!({"openid_list": openids[20..]}));
    set(&account, "list_page", "7");
    let followers = account.ask("/cgi-bin/user/get", "");
    assert_eq!((&followers["total"], &followers["count"]), (&json!(20), &json!(7)));
    assert_eq!(openids_of(&followers), openids[..7]);
    assert_eq!(openids_of(&account.tell("/cgi-bin/user/tag/get", json!({"tagid": tagid}))), openids[..7]);
    let blacklist = account.tell("/cgi-bin/tags/members/getblacklist", json!({}));
    assert_eq!(openids_of(&blacklist), openids[20..27]);
}

#[test]
fn cursor_of_an_unsubscribed_openid_follows_the_switch() {
    let account = Account::of(10);
    let openids = account.openids();
    account.control("followers", json!({"openid": openids[4], "subscribe": 0}));
    let page = || account.ask("/cgi-bin/user/get", &format!("&next_openid={}", openids[4]));
    assert_eq!(openids_of(&page()), openids[5..]);
    set(&account, "departed_cursor", "empty_page");
    assert_eq!(page(), json!({"total": 9, "count": 0, "next_openid": ""}));
    set(&account, "departed_cursor", "40003");
    assert_eq!(errcode(&page()), 40003);
}

#[test]
fn duplicate_openids_are_refused_with_the_switch() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    let tagid = account.tag("重复");
    let attach = || account.tell(ATTACH, json!({"openid_list": [openid, openid], "tagid": tagid}));
    let users = json!({"user_list": [{"openid": openid}, {"openid": openid}]});
    let batch = || account.tell("/cgi-bin/user/info/batchget", users.clone());
    assert_eq!((attach(), errcode(&batch())), (ok(), 0));
    assert_eq!(account.tags_of(&openid), json!([tagid]));
    set(&account, "duplicate_openids", "40003");
    assert_eq!((errcode(&attach()), errcode(&batch())), (40003, 40003));
}

#[test]
fn tag_id_as_text_is_accepted_with_the_switch() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    let tagid = account.tag("数字");
    let attach = || account.tell(ATTACH, json!({"openid_list": [openid], "tagid": tagid.to_string()}));
    let rename = || account.tell(UPDATE, json!({"tag": {"id": tagid.to_string(), "name": "新数字"}}));
    assert_eq!((errcode(&attach()), errcode(&rename())), (47001, 47001));
    set(&account, "string_tagid", "accept");
    assert_eq!((attach(), rename()), (ok(), ok()));
    assert_eq!(account.tags_of(&openid), json!([tagid]));
}

#[test]
fn escaped_names_follow_the_switch() {
    let account = Account::of(3);
    let create = || {
        let target = account.target("/cgi-bin/tags/create", "");
        let body = br#"{"tag":{"name":"\u5e7f"}}"#;
        account.attempt(&request("POST", &target, JSON, body)).expect("there is an answer").json()
    };
    assert_eq!(create()["tag"]["name"], "广");
    set(&account, "escaped_names", "literal");
    assert_eq!(create()["tag"]["name"], "\\u5e7f");
    set(&account, "escaped_names", "40033");
    assert_eq!(errcode(&create()), 40033);
}
