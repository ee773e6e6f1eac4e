//! The client against a platform that is busy, broken or unreachable: what is retried, and what is not.

use crate::fixtures::{
    client::{ClientFixture, create, fault, names, no_answer, reached, sandbox},
    paths::{CREATE_TAG, LIST_TAGS},
    raw_server::{RawServer, token},
};
use mpscript::{
    api::{Endpoint, tag},
    client::BaseUrl,
};
use serde_json::json;
use std::thread;

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
    assert_eq!(error.hint(), Some("the call may have taken effect: look before you make it again"));
    assert_eq!(reached(&account, &create()), 1);
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
