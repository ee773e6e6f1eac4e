//! How many calls a job makes: never more than the work needs, whatever the account's size.

use crate::fixtures::{
    account::Account,
    paths::{GET_LIST_USERS, POST_BATCH_INFO},
    program::run_on,
};
use mpscript::sandbox::Options;

/// Runs a script and gives what it printed with its calls of `user/get` and `batchget`.
#[track_caller]
fn calls_of(account: &Account, script: &str, arguments: &[&str]) -> (String, u64, u64) {
    let before = (account.calls(GET_LIST_USERS), account.calls(POST_BATCH_INFO));
    let out = run_on(account, script, arguments).0.success();
    (out, account.calls(GET_LIST_USERS) - before.0, account.calls(POST_BATCH_INFO) - before.1)
}

fn of(followers: u32) -> Account {
    Account::without_token(Options { followers, ..Options::default() })
}

#[test]
fn listing_makes_one_call_a_page() {
    for (followers, pages) in [(0, 1), (1, 1), (9_999, 1), (10_000, 1), (10_001, 2), (20_000, 2)] {
        let account = of(followers);
        let calls = calls_of(&account, "print(followers().count());", &[]);
        assert_eq!(calls, (format!("{followers}\n"), pages, 0));
    }
}

#[test]
fn details_are_fetched_in_batches_of_100() {
    for (followers, batches) in [(0, 0), (1, 1), (100, 1), (101, 2), (950, 10)] {
        let account = of(followers);
        let (out, _, fetched) = calls_of(&account, "print(followers().to_array().len());", &[]);
        assert_eq!((out, fetched), (format!("{followers}\n"), batches));
    }
}

#[test]
fn take_lists_and_fetches_only_what_it_needs() {
    let account = of(20_000);
    let (out, listed, fetched) = calls_of(&account, "print(followers().take(5).to_array().len());", &[]);
    assert_eq!((out.as_str(), listed, fetched), ("5\n", 1, 1));
    let (out, listed, fetched) =
        calls_of(&account, "print(followers().take(150).tag(\"老客户\").changed);", &[]);
    assert_eq!((out.as_str(), listed, fetched), ("150\n", 1, 2));
    let (out, listed, fetched) = calls_of(&account, "print(followers().take(12).count());", &[]);
    assert_eq!((out.as_str(), listed, fetched), ("12\n", 1, 0));
    let (out, _, fetched) = calls_of(&account, "print(followers().take(0).to_array().len());", &[]);
    assert_eq!((out.as_str(), fetched), ("0\n", 0));
}

#[test]
fn take_after_filter_stops_fetching_when_full() {
    let account = of(20_000);
    let script = "print(followers().filter(|u| u.subscribe == 1).take(3).tag(\"前三\").changed);";
    let (out, listed, fetched) = calls_of(&account, script, &["--in-flight", "2"]);
    assert_eq!((out.as_str(), listed), ("3\n", 1));
    assert!(fetched <= 8, "{fetched} batches for three followers");
}

#[test]
fn loop_left_by_break_stops_fetching() {
    let account = of(20_000);
    let script = "let seen = 0; for u in followers() { seen += 1; if seen == 3 { break; } } print(seen);";
    let (out, listed, fetched) = calls_of(&account, script, &["--in-flight", "2"]);
    assert_eq!((out.as_str(), listed), ("3\n", 1));
    assert!(fetched <= 8, "{fetched} batches for three followers");
}

#[test]
fn loop_visits_everyone_in_list_order() {
    let account = Account::of(950);
    let script =
        "let n = 0; for (u, i) in followers() { if i != n { print(\"?\"); } n += 1; print(u.openid); }";
    let out = run_on(&account, script, &[]).0.success();
    assert_eq!(out.lines().collect::<Vec<_>>(), account.openids());
}

#[test]
fn concurrent_calls_fetch_one_token() {
    let account = of(2_000);
    run_on(&account, "followers().tag(\"所有人\");", &[]).0.success();
    let stats = account.get("/__sandbox/stats").json();
    assert_eq!(
        (&stats["tokens_issued"], &stats["calls"]["POST /cgi-bin/stable_token"]),
        (&1.into(), &1.into())
    );
}
