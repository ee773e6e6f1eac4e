//! Jobs that succeed: what each terminal operation of an audience does, and what its report says.

use crate::fixtures::{
    account::Account,
    paths::{GET_LIST_TAGS, LIST_TAGS, POST_ATTACH},
    program::{Folder, counts, run_on},
};
use mpscript::sandbox::Options;
use serde_json::{Value, json};

/// The account's own tags with their followers.
fn tags(account: &Account) -> Vec<(String, u64)> {
    let tags = account.get("/__sandbox/tags").json();
    let tags = tags.as_array().expect("tags are a list").iter().filter(|tag| tag["id"] != 2);
    tags.map(|tag| {
        (tag["name"].as_str().unwrap_or_default().to_owned(), tag["count"].as_u64().unwrap_or(u64::MAX))
    })
    .collect()
}

/// A list of openids as a script writes it.
fn list(openids: &[String]) -> String {
    json!(openids).to_string()
}

/// What a script that goes well prints.
#[track_caller]
fn printed(account: &Account, script: &str) -> String {
    run_on(account, script, &[]).0.success()
}

#[test]
fn tag_of_51_openids_makes_two_calls() {
    let account = Account::of(60);
    let openids = list(&account.openids()[..51]);
    let (finished, report) = run_on(&account, &format!("openids({openids}).tag(\"老客户\");"), &[]);
    finished.success();
    assert_eq!(counts(&report, ["listed", "fetched", "matched", "changed", "failed"]), [51, 0, 51, 51, 0]);
    assert_eq!((account.calls(POST_ATTACH), tags(&account)), (2, vec![("老客户".to_owned(), 51)]));
}

#[test]
fn untag_changes_only_followers_with_the_tag() {
    let account = Account::of(300);
    let script = "followers().take(120).tag(\"展台\"); print(followers().untag(\"展台\").changed);";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(finished.success(), "120\n");
    let untag = &report["operations"][1];
    assert_eq!(
        counts(untag, ["listed", "matched", "changed", "already", "skipped"]),
        [300, 300, 120, 180, 0]
    );
    assert_eq!(account.calls("POST /cgi-bin/tags/members/batchuntagging"), 3);
    assert_eq!(tags(&account), [("展台".to_owned(), 0)]);
}

#[test]
fn remark_sets_keeps_or_skips_each_follower() {
    let account = Account::of(40);
    let openids = account.openids();
    let body = json!({"openid": openids[0], "remark": "张三"});
    account.tell("/cgi-bin/user/info/updateremark", body);
    let script = format!(
        "let special = {};
         followers().remark(|u| if u.openid in special {{ \"张三\" }} else if u.qr_scene == 98765 {{ `展台 ${{u.sex}}` }} else {{ () }});",
        list(&openids[..3])
    );
    let (finished, report) = run_on(&account, &script, &[]);
    finished.success();
    let remarks: Vec<Value> = openids
        .iter()
        .map(|openid| account.ask("/cgi-bin/user/info", &format!("&openid={openid}"))["remark"].clone())
        .collect();
    let given = remarks.iter().filter(|remark| **remark != "").count() as u64;
    assert_eq!(&remarks[..3], [json!("张三"), json!("张三"), json!("张三")]);
    assert!(remarks[3..].contains(&json!("展台 0")), "{remarks:?}");
    assert_eq!(counts(&report, ["matched", "changed", "already", "skipped"]), [40, given - 1, 1, 40 - given]);
}

#[test]
fn each_count_and_to_array_visit_everyone() {
    let account = Account::of(250);
    let script = "
        let seen = 0;
        let openids = [];
        followers().each(|u| { seen += 1; openids.push(u.openid); });
        let people = followers().to_array();
        print(`${seen} ${followers().count()} ${people.len()}`);
        print(openids == people.map(|u| u.openid));
        print(followers().filter(|u| u.qr_scene == 98765).count() == people.filter(|u| u.qr_scene == 98765).len());
        print(openids(openids).count());";
    assert_eq!(printed(&account, script), "250 250 250\ntrue\ntrue\n250\n");
}

#[test]
fn members_accepts_a_tag_s_name_id_or_value() {
    let account = Account::of(100);
    let script = "
        followers().take(7).tag(\"老客户\");
        let tag = tag::list().find(|tag| tag.name == \"老客户\");
        print(`${members(\"老客户\").count()} ${members(tag.id).count()} ${members(tag).count()} ${tag.count}`);
        print(members(tag).to_array().map(|u| u.openid) == followers().take(7).to_array().map(|u| u.openid));
        print(members(tag).filter(|u| tag.id in u.tagid_list).tag(tag).already);
        members(tag).untag(tag);
        print(members(tag).count());";
    assert_eq!(printed(&account, script), "7 7 7 7\ntrue\n7\n0\n");
    assert_eq!(account.calls(POST_ATTACH), 1);
}

#[test]
fn members_of_an_unknown_tag_fails_with_a_suggestion() {
    let account = Account::of(10);
    account.tag("老客户");
    let message = run_on(&account, "members(\"老客尸\").count();", &[]).0.failure(1);
    assert_eq!(
        message,
        "\
error: there is no tag `老客尸`
 --> script.rhai:1:16
  |
1 | members(\"老客尸\").count();
  |                   ^^^^^
  |
  = hint: did you mean `老客户`?
"
    );
}

#[test]
fn duplicate_openids_are_changed_once() {
    let account = Account::of(10);
    let openids = account.openids();
    let script =
        format!("let list = {}; openids(list + list + [list[0]]).tag(\"老客户\");", list(&openids[..5]));
    let (finished, report) = run_on(&account, &script, &[]);
    finished.success();
    assert_eq!(counts(&report, ["listed", "matched", "changed"]), [5, 5, 5]);
}

#[test]
fn long_lists_are_split_into_calls() {
    let account = Account::of(260);
    let tagid = account.tag("老客户");
    let openids = account.openids();
    printed(&account, &format!("tag::attach({tagid}, {});", list(&openids[..120])));
    assert_eq!((account.calls(POST_ATTACH), tags(&account)), (3, vec![("老客户".to_owned(), 120)]));
    printed(&account, &format!("tag::detach({tagid}, {});", list(&openids[..101])));
    assert_eq!(account.calls("POST /cgi-bin/tags/members/batchuntagging"), 3);
    let script =
        format!("let list = {}; print(user::batch(list).map(|u| u.openid) == list);", list(&openids[..250]));
    assert_eq!(printed(&account, &script), "true\n");
    // Each of the two writes has read first who is in the desired state already: 2 calls for 120 openids, 2 for 101.
    assert_eq!(account.calls("POST /cgi-bin/user/info/batchget"), 3 + 4);
}

#[test]
fn empty_audience_creates_no_tag() {
    let account = Account::of(50);
    let script = "followers().filter(|u| u.qr_scene == 424242).tag(\"没人\"); openids([]).tag(\"没人\");
                  followers().take(0).tag(\"没人\");";
    let (finished, _) = run_on(&account, script, &[]);
    assert_eq!(
        (finished.code, finished.err.as_str()),
        (
            Some(0),
            "warning: tag `没人`: no follower matched, of 50 listed\n\
             warning: tag `没人`: no follower was listed\nwarning: tag `没人`: no follower was listed\n"
        )
    );
    assert_eq!((account.calls("POST /cgi-bin/tags/create"), tags(&account)), (0, vec![]));
    printed(&account, "followers().take(1).tag(\"有人\"); followers().take(2).tag(\"有人\");");
    assert_eq!(
        (account.calls("POST /cgi-bin/tags/create"), tags(&account)),
        (1, vec![("有人".to_owned(), 2)])
    );
}

#[test]
fn report_fields_are_readable_in_the_script() {
    let account = Account::of(50);
    let script = format!(
        "let r = openids({}).tag(\"老客户\");
         print([r.operation, r.target, r.state]);
         print([r.listed, r.fetched, r.matched, r.unmatched, r.unsubscribed, r.unread, r.changed, r.already, r.skipped]);
         print(r.failed.len()); let f = r.failed[0]; print([f.openid, f.errcode, f.errmsg, f.rid.len() > 0]);
         print(r.calls[\"{POST_ATTACH}\"] > 0 && r.elapsed_ms >= 0);",
        list(&[&account.openids()[..3], &["bad".to_owned()]].concat())
    );
    let (finished, _) = run_on(&account, &script, &[]);
    assert_eq!(
        (finished.code, finished.err.as_str()),
        (Some(3), "done, but 1 openid failed; the report names it\n")
    );
    assert_eq!(
        finished.out,
        "[\"tag\", \"老客户\", \"done_with_failures\"]\n[4, 0, 4, 0, 0, 0, 3, 0, 0]\n1\n\
         [\"bad\", 40003, \"invalid openid\", true]\ntrue\n"
    );
}

#[test]
fn closures_see_constants_and_functions() {
    let account = Account::of(80);
    let script = "
        const SCENE = 98765;
        fn booth(audience) { audience.filter(|u| u.qr_scene == global::SCENE) }
        fn from_scene(scene) { this.filter(|u| u.qr_scene == scene) }
        let limit = 4;
        print(booth(followers()).count());
        print(followers().from_scene(SCENE).count());
        print(booth(followers()).filter(|u| limit > 3).take(limit).tag(`QR ${SCENE}`).changed);";
    assert_eq!(printed(&account, script), "10\n10\n4\n");
}

#[test]
fn id_that_no_tag_has_is_refused_everywhere() {
    let account = Account::of(20);
    for call in [
        "followers().without_tag(134567).tag(\"每个人\")",
        "followers().with_tag(134567).count()",
        "followers().tag(134567)",
        "followers().untag(134567)",
        "openids_from(\"名单.csv\").untag(134567)",
        "members(134567).count()",
        "tag_id(134567)",
    ] {
        let folder = Folder::with(&format!("print({call});")).file("名单.csv", account.openids().join("\n"));
        let url = format!("http://{}", account.address());
        let message = folder.account().run(&["run", "script.rhai", "--base-url", &url]).failure(1);
        assert!(message.starts_with("error: there is no tag with the id 134567\n"), "{call}: {message}");
    }
    let tags = account.ask(LIST_TAGS, "");
    assert_eq!(tags["tags"].as_array().map(Vec::len), Some(1), "{tags}");
}

#[test]
fn id_of_a_group_of_the_platform_is_told_what_to_write_instead() {
    let account = Account::of(20);
    for (id, hint) in [(0, "untagged() keeps them"), (1, "blacklisted() lists it")] {
        let script = format!("followers().without_tag({id}).tag(\"每个人\")");
        let message = run_on(&account, &script, &[]).0.failure(1);
        assert!(message.contains(hint), "{message}");
    }
}

#[test]
fn tag_by_id_costs_one_call_as_by_name() {
    let account = Account::of(20);
    let id = account.tag("会员");
    for tag in [id.to_string(), "\"会员\"".to_owned()] {
        let (finished, report) = run_on(&account, &format!("followers().take(5).untag({tag})"), &[]);
        finished.success();
        assert_eq!(report["calls"][GET_LIST_TAGS], 1, "{tag}");
    }
}

#[test]
fn tag_that_a_dry_run_has_made_is_known_by_its_id() {
    let script = "print(followers().with_tag(tag::create(\"试\")).count());";
    let (finished, _) = run_on(&Account::of(20), script, &["--dry-run"]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "0\n"), "{}", finished.err);
}

#[test]
fn unknown_channel_is_refused() {
    let script = "followers().by_channel(param(\"channel\", \"公众号搜索\")).tag(\"搜索\")";
    let message = run_on(&Account::of(20), script, &[]).0.failure(1);
    assert!(
        message.starts_with(
            "error: by_channel: there is no channel \"公众号搜索\": there are [\"ADD_SCENE_SEARCH\", "
        ),
        "{message}"
    );
    assert!(message.contains("write filter(|u| u.subscribe_scene == \"公众号搜索\")\n"), "{message}");
}

#[test]
fn channels_of_the_platform_divide_the_followers() {
    let script = "let all = 0; for channel in channels() { all += followers().by_channel(channel).count(); } \
                  print(all == followers().filter(|u| true).count());";
    assert_eq!(run_on(&Account::of(200), script, &[]).0.success(), "true\n");
}

#[test]
fn invalid_scene_is_refused() {
    let account = Account::of(400);
    for scene in ["\"\"", "0", "()", "[]", "[98765, 0]", "-5"] {
        let script = format!("let scene = {scene}; followers().from_scene(scene).tag(\"x\")");
        let message = run_on(&account, &script, &[]).0.failure(1);
        let expected =
            "error: from_scene takes a number from 1, a text that is not empty, or a list of these, not ";
        assert!(message.starts_with(expected) && message.contains("script.rhai:1:"), "{message}");
    }
    let count = |scene: &str| {
        let script = format!("print(followers().from_scene({scene}).count())");
        run_on(&account, &script, &[]).0.success()
    };
    assert_eq!(count("98765"), "50\n");
    assert_eq!(count("\"98765\""), "50\n", "a parameter without a default is a text");
    assert_ne!(count("\"展台-01\""), "0\n");
}

#[test]
fn list_of_scenes_is_everybody_who_came_by_one_of_them() {
    let account = Account::of(400);
    let count = |expression: &str| run_on(&account, &format!("print({expression});"), &[]).0.success();
    let by_hand = "followers().filter(|u| u.qr_scene == 98765 || u.qr_scene_str == \"展台-01\").count()";
    assert_eq!(count("followers().from_scene([98765, \"展台-01\"]).count()"), count(by_hand));
    assert_eq!(count("followers().from_scene([\"98765\"]).count()"), "50\n");
}

#[test]
fn job_over_the_minute_limit_waits_and_completes() {
    let account = Account::of(6_000);
    account.control("faults", json!({"path": "/cgi-bin/user/info/batchget", "errcode": 45011, "times": 5}));
    let folder = Folder::with("print(followers().filter(|u| u.qr_scene == 98765).count())").account();
    let folder = folder.env("MPSCRIPT_QUOTA_MINUTE", "100ms");
    let url = format!("http://{}", account.address());
    let finished = folder.run(&["run", "script.rhai", "--base-url", &url]);
    assert_eq!(finished.success(), "750\n");
    // Sixty batches, and the five that were refused were sent again.
    assert_eq!(account.calls("POST /cgi-bin/user/info/batchget"), 65);
}

#[test]
fn bare_openids_with_the_tag_are_not_written_again() {
    let account = Account::of(300);
    let openids = account.openids();
    let script = format!(
        "openids({}).tag(\"展台\"); let r = openids({}).tag(\"展台\"); print(`${{r.changed}} ${{r.already}}`);
         let r = openids({}).untag(\"展台\"); print(`${{r.changed}} ${{r.already}}`);",
        list(&openids[..120]),
        list(&openids[60..200]),
        list(&openids[190..])
    );
    assert_eq!(printed(&account, &script), "80 60\n10 100\n");
    assert_eq!(tags(&account), [("展台".to_owned(), 190)]);
    assert_eq!(account.calls("POST /cgi-bin/user/info/batchget"), 0);
    // No follower had the tag before it was created, so it was listed twice, each time to its empty page.
    assert_eq!(account.calls("POST /cgi-bin/user/tag/get"), 4);
    assert_eq!(
        (account.calls(POST_ATTACH), account.calls("POST /cgi-bin/tags/members/batchuntagging")),
        (3 + 2, 1)
    );
}

#[test]
fn sample_keeps_list_order_and_differs_each_time() {
    let account = Account::of(400);
    let script = "let first = followers().sample(50);
        let a = first.to_array().map(|openid| openid.openid);
        let b = followers().sample(50).to_array().map(|openid| openid.openid);
        print(a == b);
        print([a.len(), followers().take(5).sample(9).count(), followers().sample(9).take(4).count(),
            followers().sample(0).count(), followers().sample(30).sample(20).filter(|u| true).count()]);
        let all = followers().to_array().map(|u| u.openid);
        let places = a.map(|openid| all.index_of(openid));
        let sorted = places;
        sorted.sort();
        print(places == sorted && places[0] >= 0);
        print(places[49] >= 50);";
    let (finished, report) = run_on(&account, script, &[]);
    assert_eq!(finished.success(), "false\n[50, 5, 4, 0, 20]\ntrue\ntrue\n");
    let end = &report["operations"][0];
    assert_eq!(end["listed"], 400);
    assert_eq!(counts(end, ["matched", "unread"]), [50, 0]);
    assert_eq!(end["unmatched"].as_u64().unwrap() + end["unsubscribed"].as_u64().unwrap(), 350);
    // Of those whom a later step wants no more nothing is known.
    assert_eq!(counts(&report["operations"][3], ["matched", "unread", "unmatched"]), [4, 5, 391]);
}

#[test]
fn printed_report_of_each_has_no_change_rows() {
    let account = Account::of(20);
    let output = printed(&account, "print(followers().each(|u| ()));");
    let (head, rows) = output.split_once('\n').unwrap();
    assert!(head.starts_with("each: done in "), "{output}");
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split_whitespace().collect()).collect();
    let names: Vec<String> = rows.iter().map(|row| row[..row.len() - 1].join(" ")).collect();
    assert_eq!(names, ["listed", "matched", "failed", "not matched", "unsubscribed", "not read"]);
}

#[test]
fn job_that_shortens_its_own_list_visits_everyone() {
    let account = Account::with(Options { followers: 25_000, ..Options::default() });
    let (finished, report) = run_on(&account, "followers().block();", &["--quiet"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
    // Those who left in the meantime can't be blocked, and are named.
    assert_eq!(counts(&report, ["listed", "unread", "skipped"]), [25_000, 0, 0]);
    let page = account.tell("/cgi-bin/tags/members/getblacklist", json!({}));
    let blocked = page["total"].as_u64().unwrap();
    assert_eq!(blocked, counts(&report, ["changed"])[0]);
    let (finished, report) = run_on(&account, "blacklisted().unblock();", &["--quiet"]);
    finished.success();
    assert_eq!(counts(&report, ["listed", "changed"]), [blocked, blocked]);
    assert_eq!(account.tell("/cgi-bin/tags/members/getblacklist", json!({}))["count"], 0);
}
