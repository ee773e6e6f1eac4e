//! The cost of a job is estimated before it starts and checked against the day's quota.

use crate::fixtures::{
    paths::{GET_LIST_USERS, POST_ATTACH},
    program::{Finished, Folder, TIMEOUT},
    sandbox_process::SandboxProcess,
};
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

fn run(sandbox: &SandboxProcess, folder: &Folder, script: &str, arguments: &[&str]) -> Finished {
    let always = ["run", "-e", script, "--base-url", &sandbox.url(), "--report", "report.json"];
    folder.run(&[&always, arguments].concat())
}

fn estimate(folder: &Folder) -> Value {
    let report = folder.json("report.json");
    let estimates = report["operations"][0]["estimate"].as_array().expect("there is an estimate").clone();
    estimates.iter().map(|estimate| json!([estimate["call"], estimate["calls"]])).collect()
}

#[test]
fn job_calls_are_estimated_before_start() {
    let sandbox = SandboxProcess::start(&["--followers", "12000"]);
    let folder = Folder::new().account();
    run(&sandbox, &folder, "followers().tag(\"会员\")", &["--quiet"]);
    let expected =
        json!([[GET_LIST_USERS, 2], ["POST /cgi-bin/user/info/batchget", 120], [POST_ATTACH, 240]]);
    assert_eq!(estimate(&folder), expected);
    let calls = &folder.json("report.json")["calls"];
    assert_eq!((&calls[GET_LIST_USERS], &calls[POST_ATTACH]), (&json!(2), &json!(240)), "{calls}");
    run(&sandbox, &folder, "followers().take(50).count()", &[]).success();
    assert_eq!(estimate(&folder), json!([[GET_LIST_USERS, 1]]));
    // What is taken behind a filter bounds the writes.
    run(&sandbox, &folder, "followers().filter(|u| u.subscribe_time > 0).take(60).untag(2)", &["--quiet"]);
    assert_eq!(estimate(&folder)[2], json!(["POST /cgi-bin/tags/members/batchuntagging", 2]));
    let openids = json!(&sandbox.openids()[..120]);
    run(&sandbox, &folder, &format!("openids({openids}).block()"), &[]);
    assert_eq!(estimate(&folder), json!([["POST /cgi-bin/tags/members/batchblacklist", 6]]));
}

#[test]
fn job_over_the_remaining_quota_does_not_start() {
    let sandbox = SandboxProcess::start(&["--followers", "60000", "--quota", "/cgi-bin/user/get=5"]);
    let folder = Folder::new().account();
    // Of the whole listing nothing is known yet: its first page has the total.
    let short = run(&sandbox, &folder, "followers().tag(\"会员\")", &["--quiet"]);
    assert_eq!((short.code, short.out.as_str()), (Some(4), ""), "{}", short.err);
    let says =
        "error: the job needs about 6 calls of /cgi-bin/user/get today, and 4 are left of the 5 of a day\n";
    assert!(short.err.contains(says), "{}", short.err);
    assert!(short.err.contains("--allow-pause"), "{}", short.err);
    assert_eq!((sandbox.tagged("会员"), sandbox.calls(POST_ATTACH)), (None, 0));
    // What is remembered of the listing may be long ago: nothing is refused for it before the first page has come.
    let before = sandbox.calls(GET_LIST_USERS);
    let short = run(&sandbox, &folder, "followers().count()", &["--quiet"]);
    assert_eq!((short.code, sandbox.calls(GET_LIST_USERS)), (Some(4), before + 1), "{}", short.err);
    run(&sandbox, &folder, "followers().take(20000).count()", &["--quiet"]).success();
}

#[test]
fn writes_count_against_quota_only_when_certain() {
    let sandbox = SandboxProcess::start(&[
        "--followers",
        "60000",
        "--quota",
        "/cgi-bin/tags/members/batchtagging=1300",
    ]);
    let folder = Folder::new().account();
    run(&sandbox, &folder, "followers().tag(\"会员\")", &["--quiet"]);
    let tagged = sandbox.tagged("会员").expect("there is a tag");
    // No follower has a new tag yet: all 1,200 calls are needed, and a hundred are left.
    let short = run(&sandbox, &folder, "followers().tag(\"新客\")", &["--quiet"]);
    assert_eq!((short.code, sandbox.tagged("新客")), (Some(4), None), "{}", short.err);
    assert!(short.err.contains("calls of /cgi-bin/tags/members/batchtagging today"), "{}", short.err);
    // Everybody has the old one: it takes as many at the most, and needs none.
    let again = run(&sandbox, &folder, "followers().tag(\"会员\").already", &["--quiet"]);
    assert_eq!(again.success(), format!("{tagged}\n"));
}

#[test]
fn undo_over_the_remaining_quota_does_not_start() {
    let untag = "/cgi-bin/tags/members/batchuntagging";
    let sandbox = SandboxProcess::start(&["--followers", "60000", "--quota", &format!("{untag}=10")]);
    let folder = Folder::new().account();
    run(&sandbox, &folder, "followers().tag(\"会员\")", &["--quiet"]);
    let tagged = sandbox.tagged("会员");
    let runs: Value = serde_json::from_str(&folder.run(&["runs", "--json"]).success()).expect("it is JSON");
    let undone = folder.run(&["undo", runs[0]["id"].as_str().expect("a run has an id"), "--yes", "--quiet"]);
    assert_eq!((undone.code, sandbox.tagged("会员")), (Some(4), tagged), "{}", undone.err);
    assert_eq!(sandbox.calls(&format!("POST {untag}")), 0);
}

#[test]
fn run_allowed_to_pause_waits_for_the_next_day() {
    let sandbox =
        SandboxProcess::start(&["--followers", "500", "--quota", "/cgi-bin/tags/members/batchtagging=4"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs();
    // The time of day in Beijing, ten seconds from now.
    let at = (now + 8 * 3_600 + 10) % (24 * 3_600);
    let reset = format!("quota_reset = \"{:02}:{:02}:{:02}\"\n", at / 3_600, at / 60 % 60, at % 60);
    let folder = Folder::with("print(followers().tag(\"会员\").changed);").shop(&sandbox.url(), &reset);
    let running = folder.start(&["run", "script.rhai", "--allow-pause", "--in-flight", "1"]);
    running.wait_for("the day's quota is used up; waiting");
    assert_eq!(sandbox.tagged("会员"), Some(200));
    // The sandbox's own day turns.
    sandbox.control("clock", &json!({"advance": "24h"}));
    let since = Instant::now();
    while running.stderr().matches("the day's quota is used up; waiting").count() < 2 {
        assert!(since.elapsed() < TIMEOUT, "it does not wait again: {}", running.stderr());
        thread::sleep(Duration::from_millis(5));
    }
    running.signal("INT");
    let finished = running.finish();
    assert_eq!(finished.code, Some(130));
    // The next day's four batches are not enough either; it would wait for another day.
    assert_eq!(sandbox.tagged("会员"), Some(400), "{}", finished.err);
}
