//! Followers of the sandbox: its world, the pages of `user/get`, details, remarks.

use crate::fixtures::{
    account::{Account, FOREIGN, errcode, ok, openids_of},
    paths::{BATCH_INFO, LIST_USERS, USER_INFO},
};
use mpscript::sandbox::Options;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const REMARK: &str = "/cgi-bin/user/info/updateremark";

/// Asks for the details of these followers, whatever their number.
fn batch<'a>(account: &Account, openids: impl IntoIterator<Item = &'a String>) -> Value {
    let list: Vec<Value> =
        openids.into_iter().map(|openid| json!({"openid": openid, "lang": "zh_CN"})).collect();
    account.tell(BATCH_INFO, json!({"user_list": list}))
}

/// The details of everybody, a hundred at a time.
fn everybody(account: &Account) -> Vec<Value> {
    let openids = account.openids();
    let answers = openids.chunks(100).map(|chunk| batch(account, chunk));
    answers.flat_map(|answer| answer["user_info_list"].as_array().expect("it is a list").clone()).collect()
}

fn info(account: &Account, openid: &str) -> Value {
    account.ask(USER_INFO, &format!("&openid={openid}&lang=zh_CN"))
}

fn leave(account: &Account, openid: &str) {
    account.control("followers", json!({"openid": openid, "subscribe": 0}));
}

#[test]
fn list_cursor_is_the_last_openid_of_the_page_before() {
    let account = Account::of(10_050);
    let first = account.ask(LIST_USERS, "");
    let openids = openids_of(&first);
    assert_eq!((&first["total"], &first["count"], openids.len()), (&json!(10_050), &json!(10_000), 10_000));
    assert_eq!(first["next_openid"], openids[9_999]);

    let second = account.ask(LIST_USERS, &format!("&next_openid={}", openids[9_999]));
    let rest = openids_of(&second);
    assert_eq!((&second["total"], &second["count"], rest.len()), (&json!(10_050), &json!(50), 50));
    // The last page still names its last openid.
    assert_eq!(second["next_openid"], rest[49]);
    let distinct: BTreeSet<&String> = openids.iter().chain(&rest).collect();
    assert_eq!(distinct.len(), 10_050);

    let middle = account.ask(LIST_USERS, &format!("&next_openid={}", openids[49]));
    assert_eq!(openids_of(&middle)[..3], openids[50..53]);
    assert_eq!(middle["next_openid"], rest[49]);
}

#[test]
fn page_after_the_last_has_no_data_and_no_cursor() {
    let account = Account::of(12);
    let last = account.openids().pop().expect("there are followers");
    let answer = account.ask(LIST_USERS, &format!("&next_openid={last}"));
    assert_eq!(answer, json!({"total": 12, "count": 0, "next_openid": ""}));
}

#[test]
fn empty_cursor_starts_over_and_invalid_one_is_40003() {
    let account = Account::of(3);
    assert_eq!(account.ask(LIST_USERS, "&next_openid="), account.ask(LIST_USERS, ""));
    for cursor in ["bad", FOREIGN] {
        assert_eq!(errcode(&account.ask(LIST_USERS, &format!("&next_openid={cursor}"))), 40003, "{cursor}");
    }
}

#[test]
fn default_world_has_10_000_followers_1_234_of_a_scene() {
    let account = Account::with(Options::default());
    let everybody = everybody(&account);
    assert_eq!(everybody.len(), 10_000);
    let of_scene: Vec<&Value> = everybody.iter().filter(|user| user["qr_scene"] == 98765).collect();
    assert_eq!(of_scene.len(), 1_234);
    assert!(
        of_scene.iter().all(|user| user["subscribe"] == 1 && user["subscribe_scene"] == "ADD_SCENE_QR_CODE")
    );
    let gone: Vec<&Value> = everybody.iter().filter(|user| user["subscribe"] == 0).collect();
    assert_eq!(gone.len(), 10);
    for user in gone {
        assert_eq!(*user, json!({"subscribe": 0, "openid": user["openid"], "tagid_list": []}));
    }
}

#[test]
fn configured_scenes_have_their_followers() {
    let scenes = vec![(7, 30), (1_005, 12)];
    let account = Account::with(Options { followers: 200, scenes, ..Options::default() });
    let everybody = everybody(&account);
    let of_scene = |scene: u32| everybody.iter().filter(|user| user["qr_scene"] == scene).count();
    assert_eq!((of_scene(7), of_scene(1_005), of_scene(98_765)), (30, 12, 0));
}

#[test]
fn same_seed_gives_the_same_world() {
    let world = |seed| Account::with(Options { followers: 300, seed, ..Options::default() });
    let (first, again, other) = (world(7), world(7), world(8));
    assert_eq!(everybody(&first), everybody(&again));
    let (ours, theirs) = (first.openids(), other.openids());
    assert!(ours.iter().all(|openid| !theirs.contains(openid)));
    for openid in ours {
        let is_of_alphabet = openid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        assert!(openid.len() == 28 && openid.starts_with('o') && is_of_alphabet, "{openid}");
    }
}

#[test]
fn profile_keeps_every_old_key_with_empty_values() {
    let account = Account::of(1);
    let openid = account.openids().remove(0);
    let user = info(&account, &openid);
    let expected = json!({
        "subscribe": 1,
        "openid": openid,
        "nickname": "",
        "sex": 0,
        "language": "zh_CN",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": user["subscribe_time"],
        "remark": "",
        "groupid": 0,
        "tagid_list": [],
        "subscribe_scene": user["subscribe_scene"],
        "qr_scene": user["qr_scene"],
        "qr_scene_str": user["qr_scene_str"],
    });
    assert_eq!(user, expected);
    assert!(
        user["subscribe_time"].is_i64() && user["qr_scene"].is_i64() && user["qr_scene_str"].is_string(),
        "{user}"
    );
    assert!(user["subscribe_scene"].as_str().is_some_and(|scene| scene.starts_with("ADD_SCENE_")), "{user}");
}

#[test]
fn starred_follower_has_group_2() {
    let account = Account::of(3);
    let openid = account.openids().remove(1);
    let body = json!({"openid_list": [openid], "tagid": 2});
    assert_eq!(account.tell("/cgi-bin/tags/members/batchtagging", body), ok());
    let user = info(&account, &openid);
    assert_eq!((&user["groupid"], &user["tagid_list"]), (&json!(2), &json!([2])));
}

#[test]
fn malformed_openid_is_40003() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    for bad in ["bad", "", &openid[1..], &format!("{openid}%0D"), &openid.replacen('o', "p", 1)] {
        let answer = info(&account, bad);
        assert_eq!(errcode(&answer), 40003, "{bad}: {answer}");
    }
}

#[test]
fn batch_keeps_the_order_and_takes_1_to_100_openids() {
    let account = Account::of(101);
    let mut openids = account.openids();
    openids.reverse();
    let answer = batch(&account, &openids[..100]);
    let users = answer["user_info_list"].as_array().expect("it is a list");
    let named: Vec<&Value> = users.iter().map(|user| &user["openid"]).collect();
    assert_eq!(named, openids[..100].iter().collect::<Vec<_>>());
    assert_eq!(answer["user_info_list"][99], info(&account, &openids[99]));
    assert_eq!(errcode(&batch(&account, &openids)), 40032);
    assert_eq!(errcode(&batch(&account, [])), 40032);
}

#[test]
fn batch_reports_foreign_openids_and_refuses_malformed_ones() {
    let account = Account::of(3);
    let openids = account.openids();
    let answer = batch(&account, [&openids[0], &FOREIGN.to_owned(), &openids[1]]);
    let users = answer["user_info_list"].as_array().expect("it is a list");
    assert_eq!((&users[0]["openid"], &users[2]["openid"]), (&json!(openids[0]), &json!(openids[1])));
    assert_eq!(users[1], json!({"subscribe": 0, "openid": FOREIGN, "tagid_list": []}));
    assert_eq!(errcode(&batch(&account, [&openids[0], &"bad".to_owned()])), 40003);
}

#[test]
fn remark_of_30_bytes_or_more_is_refused() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    let remark = |text: &str| account.tell(REMARK, json!({"openid": openid, "remark": text}));
    let nine = "客户经理王小明上海";
    for text in ["pangzi", nine, &format!("{nine}ab")] {
        assert_eq!(remark(text), ok(), "{text}");
        assert_eq!(info(&account, &openid)["remark"], text);
    }
    for text in [&format!("{nine}店"), &format!("{nine}门店"), &"a".repeat(30), &"a".repeat(31)] {
        let answer = remark(text);
        assert_eq!(errcode(&answer), 40092, "{text}");
        let text = "invalid remark name hint: [";
        assert!(answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with(text)), "{answer}");
    }
    assert_eq!(info(&account, &openid)["remark"], format!("{nine}ab"));
    assert_eq!(remark(""), ok());
    assert_eq!(info(&account, &openid)["remark"], "");
}

#[test]
fn remark_on_a_non_follower_is_refused() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    leave(&account, &openid);
    for (openid, expected) in [(openid.as_str(), 43004), (FOREIGN, 40003), ("bad", 40003)] {
        let answer = account.tell(REMARK, json!({"openid": openid, "remark": "老客户"}));
        assert_eq!(errcode(&answer), expected, "{openid}");
    }
}
