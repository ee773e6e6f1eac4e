//! What was run: listed, shown, its failures, and the asking before a production account is changed.

use crate::{program::Folder, served::Served};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET};
use serde_json::{Value, json};

const ATTACH: &str = "/cgi-bin/tags/members/batchtagging";

fn production(sandbox: &Served) -> Folder {
    let config = format!(
        "[accounts.shop]\nappid = \"{DEFAULT_APPID}\"\nsecret_env = \"SHOP_SECRET\"\nbase_url = \"{}\"\nproduction = true\n",
        sandbox.url()
    );
    Folder::with("print(followers().count()); followers().take(3).tag(\"会员\"); tag::create(\"空\");")
        .file("mpscript.toml", config)
        .env("SHOP_SECRET", DEFAULT_SECRET)
}

#[test]
fn an_account_of_production_is_changed_only_when_that_is_asked_for() {
    let sandbox = Served::start(&["--followers", "10"]);
    let folder = production(&sandbox);
    let refused = folder.run(&["run", "script.rhai"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), "10\n"));
    let says = "error: account `shop` is marked `production = true`, and nobody can be asked\n";
    assert!(refused.err.starts_with(says), "{}", refused.err);
    assert!(refused.err.contains("give --yes"), "{}", refused.err);
    assert_eq!((sandbox.tagged("会员"), sandbox.tagged("空")), (None, None));
    assert_eq!(folder.run(&["run", "script.rhai", "--dry-run"]).code, Some(0));
    assert_eq!(sandbox.tagged("会员"), None);
    assert_eq!(folder.run(&["run", "script.rhai", "--yes"]).success(), "10\n");
    assert_eq!((sandbox.tagged("会员"), sandbox.tagged("空")), (Some(3), Some(0)));
}

#[test]
fn runs_are_listed_newest_first() {
    let sandbox = Served::start(&["--followers", "10"]);
    let folder = Folder::with("followers().tag(\"会员\");").account();
    assert_eq!(folder.run(&["runs"]).success(), "nothing was run yet\n");
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
fn those_who_failed_are_listed_and_tried_again() {
    let sandbox = Served::start(&["--followers", "100"]);
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
    assert_eq!(listed.err, format!("1 failed; mpscript failed {run} --retry tries them again\n"));
    let csv = folder.run(&["failed", &run, "--csv"]).success();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "openid,end,errcode,errmsg,rid");
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
fn a_run_s_changes_are_counted_over_all_its_attempts() {
    let sandbox = Served::start(&["--followers", "500"]);
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
