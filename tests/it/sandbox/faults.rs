//! Faults on demand: which calls of the sandbox go wrong, how, and how often.

use crate::fixtures::{
    account::{Account, JSON, errcode, ok, request},
    paths::{ATTACH, CREATE_TAG, LIST_TAGS, USER_INFO},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn fault(account: &Account, rule: Value) {
    account.control("faults", rule);
}

/// The errcodes of so many calls one after another.
fn codes(account: &Account, times: usize) -> Vec<i64> {
    (0..times).map(|_| errcode(&account.ask(LIST_TAGS, ""))).collect()
}

/// Makes a tag; whether there was an answer.
fn is_answered(account: &Account, name: &str) -> bool {
    let body = json!({"tag": {"name": name}}).to_string();
    account.attempt(&request("POST", &account.target(CREATE_TAG, ""), JSON, body.as_bytes())).is_some()
}

fn names(account: &Account) -> Vec<Value> {
    let tags = account.get("/__sandbox/tags").json();
    tags.as_array().expect("it is a list").iter().map(|tag| tag["name"].clone()).collect()
}

#[test]
fn errcode_fault_replaces_the_call() {
    let account = Account::of(3);
    fault(&account, json!({"path": CREATE_TAG, "errcode": -1}));
    let answer = account.tell(CREATE_TAG, json!({"tag": {"name": "广东"}}));
    assert_eq!(errcode(&answer), -1);
    assert!(answer["errmsg"].as_str().is_some_and(|errmsg| errmsg.starts_with("system error")), "{answer}");
    assert_eq!(names(&account), ["星标组"]);
    assert_eq!(errcode(&account.ask(LIST_TAGS, "")), 0);
}

#[test]
fn gateway_errcode_fault_has_the_gateway_format() {
    let account = Account::of(3);
    for code in [40001, 42001, 45009, 45011, 48001] {
        fault(&account, json!({"path": LIST_TAGS, "errcode": code, "times": 1}));
        let answer = account.ask(LIST_TAGS, "");
        assert_eq!(errcode(&answer), code);
        let errmsg = answer["errmsg"].as_str().expect("there is a message");
        assert!(errmsg.contains(" rid: ") && !errmsg.contains(" hint: ["), "{errmsg}");
        account.control("reset", json!({}));
        account.renew();
    }
}

#[test]
fn status_fault_replaces_the_call() {
    let account = Account::of(3);
    fault(&account, json!({"path": CREATE_TAG, "status": 502}));
    let answer = account.post(&account.target(CREATE_TAG, ""), &json!({"tag": {"name": "广东"}}));
    assert_eq!((answer.status, answer.header("Content-Type")), (502, Some("text/html")));
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err(), "{}", answer.text());
    assert_eq!(names(&account), ["星标组"]);
}

#[test]
fn body_fault_replaces_the_answer() {
    let account = Account::of(3);
    let texts = [json!("<html>登录</html>"), json!({"tags": [], "广东": 1})];
    for (body, expected) in texts.into_iter().zip(["<html>登录</html>", r#"{"tags":[],"广东":1}"#]) {
        fault(&account, json!({"path": LIST_TAGS, "body": body}));
        let answer = account.get(&account.target(LIST_TAGS, ""));
        assert_eq!((answer.status, answer.text()), (200, expected));
        account.control("reset", json!({}));
    }
}

#[test]
fn call_dropped_before_has_no_effect() {
    let account = Account::of(3);
    fault(&account, json!({"path": CREATE_TAG, "drop": "before", "times": 1}));
    assert!(!is_answered(&account, "广东"));
    assert_eq!(names(&account), ["星标组"]);
    assert!(is_answered(&account, "广东"));
}

#[test]
fn call_dropped_after_takes_effect() {
    let account = Account::of(3);
    fault(&account, json!({"path": CREATE_TAG, "drop": "after", "times": 1}));
    assert!(!is_answered(&account, "广东"));
    assert_eq!(names(&account), ["星标组", "广东"]);
    assert!(is_answered(&account, "北京"));
}

#[test]
fn delay_precedes_the_answer_and_combines_with_faults() {
    let account = Account::of(3);
    fault(&account, json!({"path": LIST_TAGS, "delay": "30ms"}));
    let begin = Instant::now();
    assert_eq!(codes(&account, 1), [0]);
    assert!(begin.elapsed() >= Duration::from_millis(30));
    fault(&account, json!({"path": CREATE_TAG, "delay": "30ms", "errcode": -1}));
    let begin = Instant::now();
    assert_eq!(errcode(&account.tell(CREATE_TAG, json!({"tag": {"name": "广东"}}))), -1);
    assert!(begin.elapsed() >= Duration::from_millis(30));
}

#[test]
fn rule_with_times_hits_only_the_next_calls() {
    let account = Account::of(3);
    fault(&account, json!({"path": LIST_TAGS, "errcode": -1, "times": 2}));
    assert_eq!(codes(&account, 4), [-1, -1, 0, 0]);
}

#[test]
fn rule_with_every_hits_each_nth_call() {
    let account = Account::of(3);
    fault(&account, json!({"path": LIST_TAGS, "errcode": -1, "every": 3}));
    assert_eq!(codes(&account, 7), [0, 0, -1, 0, 0, -1, 0]);
}

#[test]
fn rule_with_openid_hits_calls_that_name_it() {
    let account = Account::of(3);
    let openids = account.openids();
    fault(&account, json!({"path": USER_INFO, "errcode": 268_487_002, "openid": openids[1]}));
    let codes: Vec<i64> =
        openids.iter().map(|openid| errcode(&account.ask(USER_INFO, &format!("&openid={openid}")))).collect();
    assert_eq!(codes, [0, 268_487_002, 0]);

    let tagid = account.tag("广东");
    fault(&account, json!({"path": ATTACH, "errcode": 50002, "openid": openids[1]}));
    let attach = |openids: &[String]| account.tell(ATTACH, json!({"openid_list": openids, "tagid": tagid}));
    assert_eq!(errcode(&attach(&openids)), 50002);
    assert_eq!(account.tags_of(&openids[0]), json!([]));
    assert_eq!(attach(&openids[2..]), ok());
}

#[test]
fn partial_failure_fault_applies_all_but_the_named_openid() {
    let account = Account::of(3);
    let openids = account.openids();
    let tagid = account.tag("广东");
    fault(&account, json!({"path": ATTACH, "errcode": 45171, "openid": openids[1]}));
    let attach = |openids: &[String]| account.tell(ATTACH, json!({"openid_list": openids, "tagid": tagid}));
    let answer = attach(&openids);
    assert_eq!((errcode(&answer), &answer["fail_openid_list"]), (45171, &json!([openids[1]])));
    let tags: Vec<Value> = openids.iter().map(|openid| account.tags_of(openid)).collect();
    assert_eq!(tags, [json!([tagid]), json!([]), json!([tagid])]);
    // Alone, there is no other openid to apply it to.
    assert_eq!(errcode(&attach(&openids[1..2])), 45171);
}

#[test]
fn invalid_fault_rule_is_refused() {
    let account = Account::of(3);
    let effects = "give one of errcode, status, drop and body, or a delay";
    for (rule, reason) in [
        (json!({"path": LIST_TAGS}), effects),
        (json!({"path": LIST_TAGS, "errcode": -1, "status": 500}), effects),
        (json!({"path": LIST_TAGS, "drop": "after", "body": "{}"}), effects),
        (
            json!({"path": LIST_TAGS, "errcode": -1, "every": 2, "times": 2}),
            "give `every` or `times`, not both",
        ),
        (json!({"path": LIST_TAGS, "errcode": -1, "every": 0}), "`every` and `times` count from 1"),
        (json!({"path": LIST_TAGS, "errcode": -1, "times": 0}), "`every` and `times` count from 1"),
        (json!({"path": "/cgi-bin/nowhere", "errcode": -1}), "`/cgi-bin/nowhere` is no path of the platform"),
        (json!({"path": LIST_TAGS, "status": 99}), "`status` is from 200 to 599"),
        (json!({"path": LIST_TAGS, "status": 600}), "`status` is from 200 to 599"),
        (json!({"errcode": -1}), "missing field `path`"),
        (json!({"path": LIST_TAGS, "errcode": -1, "often": 2}), "unknown field `often`"),
        (json!({"path": LIST_TAGS, "drop": "during"}), "unknown variant `during`"),
        (json!({"path": LIST_TAGS, "delay": "soon"}), "expected number at 0"),
        (json!({"path": LIST_TAGS, "errcode": "-1"}), "invalid type: string"),
        (json!([]), "invalid length 0"),
    ] {
        let refusal = account.refused_control("faults", rule.clone());
        assert!(refusal.contains(reason), "{rule}: {refusal}");
    }
    assert_eq!(codes(&account, 2), [0, 0]);
}
