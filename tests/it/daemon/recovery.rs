//! What a daemon recovers from its predecessor: half-done, undone, broken or outdated runs and files.

use crate::fixtures::daemon::{DaemonFixture, MINUTE, every_minute};
use mpscript::store::{Fire, FireState, RunPayload, RunRecord, RunState, StartedBy, Statement, StoreTime};
use std::{fs, slice::from_mut, time::Duration};

/// A fire as a dead process has left it.
fn left(fixture: &DaemonFixture, source: &str, state: FireState, run: &str) -> Fire {
    let (now, second) = (fixture.now(), Duration::from_secs(1));
    let claimed = Fire::claimed(fixture.id("job"), source, now - second, "gone".to_owned(), now);
    let fire = Fire { state, run: run.to_owned(), ..claimed };
    assert_eq!(
        fixture.wait(fixture.store().insert_fires(std::slice::from_ref(&fire))).expect("the store works"),
        [true]
    );
    fire
}

#[test]
fn broken_file_after_restart_keeps_the_last_good_version() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute("", "print(\"好\")"))]);
    drop(fixture.daemon());
    fixture.write("job.rhai", "let a = ;");
    let mut daemon = fixture.daemon();
    assert!(fixture.log.text().contains("; the last good version keeps running"), "{}", fixture.log.text());
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    assert!(fixture.log.text().contains("job: 好"), "{}", fixture.log.text());
    drop(daemon);
    // What is gone is not brought back, and was waited for no more.
    fs::remove_file(fixture.jobs().join("job.rhai")).expect("it is there");
    drop(fixture.daemon());
    fixture.write("job.rhai", "let b = ;");
    let mut daemon = fixture.daemon();
    assert!(fixture.log.text().contains("; it does not run"), "{}", fixture.log.text());
    let fires = fixture.fires("job").len();
    fixture.advance(Duration::from_hours(3));
    fixture.write("job.rhai", &every_minute("", "print(\"新\")"));
    fixture.scan(&mut daemon).expect("the store works");
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    assert_eq!(fixture.fires("job").len(), fires + 1, "{:?}", fixture.fires("job"));
}

#[test]
fn claimed_fire_of_a_removed_trigger_is_skipped() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute("", "print(\"全部\")"))]);
    let mut daemon = fixture.daemon();
    left(&fixture, "every 10s cleanup", FireState::Claimed, "");
    fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
    let fires = fixture.fires("job");
    assert_eq!((fires[0].state.as_str(), fires[0].reason.note()), ("skipped", "its trigger was removed"));
    assert!(!fixture.log.text().contains("全部"), "{}", fixture.log.text());
}

#[test]
fn undone_run_waiting_for_retry_is_stopped() {
    let fixture = DaemonFixture::of(&[(
        "job.rhai",
        &every_minute(", retries: 3", "tag::create(\"甲\"); throw \"坏了\""),
    )]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    let fire = fixture.fires("job").remove(0);
    assert_eq!(fire.state, FireState::Running, "it waits for its next try");
    // As `mpscript undo` leaves it.
    let undo = RunRecord {
        state: RunState::Done,
        undoes: fire.run.clone(),
        ..RunRecord::started("undo01", StartedBy::Command, fixture.now(), StoreTime::new(fixture.now()))
    };
    assert!(fixture.wait(fixture.store().add_run(&undo, &RunPayload::default())).expect("it works"));
    fixture.advance_and_settle(Duration::from_secs(15), from_mut(&mut daemon));
    let fire = fixture.fires("job").remove(0);
    assert_eq!((fire.state.as_str(), fire.reason.note()), ("stopped", "undone by run undo01"));
}

#[test]
fn state_of_a_run_ended_before_its_fire_is_saved_once() {
    let job = every_minute("", "ctx.state.n = (ctx.state?.n ?? 0) + 1;");
    let fixture = DaemonFixture::of(&[("job.rhai", &job)]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    // As if the process had died between the end of the run and that of its fire.
    let done = fixture.fires("job").remove(0);
    let running = Fire { state: FireState::Running, owner: "gone".to_owned(), ..done.clone() };
    assert!(fixture.wait(fixture.store().compare_and_set_fire(&done, &running)).expect("the store works"));
    fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
    assert_eq!(fixture.states("job"), ["done"]);
    let record = fixture.wait(fixture.store().automation(&fixture.id("job"))).expect("the store works");
    assert_eq!(record.expect("it is served").state, "{\"n\":1}");
}

#[test]
fn failure_recorded_before_a_crash_calls_on_failure() {
    let job = "const automation = #{ on: [ #{ every: \"1m\" } ] };\nfn run() { throw \"坏了\" }\n\
               fn on_failure(ctx, error) { print(`heard ${error.message}`) }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    let failed = fixture.fires("job").remove(1);
    assert_eq!(fixture.log.text().matches("job: heard").count(), 1);
    // As if the failure had not been handled yet.
    let heard = Statement::new("DELETE FROM mpscript_fire WHERE kind = 'failure_hook'");
    assert_eq!(fixture.wait(fixture.store().execute(heard)), Ok(1));
    let running = Fire { state: FireState::Running, owner: "gone".to_owned(), ..failed.clone() };
    assert!(fixture.wait(fixture.store().compare_and_set_fire(&failed, &running)).expect("the store works"));
    fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
    assert_eq!(fixture.states("job"), ["done", "failed"]);
    assert_eq!(fixture.log.text().matches("job: heard 坏了").count(), 2, "{}", fixture.log.text());
}

#[test]
fn adopted_fire_does_not_wait_for_itself() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute(", overlap: \"queue\"", "print(\"ran\")"))]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    // Its run is recorded and the store's answer was lost: the row says running, the process still has it in its queue.
    let fire = left(&fixture, "every 1m", FireState::Claimed, "");
    fixture.advance(Duration::from_secs(3));
    fixture.settle(from_mut(&mut daemon));
    let now = fixture
        .fires("job")
        .into_iter()
        .find(|one| one.scheduled_at == fire.scheduled_at)
        .expect("it is there");
    assert_eq!(now.state, FireState::Done, "{now:?}");
    assert_eq!(fixture.states("job"), ["done", "done"]);
}

#[test]
fn nul_characters_do_not_stop_the_daemon() {
    let bad = every_minute("", "throw \"odd \\x00 name\"");
    let automations = [("bad.rhai", bad.as_str()), ("good.rhai", &every_minute("", "print(\"好 \\x00\")"))];
    let offices = [Some(DaemonFixture::of(&automations)), DaemonFixture::on_postgres(&automations)];
    for fixture in offices.into_iter().flatten() {
        fixture.write("worse.rhai", "const automation = \0\0\0");
        let mut daemon = fixture.daemon();
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
        assert_eq!((fixture.states("bad"), fixture.states("good")), (vec!["failed"], vec!["done"]));
        assert!(fixture.log.text().contains("worse: STALE"), "{}", fixture.log.text());
    }
}

#[test]
fn automations_on_one_tag_wait_for_its_lock() {
    let run = "followers().tag(\"甲\"); sleep(0.4);";
    let fixture =
        DaemonFixture::of(&[("one.rhai", &every_minute("", run)), ("two.rhai", &every_minute("", run))]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    assert_eq!((fixture.states("one"), fixture.states("two")), (vec!["done"], vec!["done"]));
    assert!(fixture.log.text().contains(": waiting for its end"), "{}", fixture.log.text());
}

#[test]
fn failing_retention_does_not_stop_fires() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute("", "print(\"ran\")"))]);
    let mut daemon = fixture.daemon();
    fixture.settle(from_mut(&mut daemon));
    let rename = |sql: &'static str| fixture.wait(fixture.store().execute(Statement::new(sql)));
    rename("ALTER TABLE mpscript_output RENAME TO away").expect("it can be renamed");
    fixture.advance(Duration::from_hours(25));
    fixture.settle(from_mut(&mut daemon));
    assert!(fixture.states("job").last().is_some_and(|state| *state == "done"), "{}", fixture.log.text());
    rename("ALTER TABLE away RENAME TO mpscript_output").expect("it can be renamed");
}

#[test]
fn on_failure_does_not_overwrite_the_state() {
    let job = "const automation = #{ on: [ #{ every: \"1m\" } ] };\n\
               fn run(ctx) { if ctx.state?.n == 1 { throw \"坏了\" } ctx.state.n = (ctx.state?.n ?? 0) + 1 }\n\
               fn on_failure(ctx, error) { ctx.state.n = 100; print(\"heard\") }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    let mut daemon = fixture.daemon();
    for _ in 0..2 {
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    }
    assert!(fixture.log.text().contains("heard"), "{}", fixture.log.text());
    let record = fixture.wait(fixture.store().automation(&fixture.id("job"))).expect("the store works");
    assert_eq!(record.expect("it is served").state, "{\"n\":1}", "{}", fixture.log.text());
}

#[test]
fn file_emptied_at_restart_misses_no_fire() {
    let fixture = DaemonFixture::of(&[("job.rhai", &every_minute("", "print(\"好\")"))]);
    drop(fixture.daemon());
    fixture.write("job.rhai", "");
    let mut daemon = fixture.daemon();
    let output = fixture.log.text();
    assert!(
        output.contains(
            "STALE: no `const automation` any more (remove the file to end it); the last good version"
        ),
        "{output}"
    );
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    assert_eq!(fixture.states("job"), ["done"]);
    fixture.write("job.rhai", &every_minute("", "print(\"新\")"));
    fixture.scan(&mut daemon).expect("the store works");
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    assert_eq!(fixture.states("job"), ["done", "done"]);
    assert!(fixture.log.text().contains("job: 新"), "{}", fixture.log.text());
}
