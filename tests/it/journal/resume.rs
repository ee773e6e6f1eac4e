//! Runs that are interrupted at any point, and resumed.

use crate::fixtures::{
    program::Folder,
    runs::{newest_run, newest_run_id, on_each_store, on_store, resume},
    sandbox_process::SandboxProcess,
};
use mpscript::store::Statement;
use serde_json::{Value, json};

const SCRIPT: &str = "print(followers().from_scene(98765).tag(\"展台\").changed);";

#[test]
fn killed_run_resumes_from_its_checkpoint() {
    let points = [
        ("batch-intent", 3, 2),
        ("batch-call", 3, 2),
        ("batch-outcome", 3, 2),
        ("checkpoint", 1, 1),
        ("batch-call", 1, 2),
    ];
    on_each_store(|with_store| {
        for (point, number, pages) in points {
            let sandbox = SandboxProcess::start(&["--followers", "12000", "--scene", "98765=1234"]);
            let folder = with_store(Folder::with(SCRIPT).account())
                .env("MPSCRIPT_FAIL_POINT", &format!("{point}:{number}"));
            let killed = sandbox.run(&folder, &["--in-flight", "4"]);
            assert_eq!((killed.code, killed.out.as_str()), (None, ""), "{point}: {}", killed.err);
            assert_eq!(newest_run(&folder)["state"], json!("interrupted"));
            let before = sandbox.calls("GET /cgi-bin/user/get");
            let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
            assert_eq!(resume(&folder).success(), "1234\n", "{point}");
            assert_eq!(sandbox.tagged("展台"), Some(1234), "{point}");
            let report = folder.json("report.json");
            let counts =
                ["listed", "matched", "changed", "already", "unread"].map(|name| report[name].clone());
            assert_eq!(json!(counts), json!([12000, 1234, 1234, 0, 0]), "{point}: {report}");
            assert_eq!(sandbox.calls("GET /cgi-bin/user/get") - before, pages, "{point}");
            assert_eq!(sandbox.calls("POST /cgi-bin/tags/create"), 1, "{point}");
            let again = resume(&folder).success();
            assert_eq!(again, format!("run {} has ended: done\n", newest_run_id(&folder)));
        }
    });
}

/// A folder whose runs reach a stand-alone sandbox, and are killed at a point.
pub(crate) fn killed_at(sandbox: &SandboxProcess, script: &str, point: &str) -> Folder {
    let folder = Folder::with(script).account().env("MPSCRIPT_FAIL_POINT", point);
    let killed = sandbox.run(&folder, &["--in-flight", "2"]);
    assert_eq!(killed.code, None, "{point}: {} {}", killed.out, killed.err);
    folder.env("MPSCRIPT_FAIL_POINT", "")
}

#[test]
fn killed_loop_resumes_on_its_page_without_repeating_calls() {
    for script in [
        "let t = tag::create(\"逐个\"); let n = 0;
         followers().filter(|u| u.qr_scene == 98765).each(|u| tag::attach(t, [u])); print(\"done\");",
        "let t = tag::create(\"逐个\");
         for u in followers().filter(|u| u.qr_scene == 98765) { tag::attach(t, [u]); } print(\"done\");",
    ] {
        // Two pages, eight on each; the run dies on the second.
        let sandbox = SandboxProcess::start(&["--followers", "20000", "--scene", "98765=16"]);
        for point in ["call-intent:13", "call-made:13", "call-intent:1", "call-made:1"] {
            sandbox.control("reset", &json!({}));
            let folder = killed_at(&sandbox, script, point);
            let made = sandbox.calls("POST /cgi-bin/tags/members/batchtagging");
            let pages = sandbox.calls("GET /cgi-bin/user/get");
            let resumed = resume(&folder);
            assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), "done\n"), "{point}: {}", resumed.err);
            let is_warned = resumed.err.contains("resumes from its checkpoint: variables that it filled");
            assert_eq!(is_warned, point.ends_with(":13"), "{point}: {}", resumed.err);
            assert_eq!(sandbox.tagged("逐个"), Some(16), "{point}");
            assert_eq!(sandbox.calls("POST /cgi-bin/tags/create"), 1, "{point}");
            // The call in doubt is idempotent and is repeated; no other is.
            let calls = sandbox.calls("POST /cgi-bin/tags/members/batchtagging");
            let repeated = u64::from(point == "call-made:13");
            assert_eq!(calls, 16 + repeated, "{point}: after {made}");
            // Of the two pages those from the one that it died on.
            let left = if point.ends_with(":13") { 1 } else { 2 };
            assert_eq!(sandbox.calls("GET /cgi-bin/user/get") - pages, left, "{point}");
        }
    }
}

#[test]
fn completed_steps_replay_their_recorded_results() {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--scene", "98765=300"]);
    let script = "let n = followers().count(); let by = followers().count_by(|u| u.qr_scene);
        let caught = try { tag::delete(4711); 0 } catch (e) { e.errcode };
        followers().from_scene(98765).tag(\"展台\");
        let t = tag::create(\"别的\"); tag::update(t, \"另一个\");
        print([n, by[\"98765\"], caught, t.id]);
        followers().take(200).tag(\"最后\");
        tag::delete(t); print(\"done\");";
    let script = script.replace(
        "let caught = try { tag::delete(4711); 0 } catch (e) { e.errcode };",
        "let caught = 0; try { tag::delete(4711); } catch (e) { caught = e.errcode; }",
    );
    let folder = killed_at(&sandbox, &script, "batch-outcome:8");
    let before = sandbox.stats()["calls"].clone();
    let resumed = resume(&folder);
    let output = resumed.success();
    let id = output.split(", ").nth(3).and_then(|id| id.split(']').next()).unwrap_or_default().to_owned();
    assert_eq!(output, format!("[3000, 300, 45159, {id}]\ndone\n"));
    let after = sandbox.stats()["calls"].clone();
    let more = |call: &str| {
        let count = |calls: &Value| calls[call].as_u64().unwrap_or_default();
        count(&after) - count(&before)
    };
    let [create, update, delete] =
        ["create", "update", "delete"].map(|name| more(&format!("POST /cgi-bin/tags/{name}")));
    assert_eq!([create, update, delete], [0, 0, 1]);
    // At the most: it is listed only if a batch of the page was not recorded before the kill.
    assert!(more("GET /cgi-bin/user/get") <= 1);
    assert_eq!(
        (sandbox.tagged("展台"), sandbox.tagged("最后"), sandbox.tagged("另一个")),
        (Some(300), Some(200), None)
    );
}

#[test]
fn resumed_sample_keeps_the_openids_drawn_first() {
    let sandbox = SandboxProcess::start(&["--followers", "5000"]);
    let script = "print(followers().sample(600).tag(\"抽样\").changed);";
    for point in ["batch-call:4", "checkpoint:1"] {
        sandbox.control("reset", &json!({}));
        let folder = killed_at(&sandbox, script, point);
        assert_eq!(resume(&folder).success(), "600\n", "{point}");
        assert_eq!(sandbox.tagged("抽样"), Some(600), "{point}");
    }
}

#[test]
fn replay_mismatch_parks_the_run() {
    let sandbox = SandboxProcess::start(&["--followers", "500"]);
    let script = "let l = openids_from(\"名单.csv\"); l.tag(\"名单\"); followers().tag(\"全部\");";
    let openids = sandbox.openids();
    let list = |openids: &[String]| format!("openid\n{}\n", openids.join("\n"));
    let folder = Folder::with(script).account().file("名单.csv", list(&openids[..60]));
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "batch-call:3");
    assert_eq!(sandbox.run(&folder, &[]).code, None);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "").file("名单.csv", list(&openids[..61]));
    let resumed = resume(&folder);
    assert_eq!((resumed.code, resumed.out.as_str()), (Some(5), ""), "{}", resumed.err);
    let head = "error: the run differs from what was recorded: step 1 was `openids([60 openids]).tag(\"名单\")`, and \
                is now `openids([61 openids]).tag(\"名单\")`";
    assert!(resumed.err.starts_with(head), "{}", resumed.err);
    assert!(resumed.err.contains("script.rhai:1:35"), "{}", resumed.err);
    assert_eq!(newest_run(&folder)["state"], json!("parked"));
    let folder = folder.file("名单.csv", list(&openids[..60]));
    resume(&folder).success();
    assert_eq!((sandbox.tagged("名单"), sandbox.tagged("全部")), (Some(60), Some(500)));
}

#[test]
fn non_idempotent_call_in_doubt_waits_for_a_decision() {
    let sandbox = SandboxProcess::start(&["--followers", "5"]);
    let script = "let card = card::general_card(#{logo_url: \"http://mmbiz.qpic.cn/x/0\", brand_name: \"微信餐厅\",
        color: \"Color010\", notice: \"出示此券\", description: \"仅限堂食\", quantity: 500, title: \"礼品卡\",
        fixed_term: 365}); print(card::create(card).card_id); print(\"done\");";
    for (point, made) in [("call-intent:1", 0), ("call-made:1", 1)] {
        let folder = killed_at(&sandbox, script, point);
        let parked = resume(&folder);
        assert_eq!((parked.code, parked.out.as_str()), (Some(5), ""), "{}", parked.err);
        assert!(
            parked.err.contains("may have taken effect or not, and must not be done twice"),
            "{}",
            parked.err
        );
        let run = newest_run_id(&folder);
        assert!(parked.err.contains(&format!("mpscript resume {run} --resolve retry")), "{}", parked.err);
        assert_eq!(sandbox.calls("POST /card/create"), made, "nothing is sent before the word");
        let done =
            folder.run(&["resume", &run, "--resolve", "completed", "--answer", "{\"card_id\": \"pABC\"}"]);
        assert_eq!(done.success(), "pABC\ndone\n");
        assert_eq!(sandbox.calls("POST /card/create"), made);
        sandbox.control("reset", &json!({}));
        let folder = killed_at(&sandbox, script, point);
        let again = folder.run(&["resume", &newest_run_id(&folder), "--resolve", "retry"]).success();
        assert!(again.ends_with("\ndone\n"), "{again}");
        assert_eq!(sandbox.calls("POST /card/create"), made + 1);
        sandbox.control("reset", &json!({}));
    }
}

#[test]
fn mismatched_answer_for_a_call_in_doubt_is_refused_and_correctable() {
    let sandbox = SandboxProcess::start(&["--followers", "5"]);
    let script = "let card = card::general_card(#{logo_url: \"http://mmbiz.qpic.cn/x/0\", brand_name: \"微信餐厅\",
        color: \"Color010\", notice: \"出示此券\", description: \"仅限堂食\", quantity: 500, title: \"礼品卡\",
        fixed_term: 365}); try { print(card::create(card).card_id); } catch { print(\"caught\"); }";
    let folder = killed_at(&sandbox, script, "call-made:1");
    let run = newest_run_id(&folder);
    let resume =
        |answer: &str| folder.run(&["resume", &run, "--resolve", "completed", "--answer", answer, "--quiet"]);
    let refused = resume("{\"card\": \"pABC\"}");
    assert_eq!((refused.code, refused.out.as_str()), (Some(5), ""), "{}", refused.err);
    assert!(
        refused.err.contains("the answer that was given does not fit: missing field `card_id`"),
        "{}",
        refused.err
    );
    assert_eq!(resume("{\"card_id\": \"pABC\"}").success(), "pABC\n");
}

#[test]
fn second_run_on_a_locked_tag_is_refused() {
    on_each_store(|with_store| {
        let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "100ms"]);
        let folder = with_store(Folder::with("followers().tag(\"展台\");").account());
        let first = sandbox.start_run(&folder, &["--in-flight", "1"]);
        sandbox.wait_for_calls("POST /cgi-bin/tags/members/batchtagging", 2);
        let run = newest_run_id(&folder);
        let other = folder.file("other.rhai", "followers().take(3).untag(\"展台\");");
        let refused = other.run(&["run", "other.rhai", "--base-url", &sandbox.url()]).failure(1);
        assert!(refused.starts_with(&format!("error: run {run} is writing tag ")), "{refused}");
        assert!(refused.contains(&format!("mpscript stop {run}")), "{refused}");
        other.run(&[
            "run",
            "-e",
            "followers().take(3).tag(\"别的\")",
            "--base-url",
            &sandbox.url(),
            "--quiet",
        ]);
        let stopped = other.run(&["stop", &run]).success();
        assert_eq!(stopped, format!("run {run}: cancelled\n"));
        assert_eq!(first.finish().code, Some(130));
        assert_eq!(other.run(&["stop", &run]).success(), format!("run {run} is not running: cancelled\n"));
        other.run(&["run", "other.rhai", "--base-url", &sandbox.url()]).success();
        assert_eq!(other.run(&["resume", &run, "--quiet"]).code, Some(0));
        assert_eq!(sandbox.tagged("展台").map(|tagged| tagged >= 2990), Some(true));
    });
}

#[test]
fn resume_of_a_running_or_unknown_run_is_refused() {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "20ms"]);
    let folder = Folder::with("import \"lib/x\" as x; x::all();").account();
    let folder = folder.file("lib/x.rhai", "fn all() { followers().tag(\"展台\"); print(\"done\") }");
    let running = sandbox.start_run(&folder, &["--in-flight", "2"]);
    sandbox.wait_for_calls("POST /cgi-bin/tags/members/batchtagging", 2);
    let run = newest_run_id(&folder);
    let message = resume(&folder).failure(2);
    assert!(message.starts_with(&format!("error: run {run} is running in the process ")), "{message}");
    running.signal("KILL");
    drop(running.finish());
    // What it imports is stored with it, as it was.
    let folder = folder.file("lib/x.rhai", "fn all() { broken");
    assert_eq!(folder.run(&["resume", &run[..3], "--quiet"]).success(), "done\n");
    assert_eq!(sandbox.tagged("展台"), Some(2997));
    let message = folder.run(&["resume", "zzzzzz"]).failure(2);
    assert!(message.starts_with("error: there is no run `zzzzzz` in "), "{message}");
    assert!(message.contains("mpscript runs lists them"), "{message}");
    let shown = folder.run(&["show", &run]).success();
    assert!(shown.contains("attempts  2") && shown.contains("tag `展台`: done"), "{shown}");
    assert_eq!(folder.run(&["show", &run, "--source"]).success(), "import \"lib/x\" as x; x::all();");
}

#[test]
fn run_paused_at_daily_quota_resumes_when_quota_resets() {
    let sandbox =
        SandboxProcess::start(&["--followers", "500", "--quota", "/cgi-bin/tags/members/batchtagging=3"]);
    let folder = Folder::with("print(followers().tag(\"展台\").changed);").account();
    let paused = sandbox.run(&folder, &["--in-flight", "1"]);
    assert_eq!(
        (paused.code, newest_run(&folder)["state"].clone()),
        (Some(4), json!("paused")),
        "{}",
        paused.err
    );
    assert_eq!(resume(&folder).code, Some(4), "still");
    sandbox.control("clock", &json!({"advance": "24h"}));
    // 150 a day.
    for _ in 0..2 {
        assert_eq!(resume(&folder).code, Some(4));
        sandbox.control("clock", &json!({"advance": "24h"}));
    }
    assert_eq!(resume(&folder).success(), "500\n");
    assert_eq!(sandbox.tagged("展台"), Some(500));
}

#[test]
fn calls_in_a_filter_replay_with_their_page() {
    let sandbox = SandboxProcess::start(&["--followers", "20000", "--scene", "98765=160"]);
    let script = "let t = tag::create(\"看过\");
        let r = followers().filter(|u| { if u.qr_scene != 98765 { return false; } tag::attach(t, [u]); true })
            .tag(\"展台\");
        print(`${r.matched} ${r.changed}`);";
    for point in ["batch-call:2", "call-made:120", "checkpoint:1"] {
        sandbox.control("reset", &json!({}));
        let folder = killed_at(&sandbox, script, point);
        assert_eq!(resume(&folder).success(), "160 160\n", "{point}");
        assert_eq!((sandbox.tagged("看过"), sandbox.tagged("展台")), (Some(160), Some(160)), "{point}");
    }
}

#[test]
fn terminal_refused_before_the_kill_is_refused_on_replay() {
    let sandbox = SandboxProcess::start(&["--followers", "300"]);
    let script = "try { members(\"贵宾\").count(); } catch (e) { print(\"none\"); }
        followers().take(60).tag(\"贵宾\"); followers().take(200).tag(\"全部\"); print(\"done\");";
    let folder = killed_at(&sandbox, script, "batch-call:4");
    // The tag exists by now, but the first attempt continued without it.
    assert_eq!(resume(&folder).success(), "none\ndone\n");
}

#[test]
fn calls_on_a_resumed_sample_are_not_repeated() {
    let sandbox = SandboxProcess::start(&["--followers", "3000"]);
    let script = "let t = tag::create(\"抽样\");
        followers().sample(30).each(|u| { user::remark(u, \"抽\"); tag::attach(t, [u]); }); print(\"done\");";
    for point in ["call-made:7", "call-intent:20", "call-made:50"] {
        sandbox.control("reset", &json!({}));
        let folder = killed_at(&sandbox, script, point);
        assert_eq!(resume(&folder).success(), "done\n", "{point}");
        assert_eq!(sandbox.tagged("抽样"), Some(30), "{point}");
        let calls = ["updateremark", "batchtagging"].map(|name| {
            sandbox.calls(&format!("POST /cgi-bin/user/info/{name}"))
                + sandbox.calls(&format!("POST /cgi-bin/tags/members/{name}"))
        });
        // The call in doubt is idempotent and is repeated.
        let repeated = u64::from(point.starts_with("call-made"));
        assert_eq!(calls.iter().sum::<u64>(), 60 + repeated, "{point}: {calls:?}");
    }
}

#[test]
fn loop_without_calls_restarts_from_the_first_page() {
    let sandbox = SandboxProcess::start(&["--followers", "25000", "--scene", "98765=1234"]);
    let script = "let ids = []; for u in followers() { if u.qr_scene == 98765 { ids.push(u.openid); } }
        let n = #{n: 0}; followers().each(|u| n.n += 1);
        openids(ids).tag(\"贵宾\"); print(`${ids.len()} ${n.n}`);";
    for point in ["call-intent:1", "batch-call:3"] {
        sandbox.control("reset", &json!({}));
        let folder = killed_at(&sandbox, script, point);
        let output = resume(&folder).success();
        assert!(output.starts_with("1234 24"), "{point}: {output}");
        assert_eq!(sandbox.tagged("贵宾"), Some(1234), "{point}");
    }
}

#[test]
fn suspended_run_stops_when_its_lock_was_taken() {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "60ms"]);
    // It sleeps between two jobs, so that no call is in flight when it is stopped.
    let script =
        "followers().take(100).tag(\"共用\"); print(\"between\"); sleep(4); followers().tag(\"共用\");";
    let folder = Folder::with(script).account().env("MPSCRIPT_STORE", "store.sqlite3");
    let suspended = sandbox.start_run(&folder, &["--in-flight", "1"]);
    suspended.wait_for("between");
    on_store(&folder, async |store| {
        // A statement succeeds once the run is stopped outside a transaction, which would lock the store for others.
        let missed = "UPDATE mpscript_run SET heartbeat_at = heartbeat_at - 60000 WHERE state = 'running'";
        suspended.signal("STOP");
        while store.execute(Statement::new(missed)).await != Ok(1) {
            suspended.signal("CONT");
            suspended.signal("STOP");
        }
    });
    let other = folder.file("other.rhai", "followers().untag(\"共用\");");
    other.run(&["run", "other.rhai", "--base-url", &sandbox.url(), "--quiet"]).success();
    // Its sleep is over by then, so that it goes on to the second job before its next heartbeat.
    std::thread::sleep(std::time::Duration::from_secs(4));
    suspended.signal("CONT");
    let finished = suspended.finish();
    assert_eq!(finished.code, Some(5), "{}", finished.err);
    assert!(
        finished.err.contains("its process missed its heartbeats, and another one has resumed the run"),
        "{}",
        finished.err
    );
    assert_eq!(sandbox.tagged("共用"), Some(0), "nothing is written after its lock was taken");
}

#[test]
fn caught_job_failure_is_in_the_resumed_report() {
    let sandbox = SandboxProcess::start(&["--followers", "300"]);
    let script = "try { followers().tag(7777); } catch (e) { print(e.errcode); } followers().tag(\"会员\");";
    let folder = killed_at(&sandbox, script, "batch-call:4");
    assert_eq!(resume(&folder).success(), "45159\n");
    let ends = &folder.json("report.json")["operations"];
    let rows: Vec<Value> = (0..2).map(|at| json!([ends[at]["target"], ends[at]["state"]])).collect();
    assert_eq!(json!(rows), json!([["7777", "error"], ["会员", "done"]]));
}

#[test]
fn loop_left_by_break_is_skipped_on_replay() {
    let sandbox = SandboxProcess::start(&["--followers", "20000", "--scene", "98765=16"]);
    let script = "let n = 0; for u in followers().filter(|u| u.qr_scene == 98765) { if n >= 12 { break; } \
                  user::remark(u, \"到\"); n += 1; } tag::create(\"末\"); print(\"done\");";
    let folder = killed_at(&sandbox, script, "call-made:13");
    let resumed = resume(&folder);
    assert_eq!((resumed.code, resumed.out.as_str()), (Some(0), "done\n"), "{}", resumed.err);
    assert!(resumed.err.contains("was left early"), "{}", resumed.err);
    assert_eq!(sandbox.calls("POST /cgi-bin/user/info/updateremark"), 12);
}

#[test]
fn sample_without_calls_is_collected_again_on_replay() {
    let sandbox = SandboxProcess::start(&["--followers", "3000"]);
    let script = "let ids = []; followers().sample(30).each(|u| ids.push(u.openid)); tag::create(\"别\"); \
                  openids(ids).tag(\"抽\"); print(ids.len());";
    let folder = killed_at(&sandbox, script, "checkpoint:1");
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "call-made:1");
    assert_eq!(resume(&folder).code, None);
    let folder = folder.env("MPSCRIPT_FAIL_POINT", "");
    assert_eq!(resume(&folder).success(), "30\n");
    assert_eq!(sandbox.tagged("抽"), Some(30));
}

#[test]
fn long_dry_run_is_listed_as_running() {
    let sandbox = SandboxProcess::start(&["--followers", "200"]);
    let folder = Folder::with("sleep(11); followers().tag(\"会员\");").account();
    let running = sandbox.start_run(&folder, &["--dry-run"]);
    std::thread::sleep(std::time::Duration::from_secs(9));
    let other = folder.file("other.rhai", "followers().count()");
    other.run(&["run", "other.rhai", "--base-url", &sandbox.url(), "--quiet"]).success();
    let runs = other.run(&["runs"]).success();
    assert!(runs.contains("running             script.rhai (dry run)"), "{runs}");
    assert_eq!(running.finish().code, Some(0));
    let runs = other.run(&["runs"]).success();
    assert!(runs.contains("done                script.rhai (dry run)"), "{runs}");
}
