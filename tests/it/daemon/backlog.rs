//! A daemon with more to do than it has time for, and what survives its end.

use crate::fixtures::{
    daemon::{DaemonFixture, MINUTE},
    program::{Folder, TIMEOUT},
    runs::newest_run_id,
    sandbox_process::SandboxProcess,
};
use mpscript::{
    base::{EpochMs, ProcessId, StartId},
    bulk::Attempt,
    host::Host,
    run::{
        runner::{Reporter, RunHandle, Runner, Spawned},
        worker::RunOutcome,
    },
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    store::{Fire, FireState, Statement},
};
use std::{
    fs, io,
    slice::from_mut,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

#[test]
fn shutdown_starts_no_fire_of_a_backlog() {
    // Only one runs at a time: when the first has begun, all others wait.
    let job = "const automation = #{ on: [ #{ every: \"1s\" } ], catch_up: \"all\", overlap: \"queue\" };\n\
               fn run(ctx) { print(\"ran\") }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    let mut daemon = fixture.daemon();
    fixture.advance(Duration::from_mins(15));
    let since = Instant::now();
    while daemon.active_runs() == 0 {
        assert!(since.elapsed() < TIMEOUT, "nothing begins");
        daemon.step().expect("the store works");
    }
    let waiting = || fixture.states("job").into_iter().filter(|state| *state == "claimed").count();
    daemon.begin_shutdown();
    let before = waiting();
    assert!(before >= 899, "{before}");
    while daemon.active_runs() > 0 {
        assert!(since.elapsed() < TIMEOUT, "it goes on");
        daemon.step().expect("the store works");
    }
    assert_eq!((waiting(), fixture.states("job").len()), (before, before + 1));
}

#[test]
fn fires_missed_in_a_short_outage_run_in_sequence() {
    let job = "const automation = #{ on: [ #{ every: \"10s\" } ], catch_up: \"all\" };\nfn run(ctx) { sleep(0.05) }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(Duration::from_secs(38), from_mut(&mut daemon));
    fixture.settle(from_mut(&mut daemon));
    let states = fixture.states("job");
    assert_eq!(states, ["done"; 3]);
}

#[test]
fn restarts_use_up_no_retries() {
    let job = "const automation = #{ on: [ #{ every: \"1h\" } ], retries: 1 };\n\
               fn run(ctx) { sleep(0.2); throw \"坏了\" }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    fixture.advance(Duration::from_hours(1));
    for attempt in 1..=3 {
        let mut daemon = fixture.daemon();
        let since = Instant::now();
        while daemon.active_runs() == 0 {
            assert!(since.elapsed() < TIMEOUT, "attempt {attempt}: {}", fixture.log.text());
            daemon.step().expect("the store works");
            fixture.advance(Duration::from_millis(100));
        }
        daemon.begin_shutdown();
        while daemon.active_runs() > 0 {
            daemon.step().expect("the store works");
        }
        daemon.release_lease().expect("the store works");
    }
    assert_eq!(fixture.states("job"), ["running"], "{}", fixture.log.text());
    let mut daemon = fixture.daemon();
    for _ in 0..4 {
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    }
    assert_eq!(fixture.states("job"), ["failed"], "{}", fixture.log.text());
    assert_eq!(fixture.log.text().matches("坏了; retried in").count(), 1, "{}", fixture.log.text());
}

/// Runs whose processes die at once.
struct Dying;

impl Runner for Dying {
    fn spawn(&self) -> io::Result<Spawned> {
        let start = |_plan, attempt: Attempt, reporter: Reporter| {
            let alive = Arc::new(());
            let handle = RunHandle::new(&alive);
            reporter.report(&attempt.run, RunOutcome::Died("its process has died (signal: 6)".to_owned()));
            handle
        };
        // As if it was a process of this machine that is gone: no process has this number.
        let Host { process, .. } = Host::real();
        let start_id = process.start.map(|start| StartId { ticks: 0, ..start });
        let owner = ProcessId { pid: u32::MAX, start: start_id, ..process };
        Ok(Spawned { owner, start: Box::new(start) })
    }
}

#[test]
fn run_whose_process_dies_five_times_pauses_its_automation() {
    let job = "const automation = #{ on: [ #{ every: \"1h\" } ] };\nfn run(ctx) { tag::create(\"甲\") }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    // From the start of an hour on, so that no other fire is due within the minutes below.
    let past = fixture.now().as_secs().unsigned_abs() % 3_600;
    fixture.advance(Duration::from_secs(3_600 - past));
    let mut daemon = fixture.daemon().with_runner(Arc::new(Dying));
    fixture.advance_and_settle(Duration::from_hours(1), from_mut(&mut daemon));
    for _ in 0..6 {
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    }
    let why =
        "its process has died 5 times while it was running; the automation is paused: mpscript unpause job";
    assert!(fixture.log.text().contains(&format!("failed: {why}")), "{}", fixture.log.text());
    assert_eq!(fixture.states("job"), ["failed"], "{}", fixture.log.text());
    let record = fixture.wait(fixture.store().automation(&fixture.id("job"))).expect("the store works");
    assert_eq!(record.expect("it is served").paused_until, Some(EpochMs::MAX));
}

#[test]
fn death_of_a_daemon_is_not_counted_as_its_runs() {
    let job = "const automation = #{ on: [ #{ every: \"1h\" } ] };\nfn run(ctx) { tag::create(\"甲\") }";
    let fixture = DaemonFixture::of(&[("job.rhai", job)]);
    let mut daemon = fixture.daemon();
    fixture.advance_and_settle(Duration::from_hours(1), from_mut(&mut daemon));
    // As if the daemon had ended in the midst of it.
    let interrupted = Statement::new("UPDATE mpscript_run SET state = 'interrupted', note = ''");
    assert_eq!(fixture.wait(fixture.store().execute(interrupted)), Ok(1));
    let done = fixture.fires("job").remove(0);
    let running = Fire { state: FireState::Running, owner: "gone".to_owned(), crashes: 4, ..done.clone() };
    assert!(fixture.wait(fixture.store().compare_and_set_fire(&done, &running)).expect("the store works"));
    fixture.advance_and_settle(Duration::from_secs(3), from_mut(&mut daemon));
    assert_eq!(fixture.states("job"), ["done"], "{}", fixture.log.text());
}

#[test]
fn failure_hook_survives_a_killed_daemon() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = "const automation = #{ on: [ #{ every: \"1h\" } ] };\nfn run(ctx) { throw \"坏了\" }\n\
               fn on_failure(ctx, error) { print(\"hears\"); sleep(3); print(`heard ${error.message}`) }";
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/job.rhai", job);
    let serve = |dir: &str| folder.start(&["serve", dir, "--base-url", &sandbox.url()]);
    // A fire that was missed while no daemon was running.
    let first = serve("jobs");
    first.wait_for("job: live");
    first.signal("TERM");
    assert_eq!(first.finish().code, Some(0));
    let store = folder.path().join("store.sqlite3");
    let earlier = format!("UPDATE mpscript_fire SET scheduled_at = scheduled_at - {}", 3_600_000);
    let changed = std::process::Command::new("python3")
        .args([
            "-c",
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()",
        ])
        .args([store.as_os_str(), earlier.as_ref()])
        .status();
    assert!(changed.expect("there is a python3").success());
    // However the folder is written, it is the same one.
    let killed = serve("./jobs/");
    killed.wait_for(": hears");
    killed.signal("KILL");
    drop(killed);
    let last = serve("jobs");
    last.wait_for(": heard 坏了");
    last.signal("TERM");
    assert_eq!(last.finish().code, Some(0));
    let why = folder.run(&["why", "job"]).success();
    assert!(why.contains("failure of ") && why.contains(" failed "), "{why}");
}

#[test]
fn folder_replaced_by_symlink_is_watched() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let tick = |says: &str| {
        format!(
            "const automation = #{{ on: [ #{{ every: \"1s\" }} ] }};\nfn run(ctx) {{ print(\"{says}\") }}"
        )
    };
    let folder = Folder::new()
        .account()
        .env("MPSCRIPT_STORE", "store.sqlite3")
        .file("one/tick.rhai", tick("first"))
        .file("two/tick.rhai", tick("second"));
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, folder.path().join("new")).expect("it can be linked");
        fs::rename(folder.path().join("new"), folder.path().join("current")).expect("it can be moved");
    };
    link("one");
    let daemon = folder.start(&["serve", "current", "--base-url", &sandbox.url()]);
    daemon.wait_for(": first\n");
    link("two");
    daemon.wait_for(": second\n");
    // What is saved in the new folder now is served, and what is saved in the old one is not. That a change there is
    // reported at once is a test of `cli/file_events.rs`.
    fs::write(folder.path().join("one/tick.rhai"), tick("old")).expect("it can be written");
    fs::write(folder.path().join("two/tick.rhai"), tick("third")).expect("it can be written");
    daemon.wait_for(": third\n");
    daemon.signal("TERM");
    let finished = daemon.finish();
    assert_eq!((finished.code, finished.out.matches(": old\n").count()), (Some(0), 0), "{}", finished.out);
}

#[test]
fn unread_output_pipe_does_not_block_fires() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = "const automation = #{ on: [ #{ every: \"1s\" } ] };\n\
               fn run(ctx) { for n in 0..4000 { print(`line ${n}`); } }";
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/job.rhai", job);
    // Its standard output is a pipe that is never read.
    let mut daemon =
        folder.command(&["serve", "jobs", "--base-url", &sandbox.url()]).spawn().expect("it starts");
    let done = || {
        let why = folder.run(&["why", "job"]);
        why.out.lines().filter(|line| line.contains(" done ")).count()
    };
    let since = Instant::now();
    while done() < 4 {
        assert!(since.elapsed() < TIMEOUT, "its fires wait for a reader");
        thread::sleep(Duration::from_millis(300));
    }
    std::process::Command::new("kill")
        .args(["-s", "TERM", &daemon.id().to_string()])
        .status()
        .expect("there is a kill");
    let code = loop {
        if let Some(status) = daemon.try_wait().expect("a child can be waited for") {
            break status.code();
        }
        assert!(since.elapsed() < TIMEOUT, "it does not end");
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(code, Some(0));
}

#[test]
fn stale_automation_is_reported_while_its_last_version_runs() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = "const automation = #{ on: [ #{ every: \"1h\" } ] };\nfn run(ctx) { }";
    let folder = Folder::new()
        .account()
        .env("MPSCRIPT_STORE", "store.sqlite3")
        .file("jobs/job.rhai", job)
        .file("jobs/a.b.rhai", "const automation = #{ on: [], params: #{ n: #{ type: \"int\" } } };\nfn run(ctx, p) { print(p.n) }");
    let daemon = folder.start(&["serve", "jobs/", "--base-url", &sandbox.url()]);
    daemon.wait_for("job: live");
    fs::write(folder.path().join("jobs/job.rhai"), "let a = ;").expect("it can be written");
    daemon.wait_for("STALE");
    let next = folder.run(&["next", "job"]);
    assert!(next.code == Some(0) && next.out.contains("job"), "{} {}", next.out, next.err);
    assert!(next.err.contains("job is STALE, the last good version keeps running"), "{}", next.err);
    let why = folder.run(&["why", "job"]);
    assert!(why.err.contains("job is STALE"), "{}", why.err);
    assert_eq!(folder.run(&["pause", "job"]).code, Some(0));
    assert!(folder.run(&["ls"]).out.contains("STALE"));
    // A name may have a point, and a run by hand is shown as one.
    let run = folder.run(&["run", "a.b", "--param", "n=5", "--base-url", &sandbox.url()]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "5\n"), "{}", run.err);
    assert_eq!(folder.run(&["pause", "a.b"]).code, Some(0));
    let listed = folder.run(&["ls"]).out;
    assert!(
        listed.lines().any(|line| line.contains("a.b") && line.contains("until it is unpaused")),
        "{listed}"
    );
    let shown = folder.run(&["show", &newest_run_id(&folder)]).success();
    assert!(shown.contains("a.b, by hand, with n=5"), "{shown}");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}

#[test]
fn slow_secret_command_does_not_block_other_accounts() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let job = |account: &str| {
        format!(
            "const automation = #{{ on: [ #{{ every: \"1s\" }} ], account: \"{account}\" }};\n\
             fn run(ctx) {{ print(tag::list().len()) }}"
        )
    };
    let url = sandbox.url();
    let account = |name: &str, secret: &str| {
        format!("[accounts.{name}]\nappid = \"{DEFAULT_APPID}\"\n{secret}\nbase_url = \"{url}\"\n")
    };
    let folder = Folder::new().env("MPSCRIPT_STORE", "store.sqlite3").env("FAST_SECRET", DEFAULT_SECRET);
    let gate = folder.path().join("gate");
    // It ends when the test opens the gate, or when it is ended for taking too long.
    let slow = format!(
        "secret_command = \"until [ -e '{}' ]; do sleep 0.05; done; echo {DEFAULT_SECRET}\"",
        gate.display()
    );
    let config = format!("{}{}", account("slow", &slow), account("fast", "secret_env = \"FAST_SECRET\""));
    let folder = folder
        .file("mpscript.toml", config)
        .file("jobs/slow.rhai", job("slow"))
        .file("jobs/fast.rhai", job("fast"));
    let daemon = folder.start(&["serve", "jobs", "--account", "fast"]);
    let done = |name: &str| {
        let out = daemon.stdout();
        out.lines().filter(|line| line.contains(&format!("{name} ")) && line.ends_with(": done")).count()
    };
    let wait_for_done = |name: &str, count: usize| {
        let since = Instant::now();
        while done(name) < count {
            assert!(since.elapsed() < TIMEOUT, "{}", daemon.stdout());
            thread::sleep(Duration::from_millis(50));
        }
    };
    // The second began after the slow account was asked for, which has not been given up.
    wait_for_done("fast", 2);
    assert!(!daemon.stdout().contains("secret_command of account `slow`"), "{}", daemon.stdout());
    fs::write(gate, "").expect("it can be written");
    wait_for_done("slow", 1);
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}
