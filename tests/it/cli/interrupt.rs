//! Ctrl-C: calls in flight are awaited and counted, nothing more is sent, and a second one exits at once.

#![cfg(unix)]

use crate::fixtures::{
    paths::POST_ATTACH,
    program::{Folder, assert_adds_up, counts},
    sandbox_process::SandboxProcess,
};
use serde_json::json;
use std::time::Duration;

#[test]
fn interrupted_job_reports_exactly_what_was_changed() {
    for signal in ["INT", "TERM"] {
        let sandbox = SandboxProcess::start(&["--followers", "5000", "--latency", "30ms"]);
        let folder = Folder::with("print(followers().tag(\"老客户\")); print(\"never\");").account();
        let running = sandbox.start_run(&folder, &["--in-flight", "4", "--report", "report.json"]);
        sandbox.wait_for_calls(POST_ATTACH, 3);
        running.signal(signal);
        let finished = running.finish();
        assert_eq!((finished.code, finished.out.as_str()), (Some(130), ""), "{}", finished.err);
        let head = "stopping: waiting for running calls (Ctrl-C again to leave at once)\n\
                    tag `老客户`: cancelled in ";
        let report = folder.json("report.json");
        let run = report["run"].as_str().expect("it is recorded");
        let tail = format!("\nstopped\n  mpscript resume {run} resumes it; mpscript undo {run} undoes it\n");
        assert!(finished.err.starts_with(head) && finished.err.ends_with(&tail), "{}", finished.err);
        assert!(!finished.err.contains("error"), "{}", finished.err);

        let calls = sandbox.stats()["calls"].clone();
        // There is nothing to wait for: this is the time in which nothing may happen.
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(sandbox.stats()["calls"], calls);

        assert_adds_up(&report);
        let [changed, failed] = counts(&report, ["changed", "failed"]);
        assert_eq!((report["state"].as_str(), failed), (Some("cancelled"), 0));
        // How many calls are sent before the signal comes is left to time: at least one, and never all.
        assert!((50..5_000).contains(&changed), "{changed}");
        assert_eq!(sandbox.tagged("老客户"), Some(changed));
        assert_eq!(report["calls"], calls);
    }
}

#[test]
fn interrupt_cannot_be_caught_by_the_script() {
    let sandbox = SandboxProcess::start(&["--followers", "5000", "--latency", "30ms"]);
    let script = "try { followers().tag(\"老客户\"); } catch { } print(\"after\"); tag::create(\"新\");";
    let folder = Folder::with(script).account();
    let running = sandbox.start_run(&folder, &["--in-flight", "4"]);
    sandbox.wait_for_calls(POST_ATTACH, 1);
    running.signal("INT");
    let finished = running.finish();
    assert_eq!((finished.code, finished.out.as_str()), (Some(130), ""), "{}", finished.err);
    assert_eq!(sandbox.tagged("新"), None);
}

#[test]
fn second_interrupt_exits_at_once() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    sandbox.control("faults", &json!({"path": "/cgi-bin/user/get", "delay": "1min"}));
    let folder = Folder::with("followers().count();").account();
    let running = sandbox.start_run(&folder, &[]);
    sandbox.wait_for_calls("GET /cgi-bin/user/get", 1);
    running.signal("INT");
    let stopping = "stopping: waiting for running calls (Ctrl-C again to leave at once)\n";
    running.wait_for(stopping);
    running.signal("INT");
    let finished = running.finish();
    // One that had waited for the answer would say how the run has ended.
    assert_eq!((finished.code, finished.err.as_str()), (Some(130), stopping));
}

#[test]
fn interrupt_waits_a_few_seconds_for_an_answer() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    sandbox.control("faults", &json!({"path": "/cgi-bin/tags/members/batchtagging", "delay": "1min"}));
    let folder = Folder::with("followers().tag(\"老客户\");").account();
    let running = sandbox.start_run(&folder, &["--report", "report.json"]);
    sandbox.wait_for_calls(POST_ATTACH, 1);
    running.signal("INT");
    let finished = running.finish();
    assert_eq!(finished.code, Some(130));
    // Whether it took effect is not known, so each of them is named.
    let report = folder.json("report.json");
    assert_adds_up(&report);
    assert_eq!(counts(&report, ["changed", "failed"]), [0, 10]);
}

#[test]
fn interrupt_ends_sleep_and_endless_loops() {
    for busy in [
        "sleep(3600);",
        "loop {}",
        "while true { }",
        "let n = 0; loop { n += 1; }",
        "for n in 1..9_000_000_000 { n }",
        "let list = []; list.pad(9_000_000, 1); loop { list.map(|n| n + 1); }",
        "fn f() { loop {} } try { f() } catch { }",
    ] {
        let folder = Folder::with(&format!("print(\"started\"); {busy}"));
        let running = folder.start(&["run", "script.rhai"]);
        running.wait_for("started");
        running.signal("INT");
        let finished = running.finish();
        assert_eq!(
            (finished.code, finished.out.as_str()),
            (Some(130), "started\n"),
            "{busy}: {}",
            finished.err
        );
    }
}

#[test]
fn interrupted_sandbox_exits_with_0() {
    let running = Folder::new().start(&["sandbox", "--followers", "3"]);
    running.wait_for("sandbox listening on http://127.0.0.1:");
    running.wait_for("export MPSCRIPT_APPID=");
    running.signal("INT");
    assert_eq!(running.finish().code, Some(0));
}
