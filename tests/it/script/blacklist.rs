//! The blacklist from a script: its functions, its audience, and the terminal operations that write it.

use crate::fixtures::{
    account::Account,
    program::{Folder, assert_adds_up, run_on},
};

const BATCH: &str = "POST /cgi-bin/tags/members/batchblacklist";

#[test]
fn audience_is_blocked_in_batches_of_20_and_unblocked() {
    let account = Account::of(100);
    let (finished, report) = run_on(
        &account,
        "followers().take(45).block(); print(blacklisted().count()); print(followers().count()); \
         print(blacklisted().take(5).unblock().changed); print(blacklist::list().total);",
        &[],
    );
    assert_eq!(finished.success(), "45\n55\n5\n40\n");
    assert_eq!(report["calls"][BATCH], 3);
    assert_adds_up(&report);
}

#[test]
fn list_over_20_openids_is_split_into_calls() {
    let account = Account::of(100);
    let script = "let all = user::list().data.openid; blacklist::add(all); print(blacklist::list().count); \
                  blacklist::remove(all); print(blacklist::list().count);";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(finished.success(), "100\n0\n");
    assert_eq!(report["calls"][BATCH], 5);
}

#[test]
fn one_invalid_openid_does_not_fail_the_others() {
    let account = Account::of(30);
    let script = "let all = user::list().data.openid; all.push(\"bad\"); openids(all).block();";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(finished.code, Some(3));
    assert_eq!((&report["changed"], report["failed"][0]["errcode"].as_i64()), (&30.into(), Some(40003)));
    assert_adds_up(&report);
}

#[test]
fn blocked_followers_are_not_blocked_again() {
    let account = Account::of(2_500);
    account.control("switches", serde_json::json!({"blacklisted_in_user_get": "yes"}));
    let (finished, report) = run_on(
        &account,
        "followers().take(1200).block(); let r = followers().block(); print(`${r.changed} ${r.already}`); \
         blacklisted().take(2300).unblock(); let r = followers().unblock(); print(`${r.changed} ${r.already}`); \
         print(blacklist::list().total);",
        &[],
    );
    // Two have left, and are refused.
    assert_eq!((finished.code, finished.out.as_str()), (Some(3), "1299 1199\n198 2302\n0\n"));
    assert_eq!(report["calls"]["POST /cgi-bin/user/info/batchget"], serde_json::Value::Null);
    assert_adds_up(&report);
}

#[test]
fn temporary_data_of_a_job_is_removed() {
    let folder = Folder::with("followers().take(30).block(); print(followers().count());");
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let folder = folder.env("TMPDIR", scratch.to_str().unwrap());
    assert_eq!(
        folder.run(&["run", "script.rhai", "--sandbox", "--sandbox-followers", "100"]).success(),
        "70\n"
    );
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
    let folder = folder.env("TMPDIR", "script.rhai");
    let message = folder.run(&["run", "script.rhai", "--sandbox", "--sandbox-followers", "100"]).failure(1);
    assert!(
        message
            .starts_with("error: temporary data of the job can't be stored: the store script.rhai/mpscript-"),
        "{message}"
    );
}
