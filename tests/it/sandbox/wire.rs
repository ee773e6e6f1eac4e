//! How the sandbox's answers look on the wire: statuses, headers, messages, refused requests.

use crate::fixtures::{
    account::{Account, Answer, FOREIGN, JSON, errcode, request},
    paths::{CREATE_TAG, LIST_TAGS},
};
use chrono::NaiveDateTime;
use mpscript::sandbox::Options;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    ops::RangeInclusive,
};

/// Takes a message apart: the text, the mark between `hint: [` and `]`, and the groups of the rid.
fn parts(answer: &Value) -> (String, Option<String>, Vec<String>) {
    let errmsg = answer["errmsg"].as_str().expect("a refusal has a message");
    let (text, rid) = errmsg.split_once(" rid: ").expect("a message ends with its rid");
    let groups = rid.split('-').map(str::to_owned).collect();
    match text.split_once(" hint: [") {
        Some((text, mark)) => {
            let mark = mark.strip_suffix(']').expect("the mark ends with a bracket");
            (text.to_owned(), Some(mark.to_owned()), groups)
        }
        None => (text.to_owned(), None, groups),
    }
}

/// Holds a rid to three groups of eight hex digits, the first of which is the time.
fn check_rid(groups: &[String], times: RangeInclusive<i64>) {
    assert_eq!(groups.len(), 3, "{groups:?}");
    for group in groups {
        assert!(
            group.len() == 8 && group.bytes().all(|byte| b"0123456789abcdef".contains(&byte)),
            "{groups:?}"
        );
    }
    let time = i64::from_str_radix(&groups[0], 16).expect("it is hex");
    assert!(times.contains(&time), "{time} is not in {times:?}");
}

/// A POST with this body, letter by letter.
fn post_bytes(account: &Account, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    account.attempt(&request("POST", &account.target(path, ""), headers, body)).expect("there is an answer")
}

#[test]
fn refusal_has_status_200_and_success_headers() {
    let account = Account::of(3);
    let refusal = account.get(LIST_TAGS);
    let success = account.get(&account.target(LIST_TAGS, ""));
    assert_eq!((errcode(&refusal.json()), errcode(&success.json())), (41001, 0));
    for answer in [refusal, success] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("Content-Type"), Some("application/json; encoding=utf-8"));
    }
}

#[test]
fn tag_answers_are_text_with_the_switch() {
    let account = Account::of(3);
    account.control("switches", json!({"tags_content_type": "text"}));
    assert_eq!(account.get(&account.target(LIST_TAGS, "")).header("Content-Type"), Some("text/plain"));
    let users = account.get(&account.target("/cgi-bin/user/get", ""));
    assert_eq!(users.header("Content-Type"), Some("application/json; encoding=utf-8"));
}

#[test]
fn body_is_compact_json_in_plain_utf_8() {
    let account = Account::of(3);
    let made = account.post(&account.target(CREATE_TAG, ""), &json!({"tag": {"name": "广东"}}));
    assert_eq!(made.text(), r#"{"tag":{"id":100,"name":"广东"}}"#);
    let listed = account.get(&account.target(LIST_TAGS, ""));
    let expected = r#"{"tags":[{"id":2,"name":"星标组","count":0},{"id":100,"name":"广东","count":0}]}"#;
    assert_eq!(listed.text(), expected);
}

#[test]
fn date_header_has_hyphens_and_follows_the_clock() {
    let account = Account::of(3);
    for by in ["0s", "400days"] {
        let before = account.advance(by);
        let answer = account.get(LIST_TAGS);
        let after = account.advance("0s");
        let date = answer.header("Date").expect("there is a date");
        let parsed = NaiveDateTime::parse_from_str(date, "%a, %d-%b-%Y %H:%M:%S GMT").expect(date);
        let time = parsed.and_utc().timestamp();
        assert!((before..=after).contains(&time), "{date} is not from {before} to {after}");
        assert_eq!(date.len(), "Sat, 03-Jun-2023 06:27:04 GMT".len(), "{date}");
        assert_eq!(answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("date")).count(), 1);
    }
}

#[test]
fn closed_connection_has_a_body_of_its_content_length() {
    let account = Account::of(3);
    let target = account.target(CREATE_TAG, "");
    let headers = [JSON[0], ("Connection", "close")];
    let answer = account.once(&request("POST", &target, &headers, r#"{"tag":{"name":"门店"}}"#.as_bytes()));
    assert_eq!(answer.text(), r#"{"tag":{"id":100,"name":"门店"}}"#);
    assert_eq!(answer.header("Content-Length"), Some(answer.body.len().to_string().as_str()));
    assert_eq!(answer.header("Connection"), Some("close"));
}

#[test]
fn connection_serves_several_requests() {
    let account = Account::of(3);
    let mut connection = account.connect();
    let target = account.target(LIST_TAGS, "");
    let last = request("GET", &target, &[("Connection", "close")], b"");
    let both = [request("GET", &target, &[], b""), last].concat();
    connection.get_mut().write_all(&both).expect("the requests can be sent");
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("the server closes at the end");
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{text}");
    assert_eq!(text.matches(r#"{"tags":"#).count(), 2, "{text}");
}

#[test]
fn connection_switch_closes_every_connection() {
    let account = Account::of(3);
    account.control("switches", json!({"connection": "close"}));
    let answer = account.once(&request("GET", &account.target(LIST_TAGS, ""), &[], b""));
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(errcode(&answer.json()), 0);
}

#[test]
fn post_is_accepted_with_any_content_type() {
    let account = Account::of(3);
    let types: [(&str, &[(&str, &str)]); 3] = [
        ("无", &[]),
        ("表单", &[("Content-Type", "application/x-www-form-urlencoded")]),
        ("文本", &[("Content-Type", "text/plain")]),
    ];
    for (name, headers) in types {
        let body = json!({"tag": {"name": name}}).to_string();
        let answer = post_bytes(&account, CREATE_TAG, headers, body.as_bytes());
        assert_eq!(answer.json()["tag"]["name"], name);
    }
}

#[test]
fn gateway_refusal_has_its_time_in_the_rid() {
    let account = Account::of(3);
    let before = account.advance("30days");
    let answer = account.get(LIST_TAGS).json();
    let (text, mark, rid) = parts(&answer);
    assert_eq!((text.as_str(), mark), ("access_token missing", None));
    check_rid(&rid, before..=account.advance("0s"));
}

#[test]
fn business_refusal_adds_a_hint() {
    let account = Account::of(3);
    let before = account.advance("0s");
    let answer = account.tell("/cgi-bin/tags/getidlist", json!({"openid": "bad"}));
    assert_eq!(errcode(&answer), 40003);
    let (text, mark, rid) = parts(&answer);
    assert_eq!(text, "invalid openid");
    let mark = mark.expect("there is a hint");
    let (first, second) = mark.split_once('-').unwrap_or_else(|| panic!("{mark} has no hyphen"));
    assert!(!first.is_empty() && !second.is_empty(), "{mark}");
    check_rid(&rid, before..=account.advance("0s"));
}

#[test]
fn every_refusal_has_its_own_rid() {
    let account = Account::of(3);
    let (first, second) = (account.get(LIST_TAGS).json(), account.get(LIST_TAGS).json());
    assert_ne!(parts(&first).2, parts(&second).2);
}

#[test]
fn missing_token_is_41001_before_any_other_check() {
    let account = Account::of(3);
    assert_eq!(errcode(&account.get(LIST_TAGS).json()), 41001);
    assert_eq!(errcode(&account.get("/cgi-bin/tags/get?access_token=").json()), 41001);
    assert_eq!(errcode(&account.post(CREATE_TAG, &json!({"tag": {"name": ""}})).json()), 41001);
    // The token belongs in the query only.
    let in_body = json!({"access_token": account.renew(), "tag": {"name": "华北"}});
    assert_eq!(errcode(&account.post(CREATE_TAG, &in_body).json()), 41001);
}

#[test]
fn unknown_token_is_40001_and_suggests_the_stable_token() {
    let account = Account::of(3);
    account.carry("50_Im7xQ2bTfVhYk3nLq8sRz0aWcEdFgHiJ");
    let answer = account.ask(LIST_TAGS, "");
    assert_eq!(errcode(&answer), 40001);
    let expected = "invalid credential, access_token is invalid or not latest, could get access_token by \
                    getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r";
    assert_eq!(parts(&answer).0, expected);
    assert_eq!(parts(&answer).1, None);
}

#[test]
fn malformed_token_is_40014() {
    let account = Account::of(3);
    for token in ["not%20a%20token", "%E4%BB%A4%E7%89%8C", &"a".repeat(513)] {
        assert_eq!(account.errcode_with(token), 40014, "{token}");
    }
}

#[test]
fn wrong_method_is_43001_or_43002() {
    let account = Account::of(3);
    let openid = account.openids().remove(0);
    for path in [LIST_TAGS, "/cgi-bin/user/get", "/cgi-bin/user/info", "/cgi-bin/token"] {
        let answer = account.tell(path, json!({"openid": openid}));
        assert_eq!((errcode(&answer), parts(&answer).0.as_str()), (43001, "require GET method"), "{path}");
    }
    for path in [
        CREATE_TAG,
        "/cgi-bin/stable_token",
        "/cgi-bin/user/tag/get",
        "/cgi-bin/user/info/batchget",
        "/cgi-bin/user/info/updateremark",
        "/cgi-bin/tags/update",
        "/cgi-bin/tags/delete",
        "/cgi-bin/tags/members/batchtagging",
        "/cgi-bin/tags/members/batchuntagging",
        "/cgi-bin/tags/getidlist",
    ] {
        let answer = account.ask(path, "");
        assert_eq!((errcode(&answer), parts(&answer).0.as_str()), (43002, "require POST method"), "{path}");
    }
}

#[test]
fn empty_body_is_44002_and_invalid_one_47001() {
    let account = Account::of(3);
    let send = |body: &[u8]| post_bytes(&account, CREATE_TAG, JSON, body).json();
    assert_eq!((errcode(&send(b"")), parts(&send(b"")).0.as_str()), (44002, "empty post data"));
    let unfinished: &[u8] = br#"{"tag":{"name":"#;
    let of_other_kinds: [&[u8]; 3] = [br#"{"tag":{"name":7}}"#, br#"{"tag":["name"]}"#, b"{}"];
    for body in [unfinished, b"tag=1", b"\xff\xfe"].into_iter().chain(of_other_kinds) {
        let answer = send(body);
        let text = String::from_utf8_lossy(body);
        assert_eq!((errcode(&answer), parts(&answer).0.as_str()), (47001, "data format error"), "{text}");
    }
}

#[test]
fn openid_of_another_account_is_40003() {
    let account = Account::with(Options { followers: 3, seed: 1, ..Options::default() });
    let other = Account::with(Options { followers: 3, seed: 2, ..Options::default() });
    for openid in other.openids().iter().map(String::as_str).chain([FOREIGN]) {
        let answer = account.ask("/cgi-bin/user/info", &format!("&openid={openid}&lang=zh_CN"));
        assert_eq!((errcode(&answer), parts(&answer).0.as_str()), (40003, "invalid openid"), "{openid}");
    }
}
