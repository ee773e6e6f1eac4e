//! Overlap is judged by handler: no handler takes another's fire, and a run that outlives its interval is told.

use crate::fixtures::daemon::{DaemonFixture, MINUTE};
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
fn run_longer_than_its_interval_is_told_once_with_the_numbers() {
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
    let told = "it has been running for 5s, and the next fire came after 5s: that is skipped";
    assert_eq!(fixture.log.text().matches(told).count(), 1, "{}", fixture.log.text());
    assert_eq!(fixture.log.text().matches("it has been running for").count(), 1, "{}", fixture.log.text());
}
