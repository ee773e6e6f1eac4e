//! The daemon at the edges: what is half done, taken back, broken or old when somebody goes on with it.

use crate::fixtures::daemon::Office;
use mpscript::{
    run::daemon::Daemon,
    store::{Fire, FireState, RunRecord, RunState, RunTexts, Statement},
};
use std::{fs, slice::from_mut, thread, time::Duration};

const MINUTE: Duration = Duration::from_mins(1);

fn every_minute(more: &str, run: &str) -> String {
    format!("const automation = #{{ on: [ #{{ every: \"1m\" }} ]{more} }};\nfn run(ctx, p) {{ {run} }}")
}

/// A fire as a process that is gone has left it.
fn left(office: &Office, source: &str, state: FireState, run: &str) -> Fire {
    let fire = Fire {
        automation: "job".to_owned(),
        source: source.to_owned(),
        instant: office.now() - 1_000,
        state,
        run: run.to_owned(),
        node: "gone".to_owned(),
        at: office.now(),
        ..Fire::default()
    };
    assert_eq!(
        office.wait(office.store().add_fires(std::slice::from_ref(&fire))).expect("the store works"),
        [true]
    );
    fire
}

/// Steps for a while, in which clocks are not turned.
fn steps(daemon: &mut Daemon, count: usize) {
    for _ in 0..count {
        daemon.step().expect("the store works");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_broken_file_does_not_end_what_was_good_before_a_restart() {
    let office = Office::of(&[("job.rhai", &every_minute("", "print(\"gut\")"))]);
    drop(office.daemon());
    office.write("job.rhai", "let a = ;");
    let mut daemon = office.daemon();
    assert!(office.said.all().contains("; the version before goes on"), "{}", office.said.all());
    office.pass(MINUTE, from_mut(&mut daemon));
    assert!(office.said.all().contains("job: gut"), "{}", office.said.all());
    drop(daemon);
    // What is gone is not brought back, and was waited for no more.
    fs::remove_file(office.jobs().join("job.rhai")).expect("it is there");
    drop(office.daemon());
    office.write("job.rhai", "let b = ;");
    let mut daemon = office.daemon();
    assert!(office.said.all().contains("; it does not run"), "{}", office.said.all());
    let fires = office.fires("job").len();
    office.turn(Duration::from_hours(3));
    office.write("job.rhai", &every_minute("", "print(\"neu\")"));
    daemon.scan().expect("the folder is there");
    office.pass(MINUTE, from_mut(&mut daemon));
    assert_eq!(office.fires("job").len(), fires + 1, "{:?}", office.fires("job"));
}

#[test]
fn a_claimed_fire_whose_trigger_is_no_more_calls_nothing() {
    let office = Office::of(&[("job.rhai", &every_minute("", "print(\"alle\")"))]);
    let mut daemon = office.daemon();
    left(&office, "every 10s cleanup", FireState::Claimed, "");
    office.pass(Duration::from_secs(3), from_mut(&mut daemon));
    let fires = office.fires("job");
    assert_eq!((fires[0].state.as_str(), fires[0].reason.as_str()), ("skipped", "its trigger is no more"));
    assert!(!office.said.all().contains("alle"), "{}", office.said.all());
}

#[test]
fn a_run_that_was_taken_back_does_not_stand_in_the_way() {
    let office =
        Office::of(&[("job.rhai", &every_minute(", retries: 3", "tag::create(\"甲\"); throw \"坏了\""))]);
    let mut daemon = office.daemon();
    office.pass(MINUTE, from_mut(&mut daemon));
    let fire = office.fires("job").remove(0);
    assert_eq!(fire.state, FireState::Running, "it waits for its next try");
    // As `mpscript undo` leaves it.
    let undo = RunRecord {
        id: "zurück".to_owned(),
        state: RunState::Done,
        undoes: fire.run.clone(),
        ..RunRecord::default()
    };
    assert!(office.wait(office.store().add_run(&undo, &RunTexts::default())).expect("it works"));
    office.pass(Duration::from_secs(15), from_mut(&mut daemon));
    let fire = office.fires("job").remove(0);
    assert_eq!((fire.state.as_str(), fire.reason.as_str()), ("stopped", "run zurück has taken it back"));
}

#[test]
fn what_a_run_keeps_is_kept_with_its_end() {
    let job = every_minute("", "ctx.state.n = (ctx.state?.n ?? 0) + 1;");
    let office = Office::of(&[("job.rhai", &job)]);
    let mut daemon = office.daemon();
    office.pass(MINUTE, from_mut(&mut daemon));
    // As if the process had died between the end of the run and that of its fire.
    let done = office.fires("job").remove(0);
    let running = Fire { state: FireState::Running, node: "gone".to_owned(), ..done.clone() };
    assert!(office.wait(office.store().change_fire(&done, &running)).expect("the store works"));
    office.pass(Duration::from_secs(3), from_mut(&mut daemon));
    assert_eq!(office.states("job"), ["done"]);
    let record = office.wait(office.store().automation("job")).expect("the store works");
    assert_eq!(record.expect("it is served").state, "{\"n\":1}");
}

#[test]
fn a_failure_that_nobody_saw_is_heard_of() {
    let job = "const automation = #{ on: [ #{ every: \"1m\" } ] };\nfn run() { throw \"坏了\" }\n\
               fn on_failure(ctx, error) { print(`heard ${error.message}`) }";
    let office = Office::of(&[("job.rhai", job)]);
    let mut daemon = office.daemon();
    office.pass(MINUTE, from_mut(&mut daemon));
    let failed = office.fires("job").remove(1);
    assert_eq!(office.said.all().matches("job: heard").count(), 1);
    // As if nobody had seen it.
    let heard = Statement::new("DELETE FROM mpscript_fire WHERE source LIKE 'failure of %'");
    assert_eq!(office.wait(office.store().execute(heard)), Ok(1));
    let running = Fire { state: FireState::Running, node: "gone".to_owned(), ..failed.clone() };
    assert!(office.wait(office.store().change_fire(&failed, &running)).expect("the store works"));
    office.pass(Duration::from_secs(3), from_mut(&mut daemon));
    assert_eq!(office.states("job"), ["done", "failed"]);
    assert_eq!(office.said.all().matches("job: heard 坏了").count(), 2, "{}", office.said.all());
}

#[test]
fn a_fire_does_not_wait_for_itself() {
    let office = Office::of(&[("job.rhai", &every_minute(", overlap: \"queue\"", "print(\"ran\")"))]);
    let mut daemon = office.daemon();
    office.pass(MINUTE, from_mut(&mut daemon));
    // Its run is recorded and the store's answer was lost: the row says running, the process still has it in its queue.
    let fire = left(&office, "every 1m", FireState::Claimed, "");
    office.turn(Duration::from_secs(3));
    office.settle(from_mut(&mut daemon));
    let now = office.fires("job").into_iter().find(|one| one.instant == fire.instant).expect("it is there");
    assert_eq!(now.state, FireState::Done, "{now:?}");
    assert_eq!(office.states("job"), ["done", "done"]);
}

#[test]
fn odd_characters_stop_nobody() {
    let bad = every_minute("", "throw \"odd \\x00 name\"");
    let automations = [("bad.rhai", bad.as_str()), ("good.rhai", &every_minute("", "print(\"gut \\x00\")"))];
    let offices = [Some(Office::of(&automations)), Office::on_postgres(&automations)];
    for office in offices.into_iter().flatten() {
        office.write("worse.rhai", "const automation = \0\0\0");
        let mut daemon = office.daemon();
        office.pass(MINUTE, from_mut(&mut daemon));
        assert_eq!((office.states("bad"), office.states("good")), (vec!["failed"], vec!["done"]));
        assert!(office.said.all().contains("worse: STALE"), "{}", office.said.all());
    }
}

#[test]
fn two_automations_that_write_one_tag_wait_for_each_other() {
    let run = "followers().tag(\"甲\"); sleep(0.4);";
    let office = Office::of(&[("one.rhai", &every_minute("", run)), ("two.rhai", &every_minute("", run))]);
    let mut daemon = office.daemon();
    office.pass(MINUTE, from_mut(&mut daemon));
    assert_eq!((office.states("one"), office.states("two")), (vec!["done"], vec!["done"]));
    assert!(office.said.all().contains(": waiting for its end"), "{}", office.said.all());
}

#[test]
fn a_step_takes_no_part_in_forgetting_that_goes_wrong() {
    let office = Office::of(&[("job.rhai", &every_minute("", "print(\"ran\")"))]);
    let mut daemon = office.daemon();
    steps(&mut daemon, 3);
    let rename = |sql: &'static str| office.wait(office.store().execute(Statement::new(sql)));
    rename("ALTER TABLE mpscript_printed RENAME TO away").expect("it can be renamed");
    office.turn(Duration::from_hours(25));
    office.settle(from_mut(&mut daemon));
    assert!(office.states("job").last().is_some_and(|state| *state == "done"), "{}", office.said.all());
    rename("ALTER TABLE away RENAME TO mpscript_printed").expect("it can be renamed");
}

#[test]
fn who_hears_of_a_failure_does_not_set_back_what_is_kept() {
    let job = "const automation = #{ on: [ #{ every: \"1m\" } ] };\n\
               fn run(ctx) { if ctx.state?.n == 1 { throw \"坏了\" } ctx.state.n = (ctx.state?.n ?? 0) + 1 }\n\
               fn on_failure(ctx, error) { ctx.state.n = 100; print(\"heard\") }";
    let office = Office::of(&[("job.rhai", job)]);
    let mut daemon = office.daemon();
    for _ in 0..2 {
        office.pass(MINUTE, from_mut(&mut daemon));
    }
    assert!(office.said.all().contains("heard"), "{}", office.said.all());
    let record = office.wait(office.store().automation("job")).expect("the store works");
    assert_eq!(record.expect("it is served").state, "{\"n\":1}", "{}", office.said.all());
}

#[test]
fn a_file_that_is_half_saved_at_a_restart_misses_nothing() {
    let office = Office::of(&[("job.rhai", &every_minute("", "print(\"gut\")"))]);
    drop(office.daemon());
    office.write("job.rhai", "");
    let mut daemon = office.daemon();
    let said = office.said.all();
    assert!(
        said.contains("STALE it says no more when it runs (remove the file to end it); the version before"),
        "{said}"
    );
    office.pass(MINUTE, from_mut(&mut daemon));
    assert_eq!(office.states("job"), ["done"]);
    office.write("job.rhai", &every_minute("", "print(\"neu\")"));
    daemon.scan().expect("the folder is there");
    office.pass(MINUTE, from_mut(&mut daemon));
    assert_eq!(office.states("job"), ["done", "done"]);
    assert!(office.said.all().contains("job: neu"), "{}", office.said.all());
}
