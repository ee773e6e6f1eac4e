//! The way back where it is in doubt what was done: answers that were lost, calls that were done in part, runs of other
//! accounts, undoing and going on at once.

use crate::{
    fixtures::account::Account,
    journal::undo::{Place, account, world},
};
use serde_json::json;

const ATTACH: &str = "/cgi-bin/tags/members/batchtagging";

impl Place<'_> {
    /// The run's processes die at this point from now on; at none where it is empty.
    fn dying_at(self, point: &str) -> Self {
        Place { folder: self.folder.env("MPSCRIPT_FAIL_POINT", point), ..self }
    }
}

fn refuse(account: &Account, path: &str, errcode: i64) {
    account.control("faults", json!({"path": path, "errcode": errcode, "times": 50}));
}

#[test]
fn what_may_have_been_done_stays_so_when_the_next_try_is_refused() {
    let job = "followers().take(40).tag(\"会员\");";
    let call = "let t = tag::list().filter(|t| t.name == \"空\")[0]; \
                tag::attach(t, user::list().data.openid.extract(0, 5));";
    for (script, point, code) in [(job, "batch-call:1", 4), (call, "call-made:1", 4)] {
        let account = account();
        let before = world(&account);
        let place = Place::new(&account).dying_at(point);
        assert_eq!(place.call(&["run", "-e", script]).code, None);
        let place = place.dying_at("");
        refuse(&account, ATTACH, 45009);
        let run = place.newest();
        let resumed = place.call(&["resume", &run]);
        assert_eq!(resumed.code, Some(code), "{}", resumed.err);
        account.control("faults/clear", json!({}));
        assert_ne!(world(&account), before, "{script}");
        place.undo(&run);
        assert_eq!(world(&account), before, "{script}");
        // Without a kill: the answer is lost, and the next try of the same call is refused.
        account.control("faults", json!({"path": ATTACH, "drop": "after", "times": 1}));
        account.control("faults", json!({"path": ATTACH, "errcode": 45009, "every": 2}));
        let run = place.run(script, 4);
        account.control("faults/clear", json!({}));
        assert_ne!(world(&account), before, "{script}");
        place.undo(&run);
        assert_eq!(world(&account), before, "{script}");
    }
}

#[test]
fn a_call_that_was_done_in_part_is_taken_back() {
    let account = account();
    let place = Place::new(&account);
    let before = world(&account);
    let openids = account.openids();
    let new = |count: usize| {
        format!(
            "let t = tag::list().filter(|t| t.name == \"空\")[0]; \
             tag::attach(t, followers().take({count}).to_array().map(|u| u.openid));"
        )
    };
    // Two calls, of which the second is refused.
    account.control("faults", json!({"path": ATTACH, "errcode": 45059, "openid": openids[70]}));
    let run = place.run(&new(100), 1);
    account.control("faults/clear", json!({}));
    assert_ne!(world(&account), before);
    place.undo(&run);
    assert_eq!(world(&account), before);
}

#[test]
fn a_run_is_taken_back_on_its_own_account_only() {
    let (account, other) = (account(), account());
    let place = Place::new(&account);
    let run = place.run("followers().take(5).tag(\"会员\");", 0);
    let elsewhere = Place::new(&other);
    elsewhere.run("followers().take(5).tag(\"会员\");", 0);
    let before = world(&other);
    let url = format!("http://{}", other.address());
    let refused = place.folder.run(&["undo", &run, "--yes", "--base-url", &url]).failure(2);
    assert!(refused.contains(" is of the account "), "{refused}");
    assert_eq!(world(&other), before);
    place.undo(&run);
}

#[test]
fn what_was_so_at_the_try_that_was_made_counts() {
    let account = account();
    let place = Place::new(&account);
    let openid = &account.openids()[0];
    let path = "/cgi-bin/user/info/updateremark";
    refuse(&account, path, 45009);
    let run = place.run(&format!("user::remark({}, \"新\");", json!(openid)), 4);
    account.control("faults/clear", json!({}));
    account.tell(path, json!({"openid": openid, "remark": "他人"}));
    let before = world(&account);
    assert_eq!(place.call(&["resume", &run]).code, Some(0));
    assert_ne!(world(&account), before);
    place.undo(&run);
    assert_eq!(world(&account), before);
}

#[test]
fn a_tag_that_was_there_before_stays() {
    for point in ["call-intent:1", "call-made:1"] {
        let account = account();
        let before = world(&account);
        let place = Place::new(&account).dying_at(point);
        assert_eq!(place.call(&["run", "-e", "tag::create(\"空\")"]).code, None);
        let place = place.dying_at("");
        let run = place.newest();
        assert_eq!(place.call(&["undo", &run, "--yes"]).code, Some(0));
        assert_eq!(world(&account), before, "{point}");
        let resumed = place.call(&["resume", &run]);
        assert!(resumed.err.contains("45157"), "{}", resumed.err);
        assert_eq!(world(&account), before, "{point}");
    }
}

#[test]
fn a_limit_that_was_reached_gives_nothing_back() {
    let account = account();
    let place = Place::new(&account);
    let script = "let t = tag::list().filter(|t| t.name == \"空\")[0]; let all = followers().to_array().map(|u| u.openid); \
                  let at = 0; for size in [4, 3, 4, 5, 4] { \
                      try { tag::attach(t, all.extract(at, size)); } catch { } at += size; } \
                  print(members(\"空\").count());";
    let limited = place.call(&["run", "-e", script, "--max-changes", "5"]);
    assert_eq!((limited.code, limited.out.as_str()), (Some(0), "4\n"), "{}", limited.err);
}

#[test]
fn an_undo_that_has_done_nothing_is_none() {
    let account = account();
    let place = Place::new(&account);
    let before = world(&account);
    let stopped = place.call(&["run", "-e", "followers().tag(\"会员\");", "--max-changes", "50"]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.err);
    let run = place.newest();
    let untag = "/cgi-bin/tags/members/batchuntagging";
    refuse(&account, untag, 45009);
    assert_eq!(place.call(&["undo", &run, "--yes"]).code, Some(4));
    account.control("faults/clear", json!({}));
    let resumed = place.call(&["resume", &run, "--max-changes", "100"]);
    assert!(resumed.err.contains("may make 100 changes"), "{}", resumed.err);
    place.undo(&run);
    assert_eq!(world(&account), before);
    // What is done after the undo is another run's.
    place.run("followers().take(7).tag(\"会员\");", 0);
    let after = world(&account);
    let again = place.call(&["undo", &run, "--yes"]).failure(2);
    assert!(again.contains(" already"), "{again}");
    assert_eq!(world(&account), after);
}

#[test]
fn names_that_go_to_and_fro_end_as_they_began() {
    let account = account();
    let place = Place::new(&account);
    let before = world(&account);
    let script = "let t = tag::list().filter(|t| t.name == \"空\")[0]; \
                  followers().take(1).each(|u| { for name in [\"乙\", \"空\", \"乙\"] { tag::update(t, name); } });";
    let run = place.run(script, 0);
    assert_ne!(world(&account), before);
    place.undo(&run);
    assert_eq!(world(&account), before);
}
