//! The daemon's metrics page and health checks.

use crate::{
    cli::secrets::assert_hidden,
    fixtures::{
        account::request,
        daemon::DaemonFixture,
        program::{Folder, Running},
        sandbox_process::SandboxProcess,
    },
};
use mpscript::{
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    store::Statement,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

const TICK: &str = "const automation = #{ on: [ #{ every: \"1s\" } ] };\n\
                    fn run(ctx) { tag::list(); if ctx.scheduled_at % 2 == 0 { throw \"坏了\" } }";

/// A daemon with its figures, and where they are.
pub(crate) fn measured(folder: &Folder, sandbox: &SandboxProcess) -> (Running, String) {
    let daemon = folder.start(&["serve", "jobs", "--base-url", &sandbox.url(), "--metrics", "127.0.0.1:0"]);
    daemon.wait_for("/metrics\n");
    let output = daemon.stdout();
    let place = output.split("metrics at http://").nth(1).and_then(|rest| rest.split('/').next());
    (daemon, place.expect("an address").to_owned())
}

/// The status line and the body.
pub(crate) fn get(place: &str, method: &str, target: &str) -> (String, String) {
    let mut stream = TcpStream::connect(place).expect("the daemon answers");
    stream.write_all(&request(method, target, &[("Connection", "close")], b"")).expect("it can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the daemon closes the connection");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

/// The number of the row that begins so.
#[track_caller]
fn figure(page: &str, row: &str) -> f64 {
    let found = page.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {row}:\n{page}")).parse().expect("a number")
}

#[test]
fn metrics_page_reports_fires_tokens_and_quota() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/tick.rhai", TICK).file("jobs/broken.rhai", "let a = ;");
    let (daemon, place) = measured(&folder, &sandbox);
    assert_eq!(get(&place, "GET", "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    daemon.wait_for("tick: live");
    daemon.wait_for(": done\n");
    daemon.wait_for(": failed: ");
    assert_eq!(get(&place, "GET", "/readyz").1, "ok\n");
    let (status, page) = get(&place, "GET", "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    for result in ["done", "failed"] {
        let row = format!("mpscript_fires_total{{automation=\"tick\",result=\"{result}\"}}");
        assert!(figure(&page, &row) >= 1.0, "{page}");
    }
    assert!(figure(&page, "mpscript_fires_total{automation=\"tick\",result=\"missed\"}") < 0.5, "{page}");
    assert!(figure(&page, "mpscript_stale_files") > 0.5 && figure(&page, "mpscript_automations") > 0.5);
    let begun = figure(&page, "mpscript_fire_lag_seconds_count");
    assert!(begun >= 2.0 && figure(&page, "mpscript_fire_lag_seconds_bucket{le=\"+Inf\"}") >= begun);
    let success = figure(&page, "mpscript_last_success_timestamp_seconds{automation=\"tick\"}");
    assert!(success > 1_700_000_000.0, "{page}");
    let account = format!("account=\"{DEFAULT_APPID}\"");
    assert!(figure(&page, &format!("mpscript_token_age_seconds{{{account}}}")) < 60.0, "{page}");
    let row = format!("mpscript_quota_left{{{account},call=\"GET /cgi-bin/user/get\"}}");
    assert!((figure(&page, &row) - 500.0).abs() < 0.5, "{page}");
    // Each row is of the kind that stands above it, and nothing is told twice.
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect();
    let mut once = rows.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), rows.len(), "{page}");
    let token = folder.run(&["token", "show", "--reveal", "--base-url", &sandbox.url()]).success();
    assert_hidden("metrics", &page, [DEFAULT_SECRET, token.trim()]);
    assert_eq!(get(&place, "GET", "/").0, "HTTP/1.1 404 Not Found");
    assert_eq!(get(&place, "POST", "/metrics").0, "HTTP/1.1 405 Method Not Allowed");
    // Another one can't be there too.
    let other = folder.run(&["serve", "jobs", "--base-url", &sandbox.url(), "--metrics", &place]);
    assert!(
        other.code == Some(2) && other.err.contains("choose another address with --metrics"),
        "{}",
        other.err
    );
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, Some(0));
}

#[test]
fn readiness_error_gives_the_reason() {
    let fixture = DaemonFixture::of(&[(
        "tick.rhai",
        "const automation = #{ on: [ #{ every: \"1m\" } ] };\nfn run() { }",
    )]);
    let mut daemon = fixture.daemon();
    let stats = Arc::clone(daemon.stats());
    assert_eq!((stats.snapshot().readiness_error(), stats.snapshot().liveness_error()), (None, None));
    let rename = |sql: &'static str| fixture.wait(fixture.store().execute(Statement::new(sql)));
    rename("ALTER TABLE mpscript_fire RENAME TO away").expect("it can be renamed");
    fixture.advance(Duration::from_mins(1));
    assert!(daemon.step().is_err());
    let why = stats.snapshot().readiness_error().expect("the store fails");
    assert!(why.starts_with("the store failed: "), "{why}");
    rename("ALTER TABLE away RENAME TO mpscript_fire").expect("it can be renamed");
    fixture.settle(std::slice::from_mut(&mut daemon));
    assert_eq!(stats.snapshot().readiness_error(), None);
    daemon.begin_shutdown();
    daemon.step().expect("the store works");
    assert_eq!(stats.snapshot().readiness_error().as_deref(), Some("the daemon is shutting down"));
}
