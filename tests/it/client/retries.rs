//! The client against a platform that is busy, broken or unreachable: what is retried, and what is not.

use crate::fixtures::{
    client::{ClientFixture, create, fault, hint, names, no_answer, reached, sandbox},
    paths::{CREATE_TAG, LIST_TAGS},
    raw_server::{Act, RawServer, answer, ok, token},
};
use mpscript::{
    api::{Endpoint, tag},
    client::{BaseUrl, CallError},
};
use serde_json::json;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Tries of one call before it is given up.
const MAX_ATTEMPTS: u64 = 5;

#[test]
fn busy_platform_is_retried() {
    thread::scope(|scope| {
        for errcode in [-1, 45169, 268_487_001, 268_487_002] {
            scope.spawn(move || {
                let (account, fixture) = sandbox();
                fault(&account, LIST_TAGS, json!({"errcode": errcode, "times": 2}));
                fixture.call(&tag::List {}).expect("the third try succeeds");
                assert_eq!(reached(&account, &tag::List {}), 3, "{errcode}");
            });
        }
    });
}

#[test]
fn platform_that_stays_busy_is_tried_five_times() {
    thread::scope(|scope| {
        for errcode in [-1, 45169, 268_487_001, 268_487_002] {
            scope.spawn(move || {
                let (account, fixture) = sandbox();
                // A refused call has done nothing, so one that is no two times the same goes again too.
                fault(&account, CREATE_TAG, json!({"errcode": errcode}));
                assert_eq!(fixture.fail(&create()).errcode(), Some(errcode));
                assert_eq!(reached(&account, &create()), MAX_ATTEMPTS, "{errcode}");
            });
        }
    });
}

#[test]
fn other_errcodes_are_not_retried() {
    let (account, fixture) = sandbox();
    for (times, errcode) in [(1, 45009), (2, 45157), (3, 40003), (4, 99999)] {
        fault(&account, CREATE_TAG, json!({"errcode": errcode, "times": 1}));
        assert_eq!(fixture.fail(&create()).errcode(), Some(errcode));
        assert_eq!(reached(&account, &create()), times, "{errcode}");
    }
}

#[test]
fn status_5xx_of_an_idempotent_call_is_retried() {
    let (account, fixture) = sandbox();
    fault(&account, LIST_TAGS, json!({"status": 502, "times": 2}));
    fixture.call(&tag::List {}).expect("the third try succeeds");
    assert_eq!(reached(&account, &tag::List {}), 3);
}

#[test]
fn status_5xx_of_a_non_idempotent_call_is_in_doubt() {
    let (account, fixture) = sandbox();
    fault(&account, CREATE_TAG, json!({"status": 502}));
    let error = fixture.fail(&create());
    assert_eq!(no_answer(&error), ("HTTP status 502", 1, true));
    assert_eq!(hint(&error).unwrap(), "the call may have taken effect: look before you make it again");
    assert_eq!(reached(&account, &create()), 1);
}

/// A host that turns a call away because there are too many.
fn too_many(headers: &str) -> Act {
    Act::Answer(answer("429 Too Many Requests", headers, ""))
}

/// The answer to a call that makes a tag.
fn made() -> Act {
    ok(r#"{"tag":{"id":134,"name":"广东"}}"#)
}

#[test]
fn call_that_is_turned_away_waits_as_long_as_it_is_asked_to() {
    // A call that must not be made twice goes again too: it has taken no effect.
    let server = RawServer::in_turn([token("96_token"), too_many("Retry-After: 1\r\n"), made()]);
    let since = Instant::now();
    ClientFixture::of(server.address()).call(&create()).expect("the second try succeeds");
    assert!(since.elapsed() >= Duration::from_secs(1), "{:?}", since.elapsed());
}

#[test]
fn call_that_is_turned_away_without_a_wait_is_retried() {
    let server = RawServer::in_turn([token("96_token"), too_many(""), too_many(""), made()]);
    ClientFixture::of(server.address()).call(&create()).expect("the third try succeeds");
}

#[test]
fn call_that_is_turned_away_for_long_fails_and_names_the_wait() {
    let server = RawServer::in_turn([token("96_token"), too_many("Retry-After: 3600\r\n")]);
    let error = ClientFixture::of(server.address()).fail(&create());
    let says = " in 1 try: HTTP status 429, too many requests; it asks to wait 1h";
    assert!(error.to_string().ends_with(says), "{error}");
    assert!(matches!(error, CallError::Throttled { .. }) && !error.is_in_doubt());
}

#[test]
fn call_that_is_turned_away_each_time_fails_after_three_waits() {
    let away = || too_many("Retry-After: 0\r\n");
    let server = RawServer::in_turn([token("96_token"), away(), away(), away(), away(), made()]);
    let error = ClientFixture::of(server.address()).fail(&tag::List {});
    assert!(matches!(error, CallError::Throttled { tries: 4, .. }), "{error}");
    assert_eq!(server.calls().len(), 1 + 4);
}

#[test]
fn dropped_connection_of_an_idempotent_call_is_retried() {
    for when in ["before", "after"] {
        let (account, fixture) = sandbox();
        // On a connection that is kept and on a fresh one.
        fixture.call(&tag::List {}).expect("the call succeeds");
        fault(&account, LIST_TAGS, json!({"drop": when, "times": 2}));
        fixture.call(&tag::List {}).expect("the third try succeeds");
        assert_eq!(reached(&account, &tag::List {}), 1 + 3, "{when}");
    }
}

#[test]
fn dropped_connection_of_a_non_idempotent_call_is_in_doubt() {
    for (when, made) in [("before", &[][..]), ("after", &["广东"][..])] {
        let (account, fixture) = sandbox();
        fixture.call(&tag::List {}).expect("the call succeeds");
        fault(&account, CREATE_TAG, json!({"drop": when}));
        let error = fixture.fail(&create());
        let (_, tries, unsure) = no_answer(&error);
        assert_eq!((tries, unsure, reached(&account, &create())), (1, true, 1), "{when}: {error}");
        assert_eq!(names(&account), made, "{when}");
    }
}

#[test]
fn refused_connection_is_retried_and_never_in_doubt() {
    // The server closes after the token.
    let server = RawServer::in_turn([token("96_token")]);
    let fixture = ClientFixture::of(server.address());
    let error = fixture.fail(&create());
    assert_eq!((no_answer(&error).1, no_answer(&error).2), (5, false), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    // A call that never left is none.
    assert_eq!(fixture.tried(&tag::Create::SPEC.call()), 0);
    assert_eq!(server.calls(), ["POST /cgi-bin/stable_token"]);
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    for url in ["http://api.weixin.qq.com", "http://192.0.2.7:8080", "http://localhost.example.com"] {
        let error = BaseUrl::parse(url).expect_err("it is refused");
        let expected = format!(
            "base URL `{url}` is plain HTTP: the AppSecret and the token would be sent in clear text"
        );
        assert_eq!(error.to_string(), expected);
    }
}
