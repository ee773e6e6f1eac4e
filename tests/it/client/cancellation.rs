//! Cancellation of the client's calls, and the limit on calls in flight.

use crate::fixtures::{
    account::Account,
    client::{ClientFixture, create, fault, reached, sandbox, sandbox_of},
    paths::{CREATE_TAG, LIST_TAGS},
    program::TIMEOUT,
    raw_server::{RawServer, ok, token},
};
use mpscript::{
    api::{Endpoint, tag},
    client::CallError,
    sandbox::{DEFAULT_SECRET, Options},
};
use serde_json::json;
use std::{sync::mpsc, time::Duration};
use tokio::{task, time};

/// In so many turns of the client's thread everything has run that waits for no answer and no time.
const TURNS: usize = 100;

/// Runs the client's calls until something holds.
fn wait_until(fixture: &ClientFixture, mut holds: impl FnMut() -> bool) {
    let held = async {
        while !holds() {
            time::sleep(Duration::from_millis(1)).await;
        }
    };
    fixture.wait(async { time::timeout(TIMEOUT, held).await }).expect("it holds at some time");
}

#[test]
fn cancel_sends_nothing_new_and_awaits_calls_in_flight() {
    let (account, fixture) = sandbox_of(Options { latency: Duration::from_millis(5), ..Options::default() });
    let mut calls = fixture.begin(200, &tag::List {});
    let mut succeeded: u64 = 0;
    fixture.wait(async {
        while succeeded < 40 {
            calls.join_next().await.expect("there are more").expect("no panic").expect("the call succeeds");
            succeeded += 1;
        }
    });
    fixture.cancel.cancel();
    // The calls run on this thread, so nothing moves between these two lines.
    let tried = fixture.tried(&tag::List::SPEC.call());
    let mut stopped = 0;
    for answer in fixture.wait(calls.join_all()) {
        match answer {
            Ok(_) => succeeded += 1,
            Err(CallError::Cancelled { endpoint: "tag::list" }) => stopped += 1,
            Err(error) => panic!("another error: {error}"),
        }
    }
    assert_eq!((fixture.tried(&tag::List::SPEC.call()), reached(&account, &tag::List {})), (tried, tried));
    assert_eq!((succeeded, stopped), (tried, 200 - tried));
    assert!(stopped > 0, "the stop came before the last call");

    let error = fixture.fail(&create());
    assert_eq!(error.to_string(), "stopped before tag::create was called");
    assert_eq!(reached(&account, &create()), 0);
}

#[test]
fn cancel_before_the_first_call_fetches_no_token() {
    let (account, fixture) = sandbox();
    fixture.cancel.cancel();
    assert!(matches!(fixture.fail(&tag::List {}), CallError::Cancelled { .. }));
    assert_eq!(account.get("/__sandbox/stats").json()["calls"], json!({}));
}

#[test]
fn slow_call_sent_before_cancel_succeeds() {
    let (asked, is_asked) = mpsc::channel();
    let (answer, may_answer) = mpsc::channel();
    let server = RawServer::start(move |request| {
        if !request.contains(CREATE_TAG) {
            return token("96_token");
        }
        asked.send(()).expect("the test waits for it");
        may_answer.recv().expect("the test says when");
        ok(r#"{"tag":{"id":134,"name":"广东"}}"#)
    });
    let fixture = ClientFixture::of(server.address());
    let calls = fixture.begin(1, &create());
    wait_until(&fixture, || is_asked.try_recv().is_ok());
    fixture.cancel.cancel();
    answer.send(()).expect("the server waits for it");
    let answers = fixture.wait(calls.join_all());
    assert_eq!(answers[0].as_ref().expect("the answer is awaited").name, "广东");
}

/// Cancels a call that has failed with `errcode` so often and waits to be made again. `None` if it goes on waiting.
fn stopped_while_waiting(errcode: i64, tries: u64) -> Option<CallError> {
    let (account, fixture) = sandbox();
    fault(&account, LIST_TAGS, json!({"errcode": errcode}));
    let mut calls = fixture.begin(1, &tag::List {});
    wait_until(&fixture, || {
        let (sent, in_flight) = fixture.client.tally().of(tag::List::SPEC);
        sent >= tries && in_flight == 0
    });
    fixture.cancel.cancel();
    let answer = fixture.wait(async {
        for _ in 0..TURNS {
            task::yield_now().await;
        }
        calls.try_join_next()
    });
    Some(answer?.expect("no panic").expect_err("it never succeeds"))
}

#[test]
fn cancel_ends_a_backoff_at_once() {
    // 45011 waits for the next minute, the others for a pause that doubles.
    for (errcode, tries) in [(45011, 1), (-1, 2)] {
        let error = stopped_while_waiting(errcode, tries);
        assert!(
            matches!(error, Some(CallError::Cancelled { endpoint: "tag::list" })),
            "{errcode}: {error:?}"
        );
    }
}

#[test]
fn calls_in_flight_stay_within_the_limit() {
    let options = Options { followers: 3, latency: Duration::from_millis(10), ..Options::default() };
    let account = Account::without_token(options);
    let fixture = ClientFixture::with(account.address(), DEFAULT_SECRET, 3);
    for answer in fixture.at_once(30, &tag::List {}) {
        answer.expect("the call succeeds");
    }
    assert_eq!(account.get("/__sandbox/stats").json()["max_in_flight"], 3);
    assert_eq!(reached(&account, &tag::List {}), 30);
}
