//! Every endpoint's request and answer, held to JSON transcribed from the platform's manual.
//!
//! The client and the sandbox share their types, so their agreement proves nothing; the fixtures
//! in `tests/wire/` come from the manual, mended where its samples are no JSON or out of date.

use mpscript::{
    api::{
        Endpoint, Method, tag,
        user::{self, User},
        wire,
    },
    for_each_endpoint,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire");

/// The file of one half of an endpoint: `tag.attach.request.json`.
fn file(name: &str, half: &str) -> String {
    format!("{}.{half}.json", name.replace("::", "."))
}

fn fixture<E: Endpoint>(half: &str) -> Value {
    let path = format!("{FOLDER}/{}", file(E::SPEC.name, half));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A GET's fixture is its query as an object of texts.
fn query_of(fixture: &Value) -> Vec<(String, String)> {
    let fields = fixture.as_object().expect("a query is an object");
    fields
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("a query holds texts").to_owned()))
        .collect()
}

fn check_request<E: Endpoint>() {
    let fixture = fixture::<E>("request");
    let name = E::SPEC.name;
    let (query, body) = match E::SPEC.method {
        Method::Get => (query_of(&fixture), None),
        Method::Post | Method::Upload => (Vec::new(), Some(fixture)),
    };
    let request: E = wire::decode(&query, body.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut spelled = wire::encode(&request);
    wire::add_app_secret(E::SPEC, "APPID", "APPSECRET", &mut spelled);
    // The order of a query's parameters means nothing, but none may be there twice.
    let sorted = |mut query: Vec<(String, String)>| {
        query.sort();
        query
    };
    assert_eq!(sorted(spelled.query), sorted(query), "{name}");
    match spelled.file {
        // An upload's fixture is its part, with the content in Base64.
        Some((part, file)) => assert_eq!(Some(json!({part: file})), body, "{name}"),
        None => assert_eq!(spelled.body, body, "{name}"),
    }
}

/// An answer, read and spelled again.
fn respell<E: Endpoint>(answer: &Value) -> Value {
    let name = E::SPEC.name;
    let read = wire::decode_answer::<E>(answer.to_string().as_bytes());
    let read = read.unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_slice(&wire::encode_answer::<E>(&read)).expect("an answer is JSON")
}

fn check_answer<E: Endpoint>() {
    let fixture = fixture::<E>("response");
    assert_eq!(respell::<E>(&fixture), fixture, "{}", E::SPEC.name);
}

#[test]
fn every_request_round_trips_as_in_the_manual() {
    macro_rules! each {
        ($($endpoint:path),* $(,)?) => { $( check_request::<$endpoint>(); )* };
    }
    for_each_endpoint!(each);
}

#[test]
fn every_answer_round_trips_as_in_the_manual() {
    macro_rules! each {
        ($($endpoint:path),* $(,)?) => { $( check_answer::<$endpoint>(); )* };
    }
    for_each_endpoint!(each);
}

#[test]
fn every_fixture_belongs_to_an_endpoint() {
    let declared: BTreeSet<String> = mpscript::api::all()
        .into_iter()
        .flat_map(|spec| ["request", "response"].map(|half| file(spec.name, half)))
        .collect();
    let present: BTreeSet<String> = fs::read_dir(FOLDER)
        .expect("the fixtures have a folder")
        .map(|entry| {
            entry.expect("the folder can be read").file_name().into_string().expect("a name is UTF-8")
        })
        .collect();
    assert_eq!(present, declared);
}

#[test]
fn user_list_page_after_the_last_is_empty() {
    let empty = json!({"total": 23000, "count": 0, "next_openid": ""});
    assert_eq!(respell::<user::List>(&empty), empty);
    let page = wire::decode_answer::<user::List>(empty.to_string().as_bytes()).expect("it is a page");
    assert_eq!(page.into_openids(), Vec::<String>::new());
}

#[test]
fn tag_members_page_after_the_last_is_empty() {
    let empty = json!({"count": 0});
    assert_eq!(respell::<tag::Members>(&empty), empty);
    let page = wire::decode_answer::<tag::Members>(empty.to_string().as_bytes()).expect("it is a page");
    assert_eq!(page.into_openids(), Vec::<String>::new());
}

#[test]
fn non_follower_has_an_openid_and_no_tags() {
    let nobody = json!({"subscribe": 0, "openid": "otvxTs_JZ6SEiP0imdhpi50fuSZg", "tagid_list": []});
    assert_eq!(respell::<user::Info>(&nobody), nobody);
    let user: User = serde_json::from_value(nobody).expect("it is a follower's answer");
    assert!(!user.is_follower());
    assert_eq!((user.tagid_list, user.unionid, user.qr_scene), (Some(Vec::new()), None, None));
}

#[test]
fn unknown_follower_field_is_kept() {
    let later = json!({
        "subscribe": 1,
        "openid": "otvxTs4dckWG7imySrJd6jSi0CWE",
        "tagid_list": [134],
        "city_level": {"name": "一线", "rank": 1},
    });
    assert_eq!(respell::<user::Info>(&later), later);
    let followers = json!({"user_info_list": [later]});
    assert_eq!(respell::<user::Batch>(&followers), followers);
}
