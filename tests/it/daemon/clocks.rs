//! Machines whose clocks differ and that share a store: nothing is taken over from a process that lives, what a dead one left
//! is, and the difference is reported.

use super::metrics::{figure, get, measured_with};
use crate::fixtures::{
    fake_clock::with_clock,
    postgres::cluster,
    program::{Folder, Running, TIMEOUT},
    runs::on_store,
    sandbox_process::SandboxProcess,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// A folder of a machine with the right clock and one of a machine whose clock is so far from it, on one server's store.
fn machines(offset: &str) -> Option<(Folder, Folder)> {
    let url = cluster()?.database();
    let on_server = || Folder::new().account().env("MPSCRIPT_STORE", url.reveal());
    Some((on_server(), with_clock(on_server(), offset)?))
}

fn serve(machine: &Folder, jobs: &str, sandbox: &SandboxProcess, in_flight: &str) -> Running {
    machine.start(&["serve", jobs, "--base-url", &sandbox.url(), "--in-flight", in_flight])
}

/// Waits until a daemon has said this ten times.
fn wait_for_many(daemon: &Running, words: &str) {
    let since = Instant::now();
    while daemon.stdout().matches(words).count() < 10 {
        assert!(since.elapsed() < TIMEOUT, "{}", daemon.stdout());
        thread::sleep(Duration::from_millis(20));
    }
}

/// How often each of the runs was attempted.
fn attempts(machine: &Folder) -> Vec<i64> {
    let runs = on_store(machine, async |store| store.runs("", 100).await).expect("the store works");
    runs.into_iter().map(|run| run.expect("it can be read").attempt).collect()
}

#[test]
fn run_of_a_machine_with_another_clock_is_not_fenced() {
    for offset in ["-1h", "+1h"] {
        let Some((right, wrong)) = machines(offset) else { return };
        let (right, wrong) = (
            right.file("kurz.rhai", "print(\"短\")"),
            wrong.file("lang.rhai", "print(\"开始\"); sleep(3600)"),
        );
        let sandbox = SandboxProcess::start(&["--followers", "10"]);
        let long = wrong.start(&["run", "lang.rhai", "--base-url", &sandbox.url()]);
        long.wait_for("开始\n");
        assert_eq!(right.run(&["run", "kurz.rhai", "--base-url", &sandbox.url()]).success(), "短\n");
        let listed = right.run(&["runs"]).success();
        assert_eq!(listed.matches("  running  ").count(), 1, "{listed}");
        // One that was fenced would be parked.
        long.signal("INT");
        assert_eq!(long.finish().code, Some(130));
    }
}

#[test]
fn live_runs_of_daemons_with_other_clocks_are_not_taken_over() {
    for offset in ["-1h", "+1h"] {
        let Some((right, wrong)) = machines(offset) else { return };
        let job = "const automation = #{ on: [ #{ every: \"1s\" } ], overlap: \"parallel\" };\n\
                   fn run(ctx) { sleep(0.3); print(\"完\") }";
        let right = right.file("jobs/job.rhai", job);
        let jobs = right.path().join("jobs").display().to_string();
        let sandbox = SandboxProcess::start(&["--followers", "10"]);
        // One whose clock is behind begins first: it fires nothing that was fired at a later time already.
        let (first, second) = if offset == "-1h" { (&wrong, &right) } else { (&right, &wrong) };
        let first = serve(first, &jobs, &sandbox, "4");
        first.wait_for("job: live");
        let daemons = [first, serve(second, &jobs, &sandbox, "4")];
        for daemon in &daemons {
            wait_for_many(daemon, ": 完\n");
        }
        for daemon in daemons {
            let logged = daemon.stdout();
            assert_eq!(logged.matches("resumed").count() + logged.matches("adopted").count(), 0, "{logged}");
        }
        assert_eq!(attempts(&right).iter().max(), Some(&1));
    }
}

#[test]
fn run_of_a_killed_daemon_is_resumed_by_one_with_another_clock() {
    for offset in ["-1h", "+1h"] {
        let Some((right, wrong)) = machines(offset) else { return };
        let job = "const automation = #{ on: [ #{ every: \"1s\" } ], overlap: \"forbid\" };\n\
                   fn run(ctx) { let r = followers().tag(\"甲\"); print(`all ${r.changed + r.already}`) }";
        let right = right.file("jobs/job.rhai", job);
        let jobs = right.path().join("jobs").display().to_string();
        let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "200ms"]);
        let one = serve(&right, &jobs, &sandbox, "1");
        sandbox.wait_for_calls("POST /cgi-bin/tags/members/batchtagging", 3);
        let other = serve(&wrong, &jobs, &sandbox, "8");
        other.wait_for("job: live");
        one.signal("KILL");
        drop(one);
        other.wait_for("resumed, attempt 2");
        other.wait_for(": all ");
        other.signal("TERM");
        assert_eq!(other.finish().code, Some(0));
    }
}

#[test]
fn clock_that_is_not_the_stores_is_reported_by_log_metrics_and_doctor() {
    let Some((_, wrong)) = machines("-1h") else { return };
    let wrong = wrong.file("jobs/plain.rhai", "print(1)");
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let (daemon, place) = measured_with(&wrong, &sandbox, &[]);
    daemon.wait_for("warn  this machine's clock is 1h behind that of the store postgres://");
    let skew: f64 = figure(&get(&place, "GET", "/metrics").1, "mpscript_clock_skew_seconds");
    assert_eq!((skew / 60.0).round().to_string(), "-60");
    daemon.signal("TERM");
    let logged = daemon.finish().out;
    assert_eq!(logged.matches("this machine's clock is").count(), 1, "{logged}");
    let seen = wrong.run(&["doctor", "--base-url", &sandbox.url()]).out;
    assert!(seen.contains("!    store's clock  this machine's is 1h behind it\n"), "{seen}");
}
