//! Rows of runs, fires and automations that can't be decoded: each is an error that names the row, what was expected and
//! what was found, on SQLite and on PostgreSQL. Nothing is overwritten.

use crate::fixtures::{
    postgres::cluster,
    program::Folder,
    runs::{newest_run_id, on_store, records_named},
    sandbox_process::SandboxProcess,
};
use mpscript::{
    base::EpochMs,
    sandbox::DEFAULT_APPID,
    store::{AutomationId, Fire, RunPayload, RunRecord, RunState, StartedBy, Statement, StoreTime},
};

const AUTOMATION: &str = "const automation = #{ on: [ #{ every: \"1m\" } ] };
fn run(ctx, p) { ctx.state.n = (ctx.state?.n ?? 0) + 1; print(`第${ctx.state.n}次`); }";

/// A folder with an automation, whose store is on each database that this machine has.
fn on_each_store(test: impl Fn(&Folder)) {
    let folder =
        |store: &str| Folder::new().file("jobs/每分.rhai", AUTOMATION).account().env("MPSCRIPT_STORE", store);
    test(&folder("store.sqlite3"));
    if let Some(cluster) = cluster() {
        test(&folder(cluster.database().reveal()));
    }
}

/// Changes rows as a damaged disk or a foreign program might have.
fn damage(folder: &Folder, sql: &'static str) {
    on_store(folder, async |store| {
        assert_eq!(store.execute(Statement::new(sql)).await, Ok(1), "{sql}");
    });
}

/// Two recorded runs that have ended: `aaaaaa` and, newer, `bbbbbb`.
fn two_runs(folder: &Folder) {
    on_store(folder, async |store| {
        for (id, started_at) in [("aaaaaa", 1_000), ("bbbbbb", 2_000)] {
            let run = RunRecord {
                script: "老客户.rhai".to_owned(),
                ..RunRecord::started(id, StartedBy::Command, EpochMs::new(started_at), StoreTime::default())
            };
            let payload = RunPayload {
                source: r#"{"name":"老客户.rhai","text":"tag::list()","imports":[]}"#.to_owned(),
                options: "{}".to_owned(),
                report: String::new(),
            };
            assert_eq!(store.add_run(&run, &payload).await, Ok(true));
        }
    });
}

#[test]
fn run_with_unknown_state_is_listed_with_its_error_beside_the_others() {
    on_each_store(|folder| {
        two_runs(folder);
        damage(folder, "UPDATE mpscript_run SET state = '睡着' WHERE id = 'aaaaaa'");
        let error = "`state` in row `aaaaaa` of mpscript_run can't be read: expected one of `running` `done` \
                     `done_with_failures` `cancelled` `error` `paused` `parked` `interrupted`, found `睡着`";
        let listed = folder.run(&["runs"]).success();
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 2, "{listed}");
        assert!(lines[0].starts_with("bbbbbb  ") && lines[0].ends_with("老客户.rhai"), "{listed}");
        assert_eq!(lines[1], format!("aaaaaa  can't be shown: {error}"));
        let json: serde_json::Value =
            serde_json::from_str(&folder.run(&["runs", "--json"]).success()).expect("it is JSON");
        assert_eq!(json[0]["id"], "bbbbbb");
        assert_eq!(json[1], serde_json::json!({"id": "aaaaaa", "error": error}));
        let shown = folder.run(&["show", "aaaaaa"]).failure(2);
        assert!(shown.contains(error), "{shown}");
    });
}

#[test]
fn run_with_unreadable_options_or_report_fails_commands_that_need_them() {
    on_each_store(|folder| {
        two_runs(folder);
        damage(
            folder,
            "UPDATE mpscript_run SET state = 'error', options = '{\"params\":', report = '{\"run\":' WHERE id = 'aaaaaa'",
        );
        let resumed = folder.run(&["resume", "aaaaaa"]).failure(2);
        let error = "`options` in row `aaaaaa` of mpscript_run can't be read: expected a run's options as JSON, found \
                     JSON that ends too early (line 1, column 10)";
        assert!(resumed.contains(error), "{resumed}");
        let failed = folder.run(&["failed", "aaaaaa"]).failure(2);
        let of_report = "`report` in row `aaaaaa` of mpscript_run can't be read: expected a run's report as JSON, found \
                         JSON that ends too early (line 1, column 7)";
        assert!(failed.contains(of_report), "{failed}");
        // What can be read of it is shown.
        let shown = folder.run(&["show", "aaaaaa"]).success();
        assert!(
            shown.contains("老客户.rhai") && shown.contains(error) && shown.contains(of_report),
            "{shown}"
        );
        let payload = on_store(folder, async |store| store.run_payload("aaaaaa").await);
        let payload = payload.expect("the store works");
        assert_eq!((payload.options.as_str(), payload.report.as_str()), ("{\"params\":", "{\"run\":"));
    });
}

#[test]
fn damaged_running_run_does_not_keep_another_from_starting() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    on_each_store(|folder| {
        two_runs(folder);
        damage(folder, "UPDATE mpscript_run SET started_by = '某人' WHERE id = 'aaaaaa'");
        let url = sandbox.url();
        let run = folder.run(&["run", "-e", "print(followers().count());", "--base-url", &url, "--quiet"]);
        assert_eq!((run.out.as_str(), run.code), ("10\n", Some(0)), "{}", run.err);
        let warning = "warning: run aaaaaa is left as it is, whether it is running or not: `started_by` in row `aaaaaa` of \
                       mpscript_run can't be read";
        assert!(run.err.contains(warning), "{}", run.err);
        let state = on_store(folder, async |store| store.run_state("aaaaaa").await);
        assert_eq!(state, Ok(Some(RunState::Running)));
    });
}

#[test]
fn damaged_line_of_a_run_is_shown_beside_the_others_and_the_run_is_resumed() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    on_each_store(|folder| {
        let url = sandbox.url();
        let script = "print(\"第一\"); print(\"第二\"); throw \"坏了\"";
        assert_eq!(folder.run(&["run", "-e", script, "--base-url", &url]).code, Some(1));
        let run = newest_run_id(folder);
        damage(folder, "UPDATE mpscript_output SET number = -1 WHERE number = 1");
        let error = format!("`number` in row `{run}, 1, -1` of mpscript_output can't be read");
        let log = folder.run(&["show", &run, "--log"]).success();
        assert!(log.contains(&error) && log.contains("第二"), "{log}");
        let shown = folder.run(&["show", &run]).success();
        assert!(shown.contains(&error) && shown.contains("printed   2 times"), "{shown}");
        let resumed = folder.run(&["resume", &run, "--base-url", &url]);
        assert!(resumed.err.contains("坏了"), "{}", resumed.err);
    });
}

#[test]
fn damaged_count_of_calls_is_not_taken_for_an_unused_quota() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    on_each_store(|folder| {
        let url = sandbox.url();
        let run = || folder.run(&["run", "-e", "print(followers().count());", "--base-url", &url, "--quiet"]);
        assert_eq!(run().out, "10\n");
        damage(folder, "UPDATE mpscript_ledger SET exhausted = 7 WHERE endpoint = '/cgi-bin/user/get'");
        let error = format!("`exhausted` in row `{DEFAULT_APPID} {url}, /cgi-bin/user/get, ");
        let shown = folder.run(&["quota", "--base-url", &url]);
        let line = shown.out.lines().find(|line| line.starts_with("/cgi-bin/user/get "));
        let numbers = line.map(|line| line.split_whitespace().skip(1).take(2).collect::<Vec<_>>());
        assert_eq!(numbers, Some(vec!["?", "?"]), "{}", shown.out);
        assert!(shown.err.contains(&error), "{}", shown.err);
        let again = run();
        assert_eq!(again.out, "10\n", "{}", again.err);
        let asked = "warning: the platform is asked what is left today of GET /cgi-bin/user/get: ";
        assert!(again.err.contains(&format!("{asked}{error}")), "{}", again.err);
    });
}

#[test]
fn fire_with_unknown_state_or_kind_is_an_error_that_names_it() {
    on_each_store(|folder| {
        let (id, scheduled_at) = (AutomationId::new("wx1 http://a", "每分"), EpochMs::new(60_000));
        let fire = Fire::claimed(id, "every 1m", scheduled_at, String::new(), scheduled_at);
        on_store(folder, async |store| assert_eq!(store.insert_fires(&[fire]).await, Ok(vec![true])));
        damage(folder, "UPDATE mpscript_fire SET state = 'dreaming'");
        let found = on_store(folder, async |store| {
            let id = AutomationId::new("wx1 http://a", "每分");
            let fires =
                store.fires(&id, 10).await.expect("the store works").remove(0).unwrap_err().to_string();
            assert_eq!(fires, store.last_fire(&id, "every 1m").await.unwrap_err().to_string());
            fires
        });
        assert_eq!(
            found,
            "`state` in row `wx1 http://a, 每分, every 1m, 60000` of mpscript_fire can't be read: expected one of `claimed` `running` \
             `done` `done_with_failures` `failed` `missed` `parked` `skipped` `stopped` `timed_out` `armed` \
             `disarmed`, found `dreaming`"
        );
        damage(folder, "UPDATE mpscript_fire SET state = 'claimed', kind = 'whim'");
        let open = on_store(folder, async |store| store.open_fires().await);
        let found = open.expect("the store works").remove(0).unwrap_err().to_string();
        assert_eq!(
            found,
            "`kind` in row `wx1 http://a, 每分, every 1m, 60000` of mpscript_fire can't be read: expected one of `trigger` \
             `failure_hook`, found `whim`"
        );
    });
}

#[test]
fn automation_with_a_damaged_record_is_reported_beside_the_others() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    on_each_store(|folder| {
        std::fs::write(folder.path().join("jobs/坏.rhai"), AUTOMATION).expect("a file can be written");
        let daemon = folder.start(&["serve", "jobs", "--base-url", &sandbox.url()]);
        daemon.wait_for("坏: live");
        daemon.wait_for("每分: live");
        daemon.signal("TERM");
        assert_eq!(daemon.finish().code, Some(0));
        damage(folder, "UPDATE mpscript_automation SET served_version = '半' WHERE name = '坏'");
        let error = format!(
            "error: `served_version` in row `{DEFAULT_APPID} {}, 坏` of mpscript_automation can't be read: expected one of \
             `current` `last_good` `nothing`, found `半`",
            sandbox.url()
        );
        let listed = folder.run(&["ls", "--dir", "jobs"]);
        assert!(listed.err.contains(&error), "{}", listed.err);
        assert!(listed.out.lines().any(|line| line.starts_with("每分 ")), "{}", listed.out);
        let paused = folder.run(&["pause", "坏", "--dir", "jobs"]).failure(2);
        assert!(paused.contains(&error), "{paused}");
        folder.run(&["pause", "每分", "--dir", "jobs"]).success();
    });
}

#[test]
fn unreadable_automation_state_fails_the_run_and_is_not_overwritten() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    on_each_store(|folder| {
        let url = sandbox.url();
        let arguments = ["run", "每分", "--dir", "jobs", "--base-url", &url, "--quiet"];
        assert_eq!(folder.run(&arguments).success(), "第1次\n");
        damage(folder, "UPDATE mpscript_automation SET state = '{\"n\":' WHERE name = '每分'");
        let failed = folder.run(&arguments).failure(2);
        assert!(
            failed.contains(&format!(
                "`state` in row `{DEFAULT_APPID} {url}, 每分` of mpscript_automation can't be read: expected a JSON object, found JSON \
                 that ends too early (line 1, column 5)"
            )),
            "{failed}"
        );
        let records = on_store(folder, async |store| records_named(store, "每分").await);
        assert_eq!(records[0].state, "{\"n\":");
    });
}

#[test]
fn sqlite_number_column_with_text_is_an_error() {
    // PostgreSQL's columns have types of their own.
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3");
    two_runs(&folder);
    damage(&folder, "UPDATE mpscript_run SET started_at = '昨天' WHERE id = 'aaaaaa'");
    let found = on_store(&folder, async |store| store.run("aaaaaa").await.unwrap_err().to_string());
    assert_eq!(
        found,
        "`started_at` in row `aaaaaa` of mpscript_run can't be read: expected a whole number, found a text of 6 bytes"
    );
}
