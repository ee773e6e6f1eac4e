//! The daemon's metrics page and health checks.

use crate::{
    cli::secrets::assert_hidden,
    fixtures::{
        account::{request, request_to},
        daemon::DaemonFixture,
        program::{Folder, Running},
        runs::on_store,
        sandbox_process::SandboxProcess,
        slow_readers::{SlowReaders, wait_for_sockets},
    },
};
use mpscript::{
    base::Clock,
    sandbox::{DEFAULT_APPID, DEFAULT_SECRET},
    store::Statement,
};
use std::{
    collections::BTreeSet,
    fmt::Debug,
    io::{Read, Write},
    net::TcpStream,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

const TICK: &str = "const automation = #{ on: [ #{ every: \"1s\" } ] };\n\
                    fn run(ctx) { tag::list(); if ctx.scheduled_at % 2 == 0 { throw \"坏了\" } }";

/// A daemon with its figures, and where they are.
pub(crate) fn measured(folder: &Folder, sandbox: &SandboxProcess) -> (Running, String) {
    measured_with(folder, sandbox, &[])
}

/// The same with more arguments.
pub(crate) fn measured_with(folder: &Folder, sandbox: &SandboxProcess, more: &[&str]) -> (Running, String) {
    let url = sandbox.url();
    started(folder, &[&["--base-url", &url], more].concat())
}

/// A daemon with these arguments, and where its figures are.
fn started(folder: &Folder, more: &[&str]) -> (Running, String) {
    let always = ["serve", "jobs", "--metrics", "127.0.0.1:0"];
    let daemon = folder.start(&[&always, more].concat());
    daemon.wait_for("/metrics\n");
    let output = daemon.stdout();
    let place = output.split("metrics at http://").nth(1).and_then(|rest| rest.split('/').next());
    (daemon, place.expect("an address").to_owned())
}

/// The status line and the body.
pub(crate) fn get(place: &str, method: &str, target: &str) -> (String, String) {
    send(place, &request(method, target, &[("Connection", "close")], b""))
}

/// The same for any request that asks for its connection to be closed.
pub(crate) fn send(place: &str, request: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(place).expect("the daemon answers");
    stream.write_all(request).expect("it can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the daemon closes the connection");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

/// The number of the row that begins so.
#[track_caller]
pub(super) fn figure<T: FromStr<Err: Debug>>(page: &str, row: &str) -> T {
    let found = page.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {row}:\n{page}")).parse().expect("a number")
}

/// A count.
#[track_caller]
fn count(page: &str, row: &str) -> u64 {
    figure(page, row)
}

#[test]
fn quota_whose_count_cannot_be_read_is_not_a_number() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().env("MPSCRIPT_STORE", "store.sqlite3").file("jobs/tick.rhai", TICK);
    let today = mpscript::api::quota::day(Clock::system().now_secs());
    on_store(&folder, async |store| {
        // The day may change while this runs.
        for day in [today, today + 1] {
            let row = "INSERT INTO mpscript_ledger (account, endpoint, day, used, exhausted) VALUES ($1, $2, $3, 0, 7)";
            let account = format!("{DEFAULT_APPID} {}", sandbox.url());
            let row = Statement::new(row).with(account.as_str()).with("/cgi-bin/user/get").with(day);
            assert_eq!(store.execute(row).await, Ok(1));
        }
    });
    let (daemon, place) = measured(&folder, &sandbox);
    daemon.wait_for(": done\n");
    let (_, page) = get(&place, "GET", "/metrics");
    let left = |call: &str| {
        figure::<f64>(&page, &format!("mpscript_quota_left{{{},call=\"{call}\"}}", account_labels(&sandbox)))
    };
    assert!(left("GET /cgi-bin/user/get").is_nan(), "{page}");
    assert!((left("POST /cgi-bin/user/info/batchget") - 5_000_000.0).abs() < 0.5, "{page}");
    daemon.signal("TERM");
    let ended = daemon.finish();
    assert!(
        ended.err.contains("a metric is not known, which NaN says: `exhausted` in row `"),
        "{}",
        ended.err
    );
}

/// The labels of a sandbox's account.
fn account_labels(sandbox: &SandboxProcess) -> String {
    format!("account=\"{DEFAULT_APPID}\",address=\"{}\"", sandbox.url())
}

#[test]
fn two_addresses_of_one_appid_have_metrics_of_their_own() {
    let sandboxes = ["10", "20"].map(|followers| SandboxProcess::start(&["--followers", followers]));
    let entries = ["east", "west"].iter().zip(&sandboxes).map(|(name, sandbox)| {
        format!(
            "[accounts.{name}]\nappid = \"{DEFAULT_APPID}\"\nsecret_env = \"SHOP_SECRET\"\nbase_url = \"{}\"\n",
            sandbox.url()
        )
    });
    let tick = "const automation = #{ account: [\"east\", \"west\"], on: [ #{ every: \"1s\" } ] };\n\
                fn run(ctx) { print(`关注者 ${user::list().total}`); }";
    let folder = Folder::new()
        .file("mpscript.toml", entries.collect::<String>())
        .env("SHOP_SECRET", DEFAULT_SECRET)
        .file("jobs/tick.rhai", tick);
    let (daemon, place) = started(&folder, &["--account", "east"]);
    daemon.wait_for("关注者 10\n");
    daemon.wait_for("关注者 20\n");
    let (_, page) = get(&place, "GET", "/metrics");
    for sandbox in &sandboxes {
        let account = account_labels(sandbox);
        figure::<f64>(
            &page,
            &format!("mpscript_fires_total{{automation=\"tick\",{account},result=\"done\"}}"),
        );
        figure::<f64>(&page, &format!("mpscript_token_age_seconds{{{account}}}"));
        figure::<f64>(&page, &format!("mpscript_quota_left{{{account},call=\"GET /cgi-bin/user/get\"}}"));
    }
}

#[test]
fn control_characters_of_a_file_s_name_reach_no_label() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let automation = "const automation = #{ on: [ #{ every: \"1h\" } ] };\nfn run(ctx) { }";
    let folder = Folder::new().account().file("jobs/红\u{1b}[31m\n\"名.rhai", automation);
    let (daemon, place) = measured(&folder, &sandbox);
    daemon.wait_for(": live");
    let page = get(&place, "GET", "/metrics").1;
    let account = account_labels(&sandbox);
    let row =
        format!("mpscript_fires_total{{automation=\"红\u{fffd}[31m \\\"名\",{account},result=\"done\"}}");
    assert_eq!(count(&page, &row), 0, "{page}");
    assert!(!page.contains('\u{1b}'), "{page}");
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
    let account = account_labels(&sandbox);
    let tick = format!("automation=\"tick\",{account}");
    for result in ["done", "failed"] {
        let row = format!("mpscript_fires_total{{{tick},result=\"{result}\"}}");
        assert!(count(&page, &row) >= 1, "{page}");
    }
    let row = format!("mpscript_fires_total{{{tick},result=\"missed\"}}");
    assert_eq!(count(&page, &row), 0, "{page}");
    assert_eq!((count(&page, "mpscript_stale_files"), count(&page, "mpscript_automations")), (1, 1));
    let begun = count(&page, "mpscript_fire_lag_seconds_count");
    assert!(begun >= 2, "{page}");
    assert_eq!(count(&page, "mpscript_fire_lag_seconds_bucket{le=\"+Inf\"}"), begun);
    let success: f64 = figure(&page, &format!("mpscript_last_success_timestamp_seconds{{{tick}}}"));
    assert!(success > 1_700_000_000.0, "{page}");
    let age: f64 = figure(&page, &format!("mpscript_token_age_seconds{{{account}}}"));
    assert!(age < 60.0, "{page}");
    let row = format!("mpscript_quota_left{{{account},call=\"GET /cgi-bin/user/get\"}}");
    assert_eq!(count(&page, &row), 500, "{page}");
    // Each row is of the kind that stands above it, and no row is there twice.
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect();
    let once: BTreeSet<&str> = rows.iter().copied().collect();
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

/// A daemon without automations, where its figures are, and its folder.
fn idle(more: &[&str]) -> (Running, String, Folder) {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account().file("jobs/plain.rhai", "print(1)");
    let (daemon, place) = measured_with(&folder, &sandbox, more);
    (daemon, place, folder)
}

/// The status of `GET` with this Host and these headers.
fn status(place: &str, host: &str, headers: &[(&str, &str)], target: &str) -> u16 {
    let headers = [&[("Connection", "close")], headers].concat();
    let (line, _) = send(place, &request_to(host, "GET", target, &headers, b""));
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[test]
fn health_is_answered_while_clients_read_nothing() {
    let (daemon, place, _folder) = idle(&[]);
    let mut readers = SlowReaders::of(&place, "/metrics");
    for _ in 0..20 {
        assert_eq!(get(&place, "GET", "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    }
    assert_eq!(get(&place, "GET", "/metrics").0, "HTTP/1.1 200 OK");
    // All come from one address: it has 128 connections, and the daemon some of its own.
    wait_for_sockets(daemon.id(), 128 + 32);
    assert!(readers.open() <= 128, "{}", readers.open());
    readers.wait_for_the_end();
}

#[test]
fn connection_takes_a_hundred_requests() {
    let (_daemon, place, _folder) = idle(&[]);
    let mut stream = TcpStream::connect(&*place).expect("the daemon answers");
    stream.write_all(&request("GET", "/healthz", &[], b"").repeat(150)).expect("they can be sent");
    let mut answers = Vec::new();
    // What it did not take makes the system reset the connection.
    let _ = stream.read_to_end(&mut answers);
    let answers = String::from_utf8_lossy(&answers);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 100, "{answers}");
}

#[test]
fn metrics_for_a_foreign_host_are_refused() {
    let (_daemon, place, _folder) = idle(&[]);
    let own = ["localhost", "127.0.0.1:9464", &place];
    assert_eq!(own.map(|host| status(&place, host, &[], "/metrics")), [200; 3]);
    let foreign = ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "192.168.1.5"];
    assert_eq!(foreign.map(|host| status(&place, host, &[], "/metrics")), [421; 4]);
    assert_eq!(status(&place, "evil.example", &[], "/healthz"), 421);
}

#[test]
fn metrics_for_a_page_of_another_site_are_refused() {
    let (_daemon, place, _folder) = idle(&[]);
    let statuses = ["http://evil.example", "null", "http://localhost:3000"]
        .map(|origin| status(&place, "127.0.0.1", &[("Origin", origin)], "/metrics"));
    assert_eq!(statuses, [403, 403, 200]);
}

#[test]
fn allowed_host_is_answered() {
    let (_daemon, place, _folder) = idle(&["--allow-host", "mpscript", "--allow-host", "Shop.example.com"]);
    let hosts = ["mpscript:9464", "shop.example.com", "other.example.com"];
    assert_eq!(hosts.map(|host| status(&place, host, &[], "/metrics")), [200, 200, 421]);
}

#[test]
fn health_check_without_a_host_is_answered() {
    let (_daemon, place, _folder) = idle(&[]);
    assert_eq!(send(&place, b"GET /healthz HTTP/1.0\r\n\r\n").1, "ok\n");
}
