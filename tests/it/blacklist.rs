//! The blacklist from a script: its functions, its audience, and the ends that write it.

use crate::{
    program::{assert_adds_up, run_on},
    support::Account,
};

const BATCH: &str = "POST /cgi-bin/tags/members/batchblacklist";

#[test]
fn an_audience_is_blocked_twenty_a_call_and_released_again() {
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
fn a_list_of_any_length_is_cut_into_calls_of_twenty() {
    let account = Account::of(100);
    let script = "let all = user::list().data.openid; blacklist::add(all); print(blacklist::list().count); \
                  blacklist::remove(all); print(blacklist::list().count);";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(finished.success(), "100\n0\n");
    assert_eq!(report["calls"][BATCH], 5);
}

#[test]
fn one_bad_openid_does_not_keep_the_others_off_the_blacklist() {
    let account = Account::of(30);
    let script = "let all = user::list().data.openid; all.push(\"bad\"); openids(all).block();";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(finished.code, Some(3));
    assert_eq!((&report["changed"], report["failed"][0]["errcode"].as_i64()), (&30.into(), Some(40003)));
    assert_adds_up(&report);
}
