//! Tags on followers in the sandbox: attached, detached, and what refuses a call or a part of it.

use crate::fixtures::{
    account::{Account, FOREIGN, errcode, ok},
    paths::ATTACH,
};
use serde_json::{Value, json};

const DETACH: &str = "/cgi-bin/tags/members/batchuntagging";

fn attach(account: &Account, tagid: i64, openids: &[&str]) -> Value {
    account.tell(ATTACH, json!({"openid_list": openids, "tagid": tagid}))
}

fn detach(account: &Account, tagid: i64, openids: &[&str]) -> Value {
    account.tell(DETACH, json!({"openid_list": openids, "tagid": tagid}))
}

#[test]
fn attach_and_detach_are_idempotent() {
    let account = Account::of(4);
    let openids = account.openids();
    let [first, second] = [openids[0].as_str(), openids[1].as_str()];
    let tagid = account.tag("展会");
    for _ in 0..2 {
        assert_eq!(attach(&account, tagid, &[first, second]), ok());
        assert_eq!((account.tags_of(first), account.tags_of(second)), (json!([tagid]), json!([tagid])));
    }
    let user = account.ask("/cgi-bin/user/info", &format!("&openid={first}"));
    assert_eq!(user["tagid_list"], json!([tagid]));
    for _ in 0..2 {
        assert_eq!(detach(&account, tagid, &[first]), ok());
        assert_eq!((account.tags_of(first), account.tags_of(second)), (json!([]), json!([tagid])));
    }
}

#[test]
fn tag_count_follows_attach_and_detach() {
    let account = Account::of(4);
    let openids = account.openids();
    let tagid = account.tag("会员");
    let count = || account.ask("/cgi-bin/tags/get", "")["tags"][1]["count"].clone();
    assert_eq!(count(), 0);
    attach(&account, tagid, &[&openids[0], &openids[1]]);
    assert_eq!(count(), 2);
    detach(&account, tagid, &[&openids[0]]);
    assert_eq!(count(), 1);
}

#[test]
fn call_with_no_or_more_than_50_openids_is_refused() {
    let account = Account::of(51);
    let openids = account.openids();
    let openids: Vec<&str> = openids.iter().map(String::as_str).collect();
    let tagid = account.tag("潜在客户");
    for refused in [&openids[..], &[]] {
        for answer in [attach(&account, tagid, refused), detach(&account, tagid, refused)] {
            assert_eq!(errcode(&answer), 40032, "{} openids", refused.len());
            let errmsg = answer["errmsg"].as_str().expect("there is a message");
            assert!(errmsg.starts_with("invalid openid list size hint: ["), "{errmsg}");
        }
    }
    assert_eq!(account.tags_of(openids[0]), json!([]));
    assert_eq!(attach(&account, tagid, &openids[..50]), ok());
    assert_eq!((account.tags_of(openids[49]), account.tags_of(openids[50])), (json!([tagid]), json!([])));
    assert_eq!(detach(&account, tagid, &openids[..50]), ok());
    assert_eq!(account.tags_of(openids[49]), json!([]));
}

#[test]
fn tag_beyond_20_on_a_follower_refuses_the_call() {
    let account = Account::of(4);
    let openids = account.openids();
    let [full, free] = [openids[0].as_str(), openids[1].as_str()];
    let tags: Vec<i64> = (1..=21).map(|number| account.tag(&format!("兴趣{number}"))).collect();
    for tagid in &tags[..20] {
        assert_eq!(attach(&account, *tagid, &[full]), ok());
    }
    let answer = attach(&account, tags[20], &[free, full]);
    assert_eq!(errcode(&answer), 45059);
    let errmsg = answer["errmsg"].as_str().expect("there is a message");
    assert!(errmsg.starts_with("can not tagging one user too much hint: ["), "{errmsg}");
    // The whole call is refused: the follower with room did not get the tag either.
    assert_eq!((account.tags_of(full), account.tags_of(free)), (json!(tags[..20]), json!([])));
    assert_eq!(attach(&account, tags[0], &[full]), ok());
    assert_eq!(detach(&account, tags[0], &[full]), ok());
    assert_eq!(attach(&account, tags[20], &[full]), ok());
}

#[test]
fn tag_id_in_camel_case_is_ignored() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    let tagid = account.tag("大小写");
    for path in [ATTACH, DETACH] {
        let answer = account.tell(path, json!({"openid_list": [openid], "tagId": tagid}));
        assert_eq!(errcode(&answer), 45159, "{path}");
    }
    assert_eq!(account.tags_of(&openid), json!([]));
}

#[test]
fn reserved_tag_ids_are_45159_except_the_starred_group() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    assert_eq!(errcode(&attach(&account, 0, &[&openid])), 45159);
    assert_eq!(errcode(&attach(&account, 1, &[&openid])), 45159);
    assert_eq!(attach(&account, 2, &[&openid]), ok());
    assert_eq!(account.tags_of(&openid), json!([2]));
}

#[test]
fn one_invalid_openid_leaves_every_follower_unchanged() {
    let account = Account::of(4);
    let openids = account.openids();
    let [tagged, plain, gone] = [openids[0].as_str(), openids[1].as_str(), openids[2].as_str()];
    let tagid = account.tag("北京");
    assert_eq!(attach(&account, tagid, &[tagged]), ok());
    account.control("followers", json!({"openid": gone, "subscribe": 0}));
    for (bad, expected, text) in [
        ("bad", 40003, "invalid openid"),
        (FOREIGN, 49003, "not match openid with appid"),
        (gone, 50005, "user is unsubscribed"),
    ] {
        for answer in [attach(&account, tagid, &[plain, bad]), detach(&account, tagid, &[tagged, bad])] {
            assert_eq!(errcode(&answer), expected, "{bad}");
            let errmsg = answer["errmsg"].as_str().expect("there is a message");
            assert!(errmsg.starts_with(&format!("{text} hint: [")), "{errmsg}");
            assert_eq!(answer.get("fail_openid_list"), None);
        }
        assert_eq!((account.tags_of(plain), account.tags_of(tagged)), (json!([]), json!([tagid])), "{bad}");
    }
}

#[test]
fn partial_failure_names_failed_openids_and_applies_the_rest() {
    let account = Account::of(4);
    let openids = account.openids();
    let [one, two, gone] = [openids[0].as_str(), openids[1].as_str(), openids[2].as_str()];
    let tagid = account.tag("上海");
    account.control("followers", json!({"openid": gone, "subscribe": 0}));
    let partial = json!({"malformed_openid": "45171", "foreign_openid": "45171", "gone_openid": "45171"});
    account.control("switches", partial);

    let answer = attach(&account, tagid, &[one, "bad", FOREIGN, gone, two]);
    assert_eq!(errcode(&answer), 45171);
    assert!(
        answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with("some openid fail hint: [")),
        "{answer}"
    );
    assert_eq!(answer["fail_openid_list"], json!(["bad", FOREIGN, gone]));
    assert_eq!((account.tags_of(one), account.tags_of(two)), (json!([tagid]), json!([tagid])));

    let answer = detach(&account, tagid, &[FOREIGN, one]);
    assert_eq!((errcode(&answer), &answer["fail_openid_list"]), (45171, &json!([FOREIGN])));
    assert_eq!((account.tags_of(one), account.tags_of(two)), (json!([]), json!([tagid])));
}

#[test]
fn tags_of_an_unknown_openid_are_40003() {
    let account = Account::of(3);
    for openid in ["bad", FOREIGN] {
        assert_eq!(
            errcode(&account.tell("/cgi-bin/tags/getidlist", json!({"openid": openid}))),
            40003,
            "{openid}"
        );
    }
}
