//! Undo of a run: the account is as it was before.

use crate::fixtures::{
    account::Account,
    program::Folder,
    runs::{UndoFixture, account_state, account_with_history},
};
use mpscript::sandbox::{Options, Switches};
use serde_json::{Value, json};

#[test]
fn undo_restores_the_account_and_can_itself_be_undone() {
    let scripts = [
        ("tag", "followers().take(90).tag(\"老客户\");"),
        ("tag anew", "followers().take(120).tag(\"新来的\");"),
        ("untag", "members(\"老客户\").take(30).untag(\"老客户\");"),
        ("remark", "followers().take(12).remark(|u| `熟客${u.openid.sub_string(24)}`);"),
        ("block", "followers().take(45).block();"),
        ("unblock", "blacklisted().unblock();"),
        (
            "create and rename",
            "let t = tag::create(\"临时\"); tag::update(t, \"长期\"); tag::update(tag::list().filter(|t| t.name == \"空\")[0], \"不空\");",
        ),
        (
            "two ends",
            "followers().take(70).tag(\"老客户\"); followers().take(20).untag(\"老客户\"); followers().take(10).tag(\"又一个\");",
        ),
        (
            "each with calls",
            "let t = tag::create(\"逐个\"); followers().take(30).each(|u| { tag::attach(t, [u]); user::remark(u, \"逐\"); });",
        ),
        (
            "blocked and unblocked in a loop",
            "followers().take(5).each(|u| { blacklist::add([u.openid]); blacklist::remove([u.openid]); }); \
             followers().take(2).tag(\"空\");",
        ),
        (
            "there and back in a loop",
            "let t = tag::list().filter(|t| t.name == \"空\")[0]; let old = tag::list().filter(|t| t.name == \"老客户\")[0]; \
             followers().take(5).each(|u| { tag::attach(t, [u]); tag::detach(t, [u]); tag::detach(old, [u]); \
             tag::attach(old, [u]); tag::detach(old, [u]); user::remark(u, \"乙\"); user::remark(u, \"丙\"); });",
        ),
        (
            "renamed twice in a loop",
            "let t = tag::list().filter(|t| t.name == \"空\")[0]; \
             followers().take(1).each(|u| { tag::update(t, \"乙\"); tag::update(t, \"丙\"); });",
        ),
        (
            "made and deleted",
            "let t = tag::create(\"一时\"); tag::attach(t, user::list().data.openid); tag::update(t, \"短\"); \
             tag::delete(t); followers().take(3).tag(\"空\");",
        ),
        (
            "calls",
            "let l = user::list().data.openid; tag::attach(tag::list().filter(|t| t.name == \"老客户\")[0], l); blacklist::add([l[0], l[1], l[290]]);",
        ),
    ];
    for (name, script) in scripts {
        let account = account_with_history();
        let fixture = UndoFixture::new(&account);
        let before = account_state(&account);
        let run = fixture.run(script, 0);
        let after = account_state(&account);
        assert_ne!(before, after, "{name}");
        let undone = fixture.undo(&run);
        assert_eq!(account_state(&account), before, "{name}");
        // The undo is a run, and can be undone like one.
        fixture.undo(&undone);
        assert_eq!(account_state(&account), after, "{name}");
    }
}

#[test]
fn undo_of_a_partly_failed_run_restores_the_account() {
    let options = Options { followers: 300, switches: Switches::default(), ..Options::default() };
    let account = Account::with(options);
    let fixture = UndoFixture::new(&account);
    let before = account_state(&account);
    let openids = account.openids();
    account.control(
        "faults",
        json!({"path": "/cgi-bin/tags/members/batchtagging", "errcode": 45059, "openid": openids[7]}),
    );
    let run = fixture.run("followers().take(100).tag(\"老客户\");", 3);
    assert_ne!(account_state(&account), before);
    fixture.undo(&run);
    assert_eq!(account_state(&account), before);
}

#[test]
fn undo_keeps_later_changes_by_others() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let openids = account.openids();
    let run = fixture.run("followers().take(3).remark(|u| \"新\"); followers().take(50).tag(\"会员\");", 0);
    // A person has changed a remark by hand and attached the new tag to another follower.
    account.tell("/cgi-bin/user/info/updateremark", json!({"openid": openids[1], "remark": "手改"}));
    let tags = account.ask("/cgi-bin/tags/get", "");
    let tags = tags["tags"].as_array().expect("tags are a list");
    let id = tags.iter().find(|tag| tag["name"] == "会员").expect("it is there")["id"].clone();
    account.tell("/cgi-bin/tags/members/batchtagging", json!({"tagid": id, "openid_list": [openids[200]]}));
    let undone = fixture.call(&["undo", &run, "--yes"]);
    let expected = format!(
        "the tag `会员` stays: there are followers who have it\n\
         run {run} is undone; its undo is the newest run in mpscript runs\n"
    );
    assert_eq!(undone.out, expected, "{}", undone.err);
    let after = account_state(&account);
    let remark = |at: usize| after["people"][at][2].as_str().unwrap_or_default().to_owned();
    assert_eq!([remark(0), remark(1), remark(2)], ["客户0", "手改", "客户2"]);
    assert_eq!(after["people"][200][1], json!(["会员"]));
}

#[test]
fn undo_lists_irreversible_steps_and_asks_first() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let before = account_state(&account);
    let script = "tag::delete(tag::list().filter(|t| t.name == \"空\")[0]); \
                  api::post(\"/cgi-bin/tags/create\", #{tag: #{name: \"直接\"}}); followers().take(10).tag(\"会员\");";
    let run = fixture.run(script, 0);
    let asked = fixture.call(&["undo", &run]).failure(2);
    assert!(asked.contains("can't be undone: api::post"), "{asked}");
    assert!(asked.contains("can't be undone: the tag `空` "), "{asked}");
    assert!(asked.contains("give --yes, or --dry-run to see what would be undone"), "{asked}");
    let shown = fixture.call(&["undo", &run, "--dry-run"]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let expected = format!("changed_by(\"{run}\", \"3\", \"attach ");
    assert!(shown.err.contains(&expected), "{}", shown.err);
    assert!(shown.err.contains("// step 3: followers().take(10).tag(\"会员\")\n"), "{}", shown.err);
    assert_eq!(shown.out, "the tag `会员` would be deleted unless a follower has it by then\n");
    assert!(shown.err.contains("dry run: nothing was changed"), "{}", shown.err);
    let after = account_state(&account);
    assert_eq!(after["tags"], json!(["会员", "星标组", "直接", "老客户"]));
    fixture.undo(&run);
    // A run is undone once: later changes are not its own.
    let again = fixture.call(&["undo", &run, "--yes"]).failure(2);
    assert!(again.contains(" was already undone by run "), "{again}");
    let after = account_state(&account);
    assert_eq!((&after["people"], &after["tags"]), (&before["people"], &json!(["星标组", "直接", "老客户"])));
    // A run that has changed nothing has nothing to undo.
    let run = fixture.run("print(followers().count())", 0);
    let undone = fixture.call(&["undo", &run]).success();
    assert_eq!(undone, format!("run {run} has changed nothing that can be undone\n"));
}

#[test]
fn undo_of_a_killed_run_resumed_or_not_is_complete() {
    for resume in [true, false] {
        let account = account_with_history();
        let fixture = UndoFixture::new(&account);
        let before = account_state(&account);
        let script = "followers().take(250).tag(\"会员\"); followers().take(5).remark(|u| \"新\");";
        let fixture =
            UndoFixture { folder: fixture.folder.env("MPSCRIPT_FAIL_POINT", "batch-call:3"), ..fixture };
        let killed = fixture.call(&["run", "-e", script, "--in-flight", "2"]);
        assert_eq!(killed.code, None, "{}", killed.err);
        let fixture = UndoFixture { folder: fixture.folder.env("MPSCRIPT_FAIL_POINT", ""), ..fixture };
        let run = fixture.newest();
        if resume {
            let resumed = fixture.call(&["resume", &run]);
            assert_eq!(resumed.code, Some(0), "{}", resumed.err);
        }
        assert_ne!(account_state(&account), before);
        // The undo is killed too, and resumed.
        let fixture =
            UndoFixture { folder: fixture.folder.env("MPSCRIPT_FAIL_POINT", "batch-intent:1"), ..fixture };
        let killed = fixture.call(&["undo", &run, "--yes"]);
        assert_eq!(killed.code, None, "{}", killed.err);
        let fixture = UndoFixture { folder: fixture.folder.env("MPSCRIPT_FAIL_POINT", ""), ..fixture };
        let resumed = fixture.call(&["resume", &fixture.newest()]);
        assert_eq!(resumed.code, Some(0), "{}", resumed.err);
        assert_eq!(account_state(&account), before, "{resume}");
    }
}

#[test]
fn undo_of_a_run_on_its_own_sandbox_is_refused() {
    let folder = Folder::with("followers().take(3).tag(\"会员\");");
    folder.run(&["run", "script.rhai", "--sandbox"]).success();
    let runs = folder.run(&["runs", "--json"]).success();
    let runs: Value = serde_json::from_str(&runs).expect("it is JSON");
    let run = runs[0]["id"].as_str().expect("a run has an id");
    let message = folder.run(&["undo", run, "--yes"]).failure(2);
    let expected = format!("error: run {run} was on a sandbox of its own, whose world has ended with it\n");
    assert!(message.starts_with(&expected), "{message}");
    let folder = folder.file("script.rhai", "followers().take(3).tag(\"会员\"); throw \"坏了\"");
    assert_eq!(folder.run(&["run", "script.rhai", "--sandbox"]).code, Some(1));
    let runs = folder.run(&["runs", "--json"]).success();
    let runs: Value = serde_json::from_str(&runs).expect("it is JSON");
    let message = folder.run(&["resume", runs[0]["id"].as_str().expect("a run has an id")]).failure(2);
    assert!(message.contains("whose world has ended with it"), "{message}");
}

#[test]
fn undo_of_a_refused_run_changes_nothing() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let fault = json!({"path": "/cgi-bin/tags/members/batchtagging", "errcode": 45009, "times": 40});
    account.control("faults", fault);
    let refused = fixture.run("followers().take(100).tag(\"会员\");", 4);
    account.control("faults/clear", json!({}));
    fixture.run("followers().take(100).tag(\"会员\");", 0);
    let after = account_state(&account);
    fixture.undo(&refused);
    assert_eq!(account_state(&account), after);
    // A refused single call has changed nothing either.
    let before = account_state(&account);
    let script = "try { tag::create(\"空\"); } catch { } try { api::post(\"/cgi-bin/tags/delete\", #{tag: #{id: 9}}); } catch { } \
                  try { tag::attach(4711, user::list().data.openid); } catch { }";
    let run = fixture.run(script, 0);
    let undone = fixture.call(&["undo", &run, "--yes"]);
    assert_eq!((undone.code, undone.err.as_str()), (Some(0), ""), "{}", undone.out);
    assert_eq!(account_state(&account), before);
}

#[test]
fn undo_removes_a_tag_created_just_before_a_kill() {
    let account = account_with_history();
    let before = account_state(&account);
    let fixture = UndoFixture::new(&account);
    let fixture = UndoFixture { folder: fixture.folder.env("MPSCRIPT_FAIL_POINT", "call-made:1"), ..fixture };
    assert_eq!(fixture.call(&["run", "-e", "followers().take(5).tag(\"剩\");"]).code, None);
    let fixture = UndoFixture { folder: fixture.folder.env("MPSCRIPT_FAIL_POINT", ""), ..fixture };
    assert_ne!(account_state(&account), before);
    fixture.undo(&fixture.newest());
    assert_eq!(account_state(&account), before);
}

#[test]
fn resume_of_an_undone_run_is_refused() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let stopped = fixture.call(&["run", "-e", "followers().tag(\"会员\").changed", "--max-changes", "120"]);
    assert_eq!(stopped.code, Some(1), "{}", stopped.err);
    let run = fixture.newest();
    let more = fixture.call(&["resume", &run, "--max-changes", "170"]);
    assert!(more.err.contains("the run may make 170 changes"), "{}", more.err);
    let undone = fixture.undo(&run);
    let refused = fixture.call(&["resume", &run]).failure(2);
    assert!(
        refused.starts_with(&format!("error: run {run} was already undone by run {undone}\n")),
        "{refused}"
    );
    let shown = fixture.call(&["show", &run]).success();
    assert!(shown.contains(&format!("  undone by {undone}\n")), "{shown}");
}
