//! A secret that a server echoes, in every form of report.

use crate::{
    cli::secrets::{SECRET, all_output, assert_hidden, mpscript},
    fixtures::{
        program::Folder,
        raw_server::{RawServer, ok, token},
    },
};
use mpscript::sandbox::DEFAULT_APPID;
use std::{fs, os::unix::fs::PermissionsExt};
use tempfile::TempDir;

const TOKEN: &str = "96_T0KEN-pelican-7d21e8b35a90cc41";

/// The report, by its ending, of a run that throws what the server echoes.
#[track_caller]
fn assert_report_is_masked(ending: &str, script: &str) {
    let server = RawServer::start(|request| match request {
        request if request.contains("/cgi-bin/stable_token") => token(TOKEN),
        request if request.contains("/cgi-bin/menu/get") => ok(format!(r#"{{"said":"{SECRET} {TOKEN}"}}"#)),
        request if request.contains("batchget") => {
            ok(r#"{"user_info_list":[{"subscribe":1,"openid":"***","remark":"","tagid_list":[]}]}"#)
        }
        _ => ok(format!(r#"{{"errcode":40003,"errmsg":"{TOKEN} {SECRET}"}}"#)),
    });
    let folder = TempDir::new().expect("there is room for a folder");
    let report = format!("report.{ending}");
    let mut command = mpscript(folder.path());
    command.env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", SECRET);
    command.args(["run", "--report", &report, "-e", script]);
    command.args(["--base-url", &format!("http://{}", server.address())]);
    let output = all_output(command, folder.path());
    let written = fs::read_to_string(folder.path().join(&report)).expect("the report is written");
    assert!(written.contains("***"), "{written}");
    assert_hidden(ending, &output, [SECRET, TOKEN]);
}

const THROWN: &str = "throw api::get(\"/cgi-bin/menu/get\").said";

/// The secret is an openid of a job that fails, with an errmsg that holds it too.
const FAILED: &str = "openids(api::get(\"/cgi-bin/menu/get\").said.split()).remark(|u| \"客户\")";

#[test]
fn json_report_of_a_thrown_secret_is_masked() {
    assert_report_is_masked("json", THROWN);
}

#[test]
fn html_report_of_a_thrown_secret_is_masked() {
    assert_report_is_masked("html", THROWN);
}

#[test]
fn reason_of_a_fire_that_threw_a_secret_is_masked() {
    let server = RawServer::start(|request| match request {
        request if request.contains("/cgi-bin/stable_token") => token(TOKEN),
        _ => ok(format!(r#"{{"said":"{SECRET} {TOKEN}"}}"#)),
    });
    let automation = format!(
        "const automation = #{{ on: [ #{{ every: \"1s\" }} ] }};\n\
         fn run(ctx) {{ {THROWN} }}\nfn on_failure(ctx, error) {{ print(`heard ${{error.message}}`) }}"
    );
    let folder = Folder::new().env("MPSCRIPT_APPID", DEFAULT_APPID).env("MPSCRIPT_SECRET", SECRET);
    let folder = folder.file("jobs/回声.rhai", automation);
    let daemon = folder.start(&["serve", "jobs", "--base-url", &format!("http://{}", server.address())]);
    daemon.wait_for("heard ");
    let why = folder.run(&["why", "回声"]).success();
    assert!(why.contains(": *** ***"), "{why}");
    assert_hidden("daemon", &format!("{why}{}{}", daemon.stdout(), daemon.stderr()), [SECRET, TOKEN]);
}

#[test]
fn csv_report_of_a_failed_secret_is_masked() {
    assert_report_is_masked("csv", FAILED);
}

#[test]
fn password_of_the_store_in_a_thrown_error_is_masked() {
    const PASSWORD: &str = "gezeiten-pelikan-27";
    let url = format!("postgres://me:{PASSWORD}@127.0.0.1:1/runs");
    let script = format!("throw \"{PASSWORD}\"");
    let configured = Folder::new().file("mpscript.toml", format!("store = \"{url}\"\n"));
    let of_owner = fs::Permissions::from_mode(0o600);
    fs::set_permissions(configured.path().join("mpscript.toml"), of_owner).expect("it is there");
    for folder in [
        configured,
        Folder::new().env("MPSCRIPT_STORE", &url),
        Folder::new().env("MPSCRIPT_STORE", "postgres://me@127.0.0.1:1/runs").env("PGPASSWORD", PASSWORD),
    ] {
        let finished = folder.run(&["run", "--sandbox", "-e", &script]);
        assert_eq!(finished.code, Some(1), "{}", finished.err);
        assert!(finished.err.contains("error: ***"), "{}", finished.err);
        assert!(!finished.err.contains(PASSWORD), "{}", finished.err);
    }
}
