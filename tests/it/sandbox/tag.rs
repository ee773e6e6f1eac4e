//! Tags of the sandbox: made, listed, renamed, deleted, and their followers page by page.

use crate::fixtures::{
    account::{Account, errcode, ok, openids_of},
    paths::ATTACH,
};
use serde_json::{Value, json};

const MEMBERS: &str = "/cgi-bin/user/tag/get";

fn create(account: &Account, name: &str) -> Value {
    account.tell("/cgi-bin/tags/create", json!({"tag": {"name": name}}))
}

fn rename(account: &Account, id: i64, name: &str) -> Value {
    account.tell("/cgi-bin/tags/update", json!({"tag": {"id": id, "name": name}}))
}

fn delete(account: &Account, id: i64) -> Value {
    account.tell("/cgi-bin/tags/delete", json!({"tag": {"id": id}}))
}

fn list(account: &Account) -> Value {
    account.ask("/cgi-bin/tags/get", "")["tags"].take()
}

/// Those of these openids who have not left: one who has would refuse a whole call.
fn who_follow(account: &Account, openids: &[String]) -> Vec<String> {
    let list: Vec<Value> = openids.iter().map(|openid| json!({"openid": openid})).collect();
    let answer = account.tell("/cgi-bin/user/info/batchget", json!({"user_list": list}));
    let users = answer["user_info_list"].as_array().expect("it is a list").iter();
    users
        .filter(|user| user["subscribe"] == 1)
        .map(|user| user["openid"].as_str().expect("an openid is a text").to_owned())
        .collect()
}

fn starred() -> Value {
    json!({"id": 2, "name": "星标组", "count": 0})
}

#[test]
fn new_account_lists_only_the_starred_group() {
    assert_eq!(list(&Account::of(3)), json!([starred()]));
}

#[test]
fn tag_ids_start_at_100_and_are_never_reused() {
    let account = Account::of(3);
    assert_eq!(create(&account, "广东"), json!({"tag": {"id": 100, "name": "广东"}}));
    assert_eq!(create(&account, "北京"), json!({"tag": {"id": 101, "name": "北京"}}));
    assert_eq!(delete(&account, 101), ok());
    assert_eq!(create(&account, "北京"), json!({"tag": {"id": 102, "name": "北京"}}));
    let expected = json!([
        starred(),
        {"id": 100, "name": "广东", "count": 0},
        {"id": 102, "name": "北京", "count": 0},
    ]);
    assert_eq!(list(&account), expected);
}

#[test]
fn tag_name_over_30_bytes_is_refused() {
    let account = Account::of(3);
    let ten = "长三角地区重点客户群";
    assert_eq!(create(&account, ten)["tag"]["name"], ten);
    assert_eq!(create(&account, &"a".repeat(30))["tag"]["id"], 101);
    for long in [format!("{ten}组"), format!("{ten}a"), "a".repeat(31)] {
        let answer = create(&account, &long);
        assert_eq!(errcode(&answer), 45158, "{long}");
        assert!(
            answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with("tag name too long hint: ["))
        );
        assert_eq!(errcode(&rename(&account, 100, &long)), 45158, "{long}");
    }
}

#[test]
fn duplicate_empty_or_reserved_tag_name_is_refused() {
    let account = Account::of(3);
    account.tag("华东");
    let other = account.tag("华南");
    for name in ["华东", "", "未分组", "黑名单", "星标组"] {
        let answer = create(&account, name);
        assert_eq!(errcode(&answer), 45157, "{name}");
        assert!(
            answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with("invalid tag name hint: ["))
        );
        assert_eq!(errcode(&rename(&account, other, name)), 45157, "{name}");
    }
}

#[test]
fn tag_beyond_100_is_refused() {
    let account = Account::of(3);
    for number in 0..100 {
        assert_eq!(account.tag(&format!("门店{number}")), 100 + number);
    }
    let answer = create(&account, "第一百零一");
    assert_eq!(errcode(&answer), 45056);
    let text = "too many tag now, no need to add new hint: [";
    assert!(answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with(text)), "{answer}");
    assert_eq!(delete(&account, 150), ok());
    assert_eq!(account.tag("第一百零一"), 200);
}

#[test]
fn renamed_tag_frees_its_old_name() {
    let account = Account::of(3);
    let id = account.tag("广东");
    assert_eq!(rename(&account, id, "广东人"), ok());
    assert_eq!(list(&account), json!([starred(), {"id": id, "name": "广东人", "count": 0}]));
    // The old name is free again.
    assert_eq!(account.tag("广东"), id + 1);
}

#[test]
fn change_of_a_system_tag_is_refused() {
    let account = Account::of(3);
    for id in 0..=2 {
        for answer in [rename(&account, id, "新名字"), delete(&account, id)] {
            assert_eq!(errcode(&answer), 45058, "tag {id}");
            let errmsg = answer["errmsg"].as_str().expect("there is a message");
            assert!(errmsg.starts_with("can't modify sys tag hint: ["), "{errmsg}");
        }
    }
    assert_eq!(list(&account), json!([starred()]));
}

#[test]
fn unknown_tag_is_45159() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    let answers = [
        rename(&account, 134, "广东人"),
        delete(&account, 134),
        account.tell(MEMBERS, json!({"tagid": 134, "next_openid": ""})),
        account.tell(ATTACH, json!({"openid_list": [openid], "tagid": 134})),
        account.tell("/cgi-bin/tags/members/batchuntagging", json!({"openid_list": [openid], "tagid": 134})),
    ];
    for answer in answers {
        assert_eq!(errcode(&answer), 45159, "{answer}");
        assert!(answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with("invalid tag id hint: [")));
    }
}

#[test]
fn deleted_tag_is_removed_from_its_followers() {
    let account = Account::of(3);
    let openids = account.openids();
    let (gone, stays) = (account.tag("旧活动"), account.tag("新活动"));
    for tagid in [gone, stays] {
        assert_eq!(account.tell(ATTACH, json!({"openid_list": openids, "tagid": tagid})), ok());
    }
    assert_eq!(account.tags_of(&openids[0]), json!([gone, stays]));
    assert_eq!(delete(&account, gone), ok());
    assert_eq!(account.tags_of(&openids[0]), json!([stays]));
    assert_eq!(list(&account), json!([starred(), {"id": stays, "name": "新活动", "count": 3}]));
}

#[test]
fn tag_without_followers_lists_only_a_count_of_0() {
    let account = Account::of(3);
    let tagid = account.tag("空标签");
    assert_eq!(account.tell(MEMBERS, json!({"tagid": tagid, "next_openid": ""})), json!({"count": 0}));
    assert_eq!(account.tell(MEMBERS, json!({"tagid": tagid})), json!({"count": 0}));
}

#[test]
fn tag_cursor_is_the_last_openid_of_the_page_before() {
    let account = Account::of(60);
    let openids = account.openids();
    let tagid = account.tag("老客户");
    assert_eq!(account.tell(ATTACH, json!({"openid_list": openids[10..50], "tagid": tagid})), ok());
    let page = |cursor: &str| account.tell(MEMBERS, json!({"tagid": tagid, "next_openid": cursor}));
    let all = json!({"count": 40, "data": {"openid": openids[10..50]}, "next_openid": openids[49]});
    assert_eq!(page(""), all);
    let rest = json!({"count": 5, "data": {"openid": openids[45..50]}, "next_openid": openids[49]});
    assert_eq!(page(&openids[44]), rest);
    assert_eq!(page(&openids[49]), json!({"count": 0}));
    assert_eq!(errcode(&page("bad")), 40003);
}

#[test]
fn delete_of_a_tag_with_over_100_000_followers_is_45057() {
    let account = Account::of(100_200);
    let followers: Vec<String> =
        account.openids().chunks(100).flat_map(|chunk| who_follow(&account, chunk)).collect();
    let tagid = account.tag("全体粉丝");
    for chunk in followers[..100_001].chunks(50) {
        assert_eq!(account.tell(ATTACH, json!({"openid_list": chunk, "tagid": tagid})), ok());
    }
    let first = account.tell(MEMBERS, json!({"tagid": tagid, "next_openid": ""}));
    assert_eq!((&first["count"], first.get("total")), (&json!(10_000), None));
    assert_eq!(openids_of(&first), followers[..10_000]);
    let last = account.tell(MEMBERS, json!({"tagid": tagid, "next_openid": followers[99_999]}));
    assert_eq!((&last["count"], &last["next_openid"]), (&json!(1), &json!(followers[100_000])));

    assert_eq!(errcode(&delete(&account, tagid)), 45057);
    let body = json!({"openid_list": [followers[0]], "tagid": tagid});
    assert_eq!(account.tell("/cgi-bin/tags/members/batchuntagging", body), ok());
    assert_eq!(delete(&account, tagid), ok());
}
