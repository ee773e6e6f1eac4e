//! Control characters that others have chosen: in openids, errmsg and names of files. None reaches a terminal, a line of a
//! log, or a table.

use crate::fixtures::{
    program::{Finished, Folder, Running},
    raw_server::{RawServer, ok, token},
    runs::newest_run_id,
    sandbox_process::SandboxProcess,
    terminal::Terminal,
};
use std::fs;

/// What clears a screen, sets a window's title, rings, turns the direction of writing, and ends a line.
const CONTROLS: [&str; 5] = ["\u{1b}", "\u{7}", "\u{9b}", "\u{202e}", "甲\n乙"];

/// An openid as a hostile server lists it, in JSON and as it is shown.
const OPENID: &str = r"o\u001b[2J\u001b]0;x\u0007\u009b2J\u202e甲\n乙";
const SHOWN: &str = "o\u{fffd}[2J\u{fffd}]0;x\u{fffd}\u{fffd}2J\u{fffd}甲 乙";

#[track_caller]
fn assert_plain(text: &str) {
    for control in CONTROLS {
        assert!(!text.contains(control), "{control:?} is in {text:?}");
    }
}

/// A server that lists one follower and refuses to give the remark, with control characters in both answers.
fn server() -> RawServer {
    RawServer::start(|request| match request {
        request if request.contains("/cgi-bin/stable_token") => token("96_T0KEN"),
        request if request.contains("/cgi-bin/user/get") => ok(format!(
            r#"{{"total":1,"count":1,"data":{{"openid":["{OPENID}"]}},"next_openid":"{OPENID}"}}"#
        )),
        request if request.contains("batchget") => ok(format!(
            r#"{{"user_info_list":[{{"subscribe":1,"openid":"{OPENID}","remark":"","tagid_list":[]}}]}}"#
        )),
        _ => ok(format!(r#"{{"errcode":40003,"errmsg":"invalid {OPENID} rid: 6{OPENID}"}}"#)),
    })
}

/// A folder in which a job has failed for the follower of such a server; it writes a table, and a report as a table too.
fn failed() -> (Folder, Finished) {
    let server = server();
    let folder = Folder::with(
        "followers().write_csv(\"名单.csv\"); let report = followers().remark(|u| \"客户\"); print(report);",
    );
    let folder = folder.account();
    let url = format!("http://{}", server.address());
    let finished = folder.run(&["run", "script.rhai", "--base-url", &url, "--report", "report.csv"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    (folder, finished)
}

#[test]
fn failed_openids_are_listed_plainly() {
    let (folder, _) = failed();
    let listed = folder.run(&["failed", &newest_run_id(&folder)]);
    assert!(listed.out.starts_with(SHOWN), "{}", listed.out);
    assert_plain(&listed.out);
}

#[test]
fn failed_openids_as_a_table_are_plain() {
    let (folder, _) = failed();
    assert_plain(&folder.run(&["failed", &newest_run_id(&folder), "--csv"]).success());
}

#[test]
fn run_with_failed_openids_is_shown_plainly() {
    let (folder, _) = failed();
    assert_plain(&folder.run(&["show", &newest_run_id(&folder)]).success());
}

#[test]
fn printed_report_is_plain() {
    let (_, finished) = failed();
    assert_plain(&finished.out);
}

#[test]
fn messages_of_a_run_are_plain() {
    let (_, finished) = failed();
    assert_plain(&finished.err);
}

#[test]
fn tables_of_a_run_are_plain() {
    let (folder, _) = failed();
    for name in ["名单.csv", "report.csv"] {
        let table = fs::read_to_string(folder.path().join(name)).expect("it is written");
        assert!(table.contains(SHOWN), "{table}");
        assert_plain(&table);
    }
}

#[test]
fn printed_text_is_plain_at_a_terminal() {
    let folder = Folder::with("print(\"甲\\x1b]0;title\\x07\\x1b[31m乙\"); print(\"丙\");");
    let Some(terminal) = Terminal::start(&folder, &["run", "script.rhai"]) else { return };
    terminal.shows("甲\u{fffd}]0;title\u{fffd}\u{fffd}[31m乙");
}

#[test]
fn printed_text_is_unchanged_in_a_pipe() {
    let folder = Folder::with("print(\"甲\\x1b[31m乙\")");
    assert_eq!(folder.run(&["run", "script.rhai"]).success(), "甲\u{1b}[31m乙\n");
}

/// A daemon that serves an automation whose file's name and output have control characters in them.
fn daemon(format: &str) -> (Folder, SandboxProcess, Running) {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let automation = "const automation = #{ on: [ #{ every: \"1s\" } ] };\n\
                      fn run(ctx) { print(\"甲\\x1b[2J\\u202e\\u009b\\x07乙\") }";
    let folder = Folder::new().account().file("jobs/x\u{1b}[2J\u{202e}甲\n乙.rhai", automation);
    let daemon = folder.start(&["serve", "jobs", "--log", format, "--base-url", &sandbox.url()]);
    daemon.wait_for("[2J");
    (folder, sandbox, daemon)
}

#[test]
fn text_log_of_a_daemon_is_plain() {
    let (_folder, _sandbox, daemon) = daemon("text");
    daemon.wait_for("甲\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}乙\n");
    assert_plain(&daemon.stdout());
}

#[test]
fn json_log_of_a_daemon_is_plain() {
    let (_folder, _sandbox, daemon) = daemon("json");
    daemon.wait_for(r"甲\u001b[2J\u202e\u009b\u0007乙");
    assert_plain(&daemon.stdout());
}

#[test]
fn automation_with_controls_in_its_name_is_listed_plainly() {
    let (folder, _sandbox, _daemon) = daemon("text");
    let listed = folder.run(&["ls"]).out;
    assert!(listed.starts_with("x\u{fffd}[2J\u{fffd}甲 乙"), "{listed}");
    assert_plain(&listed);
    assert_plain(&folder.run(&["next"]).out);
}

#[test]
fn script_with_controls_in_its_name_is_checked_plainly() {
    let name = "x\u{1b}[2J\u{202e}甲\n乙.rhai";
    let folder = Folder::new().file(name, "let a = 1;");
    assert_plain(&folder.run(&["check", name]).out);
    let folder = Folder::new().file(name, "let a = ;");
    assert_plain(&folder.run(&["check", name]).err);
}

#[test]
fn long_errmsg_is_cut() {
    let server = RawServer::start(|request| match request {
        request if request.contains("/cgi-bin/stable_token") => token("96_T0KEN"),
        _ => ok(format!(r#"{{"errcode":45157,"errmsg":"{}"}}"#, "长".repeat(1 << 20))),
    });
    let folder = Folder::with("tag::create(\"甲\")").account();
    let finished = folder.run(&["run", "script.rhai", "--base-url", &format!("http://{}", server.address())]);
    assert_eq!(finished.err.matches('长').count(), 500, "{} bytes", finished.err.len());
}
