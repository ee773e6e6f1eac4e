//! Runs that were interrupted after they had changed what they look at, so that replay sees another account.

use crate::{
    fixtures::{
        paths::POST_ATTACH,
        program::Folder,
        runs::{newest_run, newest_run_id, on_each_store, on_store, resume},
        sandbox_process::SandboxProcess,
    },
    journal::resume::killed_at,
};
use mpscript::store::Statement;
use serde_json::json;

fn remarks(sandbox: &SandboxProcess, folder: &Folder, remark: &str) -> String {
    let script = format!("print(followers().filter(|u| u.remark == \"{remark}\").count())");
    folder.run(&["run", "-e", &script, "--base-url", &sandbox.url()]).success()
}

#[test]
fn in_flight_job_not_reached_again_parks_the_run() {
    let sandbox = SandboxProcess::start(&["--followers", "3000"]);
    let script = "if !tag::list().some(|t| t.name == \"第一批\") { followers().take(500).tag(\"第一批\"); }\nprint(\"ok\");";
    let folder = killed_at(&sandbox, script, "batch-call:3");
    let output = resume(&folder);
    assert_eq!((output.code, output.out.as_str()), (Some(5), "ok\n"), "{}", output.err);
    assert!(output.err.contains("is in flight, and the script ended without reaching it"), "{}", output.err);
    assert_eq!(newest_run(&folder)["state"], json!("parked"));
}

#[test]
fn loop_that_changes_its_own_filter_resumes() {
    let loops = [
        "for u in followers().filter(|u| u.remark == \"\") { user::remark(u, \"新\"); }",
        "followers().filter(|u| u.remark == \"\").each(|u| user::remark(u, \"新\"));",
    ];
    for script in loops {
        for point in ["call-intent:90", "call-made:90"] {
            let sandbox = SandboxProcess::start(&["--followers", "200"]);
            let folder = killed_at(&sandbox, script, point);
            let named = remarks(&sandbox, &folder, "新");
            assert_eq!(named, if point == "call-made:90" { "90\n" } else { "89\n" }, "{point}");
            let output = folder.run(&["resume", &id_of_script(&folder), "--quiet"]);
            assert_eq!(output.code, Some(0), "{point}: {}", output.err);
            assert_eq!(remarks(&sandbox, &folder, "").trim(), "0", "{point}");
            assert_eq!(remarks(&sandbox, &folder, "新").trim(), "200", "{point}");
            // The call in doubt is not repeated: the account shows that it took effect.
            assert_eq!(sandbox.calls("POST /cgi-bin/user/info/updateremark"), 200, "{point}");
        }
    }
}

/// The run of the script itself: the newer ones only read the account.
fn id_of_script(folder: &Folder) -> String {
    let runs = folder.run(&["runs", "--json"]).success();
    let runs: serde_json::Value = serde_json::from_str(&runs).expect("it is JSON");
    let own = runs.as_array().into_iter().flatten().find(|run| run["script"] == "script.rhai");
    own.expect("it is recorded")["id"].as_str().expect("a run has an id").to_owned()
}

#[test]
fn non_idempotent_call_with_other_arguments_parks_the_run() {
    let sandbox = SandboxProcess::start(&["--followers", "20"]);
    let script = "followers().take(5).each(|u| api::post(\"/cgi-bin/tags/create\", #{tag: #{name: `t${tag::list().len()}`}}));";
    let folder = killed_at(&sandbox, script, "call-made:2");
    let output = resume(&folder);
    assert_eq!(output.code, Some(5), "{}", output.err);
    assert!(output.err.contains("the run differs from what was recorded"), "{}", output.err);
    assert_eq!(sandbox.calls("POST /cgi-bin/tags/create"), 2);
}

#[test]
fn counts_add_up_when_a_shrinking_list_is_interrupted() {
    let sandbox = SandboxProcess::start(&["--followers", "2000"]);
    let folder = Folder::with("print(members(\"老\").untag(\"老\"));").account();
    let made = folder.run(&["run", "-e", "followers().take(600).tag(\"老\")", "--base-url", &sandbox.url()]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "batch-call:3");
    assert_eq!(sandbox.run(&folder, &["--in-flight", "2"]).code, None);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "checkpoint:1");
    assert_eq!(resume(&folder).code, None);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
    let report = {
        resume(&folder).success();
        folder.json("report.json")
    };
    let counts = ["listed", "matched", "changed", "already", "unread"].map(|name| report[name].clone());
    assert_eq!(json!(counts), json!([600, 600, 600, 0, 0]), "{report}");
}

#[test]
fn inner_loop_whose_outer_loop_was_reopened_is_resumed() {
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "20"]);
        let script = "for u in followers().take(1) { for m in followers().take(4) { user::remark(m, \"客户\"); } } \
                      print(\"完成\");";
        let folder = with_store(Folder::with(script).account()).env("MPSCRIPT_FAIL_POINT", "call-made:2");
        assert_eq!(sandbox.run(&folder, &["--quiet"]).code, None);
        let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
        // As an attempt leaves it that has reopened the outer loop, and died before it came to the inner one.
        let reopened =
            "UPDATE mpscript_step SET seq = (SELECT MAX(seq) + 1 FROM mpscript_step) WHERE step = '1'";
        on_store(&folder, async |store| {
            assert_eq!(store.execute(Statement::new(reopened)).await, Ok(1));
        });
        let output = resume(&folder);
        assert_eq!((output.code, output.out.as_str()), (Some(0), "完成\n"), "{}", output.err);
        assert_eq!(remarks(&sandbox, &folder, "客户").trim(), "4");
    });
}

#[test]
fn interrupted_undo_resumes() {
    let points = ["batch-intent:2", "batch-call:6", "call-intent:1", "call-made:1", "batch-intent:12"];
    for point in points {
        let sandbox = SandboxProcess::start(&["--followers", "1000"]);
        let script = "followers().take(500).tag(\"甲\"); followers().take(77).tag(\"乙\"); \
                      tag::update(tag::list().filter(|t| t.name == \"乙\")[0], \"丙\");";
        let folder = Folder::with(script).account();
        assert_eq!(sandbox.run(&folder, &[]).code, Some(0));
        let run = newest_run_id(&folder);
        let folder = folder.env("MPSCRIPT_FAIL_POINT", point);
        let cut_off = folder.run(&["undo", &run, "--yes", "--quiet", "--base-url", &sandbox.url()]);
        assert_eq!(cut_off.code, None, "{point}: {}", cut_off.err);
        let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
        let output = resume(&folder);
        assert_eq!(output.code, Some(0), "{point}: {}", output.err);
        let tags = ["甲", "乙", "丙"].map(|name| sandbox.tagged(name));
        assert_eq!(tags, [None, None, None], "{point}");
    }
}

/// A run whose undo was killed at its sixth batch, and the undo.
fn killed_undo(sandbox: &SandboxProcess) -> (Folder, String, String) {
    let folder = Folder::with("followers().take(500).tag(\"会员\");").account();
    assert_eq!(sandbox.run(&folder, &[]).code, Some(0));
    let run = newest_run_id(&folder);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "batch-call:6");
    let killed = folder.run(&["undo", &run, "--yes", "--quiet", "--base-url", &sandbox.url()]);
    assert_eq!(killed.code, None, "{}", killed.err);
    let undo = newest_run_id(&folder);
    (folder.env("MPSCRIPT_FAIL_POINT", ""), run, undo)
}

#[test]
fn run_with_an_interrupted_undo_is_undone_in_part() {
    let sandbox = SandboxProcess::start(&["--followers", "1000"]);
    let (folder, run, undo) = killed_undo(&sandbox);
    let expected = format!(
        "error: run {run} is undone in part: run {undo}, its undo, did not finish (interrupted)\n  hint: mpscript \
         resume {undo} completes the undo, mpscript undo {undo} undoes it in turn\n"
    );
    for command in [&["undo", &run, "--yes"][..], &["resume", &run], &["failed", &run, "--retry"]] {
        let refused = folder.run(command).failure(2);
        assert!(refused.starts_with(&expected[..expected.find('\n').unwrap_or(0)]), "{command:?}: {refused}");
    }
    assert_eq!(folder.run(&["undo", &run, "--yes"]).failure(2), expected);
}

#[test]
fn show_of_a_run_with_an_interrupted_undo_says_so() {
    let sandbox = SandboxProcess::start(&["--followers", "1000"]);
    let (folder, run, undo) = killed_undo(&sandbox);
    let shown = folder.run(&["show", &run]).success();
    assert!(shown.contains(&format!("{undo} (interrupted)")), "{shown}");
}

#[test]
fn undo_skips_what_cannot_be_undone_and_does_the_rest() {
    let sandbox = SandboxProcess::start(&["--followers", "300"]);
    let folder = Folder::new().account();
    let run = |script: &str| folder.run(&["run", "-e", script, "--base-url", &sandbox.url()]).success();
    run("followers().take(100).tag(\"老\");");
    run("followers().take(20).block(); members(\"老\").take(50).untag(\"老\");");
    let done = newest_run_id(&folder);
    // Another program deletes the tag.
    run("tag::delete(tag::list().filter(|t| t.name == \"老\")[0])");
    let undone = folder.run(&["undo", &done, "--yes", "--base-url", &sandbox.url()]);
    assert_eq!(undone.code, Some(3), "{}", undone.err);
    assert!(undone.err.contains("warning: not undone: step 2: "), "{}", undone.err);
    assert_eq!(newest_run(&folder)["state"], json!("done_with_failures"));
    assert_eq!(run("print(blacklisted().count())"), "0\n");
}

#[test]
fn caught_quota_error_still_pauses_the_run() {
    let sandbox =
        SandboxProcess::start(&["--followers", "3000", "--quota", "/cgi-bin/tags/members/batchtagging=6"]);
    let script = "for name in [\"一\", \"二\", \"三\"] { try { followers().take(200).tag(name); } catch (e) { print(e.errcode); } }";
    let folder = Folder::with(script).account();
    let output = sandbox.run(&folder, &["--quiet"]);
    assert_eq!(output.code, Some(4), "{}", output.err);
    assert!(output.err.contains("mpscript resume"), "{}", output.err);
    sandbox.control("clock", &json!({"advance": "24h"}));
    let resumed = resume(&folder);
    assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), ""), "{}", resumed.err);
    assert_eq!(["一", "二", "三"].map(|name| sandbox.tagged(name)), [Some(200); 3]);
    assert_eq!(sandbox.calls(POST_ATTACH), 12 + 2, "two were refused");
}

#[test]
fn retry_of_an_undone_run_is_refused() {
    let sandbox = SandboxProcess::start(&["--followers", "100"]);
    let folder = Folder::with("followers().take(60).tag(\"会员\");").account();
    sandbox.control("faults", &json!({"path": "/cgi-bin/tags/members/batchtagging", "errcode": 45059, "openid": sandbox.openids()[7]}));
    assert_eq!(sandbox.run(&folder, &[]).code, Some(3));
    let run = newest_run_id(&folder);
    folder.run(&["undo", &run, "--yes", "--base-url", &sandbox.url()]).success();
    let calls = sandbox.calls(POST_ATTACH);
    let message = folder.run(&["failed", &run, "--retry", "--base-url", &sandbox.url()]).failure(2);
    assert!(message.contains("was already undone by run "), "{message}");
    assert_eq!(sandbox.calls(POST_ATTACH), calls);
}

#[test]
fn zero_change_limit_creates_no_tag() {
    let sandbox = SandboxProcess::start(&["--followers", "100"]);
    let folder = Folder::with("followers().take(3).tag(\"空的\");").account();
    let output = sandbox.run(&folder, &["--max-changes", "0"]);
    assert_eq!(output.code, Some(1), "{}", output.err);
    assert_eq!(sandbox.calls("POST /cgi-bin/tags/create"), 0);
}

#[test]
fn listing_resumes_when_the_cursor_openid_has_unsubscribed() {
    for switch in ["departed_cursor=empty_page", "departed_cursor=40003"] {
        let sandbox = SandboxProcess::start(&["--followers", "21000", "--switch", switch]);
        let folder = killed_at(&sandbox, "print(followers().tag(\"会员\").listed);", "checkpoint:1");
        let page =
            folder.run(&["run", "-e", "user::list().next_openid", "--base-url", &sandbox.url()]).success();
        sandbox.control("followers", &json!({"openid": page.trim(), "subscribe": 0}));
        let run = id_of_script(&folder);
        let output = folder.run(&["resume", &run, "--quiet"]);
        // The last follower of the page is in the batch that the page does not fill, and has left since.
        assert_eq!(output.code, Some(3), "{switch}: {}", output.err);
        assert!(output.err.contains("1 openid failed"), "{switch}: {}", output.err);
        assert_eq!(sandbox.tagged("会员"), Some(20_978), "{switch}: {}", output.out);
    }
}

#[test]
fn listing_of_short_pages_resumes_at_its_page() {
    let sandbox = SandboxProcess::start(&["--followers", "2500", "--switch", "list_page=1000"]);
    let folder = killed_at(&sandbox, "print(followers().tag(\"会员\").missing);", "checkpoint:1");
    assert_eq!(resume(&folder).success(), "0\n");
    assert_eq!(sandbox.tagged("会员"), Some(2_498));
}

#[test]
fn undo_keeps_a_tag_on_followers_tagged_by_others() {
    let sandbox = SandboxProcess::start(&["--followers", "100"]);
    let script = "print(followers().take(50).filter(|u| { \
                  while !tag::list().some(|t| t.name == \"同名\") { sleep(0.05); } true }).tag(\"同名\"));";
    let folder = Folder::with(script).account();
    let running = sandbox.start_run(&folder, &["--report", "report.json"]);
    sandbox.wait_for_calls("GET /cgi-bin/tags/get", 3);
    let by_others = "let t = tag::create(\"先\"); tag::attach(t, user::list().data.openid.extract(0, 5)); tag::update(t, \"同名\");";
    folder.run(&["run", "-e", by_others, "--base-url", &sandbox.url()]).success();
    assert_eq!(running.finish().code, Some(0));
    let report = folder.json("report.json");
    assert_eq!(json!([report["changed"], report["already"]]), json!([45, 5]), "{report}");
    folder.run(&["undo", &id_of_script(&folder), "--yes", "--base-url", &sandbox.url()]).success();
    assert_eq!(sandbox.tagged("同名"), Some(5));
}

/// Kills a run at a fail point, runs another script `meanwhile`, and resumes the run.
fn resume_after(
    script: &str,
    point: &str,
    meanwhile: &str,
) -> (SandboxProcess, Folder, crate::fixtures::program::Finished) {
    let sandbox = SandboxProcess::start(&["--followers", "20"]);
    let folder = killed_at(&sandbox, script, point);
    if !meanwhile.is_empty() {
        folder.run(&["run", "-e", meanwhile, "--base-url", &sandbox.url()]).success();
    }
    let output = folder.run(&["resume", &id_of_script(&folder), "--quiet"]);
    (sandbox, folder, output)
}

#[test]
fn interrupted_loop_is_not_mistaken_for_a_break() {
    let script = "followers().each(|u| if u.remark == \"先\" { user::remark(u, \"好\") });
                  followers().each(|u| user::remark(u, \"新\")); print(\"完成\");";
    let (sandbox, folder, output) =
        resume_after(script, "call-made:5", "user::remark(user::list().data.openid[19], \"先\")");
    assert_eq!((output.code, output.out.as_str()), (Some(0), "完成\n"), "{}", output.err);
    assert_eq!(remarks(&sandbox, &folder, "新").trim(), "20");
}

#[test]
fn half_done_iteration_not_reached_again_parks_the_run() {
    let script = "for u in followers().take(6) { if u.remark != \"半\" {
                  user::remark(u, \"半\"); openids([u.openid]).tag(\"一半\"); } }";
    let (_, _, output) = resume_after(script, "batch-intent:3", "");
    assert_eq!(output.code, Some(5), "{}", output.err);
    assert!(output.err.contains("the script ended without reaching it"), "{}", output.err);
    let script = "if followers().take(1).to_array()[0].remark != \"全\" { followers().each(|u| user::remark(u, \"全\")); }";
    let (_, _, output) = resume_after(script, "call-made:5", "");
    assert_eq!(output.code, Some(5), "{}", output.err);
}

/// Kills a run at a fail point, and resumes it: it parks, since replay does not reach a step that was in flight.
#[track_caller]
fn assert_parks(script: &str, point: &str, followers: &str) {
    let sandbox = SandboxProcess::start(&["--followers", followers]);
    let folder = killed_at(&sandbox, script, point);
    let output = resume(&folder);
    assert_eq!(output.code, Some(5), "{}{}", output.out, output.err);
    assert!(output.err.contains("the script ended without reaching it"), "{}", output.err);
}

/// The body of a loop of which an interrupted follower is not begun again.
const HALF_DONE: &str =
    "if u.remark != \"半\" { user::remark(u, \"半\"); openids([u.openid]).tag(\"一半\"); }";

#[test]
fn in_flight_step_on_a_page_left_by_break_parks_the_run() {
    let script = format!(
        "let n = 0; for u in followers() {{ {HALF_DONE} n += 1; if n == 3 {{ break; }} }} print(\"完成\");"
    );
    assert_parks(&script, "batch-intent:3", "20");
}

#[test]
fn in_flight_step_on_a_page_left_by_break_parks_the_run_before_later_writes() {
    let sandbox = SandboxProcess::start(&["--followers", "20"]);
    let script = format!("for u in followers() {{ {HALF_DONE} break; }} followers().tag(\"之后\");");
    let folder = killed_at(&sandbox, &script, "batch-intent:1");
    let output = resume(&folder);
    assert_eq!(output.code, Some(5), "{}", output.err);
    assert_eq!(sandbox.tagged("之后"), None);
}

#[test]
fn call_that_took_effect_on_a_page_left_by_break_does_not_park_the_run() {
    let script = "let n = 0; for u in followers().filter(|u| u.remark == \"\") { user::remark(u, \"新\"); n += 1; \
                  if n == 3 { break; } } print(\"完成\");";
    let (_, _, output) = resume_after(script, "call-made:3", "");
    assert_eq!((output.code, output.out.as_str()), (Some(0), "完成\n"), "{}", output.err);
}

#[test]
fn in_flight_step_on_a_page_that_take_leaves_early_parks_the_run() {
    // The page has three batches of details, and `take` is full within the first.
    let script = format!("for u in followers().filter(|u| true).take(6) {{ {HALF_DONE} }}");
    assert_parks(&script, "batch-intent:3", "300");
}

#[test]
fn in_flight_step_on_a_resumed_sample_parks_the_run() {
    let script = format!("for u in followers().sample(6) {{ {HALF_DONE} }}");
    assert_parks(&script, "batch-intent:3", "20");
}

#[test]
fn in_flight_step_on_a_page_without_other_steps_parks_the_run() {
    let script = format!("for u in followers().take(1) {{ {HALF_DONE} }}");
    assert_parks(&script, "batch-intent:1", "20");
}

#[test]
fn in_flight_call_of_an_unreached_inner_loop_parks_the_run() {
    let script = "for u in followers().take(3) { if u.remark != \"半\" { user::remark(u, \"半\"); \
                  for v in openids([u.openid]) { user::remark(v, \"全\"); } } }";
    assert_parks(script, "call-intent:4", "20");
}

#[test]
fn in_flight_step_of_a_loop_that_a_caught_error_ends_parks_the_run() {
    let script = format!(
        "try {{ followers().take(6).each(|u| {{ if u.remark == \"半\" {{ throw \"不行\"; }} {HALF_DONE} }}); }} \
         catch (e) {{ }} print(\"完成\");"
    );
    assert_parks(&script, "batch-intent:3", "20");
}

#[test]
fn nested_audiences_are_matched_by_their_captures() {
    let script = "for u in followers().filter(|u| u.remark == \"\") { let id = u.openid;
                  followers().filter(|v| v.openid == id).remark(|v| \"内\"); }";
    let (sandbox, folder, output) = resume_after(script, "batch-call:5", "");
    // The fifth follower has the remark, so the loop skips the step in doubt: it is matched to no other follower's.
    assert_eq!(output.code, Some(5), "{}", output.err);
    assert!(output.err.contains("step 1/1/5, "), "{}", output.err);
    assert_eq!(remarks(&sandbox, &folder, "").trim(), "0");
}

#[test]
fn step_ended_by_a_caught_throw_does_not_block_replay() {
    let script = "let n = 0; try { followers().take(8).remark(|u| { n += 1; if n > 3 { throw \"不行\" } \"甲\" }) } catch (e) { }
                  followers().take(10).tag(\"乙\"); print(\"完成\");";
    let (sandbox, _, output) = resume_after(script, "batch-intent:1", "");
    assert_eq!((output.code, output.out.as_str()), (Some(0), "完成\n"), "{}", output.err);
    assert_eq!(sandbox.tagged("乙"), Some(10));
}

#[test]
fn completed_calls_do_not_block_replay() {
    let script = "for u in followers().take(8).filter(|u| u.remark != \"次\") {
                  api::post(\"/cgi-bin/tags/create\", #{tag: #{name: u.openid.sub_string(20)}}); user::remark(u, \"次\"); }";
    let (sandbox, folder, output) = resume_after(script, "call-intent:6", "");
    assert_eq!(output.code, Some(0), "{}", output.err);
    assert_eq!(remarks(&sandbox, &folder, "次").trim(), "8");
    assert_eq!(sandbox.calls("POST /cgi-bin/tags/create"), 8);
}

#[test]
fn dry_run_with_undo_functions_changes_no_tag() {
    let sandbox = SandboxProcess::start(&["--followers", "20"]);
    let folder = Folder::new().account();
    let run = |script: &str, more: &[&str]| {
        folder.run(&[&["run", "-e", script, "--base-url", &sandbox.url()], more].concat())
    };
    run("tag::create(\"空的\")", &[]).success();
    let script = "for t in tag::list() { if t.name == \"空的\" { delete_tag_if_empty(t.id, t.name); restore_tag_name(t.id, \"新\", t.name); } }";
    let dry = run(script, &["--dry-run"]);
    assert!(dry.code == Some(0) && dry.out.contains("would be deleted"), "{} {}", dry.out, dry.err);
    assert_eq!(sandbox.tagged("空的"), Some(0));
}

#[test]
fn undo_failed_by_fault_can_be_resumed() {
    let sandbox = SandboxProcess::start(&["--followers", "100"]);
    let folder = Folder::with("followers().take(60).tag(\"会员\");").account();
    assert_eq!(sandbox.run(&folder, &[]).code, Some(0));
    let run = newest_run_id(&folder);
    sandbox.control("faults", &json!({"path": "/cgi-bin/tags/members/batchuntagging", "errcode": 48001}));
    let failed = folder.run(&["undo", &run, "--yes", "--base-url", &sandbox.url()]);
    assert_eq!(failed.code, Some(2), "{}", failed.err);
    sandbox.control("faults/clear", &json!({}));
    let resumed = folder.run(&["undo", &run, "--yes", "--base-url", &sandbox.url()]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    assert_eq!(sandbox.tagged("会员"), None);
}

#[test]
fn tag_that_is_gone_when_a_run_is_resumed_is_named() {
    let own = "let t = tag::create(\"旧\"); openids([user::list().data.openid[0]]).tag(t);
               followers().with_tag(t.id).tag(\"新\"); tag::delete(t); followers().each(|u| user::remark(u, \"客\"));";
    let (_, _, output) = resume_after(own, "call-made:5", "");
    assert_eq!(output.code, Some(1), "{}", output.err);
    assert!(
        output.err.contains("error: the tag 100, `旧`, was deleted by this run itself, in step "),
        "{}",
        output.err
    );
    assert!(output.err.contains("mpscript undo "), "{}", output.err);
    let others = "let t = tag::create(\"旧\"); let id = t.id;
               followers().each(|u| { user::remark(u, \"客\"); }); print(followers().with_tag(id).count());";
    let (_, _, output) = resume_after(others, "call-made:5", "tag::delete(tag_id(\"旧\"))");
    assert_eq!(output.code, Some(1), "{}", output.err);
    assert!(output.err.contains("error: the tag 100, `旧`, is not there any more"), "{}", output.err);
    assert!(output.err.contains("run the script again with a tag that exists"), "{}", output.err);
}
