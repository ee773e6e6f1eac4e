//! Jobs in which something fails: no follower is lost, and each failure is named with its reason.

use crate::fixtures::{
    account::{Account, FOREIGN},
    paths::{ATTACH, BATCH_INFO, LIST_USERS},
    program::{Folder, assert_adds_up, counts, run_on},
};
use mpscript::sandbox::Options;
use serde_json::json;

/// What a run has to say when it ends with exit code 3.
const ONE_FAILED: &str = "done, but 1 openid failed; the report names it\n";

fn tagged(account: &Account, name: &str) -> u64 {
    let tags = account.get("/__sandbox/tags").json();
    let tags = tags.as_array().expect("tags are a list");
    let tag = tags.iter().find(|tag| tag["name"] == name).unwrap_or_else(|| panic!("no {name}: {tags:?}"));
    tag["count"].as_u64().expect("a count is a number")
}

#[test]
fn one_invalid_openid_fails_alone_in_its_batch() {
    let account = Account::of(50);
    let mut openids = account.openids();
    let gone = openids[20].clone();
    account.control("followers", json!({"openid": gone, "subscribe": 0}));
    for (bad, switch, errcodes) in [
        ("bad", "malformed_openid", ["40003", "45171"].as_slice()),
        (FOREIGN, "foreign_openid", &["49003", "40003", "45171"]),
        (&gone, "gone_openid", &["50005", "40003", "45171"]),
    ] {
        for errcode in errcodes {
            account.control("switches", json!({switch: errcode}));
            let name = format!("{} {errcode}", &bad[..3]);
            openids[20] = bad.to_owned();
            let (finished, report) =
                run_on(&account, &format!("openids({}).tag(\"{name}\");", json!(openids)), &[]);
            assert_eq!((finished.code, finished.err.as_str()), (Some(3), ONE_FAILED), "{name}");
            assert_eq!(
                counts(&report, ["listed", "matched", "changed", "failed"]),
                [50, 50, 49, 1],
                "{name}"
            );
            assert_eq!(report["state"], "done_with_failures");
            let failed = &report["failed"][0];
            assert_eq!(
                (&failed["openid"], failed["errcode"].to_string()),
                (&json!(bad), (*errcode).to_owned())
            );
            assert_eq!(tagged(&account, &name), 49);
        }
    }
    // The platform may also ignore a follower who has unsubscribed.
    account.control("switches", json!({"gone_openid": "ok"}));
    let (finished, report) = run_on(&account, &format!("openids({}).tag(\"ok\");", json!(openids)), &[]);
    finished.success();
    assert_eq!(counts(&report, ["changed", "failed"]), [50, 0]);
}

#[test]
fn invalid_openids_with_details_fail_or_count_as_unsubscribed() {
    let account = Account::of(100);
    let mut openids = account.openids();
    account.control("followers", json!({"openid": openids[30], "subscribe": 0}));
    openids.splice(40..42, ["bad".to_owned(), FOREIGN.to_owned()]);
    let script = format!("openids({}).filter(|u| u.subscribe == 1).tag(\"老客户\");", json!(openids));
    let (finished, report) = run_on(&account, &script, &[]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(3), ONE_FAILED));
    // The platform answers alike for openids that unsubscribed and that never followed.
    assert_eq!(
        counts(&report, ["listed", "matched", "unsubscribed", "changed", "failed"]),
        [100, 98, 2, 97, 1]
    );
    assert_eq!(
        (&report["failed"][0]["openid"], &report["failed"][0]["errcode"]),
        (&json!("bad"), &json!(40003))
    );
    assert_eq!(tagged(&account, "老客户"), 97);
}

#[test]
fn follower_with_20_tags_fails_alone() {
    let account = Account::of(50);
    let openids = account.openids();
    for number in 0..20 {
        let tagid = account.tag(&format!("标签{number}"));
        account.tell(ATTACH, json!({"openid_list": [openids[33]], "tagid": tagid}));
    }
    let (finished, report) = run_on(&account, "print(followers().tag(\"老客户\"));", &[]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(3), ONE_FAILED));
    assert_eq!(counts(&report, ["matched", "changed", "failed"]), [50, 49, 1]);
    let line = format!("  failed {}: 45059 already has 20 tags\n", openids[33]);
    assert!(finished.out.ends_with(&line), "{}", finished.out);
    assert_eq!(tagged(&account, "老客户"), 49);
}

#[test]
fn remark_over_the_limit_fails_alone() {
    let account = Account::of(5);
    let openids = account.openids();
    let script = format!(
        "followers().remark(|u| if u.openid == \"{}\" {{ \"一二三四五六七八九十\" }} else {{ \"老\" }});",
        openids[2]
    );
    let (finished, report) = run_on(&account, &script, &[]);
    assert_eq!(finished.code, Some(3));
    assert_eq!(counts(&report, ["changed", "failed"]), [4, 1]);
    assert_eq!(
        (&report["failed"][0]["openid"], &report["failed"][0]["errcode"]),
        (&json!(openids[2]), &json!(40092))
    );
}

#[test]
fn caught_error_has_its_fields() {
    let account = Account::of(5);
    let script = "
        try { tag::delete(999); } catch (e) {
            print([e.errcode, e.errmsg, e.endpoint, e.rid.len(), e.hint]);
            print(e);
        }
        try { members(999).count(); } catch (e) { print(e.errcode); }
        let words = parse_json(`{\"id\": \"x\"}`); try { tag::attach(words.id, [\"o\"]); } catch (e) { print([e.errcode, e.message]); }
        print(\"后面\");";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(
        finished.success(),
        "[45159, \"invalid tag id\", \"tag::delete\", 26, \
         \"list the tags with tag::list(); a tag made a moment ago may need a few seconds\"]\n\
         tag::delete was refused: 45159 invalid tag id (非法的标签)\n45159\n\
         [(), \"tag::attach: `tagid` must be an integer, not a string\"]\n后面\n"
    );
    // An id that no tag has is refused before a list is begun.
    assert_eq!(report["operations"], json!([]));
}

#[test]
fn daily_quota_during_a_job_pauses_it_with_its_counts() {
    for in_flight in ["1", "32"] {
        ends_at_the_quota(in_flight);
    }
}

fn ends_at_the_quota(in_flight: &str) {
    let quotas = [(ATTACH.to_owned(), 3)].into();
    let account = Account::with(Options { followers: 500, quotas, ..Options::default() });
    let (finished, report) =
        run_on(&account, "print(followers().tag(\"老客户\"));", &["--in-flight", in_flight]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(4), ""));
    let rid =
        finished.err.split("rid ").nth(1).and_then(|rest| rest.split(' ').next()).expect("there is a rid");
    let (end, error) = finished.err.split_once("error: tag::attach").expect("there is an error");
    assert!(
        end.starts_with("tag `老客户`: error in ") && end.contains("    changed              150\n"),
        "{end}"
    );
    let expected = format!(
        " was refused: 45009 reach max api daily quota limit (接口调用超过每日限额)
 --> script.rhai:1:19
  |
1 | print(followers().tag(\"老客户\"));
  |                   ^^^
  |
  = note: rid {rid} (the platform's support can look it up)
  = hint: the quota comes back at midnight Beijing time; the console shows it under 设置与开发 > 接口权限
  mpscript resume {run} resumes it once there is quota again, after midnight Beijing time; mpscript undo {run} undoes it
",
        run = report["run"].as_str().expect("it is recorded")
    );
    assert_eq!(error, expected);
    assert_eq!((&report["state"], counts(&report, ["changed", "failed"])), (&json!("paused"), [150, 0]));
    assert_eq!(tagged(&account, "老客户"), 150);
}

#[test]
fn throwing_closure_ends_the_job_with_its_counts() {
    let account = Account::of(900);
    let script = "let seen = 0;
        try { followers().filter(|u| { seen += 1; if seen > 500 { throw \"数据坏了\" } true }).tag(\"老客户\"); }
        catch (e) { print(e); }
        followers().filter(|u| u.tagid_list[99] == 1).tag(\"新\");";
    let (finished, report) = run_on(&account, script, &["--in-flight", "2"]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), "数据坏了\n"));
    assert!(finished.err.starts_with("error: "), "{}", finished.err);
    assert!(finished.err.contains(" --> script.rhai:4:45\n"), "{}", finished.err);
    let [changed, failed] = counts(&report, ["changed", "failed"]);
    assert_eq!((changed, failed), (tagged(&account, "老客户"), 0));
    // Batches are sent while the filter runs: how many depends on how fast they are answered. Some are, since only two are in
    // flight at once; and none has a follower whom the filter did not let pass.
    assert!((50..=500).contains(&changed), "{changed}");
    assert_eq!(
        (&report["operations"][0]["state"], &report["operations"][1]["state"]),
        (&json!("error"), &json!("error"))
    );
}

#[test]
fn daily_quota_of_listing_pauses_a_job_before_changes() {
    for (path, quota) in [(LIST_USERS, 1), (BATCH_INFO, 0)] {
        let quotas = [(path.to_owned(), quota)].into();
        let account = Account::without_token(Options { followers: 10_001, quotas, ..Options::default() });
        let (finished, report) = run_on(&account, "followers().filter(|u| u.sex == 5).tag(\"老客户\");", &[]);
        assert_eq!(finished.code, Some(4), "{}", finished.err);
        assert!(finished.err.contains("45009"), "{}", finished.err);
        assert_eq!((&report["state"], counts(&report, ["changed", "failed"])), (&json!("paused"), [0, 0]));
    }
}

#[test]
fn transient_faults_lose_no_follower() {
    let account = Account::of(1_200);
    // At most four faults of one path, so that no call runs out of its five tries.
    for fault in [
        json!({"path": LIST_USERS, "errcode": -1, "times": 1}),
        json!({"path": LIST_USERS, "drop": "after", "times": 1}),
        json!({"path": BATCH_INFO, "errcode": -1, "times": 2}),
        json!({"path": BATCH_INFO, "status": 502, "times": 1}),
        json!({"path": BATCH_INFO, "drop": "before", "times": 1}),
        json!({"path": ATTACH, "errcode": -1, "times": 1}),
        json!({"path": ATTACH, "status": 502, "times": 1}),
        json!({"path": ATTACH, "drop": "before", "times": 1}),
        json!({"path": ATTACH, "drop": "after", "times": 1}),
    ] {
        account.control("faults", fault);
    }
    let (finished, report) = run_on(&account, "followers().tag(\"老客户\");", &[]);
    finished.success();
    assert_eq!(
        counts(&report, ["listed", "matched", "unsubscribed", "changed", "failed"]),
        [1_200, 1_199, 1, 1_199, 0]
    );
    assert_eq!(tagged(&account, "老客户"), 1_199);
}

#[test]
fn partial_failure_fails_only_the_named_openids() {
    let account = Account::of(120);
    let openid = account.openids().remove(60);
    account.control("faults", json!({"path": ATTACH, "errcode": 45171, "openid": openid}));
    let (finished, report) = run_on(&account, "followers().tag(\"老客户\");", &[]);
    assert_eq!(finished.code, Some(3));
    assert_eq!(counts(&report, ["changed", "failed"]), [119, 1]);
    assert_eq!(
        (&report["failed"][0]["openid"], &report["failed"][0]["errcode"]),
        (&json!(openid), &json!(45171))
    );
}

#[test]
fn tag_created_without_an_answer_is_found_again() {
    let account = Account::of(30);
    account.control("faults", json!({"path": "/cgi-bin/tags/create", "drop": "after", "times": 1}));
    let (finished, report) = run_on(&account, "followers().tag(\"老客户\");", &[]);
    finished.success();
    assert_eq!(counts(&report, ["changed"]), [30]);
    assert_eq!(account.get("/__sandbox/tags").json().as_array().map(Vec::len), Some(2));
}

#[test]
fn token_revoked_during_a_job_is_renewed_once() {
    let latency = std::time::Duration::from_millis(10);
    let account = Account::without_token(Options { followers: 3_000, latency, ..Options::default() });
    let folder = Folder::with("followers().tag(\"老客户\");").account();
    let url = format!("http://{}", account.address());
    let running = folder.start(&[
        "run",
        "script.rhai",
        "--base-url",
        &url,
        "--in-flight",
        "4",
        "--report",
        "report.json",
    ]);
    let stats = || account.get("/__sandbox/stats").json();
    while stats()["calls"][format!("POST {BATCH_INFO}")].as_u64().unwrap_or_default() < 5 {
        std::thread::yield_now();
    }
    account.control("tokens/revoke", json!({}));
    running.finish().success();
    assert_eq!(counts(&folder.json("report.json"), ["changed", "unsubscribed", "failed"]), [2_997, 3, 0]);
    assert_eq!((tagged(&account, "老客户"), &stats()["tokens_issued"]), (2_997, &json!(2)));
}

#[test]
fn change_limit_stops_the_run() {
    let account = Account::of(300);
    let script = "followers().take(100).tag(\"甲\"); followers().tag(\"乙\");";
    let (finished, report) = run_on(&account, script, &["--max-changes", "130"]);
    assert_eq!(finished.code, Some(1));
    let error = "error: the run may make 130 changes, and no more (--max-changes)\n --> script.rhai:1:";
    assert!(finished.err.contains(error), "{}", finished.err);
    assert_eq!((&report["changed"], &report["state"]), (&json!(130), &json!("error")));
    assert_adds_up(&report);
    let refused =
        Folder::with(script).run(&["run", "script.rhai", "--sandbox", "--max-errors", "5"]).failure(2);
    assert!(refused.contains("write it as 1% or 0.5%"), "{refused}");
}

#[test]
fn error_rate_over_the_limit_stops_the_job() {
    let account = Account::of(4_000);
    let mut openids = account.openids();
    // One openid of twenty is invalid.
    for openid in openids.iter_mut().step_by(20) {
        *openid = format!("{}x", &openid[..27]);
    }
    let script = format!("openids({}).tag(\"展台\");", json!(openids));
    let (finished, report) = run_on(&account, &script, &["--max-errors", "2%", "--in-flight", "2"]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.err.contains(" followers failed, which is more than 2% (--max-errors)\n"),
        "{}",
        finished.err
    );
    assert!(report["changed"].as_u64().unwrap() < 3_000, "{report}");
    assert_adds_up(&report);
    let (finished, _) = run_on(&account, &script, &["--max-errors", "10%"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
}

#[test]
fn new_tag_is_retried_until_the_platform_knows_it() {
    let account = Account::of(60);
    account.control("faults", json!({"path": ATTACH, "errcode": 45159, "times": 3}));
    let (finished, report) = run_on(&account, "followers().tag(\"新\");", &["--in-flight", "1"]);
    finished.success();
    assert_eq!(report["changed"], 60);
    // A tag that is not new is unknown for good.
    account.control("faults", json!({"path": ATTACH, "errcode": 45159, "times": 1}));
    let (finished, report) =
        run_on(&account, "followers().take(1).untag(\"新\"); followers().tag(\"新\");", &[]);
    assert_eq!((finished.code, report["calls"][format!("POST {ATTACH}")].as_u64()), (Some(1), Some(1)));
}

#[test]
fn refused_changes_do_not_count_towards_the_limit() {
    let account = Account::of(200);
    // Fifty are refused. Then three of a hundred are invalid.
    account.tag("乙");
    account.control("faults", json!({"path": ATTACH, "errcode": 45159, "times": 1}));
    let mut openids = account.openids();
    for openid in &mut openids[10..13] {
        *openid = format!("{}x", &openid[..27]);
    }
    let script = format!(
        "try {{ followers().take(50).tag(\"乙\"); }} catch (e) {{ print(e.errcode); }}
         openids({}).tag(\"甲\");",
        json!(openids)
    );
    let (finished, report) = run_on(&account, &script, &["--max-changes", "100"]);
    assert_eq!(finished.code, Some(1), "{}", finished.err);
    assert_eq!((finished.out.as_str(), &report["changed"]), ("45159\n", &json!(100)));
    assert_eq!(tagged(&account, "甲"), 100);
}

#[test]
fn changes_in_doubt_count_towards_the_limit() {
    let account = Account::of(200);
    account.control("faults", json!({"path": ATTACH, "drop": "after", "times": 5}));
    let script = "try { followers().take(50).tag(\"甲\"); } catch (e) { }
         followers().take(60).tag(\"甲\");";
    let (finished, report) = run_on(&account, script, &["--max-changes", "50"]);
    assert_eq!(finished.code, Some(1), "{}", finished.err);
    assert!(finished.err.contains("may make 50 changes"), "{}", finished.err);
    // The answer was lost after the fifty were tagged.
    assert_eq!((&report["changed"], tagged(&account, "甲")), (&json!(0), 50));
}

#[test]
fn error_rate_covers_the_last_batches() {
    let account = Account::of(1_200);
    let mut openids = account.openids();
    for openid in &mut openids[1_150..] {
        *openid = format!("{}x", &openid[..27]);
    }
    for sample in ["", ".sample(2000)"] {
        let script = format!("openids({}){sample}.tag(\"甲\"); print(\"went on\");", json!(openids));
        let (finished, _) = run_on(&account, &script, &["--max-errors", "1%"]);
        assert_eq!((finished.code, finished.out.as_str()), (Some(1), ""), "{}", finished.err);
    }
}

#[test]
fn script_limits_apply_unless_overridden() {
    let account = Account::of(300);
    let script = "const automation = #{ on: [], limits: #{ changes: 120, errors: \"1%\" } };\nfn run() { followers().tag(\"老客户\"); }";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.err.contains("the run may make 120 changes"), "{}", finished.err);
    assert_eq!(counts(&report, ["changed"]), [120]);
    let (finished, _) = run_on(&account, script, &["--max-changes", "1000"]);
    finished.success();
    for (limits, says) in [
        ("#{changes: -1}", "`changes` is no whole number from 0"),
        ("#{errors: 1}", "`errors` is no share like \"1%\""),
        ("#{chnages: 1}", "`limits` has no `chnages`"),
        ("5", "`limits` is no map"),
    ] {
        let folder =
            Folder::with(&format!("const automation = #{{ on: [], limits: {limits} }}; fn run() {{ }}"));
        let message = folder.run(&["run", "script.rhai", "--sandbox"]).failure(1);
        assert!(message.starts_with(&format!("error: {says}\n")), "{message}");
    }
}
