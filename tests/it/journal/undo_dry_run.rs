//! The dry run of an undo: it meets the rules that the undo itself would meet, and says the same of them.

use crate::fixtures::{
    account::{Account, ok},
    runs::{UndoFixture, account_state, account_with_history},
};
use serde_json::json;

/// What an undo ends with: the exit code, and what it says is not undone.
type Ending = (Option<i32>, Vec<String>);

fn ending(fixture: &UndoFixture<'_>, arguments: &[&str]) -> Ending {
    let finished = fixture.call(arguments);
    let warnings = finished.err.lines().filter(|line| line.starts_with("warning: not undone"));
    let warnings = warnings.map(|line| line.replace(" was refused: ", " would be refused: "));
    (finished.code, warnings.collect())
}

/// Undoes a run dry, then live: both end alike, and the dry one changes nothing.
#[track_caller]
fn ending_both_ways(fixture: &UndoFixture<'_>, run: &str) -> Ending {
    let before = account_state(fixture.account);
    let dry = ending(fixture, &["undo", run, "--dry-run"]);
    assert_eq!(account_state(fixture.account), before);
    assert_eq!(ending(fixture, &["undo", run, "--yes"]), dry);
    dry
}

#[track_caller]
fn assert_not_undone(ending: &Ending, says: &str) {
    let (code, warnings) = ending;
    assert_eq!((*code, warnings.len()), (Some(3), 1), "{warnings:?}");
    assert!(warnings[0].contains(says), "{warnings:?}");
}

/// Renames the tag of this name.
fn rename(from: &str, to: &str) -> String {
    format!("tag::update(tag::list().filter(|t| t.name == \"{from}\")[0], \"{to}\");")
}

#[test]
fn undo_of_a_rename_to_a_name_taken_meanwhile_is_refused_dry_as_live() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let run = fixture.run(&rename("空", "满"), 0);
    account.tag("空");
    assert_not_undone(&ending_both_ways(&fixture, &run), "step 1: tag::update would be refused: 45157 ");
}

#[test]
fn undo_of_a_rename_whose_name_the_undo_frees_first_succeeds_dry_as_live() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let run = fixture.run(&format!("{} tag::create(\"空\");", rename("空", "满")), 0);
    assert_eq!(ending_both_ways(&fixture, &run), (Some(0), Vec::new()));
}

#[test]
fn undo_of_a_rename_of_a_tag_deleted_meanwhile_does_nothing_dry_as_live() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let run = fixture.run(&rename("空", "满"), 0);
    let tags = account.ask("/cgi-bin/tags/get", "");
    let tag = tags["tags"].as_array().into_iter().flatten().find(|tag| tag["name"] == "满");
    let id = tag.expect("it is there")["id"].clone();
    assert_eq!(account.tell("/cgi-bin/tags/delete", json!({"tag": {"id": id}})), ok());
    assert_eq!(ending_both_ways(&fixture, &run), (Some(0), Vec::new()));
}

#[test]
fn restored_name_that_breaks_a_rule_has_the_same_errcode_dry_and_live() {
    let account = Account::of(3);
    let id = account.tag("现名");
    account.tag("北京");
    let fixture = UndoFixture::new(&account);
    for (id, from, to, errcode) in [
        (id, "北京", "现名", 45157),
        (id, "星标组", "现名", 45157),
        (id, " ", "现名", 45157),
        (id, "一二三四五六七八九十一", "现名", 45158),
        (2, "新名", "星标组", 45058),
        (id, "旧名", "别名", 0),
        (4711, "旧名", "现名", 0),
    ] {
        let call = format!("restore_tag_name({id}, {from:?}, {to:?})");
        let script = format!("try {{ {call}; print(0); }} catch (e) {{ print(e.errcode); }}");
        for arguments in [&["run", "-e", &script, "--dry-run"][..], &["run", "-e", &script]] {
            let finished = fixture.call(arguments);
            assert_eq!(finished.out, format!("{errcode}\n"), "{call} with {arguments:?}: {}", finished.err);
        }
    }
}

#[test]
fn undo_that_would_create_one_tag_too_many_is_refused_dry_as_live() {
    let account = Account::of(3);
    let fixture = UndoFixture::new(&account);
    let undo = fixture.undo(&fixture.run("tag::create(\"会员\");", 0));
    for number in 0..100 {
        account.tag(&format!("门店{number}"));
    }
    assert_not_undone(&ending_both_ways(&fixture, &undo), "step 1: tag::create would be refused: 45056 ");
}

#[test]
fn undo_that_would_give_a_follower_one_tag_too_many_fails_for_them_dry_as_live() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let run = fixture.run("members(\"老客户\").untag(\"老客户\");", 0);
    let openid = account.openids()[7].clone();
    account.fill_tags(&openid, "门店");
    let failed = |arguments: &[&str]| {
        let finished = fixture.call(&[arguments, &["--report", "report.json"]].concat());
        assert_eq!(finished.code, Some(3), "{}", finished.err);
        let mut failed = fixture.folder.json("report.json")["failed"].clone();
        failed.as_array_mut().into_iter().flatten().for_each(|one| {
            one.as_object_mut().map(|fields| fields.remove("rid"));
        });
        failed
    };
    let dry = failed(&["undo", &run, "--dry-run"]);
    assert_eq!((&dry[0]["openid"], &dry[0]["errcode"]), (&json!(openid), &json!(45059)), "{dry}");
    assert_eq!(failed(&["undo", &run, "--yes"]), dry);
}

#[test]
fn undo_keeps_a_tag_that_others_have_dry_as_live() {
    let account = account_with_history();
    let fixture = UndoFixture::new(&account);
    let run = fixture.run("followers().take(50).tag(\"会员\");", 0);
    let tags = account.ask("/cgi-bin/tags/get", "");
    let tag = tags["tags"].as_array().into_iter().flatten().find(|tag| tag["name"] == "会员");
    let id = tag.expect("it is there")["id"].clone();
    let attach = json!({"tagid": id, "openid_list": [account.openids()[200]]});
    assert_eq!(account.tell("/cgi-bin/tags/members/batchtagging", attach), ok());
    let dry = fixture.call(&["undo", &run, "--dry-run"]);
    assert_eq!(dry.out, "the tag `会员` would stay: there are followers who have it\n", "{}", dry.err);
    let live = fixture.call(&["undo", &run, "--yes"]);
    assert!(live.out.starts_with("the tag `会员` stays: there are followers who have it\n"), "{}", live.out);
}

#[test]
fn dry_undo_says_that_a_tag_which_it_empties_would_be_deleted() {
    let account = Account::of(20);
    let fixture = UndoFixture::new(&account);
    let run = fixture.run("followers().take(10).tag(\"甲\"); followers().take(5).untag(\"甲\");", 0);
    let dry = fixture.call(&["undo", &run, "--dry-run"]);
    assert_eq!(dry.out, "the tag `甲` would be deleted unless a follower has it by then\n", "{}", dry.err);
}

#[test]
fn undo_that_gives_a_full_follower_their_former_tag_succeeds_dry_as_live() {
    let account = Account::of(3);
    let openid = account.openids()[0].clone();
    account.fill_tags(&openid, "旧");
    let fixture = UndoFixture::new(&account);
    let openids = json!([openid]);
    let script = format!("openids({openids}).untag(\"旧\"); openids({openids}).tag(\"新\");");
    let run = fixture.run(&script, 0);
    assert_eq!(ending_both_ways(&fixture, &run), (Some(0), Vec::new()));
}
