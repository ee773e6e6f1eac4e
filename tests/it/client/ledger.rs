//! The ledger: no call is lost, the store is seldom written to, and `mpscript quota` says what is left.

use crate::fixtures::{program::Folder, sandbox_process::SandboxProcess};
use mpscript::{
    api::quota::Reset,
    base::{Clock, Stopwatch},
    client::Ledger,
    store::{Statement, Store},
};
use std::future::Future;

const PATHS: [&str; 4] = ["/cgi-bin/user/get", "/cgi-bin/tags/get", "/cgi-bin/user/info", "/card/create"];
const TASKS: usize = 8;
const EACH: usize = 250_000;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the system gives a runtime").block_on(work)
}

async fn used(store: &Store, account: &str) -> i64 {
    let today = mpscript::api::quota::day(Clock::system().now_secs());
    let mut used = 0;
    // The day may have changed while this ran.
    for day in [today - 1, today] {
        used +=
            store.usage(account, day).await.unwrap().iter().flatten().map(|usage| usage.used).sum::<i64>();
    }
    used
}

#[test]
fn two_million_calls_are_counted_with_few_writes() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let store = Store::sqlite(&folder.path().join("store.sqlite3")).await.unwrap();
        let ledger = Ledger::new(store.clone(), "a".to_owned(), Clock::system(), Reset::MIDNIGHT);
        let watch = Stopwatch::start();
        ledger.start_writer();
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let ledger = ledger.clone();
            tasks.spawn(async move {
                for number in 0..EACH {
                    ledger.count(PATHS[(task + number) % PATHS.len()], 1);
                    if number % 1_000 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        tasks.join_all().await;
        ledger.write().await.unwrap();
        assert_eq!(used(&store, "a").await, i64::try_from(TASKS * EACH).unwrap());
        // Once a second, and once at the end.
        assert!(ledger.writes() <= watch.elapsed().as_secs() + 1, "{} writes", ledger.writes());
    });
}

#[test]
fn counts_refused_by_the_store_are_written_later() {
    let folder = tempfile::tempdir().unwrap();
    run(async {
        let store = Store::sqlite(&folder.path().join("store.sqlite3")).await.unwrap();
        let ledger = Ledger::new(store.clone(), "a".to_owned(), Clock::system(), Reset::MIDNIGHT);
        ledger.count(PATHS[0], 5);
        store.execute(Statement::new("ALTER TABLE mpscript_ledger RENAME TO elsewhere")).await.unwrap();
        assert!(ledger.write().await.is_err());
        assert_eq!(ledger.unwritten(), 5);
        ledger.count(PATHS[0], 2);
        ledger.count(PATHS[1], 1);
        ledger.count(PATHS[1], -1);
        store.execute(Statement::new("ALTER TABLE elsewhere RENAME TO mpscript_ledger")).await.unwrap();
        ledger.write().await.unwrap();
        assert_eq!(used(&store, "a").await, 7);
    });
}

fn folder(sandbox: &SandboxProcess, script: &str) -> Folder {
    Folder::with(script).shop(&sandbox.url(), "")
}

/// The line of a path.
fn line(quota: &str, path: &str) -> String {
    let found = quota.lines().find(|line| line.split_whitespace().next() == Some(path));
    found.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn quota_lists_used_and_remaining_calls() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder =
        folder(&sandbox, "followers().filter(|u| u.qr_scene == 1).count(); api::get(\"/cgi-bin/menu/get\")");
    // The sandbox has no menu: that call is counted too, and the run fails.
    assert_eq!(folder.run(&["run", "script.rhai"]).code, Some(1));
    let quota = folder.run(&["quota"]).success();
    assert!(
        quota.starts_with("endpoint                                         used       left      a day\n"),
        "{quota}"
    );
    assert_eq!(line(&quota, "/cgi-bin/user/get"), "/cgi-bin/user/get 1 499 500");
    assert_eq!(
        line(&quota, "/cgi-bin/user/info/batchget"),
        "/cgi-bin/user/info/batchget 1 4,999,999 5,000,000"
    );
    assert_eq!(line(&quota, "/cgi-bin/stable_token"), "/cgi-bin/stable_token 1 499,999 500,000");
    assert_eq!(line(&quota, "/cgi-bin/menu/get"), "/cgi-bin/menu/get 1 ? ?");
    assert_eq!(line(&quota, "/cgi-bin/user/info"), "/cgi-bin/user/info 0 5,000,000 5,000,000");
    let live = folder.run(&["quota", "--live"]).success();
    assert_eq!(line(&live, "/cgi-bin/user/get"), "/cgi-bin/user/get 1 499 500");
    assert_eq!(line(&live, "/cgi-bin/tags/get"), "/cgi-bin/tags/get 0 100,000 100,000");
}

#[test]
fn exhausted_endpoint_is_marked_until_cleared() {
    let sandbox = SandboxProcess::start(&["--followers", "10", "--quota", "/cgi-bin/tags/get=2"]);
    let folder = folder(&sandbox, "for i in 0..3 { tag::list(); }");
    let message = folder.run(&["run", "script.rhai"]).failure(4);
    assert!(message.starts_with("error: tag::list was refused: 45009 "), "{message}");
    let spent = "/cgi-bin/tags/get 3 ? ? used up until midnight, Beijing time";
    assert_eq!(line(&folder.run(&["quota"]).success(), "/cgi-bin/tags/get"), spent);
    folder.run(&["run", "-e", "quota::clear()"]).success();
    assert_eq!(line(&folder.run(&["quota"]).success(), "/cgi-bin/tags/get"), "/cgi-bin/tags/get 3 ? ?");
}
