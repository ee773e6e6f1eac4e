//! Cancellation of the client's calls, and the limit on calls in flight.

use crate::fixtures::{
    account::Account,
    client::{ClientFixture, create, fault, names, reached, sandbox, sandbox_of},
    paths::{CREATE_TAG, LIST_TAGS},
};
use mpscript::{
    api::{Endpoint, tag},
    base::Stopwatch,
    client::CallError,
    sandbox::{DEFAULT_SECRET, Options},
};
use serde_json::json;
use std::time::Duration;

/// What has to happen at once happens within this, on a busy machine too.
const MAX_DELAY: Duration = Duration::from_millis(200);

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
    let watch = Stopwatch::start();
    let mut stopped = 0;
    for answer in fixture.wait(calls.join_all()) {
        match answer {
            Ok(_) => succeeded += 1,
            Err(CallError::Cancelled { endpoint: "tag::list" }) => stopped += 1,
            Err(error) => panic!("another error: {error}"),
        }
    }
    assert!(watch.elapsed() < MAX_DELAY, "{:?}", watch.elapsed());
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
    let (account, fixture) = sandbox();
    fixture.call(&tag::List {}).expect("the call succeeds");
    fault(&account, CREATE_TAG, json!({"delay": "300ms"}));
    let calls = fixture.begin(1, &create());
    let watch = Stopwatch::start();
    fixture.wait(async {
        while reached(&account, &create()) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    fixture.cancel.cancel();
    let answers = fixture.wait(calls.join_all());
    let made = answers[0].as_ref().expect("the answer is awaited");
    assert_eq!(made.name, "广东");
    assert!(watch.elapsed() >= Duration::from_millis(300), "the stop came while the call was on its way");
    assert_eq!(names(&account), ["广东"]);
}

/// Stops a call that has failed with `errcode` so often, and says how it ended and how fast.
fn stopped_while_waiting(errcode: i64, tries: u64) -> (CallError, Duration) {
    let (account, fixture) = sandbox();
    fault(&account, LIST_TAGS, json!({"errcode": errcode}));
    let calls = fixture.begin(1, &tag::List {});
    fixture.wait(async {
        while reached(&account, &tag::List {}) < tries {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    fixture.cancel.cancel();
    let watch = Stopwatch::start();
    let error = fixture.wait(calls.join_all()).remove(0).expect_err("it never succeeds");
    (error, watch.elapsed())
}

#[test]
fn cancel_ends_a_backoff_at_once() {
    // 45011 waits for the next minute, the others for a pause that doubles.
    for (errcode, tries) in [(45011, 1), (-1, 2)] {
        let (error, after) = stopped_while_waiting(errcode, tries);
        assert!(matches!(error, CallError::Cancelled { endpoint: "tag::list" }), "{error}");
        assert!(after < MAX_DELAY, "{errcode}: {after:?}");
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
