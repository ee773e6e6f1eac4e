//! The minute's quota (45011): it is learned from the minutes that exceed it, and kept from then on.

use crate::fixtures::{
    account::Account,
    client::{ClientFixture, sandbox_of},
};
use mpscript::{
    api::{
        Endpoint,
        tag::{List, Tags},
    },
    client::{CallError, Client, MAX_PROBES},
    sandbox::Options,
};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

/// Calls of a path in a minute.
const LIMIT: u64 = 10;

/// A minute by both clocks, which are turned from the start of one to the start of the next.
const MINUTE: Duration = Duration::from_mins(1);

/// Advances both clocks.
fn advance(fixture: &ClientFixture, account: &Account, by: Duration) {
    fixture.clock.advance(by);
    account.advance(&format!("{}ms", by.as_millis()));
}

/// The minutes in which the sandbox has refused a call.
fn full_minutes(account: &Account) -> u64 {
    account.get("/__sandbox/stats").json()["full_minutes"].as_u64().expect("it is a count")
}

/// The answer of a call; `None` if it waits for the next minute, with nothing on its way.
async fn answer_or_wait(client: &Client) -> Option<Result<Tags, CallError>> {
    let mut call = pin!(client.call(&List {}));
    loop {
        if let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
            return Some(answer);
        }
        let (_, in_flight) = client.tally().of(List::SPEC);
        if in_flight == 0 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn minute_quota_is_exceeded_in_three_minutes_and_kept_in_all_later_ones() {
    let (account, fixture) = sandbox_of(Options { minute_limit: Some(LIMIT), ..Options::default() });
    // The token is fetched now.
    fixture.call(&List {}).expect("the call succeeds");
    let mut minutes = Vec::new();
    for _ in 0..10 {
        let to_next = fixture.clock.now().until_next_period(MINUTE) + Duration::from_secs(1);
        advance(&fixture, &account, to_next);
        let (mut served, before) = (0, full_minutes(&account));
        while let Some(answer) = fixture.wait(answer_or_wait(&fixture.client)) {
            answer.expect("the call succeeds");
            served += 1;
        }
        minutes.push((served, full_minutes(&account) - before));
    }
    // After a minute that used the quota up it is raised, which is found out in the next one, three times.
    let expected = [1, 0, 1, 0, 1, 0, 0, 0, 0, 0].map(|full| (LIMIT, full));
    assert_eq!(minutes, expected);
    assert_eq!(full_minutes(&account), u64::from(MAX_PROBES));
}
