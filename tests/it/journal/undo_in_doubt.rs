//! Undo where it is in doubt what was done: lost answers, partly applied calls, runs of other accounts, undo and
//! resume at the same time.

use crate::fixtures::{
    account::Account,
    paths::ATTACH,
    program::Folder,
    runs::{UndoFixture, account_state, account_with_history, on_store},
};
use mpscript::bulk::{UndoStep, plan_undo};
use serde_json::json;

impl UndoFixture<'_> {
    /// With a store that tests read.
    fn with_store(self) -> Self {
        UndoFixture { folder: self.folder.env("MPSCRIPT_STORE", "store.sqlite3"), ..self }
    }

    /// From now on the run's process is killed at this fail point; at none if it is empty.
    fn dying_at(self, point: &str) -> Self {
        UndoFixture { folder: self.folder.env("MPSCRIPT_FAIL_POINT", point), ..self }
    }
}

/// What undoes a run, with its id left out.
fn plan(folder: &Folder, run: &str) -> Vec<UndoStep> {
    on_store(folder, async |store| plan_undo(store, run).await.expect("it can be planned").steps)
}

/// Asks for a tag that is not there.
const NEW_TAG: &str = "followers().take(40).tag(\"新\");";

#[test]
fn creation_in_doubt_of_a_resumed_job_is_planned_as_in_an_undisturbed_run() {
    let undisturbed = {
        let account = account_with_history();
        let fixture = UndoFixture::new(&account).with_store();
        let run = fixture.run(NEW_TAG, 0);
        plan(&fixture.folder, &run)
    };
    for point in ["call-intent:1", "call-made:1"] {
        let account = account_with_history();
        let fixture = UndoFixture::new(&account).with_store().dying_at(point);
        assert_eq!(fixture.call(&["run", "-e", NEW_TAG]).code, None, "{point}");
        let fixture = fixture.dying_at("");
        let run = fixture.newest();
        assert_eq!(fixture.call(&["resume", &run]).code, Some(0), "{point}");
        assert_eq!(account.calls("POST /cgi-bin/tags/create"), 3, "{point}");
        assert_eq!(plan(&fixture.folder, &run), undisturbed, "{point}");
    }
}

#[test]
fn undo_keeps_a_follower_whom_others_tagged_while_its_creation_was_in_doubt() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account).dying_at("call-made:1");
    assert_eq!(fixture.call(&["run", "-e", NEW_TAG]).code, None);
    let fixture = fixture.dying_at("");
    let tags = account.ask("/cgi-bin/tags/get", "");
    let tags = tags["tags"].as_array().expect("tags are a list");
    let id = tags.iter().find(|tag| tag["name"] == "新").expect("it was created")["id"].clone();
    account.tell(ATTACH, json!({"tagid": id, "openid_list": [account.openids()[3]]}));
    let before = account_state(&account);
    let run = fixture.newest();
    assert_eq!(fixture.call(&["resume", &run]).code, Some(0));
    assert_ne!(account_state(&account), before);
    fixture.undo(&run);
    assert_eq!(account_state(&account), before);
}

fn refuse(account: &Account, path: &str, errcode: i64) {
    account.control("faults", json!({"path": path, "errcode": errcode, "times": 50}));
}

#[test]
fn in_doubt_call_stays_undoable_after_a_refused_retry() {
    let job = "followers().take(40).tag(\"会员\");";
    let call = "let t = tag::list().filter(|t| t.name == \"空\")[0]; \
                tag::attach(t, user::list().data.openid.extract(0, 5));";
    for (script, point, code) in [(job, "batch-call:1", 4), (call, "call-made:1", 4)] {
        let account = account_with_history();
        let before = account_state(&account);
        let fixture = UndoFixture::new(&account).dying_at(point);
        assert_eq!(fixture.call(&["run", "-e", script]).code, None);
        let fixture = fixture.dying_at("");
        refuse(&account, ATTACH, 45009);
        let run = fixture.newest();
        let resumed = fixture.call(&["resume", &run]);
        assert_eq!(resumed.code, Some(code), "{}", resumed.err);
        account.control("faults/clear", json!({}));
        assert_ne!(account_state(&account), before, "{script}");
        fixture.undo(&run);
        assert_eq!(account_state(&account), before, "{script}");
        // Without a kill: the answer is lost, and the next try of the same call is refused.
        account.control("faults", json!({"path": ATTACH, "drop": "after", "times": 1}));
        account.control("faults", json!({"path": ATTACH, "errcode": 45009, "every": 2}));
        let run = fixture.run(script, 4);
        account.control("faults/clear", json!({}));
        assert_ne!(account_state(&account), before, "{script}");
        fixture.undo(&run);
        assert_eq!(account_state(&account), before, "{script}");
    }
}

#[test]
fn undo_covers_a_partly_applied_call() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let before = account_state(&account);
    let openids = account.openids();
    let new = |count: usize| {
        format!(
            "let t = tag::list().filter(|t| t.name == \"空\")[0]; \
             tag::attach(t, followers().take({count}).to_array().map(|u| u.openid));"
        )
    };
    // Two calls, of which the second is refused.
    account.control("faults", json!({"path": ATTACH, "errcode": 45059, "openid": openids[70]}));
    let run = fixture.run(&new(100), 1);
    account.control("faults/clear", json!({}));
    assert_ne!(account_state(&account), before);
    fixture.undo(&run);
    assert_eq!(account_state(&account), before);
}

#[test]
fn undo_on_another_account_is_refused() {
    let (account, other) = (account_with_history(), account_with_history());
    let fixture = UndoFixture::new(&account);
    let run = fixture.run("followers().take(5).tag(\"会员\");", 0);
    let elsewhere = UndoFixture::new(&other);
    elsewhere.run("followers().take(5).tag(\"会员\");", 0);
    let before = account_state(&other);
    let url = format!("http://{}", other.address());
    let refused = fixture.folder.run(&["undo", &run, "--yes", "--base-url", &url]).failure(2);
    assert!(refused.contains(" is of the account "), "{refused}");
    assert_eq!(account_state(&other), before);
    fixture.undo(&run);
}

#[test]
fn undo_restores_the_state_before_the_successful_attempt() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let openid = &account.openids()[0];
    let path = "/cgi-bin/user/info/updateremark";
    refuse(&account, path, 45009);
    let run = fixture.run(&format!("user::remark({}, \"新\");", json!(openid)), 4);
    account.control("faults/clear", json!({}));
    account.tell(path, json!({"openid": openid, "remark": "他人"}));
    let before = account_state(&account);
    assert_eq!(fixture.call(&["resume", &run]).code, Some(0));
    assert_ne!(account_state(&account), before);
    fixture.undo(&run);
    assert_eq!(account_state(&account), before);
}

#[test]
fn undo_keeps_a_tag_that_existed_before() {
    for point in ["call-intent:1", "call-made:1"] {
        let account = account_with_history();
        let before = account_state(&account);
        let fixture = UndoFixture::new(&account).dying_at(point);
        assert_eq!(fixture.call(&["run", "-e", "tag::create(\"空\")"]).code, None);
        let fixture = fixture.dying_at("");
        let run = fixture.newest();
        assert_eq!(fixture.call(&["undo", &run, "--yes"]).code, Some(0));
        assert_eq!(account_state(&account), before, "{point}");
        let resumed = fixture.call(&["resume", &run]);
        assert!(resumed.err.contains("45157"), "{}", resumed.err);
        assert_eq!(account_state(&account), before, "{point}");
    }
}

#[test]
fn change_limit_stays_reached_after_a_refusal() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let script = "let t = tag::list().filter(|t| t.name == \"空\")[0]; let all = followers().to_array().map(|u| u.openid); \
                  let at = 0; for size in [4, 3, 4, 5, 4] { \
                      try { tag::attach(t, all.extract(at, size)); } catch { } at += size; } \
                  print(members(\"空\").count());";
    let limited = fixture.call(&["run", "-e", script, "--max-changes", "5"]);
    assert_eq!((limited.code, limited.out.as_str()), (Some(0), "4\n"), "{}", limited.err);
}

#[test]
fn undo_without_effect_does_not_mark_the_run_undone() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let before = account_state(&account);
    let stopped = fixture.call(&["run", "-e", "followers().tag(\"会员\");", "--max-changes", "50"]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.err);
    let run = fixture.newest();
    let untag = "/cgi-bin/tags/members/batchuntagging";
    refuse(&account, untag, 45009);
    assert_eq!(fixture.call(&["undo", &run, "--yes"]).code, Some(4));
    account.control("faults/clear", json!({}));
    let resumed = fixture.call(&["resume", &run, "--max-changes", "100"]);
    assert!(resumed.err.contains("may make 100 changes"), "{}", resumed.err);
    fixture.undo(&run);
    assert_eq!(account_state(&account), before);
    // Changes after the undo belong to another run.
    fixture.run("followers().take(7).tag(\"会员\");", 0);
    let after = account_state(&account);
    let again = fixture.call(&["undo", &run, "--yes"]).failure(2);
    assert!(again.contains(" already"), "{again}");
    assert_eq!(account_state(&account), after);
}

#[test]
fn undo_of_repeated_renames_restores_the_first_name() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let before = account_state(&account);
    let script = "let t = tag::list().filter(|t| t.name == \"空\")[0]; \
                  followers().take(1).each(|u| { for name in [\"乙\", \"空\", \"乙\"] { tag::update(t, name); } });";
    let run = fixture.run(script, 0);
    assert_ne!(account_state(&account), before);
    fixture.undo(&run);
    assert_eq!(account_state(&account), before);
}
