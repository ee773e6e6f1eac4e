//! Recorded runs: listed, shown, their failures, and the confirmation before a production account is changed.

use crate::fixtures::{paths::ATTACH, program::Folder, runs::newest_run_id, sandbox_process::SandboxProcess};
use mpscript::run::MAX_LOG_BYTES;
use serde_json::{Value, json};

fn production(sandbox: &SandboxProcess) -> Folder {
    Folder::with("print(followers().count()); followers().take(3).tag(\"会员\"); tag::create(\"空\");")
        .shop(&sandbox.url(), "production = true\n")
}

#[test]
fn production_account_changes_only_when_confirmed() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = production(&sandbox);
    let refused = folder.run(&["run", "script.rhai"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), "10\n"));
    let says =
        "error: account `shop` is marked `production = true`, and there is no terminal to confirm at\n";
    assert!(refused.err.starts_with(says), "{}", refused.err);
    assert!(refused.err.contains("give --yes"), "{}", refused.err);
    assert_eq!((sandbox.tagged("会员"), sandbox.tagged("空")), (None, None));
    assert_eq!(folder.run(&["run", "script.rhai", "--dry-run"]).code, Some(0));
    assert_eq!(sandbox.tagged("会员"), None);
    assert_eq!(folder.run(&["run", "script.rhai", "--yes"]).success(), "10\n");
    assert_eq!((sandbox.tagged("会员"), sandbox.tagged("空")), (Some(3), Some(0)));
}

#[test]
fn production_flag_holds_for_every_secret_source() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = production(&sandbox).account();
    let refused = folder.run(&["run", "script.rhai", "--base-url", &sandbox.url()]);
    assert_eq!((refused.code, sandbox.tagged("会员")), (Some(1), None), "{}", refused.err);
    assert!(
        refused.err.starts_with("error: account `shop` is marked `production = true`"),
        "{}",
        refused.err
    );
}

#[test]
fn interrupted_run_shows_progress_and_next_commands() {
    let sandbox = SandboxProcess::start(&["--followers", "500"]);
    let folder = Folder::with("followers().tag(\"会员\");").account();
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "batch-outcome:4");
    assert_eq!(sandbox.run(&folder, &["--in-flight", "1"]).code, None);
    let shown = folder.run(&["show", &newest_run_id(&folder)]).success();
    let run = newest_run_id(&folder);
    assert!(shown.contains("interrupted"), "{shown}");
    // The batch after the fourth may have been written down too.
    let so_far = [200, 250].map(|changed| format!("  changed   {changed} followers so far\n"));
    assert!(so_far.iter().any(|line| shown.contains(line)), "{shown}");
    let next = format!("  mpscript resume {run} resumes it; mpscript undo {run} undoes it\n");
    assert!(shown.ends_with(&next), "{shown}");
}

#[test]
fn report_format_follows_the_file_name() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::with("followers().tag(\"会员\");").account();
    let refused = sandbox.run(&folder, &["--report", "report.xlsx"]);
    let says = "error: a report can't be written as .xlsx\n  hint: name the file .json, .csv or .html\n";
    assert_eq!((refused.code, refused.err.as_str()), (Some(2), says));
    assert_eq!(sandbox.tagged("会员"), None);
}

#[test]
fn output_is_logged_up_to_its_limit() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::with(
        "print(\"第一行\\n第二行\"); print(42); followers().tag(\"会员\"); if param(\"x\", 0) == 1 { let s = \"长\"; for i in 0..17 { s += s; } print(s); print(\"never\"); }",
    );
    let folder = folder.account().env("MPSCRIPT_STORE", "store.sqlite3");
    assert_eq!(sandbox.run(&folder, &[]).code, Some(0));
    let run = newest_run_id(&folder);
    let shown = folder.run(&["show", &run]).success();
    assert!(shown.contains(&format!("  printed   2 times: mpscript show {run} --log\n")), "{shown}");
    let log = folder.run(&["show", &run, "--log"]).success();
    let lines: Vec<&str> = log.lines().collect();
    let [first, second, third] = lines.as_slice() else { panic!("{log}") };
    assert!(first.starts_with("20") && first.ends_with("  第一行"), "{log}");
    assert!(second.trim_start().starts_with("第二行") && third.ends_with("  42"), "{log}");
    // Three bytes a character, and half a character is none.
    assert_eq!(sandbox.run(&folder, &["--param", "x=1"]).code, Some(0));
    let log = folder.run(&["show", &newest_run_id(&folder), "--log"]).success();
    let cut = log.lines().last().expect("there are lines");
    assert!(cut.ends_with("长… what was printed after this is not kept"), "{}", cut.len());
    assert!(cut.len() < MAX_LOG_BYTES + 100 && cut.len() > MAX_LOG_BYTES - 100, "{}", cut.len());
    assert!(!log.contains("never"));
}

#[test]
fn log_separates_the_output_of_attempts() {
    let sandbox = SandboxProcess::start(&["--followers", "500"]);
    let folder = Folder::with("print(\"here\"); followers().tag(\"会员\");").account();
    let cut = folder.start_with(
        &["run", "script.rhai", "--base-url", &sandbox.url(), "--in-flight", "1"],
        &[("MPSCRIPT_FAIL_POINT", "batch-outcome:4")],
    );
    assert_eq!(cut.finish().code, None);
    let run = newest_run_id(&folder);
    assert_eq!(folder.run(&["resume", &run]).code, Some(0));
    let log = folder.run(&["show", &run, "--log"]).success();
    let words: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once("  ")?.1)).collect();
    assert_eq!(words, ["here", "-- attempt 2 --", "here"], "{log}");
}

#[test]
fn retry_is_refused_where_openids_are_not_known() {
    let sandbox = SandboxProcess::start(&["--followers", "100"]);
    let openids = sandbox.openids();
    let folder = Folder::with("followers().tag(\"100\");").account();
    sandbox.control("faults", &json!({"path": ATTACH, "errcode": 45059, "openid": openids[7]}));
    assert_eq!(sandbox.run(&folder, &["--quiet"]).code, Some(3));
    sandbox.control("faults/clear", &json!({}));
    // A name that looks like a number is a name.
    let retried = folder.run(&["failed", &newest_run_id(&folder), "--retry", "--quiet"]);
    assert_eq!(retried.code, Some(0), "{}", retried.err);
    assert_eq!(sandbox.tagged("100"), Some(100));
    let cases = [
        // A job that filters by details, which are refused for one openid: it is unknown whether it matches.
        (
            "followers().filter(|u| u.sex == 77).tag(\"甲\");",
            json!({"path": "/cgi-bin/user/info/batchget", "errcode": 40003, "openid": openids[7]}),
            &[] as &[&str],
            "the details of some were refused",
        ),
        (
            "followers().remark(|u| \"老\");",
            json!({"path": "/cgi-bin/user/info/updateremark", "errcode": 40003, "openid": openids[7]}),
            &[],
            "`remark` can't be retried for some openids",
        ),
        (
            "followers().remark(|u| \"一二三四五六七八九十\");",
            json!({"path": "/cgi-bin/user/get", "errcode": -1, "times": 1}),
            &["--dry-run"],
            "it was a dry run",
        ),
    ];
    for (script, fault, arguments, says) in cases {
        sandbox.control("faults", &fault);
        let folder = Folder::with(script).account();
        assert_eq!(sandbox.run(&folder, &[&["--quiet"], arguments].concat()).code, Some(3), "{script}");
        sandbox.control("faults/clear", &json!({}));
        let listed = folder.run(&["failed", &newest_run_id(&folder)]);
        assert!(listed.err.ends_with(" failed\n"), "{}", listed.err);
        let refused = folder.run(&["failed", &newest_run_id(&folder), "--retry"]).failure(2);
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn misspelt_store_is_reported_and_not_made() {
    let folder = Folder::new().account().file("jobs/tick.rhai", "fn run() { }");
    for command in [&["runs"][..], &["show", "x"], &["failed", "x"], &["undo", "x"], &["ls", "--dir", "jobs"]]
    {
        let message = folder.run(&[command, &["--store", "misspelt.sqlite3"]].concat()).failure(2);
        assert!(
            message.contains("error: there is no store at ") && message.contains("misspelt.sqlite3"),
            "{message}"
        );
        assert!(message.contains("`mpscript run` and `mpscript serve` make a store"), "{message}");
        assert!(!folder.path().join("misspelt.sqlite3").exists(), "{command:?}");
    }
}

#[test]
fn run_of_no_store_is_reported() {
    let message = Folder::new().account().run(&["show", "x"]).failure(2);
    assert!(message.contains("error: no run is recorded yet: there is no store"), "{message}");
}

#[test]
fn runs_are_listed_newest_first() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::with("followers().tag(\"会员\");").account();
    assert_eq!(folder.run(&["runs"]).success(), "no run is recorded yet\n");
    assert_eq!(folder.run(&["runs", "--json"]).success(), "[]\n");
    sandbox.run(&folder, &[]).success();
    sandbox.run(&folder, &["--dry-run"]);
    folder.run(&["run", "-e", "throw \"坏了\"", "--base-url", &sandbox.url()]);
    let runs: Value = serde_json::from_str(&folder.run(&["runs", "--json"]).success()).expect("it is JSON");
    let rows: Vec<Value> = runs
        .as_array()
        .expect("it is an array")
        .iter()
        .map(|run| json!([run["script"], run["state"], run["dry_run"]]))
        .collect();
    let expected =
        json!([["-e", "error", false], ["script.rhai", "done", true], ["script.rhai", "done", false]]);
    assert_eq!(json!(rows), expected);
    let started = runs[0]["started"].as_str().expect("it is a time");
    assert!(started.ends_with('Z') && started.len() == 24, "{started}");
    let keys: Vec<&String> = runs[0].as_object().expect("it is a map").keys().collect();
    assert_eq!(keys, ["dry_run", "id", "script", "started", "state"]);
    let shown = folder.run(&["show", runs[0]["id"].as_str().unwrap_or_default()]).success();
    assert!(shown.contains("  because   坏了\n"), "{shown}");
}

#[test]
fn failed_openids_are_listed_and_retried() {
    let sandbox = SandboxProcess::start(&["--followers", "100"]);
    let openids = sandbox.openids();
    let fault = json!({"path": ATTACH, "errcode": 45059, "openid": openids[7]});
    sandbox.control("faults", &fault);
    let folder = Folder::with("followers().tag(\"会员\");").account();
    let finished = sandbox.run(&folder, &[]);
    assert_eq!(finished.code, Some(3));
    let run = finished.err.split("mpscript failed ").nth(1).and_then(|rest| rest.split(' ').next());
    let run = run.expect("it says how to see them").to_owned();
    assert_eq!(finished.err, format!("done, but 1 openid failed; mpscript failed {run} names it\n"));
    let listed = folder.run(&["failed", &run]);
    let expected = format!("{}  tag `会员`: 45059 already has 20 tags", openids[7]);
    assert!(listed.out.starts_with(&expected), "{}", listed.out);
    assert_eq!(listed.err, format!("1 failed; mpscript failed {run} --retry retries them\n"));
    let csv = folder.run(&["failed", &run, "--csv"]).success();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "openid,operation,errcode,errmsg,rid");
    assert!(lines[1].starts_with(&format!("{},tag `会员`,45059,already has 20 tags,", openids[7])), "{csv}");
    let still = folder.run(&["failed", &run, "--retry"]);
    assert_eq!(still.code, Some(3), "{}", still.err);
    sandbox.control("reset", &json!({}));
    sandbox.run(&folder, &["--quiet"]).success();
    let retried = folder.run(&["failed", &run, "--retry"]);
    assert_eq!(retried.code, Some(0), "{}", retried.err);
    assert_eq!(sandbox.tagged("会员"), Some(100));
}

#[test]
fn change_limit_counts_over_all_attempts() {
    let sandbox = SandboxProcess::start(&["--followers", "500"]);
    let folder = Folder::with("followers().tag(\"会员\");").account();
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "batch-outcome:2");
    let killed = sandbox.run(&folder, &["--max-changes", "170", "--in-flight", "1"]);
    assert_eq!(killed.code, None);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
    let runs: Value = serde_json::from_str(&folder.run(&["runs", "--json"]).success()).expect("it is JSON");
    let run = runs[0]["id"].as_str().expect("a run has an id");
    let stopped = folder.run(&["resume", run]);
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.err.contains("the run may make 170 changes, and no more"), "{}", stopped.err);
    assert_eq!(sandbox.tagged("会员"), Some(170));
}

#[test]
fn thrown_text_of_megabytes_is_cut_where_it_is_shown_and_recorded() {
    let folder = Folder::with("let s = \"信\"; s.pad(1_000_000, \"信\"); throw s;");
    let said = folder.run(&["run", "script.rhai", "--sandbox", "--report", "report.json"]).failure(1);
    // Of three bytes each: 5,461 characters are within 16 KiB.
    let cut = format!("{}… 2983617 more bytes", "信".repeat(5_461));
    assert!(said.starts_with(&format!("error: {cut}\n")), "{} bytes", said.len());
    assert_eq!(folder.json("report.json")["error"], cut);
    let runs = folder.run(&["runs"]).success();
    let run = runs.split_whitespace().next().expect("it is recorded");
    let shown = folder.run(&["show", run]).success();
    assert!(shown.contains(&format!("  because   {cut}\n")), "{} bytes", shown.len());
}
