//! Overlap is judged by handler: no handler takes another's fire, a run longer than its interval is logged, and what waits
//! is bounded.

use crate::fixtures::daemon::{DaemonFixture, MINUTE, every_minute};
use mpscript::{run::daemon::Daemon, store::FireState};
use std::{slice::from_mut, time::Duration};

const TWO_HANDLERS: &str = r#"
const automation = #{ on: [
    #{ cron: "*/2 * * * *", tz: "UTC", handler: "report" },
    #{ cron: "* * * * *", tz: "UTC", handler: "poll" },
] };
fn poll(ctx) { ctx.state.polls = (ctx.state?.polls ?? 0) + 1; print("轮询"); }
fn report(ctx) { ctx.state.reports = (ctx.state?.reports ?? 0) + 1; print("报告"); }
"#;

#[test]
fn handlers_due_at_one_instant_run_one_after_another() {
    let fixtures = [
        Some(DaemonFixture::of(&[("双.rhai", TWO_HANDLERS)])),
        DaemonFixture::on_postgres(&[("双.rhai", TWO_HANDLERS)]),
    ];
    for fixture in fixtures.into_iter().flatten() {
        let mut daemon = fixture.daemon();
        for _ in 0..6 {
            fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
        }
        assert_eq!(fixture.states("双"), ["done"; 9], "{}", fixture.log.text());
        // Neither has overwritten what the other saved.
        assert_eq!(fixture.record("双").state, "{\"polls\":6,\"reports\":3}");
    }
}

#[test]
fn run_longer_than_its_interval_is_logged_once_with_the_numbers() {
    let slow = "const automation = #{ on: [ #{ every: \"5s\" } ] };\nfn run(ctx) { sleep(2); print(\"完\") }";
    let fixture = DaemonFixture::of(&[("慢.rhai", slow)]);
    let mut daemon = fixture.daemon();
    fixture.advance(Duration::from_secs(5));
    fixture.step_until_logged(&mut daemon, "慢: started by");
    for _ in 0..2 {
        fixture.advance(Duration::from_secs(5));
        daemon.step().expect("the store works");
    }
    fixture.settle(from_mut(&mut daemon));
    assert_eq!(fixture.states("慢"), ["done", "skipped", "skipped"], "{}", fixture.log.text());
    let expected = "it has been running for 5s, and the next fire came after 5s: that is skipped";
    assert_eq!(fixture.log.text().matches(expected).count(), 1, "{}", fixture.log.text());
    assert_eq!(fixture.log.text().matches("it has been running for").count(), 1, "{}", fixture.log.text());
}

/// Every five seconds, and its runs outlast the test.
fn slow(more: &str) -> String {
    format!("const automation = #{{ on: [ #{{ every: \"5s\" }} ]{more} }};\nfn run(ctx) {{ sleep(3600) }}")
}

/// A daemon whose first run has started, after further fires.
fn after_fires(fixture: &DaemonFixture, count: usize) -> Daemon {
    let mut daemon = fixture.daemon();
    fixture.advance(Duration::from_secs(5));
    fixture.step_until_logged(&mut daemon, ": started by");
    for _ in 0..count {
        fixture.advance(Duration::from_secs(5));
        daemon.step().expect("the store works");
    }
    daemon
}

#[test]
fn fire_behind_as_many_as_may_wait_is_skipped_with_the_bound() {
    let fixture = DaemonFixture::of(&[("排队.rhai", &slow(", overlap: \"queue\", max_waiting: 2"))]);
    let daemon = after_fires(&fixture, 4);
    let fires = fixture.fires("排队");
    let states: Vec<&str> = fires.iter().map(|fire| fire.state.as_str()).collect();
    assert_eq!(states, ["running", "claimed", "claimed", "skipped", "skipped"], "{}", fixture.log.text());
    assert_eq!(fires[3].reason.note(), "2 of its fires wait already (max_waiting: 2)");
    let skipped = (fixture.id("排队"), FireState::Skipped);
    assert_eq!(daemon.stats().snapshot().fires[&skipped], 2);
}

#[test]
fn hundred_fires_of_an_automation_wait_by_default() {
    let fixture = DaemonFixture::of(&[("排队.rhai", &slow(", overlap: \"queue\""))]);
    let daemon = after_fires(&fixture, 102);
    assert_eq!(daemon.stats().snapshot().waiting, 100, "{}", fixture.log.text());
}

#[test]
fn run_longer_than_its_interval_is_logged_when_fires_queue() {
    let fixture = DaemonFixture::of(&[("排队.rhai", &slow(", overlap: \"queue\""))]);
    let _daemon = after_fires(&fixture, 2);
    let expected = "it has been running for 5s, and the next fire came after 5s: that waits";
    assert_eq!(fixture.log.text().matches(expected).count(), 1, "{}", fixture.log.text());
}

#[test]
fn missed_fires_that_are_caught_up_wait_beyond_the_bound() {
    let job = every_minute(", overlap: \"queue\", catch_up: \"all\", max_waiting: 1", "sleep(0.01)");
    let fixture = DaemonFixture::of(&[("补.rhai", &job)]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(MINUTE * 5, from_mut(&mut daemon));
    assert_eq!(fixture.states("补"), ["done"; 5], "{}", fixture.log.text());
}

#[test]
fn failure_hooks_that_hang_run_up_to_max_parallel() {
    let job = "const automation = #{ on: [ #{ every: \"5s\" } ], max_parallel: 2 };\n\
               fn run(ctx) { throw \"坏了\" }\nfn on_failure(ctx, error) { sleep(3600) }";
    let fixture = DaemonFixture::of(&[("坏.rhai", job)]);
    let mut daemon = fixture.daemon();
    for number in 1..=4 {
        fixture.advance(Duration::from_secs(5));
        fixture.step_until(&mut daemon, |_| fixture.log.text().matches(": failed: ").count() == number);
    }
    fixture.step_until_logged(&mut daemon, "坏: started by failure of");
    daemon.step().expect("the store works");
    assert_eq!(fixture.log.text().matches("started by failure of").count(), 2, "{}", fixture.log.text());
}
