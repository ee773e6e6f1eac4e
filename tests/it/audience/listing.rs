//! Listings and details of a platform that answers less, other or more than it was asked: no follower is lost without a
//! word, and none is handed out twice.
//!
//! One file because each test is the same listing on another server that misbehaves.

use crate::fixtures::{
    account::Account,
    paths::{ATTACH, BATCH_INFO, CREATE_TAG, LIST_TAGS, LIST_USERS},
    program::{Finished, Folder, assert_adds_up, counts, run_on},
    raw_server::{RawServer, ok, token},
    runs::{newest_run_id, resume},
};
use serde_json::{Value, json};
use std::{collections::HashMap, mem};

const BLACKLIST: &str = "/cgi-bin/tags/members/getblacklist";
const DETACH: &str = "/cgi-bin/tags/members/batchuntagging";
const MEMBERS: &str = "/cgi-bin/user/tag/get";
const REMARK: &str = "/cgi-bin/user/info/updateremark";

/// The openid of the follower with this number.
fn openid(number: usize) -> String {
    format!("o{number:027}")
}

fn openids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(openid).collect()
}

/// A page of a list of so many; its cursor is its last openid.
fn page(total: usize, openids: &[String]) -> Value {
    let count = openids.len();
    json!({"total": total, "count": count, "data": {"openid": openids}, "next_openid": openids.last()})
}

/// The page after the last.
fn empty_page(total: usize) -> Value {
    json!({"total": total, "count": 0, "next_openid": ""})
}

fn details(openid: &str) -> Value {
    json!({"subscribe": 1, "openid": openid, "remark": format!("备注{}", &openid[26..]), "tagid_list": []})
}

fn all_details(asked: &[String]) -> Value {
    json!({"user_info_list": asked.iter().map(|openid| details(openid)).collect::<Vec<_>>()})
}

/// A platform whose lists answer as `list` says for a cursor, and whose details answer as `users` says for the openids
/// that are asked for and the number of the call, from 1.
fn platform(
    mut list: impl FnMut(&str) -> Value + Send + 'static,
    users: impl Fn(&[String], usize) -> Value + Send + 'static,
) -> RawServer {
    let mut calls: HashMap<String, usize> = HashMap::new();
    RawServer::start(move |request| {
        let target = request.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = request.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let call = calls.entry(path.to_owned()).or_default();
        *call += 1;
        let answer = match path {
            "/cgi-bin/stable_token" => return token("96_token"),
            LIST_USERS => {
                let cursor = query.split('&').find_map(|pair| pair.strip_prefix("next_openid="));
                list(cursor.unwrap_or_default())
            }
            BLACKLIST => list(body["begin_openid"].as_str().unwrap_or_default()),
            MEMBERS => list(body["next_openid"].as_str().unwrap_or_default()),
            BATCH_INFO => {
                let asked = body["user_list"].as_array().expect("it asks for followers");
                let asked: Vec<String> =
                    asked.iter().map(|user| user["openid"].as_str().expect("a text").to_owned()).collect();
                users(&asked, *call)
            }
            LIST_TAGS => {
                json!({"tags": [{"id": 100, "name": "会员", "count": 0}, {"id": 200, "name": "老客户", "count": 0}]})
            }
            CREATE_TAG => json!({"tag": {"id": 200, "name": "老客户"}}),
            _ => json!({"errcode": 0, "errmsg": "ok"}),
        };
        ok(answer.to_string())
    })
}

/// A platform with one page of this many followers.
fn with_details(count: usize, users: impl Fn(&[String], usize) -> Value + Send + 'static) -> RawServer {
    platform(move |_| page(count, &openids(0..count)), users)
}

/// Runs a script against a server; gives what it printed and its report.
fn run(server: &RawServer, script: &str) -> (Finished, Value) {
    let folder = Folder::with(script).account();
    let url = format!("http://{}", server.address());
    let arguments = ["run", "script.rhai", "--base-url", &url, "--report", "report.json", "--in-flight", "1"];
    let finished = folder.run(&arguments);
    let report = folder.json("report.json");
    assert_adds_up(&report);
    (finished, report)
}

fn calls_of(server: &RawServer, path: &str) -> usize {
    server.calls().iter().filter(|call| call.ends_with(path)).count()
}

/// The openids that failed, with why.
fn failures(report: &Value) -> Vec<(&str, &str)> {
    let failed = report["failed"].as_array().expect("failures are a list");
    failed
        .iter()
        .map(|failure| {
            (failure["openid"].as_str().unwrap_or_default(), failure["errmsg"].as_str().unwrap_or_default())
        })
        .collect()
}

#[test]
fn empty_openid_of_a_list_is_left_out_with_a_warning() {
    let listed = [openid(0), String::new(), openid(1)];
    let server = platform(move |_| page(3, &listed), |asked, _| all_details(asked));
    let (finished, report) = run(&server, "print(followers().count());");
    assert_eq!(
        (finished.out.as_str(), counts(&report, ["listed", "missing"])),
        ("2\n", [2, 1]),
        "{}",
        finished.err
    );
    let expected = "`data.openid[1]` is empty and must be an openid: this entry of the list is left out";
    assert!(finished.err.contains(expected), "{}", finished.err);
}

#[test]
fn details_without_a_field_are_named_by_the_stage_that_needs_it() {
    for (stage, field) in [
        ("untagged()", "tagid_list"),
        ("with_tag(100)", "tagid_list"),
        ("without_tag(\"会员\")", "tagid_list"),
        ("from_scene(98765)", "qr_scene"),
        ("from_scene(\"98765\")", "qr_scene"),
        ("from_scene(\"展台\")", "qr_scene_str"),
        ("since(\"2026-01-01\")", "subscribe_time"),
        ("before(\"2026-01-01\")", "subscribe_time"),
        ("by_channel(\"ADD_SCENE_SEARCH\")", "subscribe_scene"),
    ] {
        let server = with_details(2, |asked, _| {
            let bare = |openid: &String| json!({"subscribe": 1, "openid": openid});
            json!({"user_info_list": asked.iter().map(bare).collect::<Vec<_>>()})
        });
        let (finished, _) = run(&server, &format!("followers().{stage}.count();"));
        let name = stage.split('(').next().unwrap_or_default();
        let expected = format!("error: {name}: the details of {} have no `{field}`\n", openid(0));
        assert!(finished.err.contains(&expected), "{}", finished.err);
    }
}

#[test]
fn error_within_a_stage_of_the_library_names_no_closure() {
    let server = with_details(1, |asked, _| {
        let bare = |openid: &String| json!({"subscribe": 1, "openid": openid});
        json!({"user_info_list": asked.iter().map(bare).collect::<Vec<_>>()})
    });
    let (finished, _) = run(&server, "followers().filter(|u| u.tagid_list.is_empty()).count();");
    assert!(finished.err.contains("`is_empty` can't be called with ()"), "{}", finished.err);
}

/// An account of which every list has short pages.
fn with_short_pages() -> Account {
    let account = Account::of(30);
    account.control("switches", json!({"list_page": "7"}));
    account
}

#[test]
fn short_pages_of_followers_are_all_read() {
    let (finished, report) = run_on(&with_short_pages(), "print(followers().count());", &[]);
    assert_eq!(
        (finished.success().as_str(), &report["calls"][format!("GET {LIST_USERS}")]),
        ("30\n", &json!(5))
    );
}

#[test]
fn short_pages_of_a_tags_members_are_all_read() {
    let account = with_short_pages();
    let tagid = account.tag("会员");
    account
        .tell(ATTACH, json!({"openid_list": account.ask(LIST_USERS, "")["data"]["openid"], "tagid": tagid}));
    account.control("switches", json!({"list_page": "3"}));
    let (finished, _) = run_on(&account, "print(members(\"会员\").count());", &[]);
    assert_eq!(finished.success(), "7\n");
}

#[test]
fn short_pages_of_the_blacklist_are_all_read() {
    let account = with_short_pages();
    let openids = account.ask(LIST_USERS, "")["data"]["openid"].clone();
    account.tell("/cgi-bin/tags/members/batchblacklist", json!({"openid_list": openids}));
    account.control("switches", json!({"list_page": "3"}));
    let (finished, _) = run_on(&account, "print(blacklisted().count());", &[]);
    assert_eq!(finished.success(), "7\n");
}

#[test]
fn empty_page_before_the_total_counts_who_is_missing() {
    for total_of_the_end in [10, 0] {
        let server = platform(
            move |cursor| {
                if cursor.is_empty() { page(10, &openids(0..3)) } else { empty_page(total_of_the_end) }
            },
            |asked, _| all_details(asked),
        );
        let (finished, report) = run(&server, "print(followers().count());");
        assert_eq!((finished.code, finished.out.as_str()), (Some(3), "3\n"), "{}", finished.err);
        assert_eq!(
            finished.err,
            "done, but 7 followers that the platform counts were not listed; the report counts them; start the script \
             again to try for the rest\n"
        );
        assert_eq!(
            (counts(&report, ["listed", "missing"]), &report["state"]),
            ([3, 7], &json!("done_with_failures"))
        );
    }
}

#[test]
fn page_without_a_next_one_before_the_total_counts_who_is_missing() {
    let server = platform(
        |_| json!({"total": 10, "count": 3, "data": {"openid": openids(0..3)}, "next_openid": ""}),
        |asked, _| all_details(asked),
    );
    let (finished, report) = run(&server, "print(followers().tag(100).missing);");
    assert_eq!((finished.code, finished.out.as_str()), (Some(3), "7\n"), "{}", finished.err);
    assert_eq!(counts(&report, ["listed", "changed", "missing"]), [3, 3, 7]);
}

#[test]
fn page_that_counts_openids_and_has_none_counts_who_is_missing() {
    for path in ["followers()", "members(100)", "blacklisted()"] {
        let server = platform(
            |cursor| match cursor {
                "" => json!({"count": 3, "data": {"openid": openids(0..3)}, "next_openid": openid(2)}),
                _ => json!({"count": 2, "next_openid": openid(4)}),
            },
            |asked, _| all_details(asked),
        );
        let (finished, report) = run(&server, &format!("print({path}.count());"));
        assert_eq!(finished.code, Some(3), "{path}: {}", finished.err);
        assert_eq!(counts(&report, ["listed", "missing"]), [3, 2], "{path}");
    }
}

#[test]
fn followers_who_leave_during_the_listing_are_not_missing() {
    let server = platform(
        |cursor| match cursor {
            "" => page(10, &openids(0..6)),
            cursor if cursor == openid(5) => page(8, &openids(8..10)),
            _ => empty_page(8),
        },
        |asked, _| all_details(asked),
    );
    let (finished, _) = run(&server, "print(followers().count());");
    assert_eq!(finished.success(), "8\n");
}

#[test]
fn limit_within_an_incomplete_list_misses_no_follower() {
    let server = platform(|_| page(10, &openids(0..5)), |asked, _| all_details(asked));
    let (finished, _) = run(&server, "print(followers().take(5).count());");
    assert_eq!(finished.success(), "5\n");
}

#[test]
fn cursor_that_repeats_is_an_error() {
    let server = platform(|_| page(1_000_000, &openids(0..5)), |asked, _| all_details(asked));
    let (finished, report) = run(&server, "print(followers().count());");
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), ""), "{}", finished.err);
    assert!(finished.err.contains("its cursor repeats after 5 of 1000000\n"), "{}", finished.err);
    // The followers of the page that came again are not handed out again.
    assert_eq!(counts(&report, ["listed"]), [5]);
}

#[test]
fn cursor_that_cycles_is_an_error() {
    for path in ["followers()", "members(100)", "blacklisted()"] {
        let server = platform(
            |cursor| {
                let mut page = match cursor {
                    "" => page(9, &openids(0..2)),
                    cursor if cursor == openid(1) => page(9, &openids(2..4)),
                    _ => page(9, &openids(4..6)),
                };
                if page["next_openid"] == openid(5) {
                    page["next_openid"] = json!(openid(1));
                }
                page
            },
            |asked, _| all_details(asked),
        );
        let (finished, report) = run(&server, &format!("print({path}.count());"));
        assert_eq!((finished.code, finished.out.as_str()), (Some(1), ""), "{path}: {}", finished.err);
        assert!(finished.err.contains("its cursor repeats after 4 of 9\n"), "{path}: {}", finished.err);
        assert_eq!(counts(&report, ["listed"]), [4], "{path}");
    }
}

#[test]
fn openid_that_a_page_names_twice_is_handed_out_once() {
    let server = platform(
        |cursor| match cursor {
            "" => page(3, &openids([0, 1, 1])),
            cursor if cursor == openid(1) => page(3, &openids([2])),
            _ => empty_page(3),
        },
        |asked, _| all_details(asked),
    );
    let (finished, _) = run(&server, "print(followers().count());");
    assert_eq!(finished.success(), "3\n");
}

/// Pages of ten that each begin four before their cursor.
fn overlapping_page(total: usize, cursor: &str) -> Value {
    let after = (0..total).find(|number| openid(*number) == cursor);
    let first = after.map_or(0, |after| after - 4);
    page(total, &openids(first..total.min(first + 10)))
}

#[test]
fn follower_of_two_neighbouring_pages_is_handed_out_once() {
    for path in ["followers()", "members(100)", "blacklisted()"] {
        let server = platform(|cursor| overlapping_page(30, cursor), |asked, _| all_details(asked));
        let (finished, report) = run(&server, &format!("{path}.each(|u| print(u.openid.sub_string(26)));"));
        let each_once = (0..30).map(|number| format!("{number:02}")).collect::<Vec<_>>().join("\n") + "\n";
        assert_eq!((finished.success(), counts(&report, ["listed"])), (each_once, [30]), "{path}");
    }
}

#[test]
fn repeated_followers_do_not_stand_for_missing_ones() {
    let server = platform(
        |cursor| match cursor {
            "" => page(10, &openids(0..6)),
            cursor if cursor == openid(5) => page(10, &openids(2..8)),
            _ => empty_page(10),
        },
        |asked, _| all_details(asked),
    );
    let (finished, report) = run(&server, "print(followers().count());");
    assert_eq!((finished.code, finished.out.as_str()), (Some(3), "8\n"), "{}", finished.err);
    assert_eq!(counts(&report, ["listed", "missing"]), [8, 2]);
}

/// Under a cursor of its own, the first page of ten; then the second one.
fn page_that_comes_again(cursor: &str) -> Value {
    match cursor {
        "" => page(20, &openids(0..10)),
        cursor if cursor == openid(9) => {
            let mut again = page(20, &openids(0..10));
            again["next_openid"] = json!(openid(50));
            again
        }
        _ => page(20, &openids(10..20)),
    }
}

#[test]
fn page_that_comes_again_under_a_new_cursor_is_left_out() {
    let server = platform(page_that_comes_again, |asked, _| all_details(asked));
    let (finished, _) = run(&server, "print(followers().count());");
    assert_eq!(finished.success(), "20\n");
}

#[test]
fn page_that_comes_again_under_ever_new_cursors_is_an_error() {
    let mut asked_for = 0;
    let server = RawServer::start(move |request| {
        if !request.starts_with(&format!("GET {LIST_USERS}")) {
            return token("96_token");
        }
        asked_for += 1;
        let mut again = page(20, &openids(0..10));
        again["next_openid"] = json!(openid(50 + asked_for));
        ok(again.to_string())
    });
    let (finished, report) = run(&server, "print(followers().count());");
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), ""), "{}", finished.err);
    assert!(finished.err.contains("its page repeats after 10 of 20\n"), "{}", finished.err);
    assert_eq!((counts(&report, ["listed"]), calls_of(&server, LIST_USERS)), ([10], 3));
}

#[test]
fn resumed_listing_knows_the_last_openids_before_its_checkpoint() {
    let mut is_refused = true;
    let server = platform(
        move |cursor| {
            if cursor.is_empty() {
                return page(12, &openids(0..6));
            }
            if mem::take(&mut is_refused) {
                return json!({"errcode": 45009, "errmsg": "reach max api daily quota limit"});
            }
            page(12, &openids(4..12))
        },
        |asked, _| all_details(asked),
    );
    let url = format!("http://{}", server.address());
    let folder = Folder::with("print(followers().tag(100).matched);").account();
    let folder = folder.env("MPSCRIPT_STORE", "store.sqlite3");
    folder.run(&["run", "script.rhai", "--base-url", &url, "--in-flight", "1"]).failure(4);
    let resumed = resume(&folder);
    assert_eq!((resumed.success().as_str(), counts(&folder.json("report.json"), ["listed"])), ("12\n", [12]));
}

#[test]
fn entry_of_a_page_that_is_no_openid_is_left_out_and_counted() {
    for (path, total) in [("followers()", json!(4)), ("members(100)", json!(null))] {
        let server = platform(
            move |cursor| {
                if !cursor.is_empty() {
                    return json!({"count": 0});
                }
                let mut list = json!(openids(0..4));
                list[2] = json!(null);
                json!({"total": total, "count": 4, "data": {"openid": list}, "next_openid": openid(3)})
            },
            |asked, _| all_details(asked),
        );
        let (finished, report) = run(&server, &format!("print({path}.count());"));
        assert_eq!((finished.code, finished.out.as_str()), (Some(3), "3\n"), "{path}: {}", finished.err);
        let names_it = "`data.openid[2]` is null and must be a string: this entry of the list is left out";
        assert!(finished.err.contains(names_it), "{path}: {}", finished.err);
        assert_eq!(counts(&report, ["listed", "missing"]), [3, 1], "{path}");
    }
}

#[test]
fn page_of_a_members_list_that_has_fewer_than_it_counts_is_a_failure() {
    let server = platform(
        |cursor| {
            if cursor.is_empty() {
                json!({"count": 5, "data": {"openid": openids(0..3)}, "next_openid": openid(2)})
            } else {
                json!({"count": 0})
            }
        },
        |asked, _| all_details(asked),
    );
    let (finished, report) = run(&server, "print(members(100).count());");
    assert_eq!((finished.code, counts(&report, ["missing"])), (Some(3), [2]), "{}", finished.err);
}

#[test]
fn answer_that_is_no_page_is_an_error() {
    let server = platform(|_| json!({"errcode": 0, "errmsg": "ok"}), |asked, _| all_details(asked));
    let (finished, _) = run(&server, "print(followers().count());");
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), ""), "{}", finished.err);
    assert!(finished.err.contains("`count` is missing and must be an integer\n"), "{}", finished.err);
}

#[test]
fn incomplete_blacklist_blocks_no_follower() {
    let server = platform(
        |cursor| if cursor.is_empty() { page(10, &openids(0..3)) } else { empty_page(10) },
        |asked, _| all_details(asked),
    );
    let script = format!("openids({}).unblock();", json!(openids(5..8)));
    let (finished, report) = run(&server, &script);
    assert_eq!((finished.code, counts(&report, ["changed"])), (Some(1), [0]), "{}", finished.err);
    assert!(finished.err.contains("the list ended after 3 of 10\n"), "{}", finished.err);
}

#[test]
fn details_that_are_missing_once_are_asked_for_again() {
    let server = with_details(4, |asked, call| match call {
        1 => all_details(&[&asked[..1], &asked[2..3]].concat()),
        _ => all_details(asked),
    });
    let script = "followers().each(|u| print(u.openid.sub_string(27)));";
    let (finished, _) = run(&server, script);
    assert_eq!((finished.success().as_str(), calls_of(&server, BATCH_INFO)), ("0\n1\n2\n3\n", 2));
}

#[test]
fn details_that_never_come_are_a_failure() {
    let server = with_details(4, |asked, _| {
        let came: Vec<String> = asked.iter().filter(|one| **one != openid(1)).cloned().collect();
        all_details(&came)
    });
    let (finished, report) = run(&server, "followers().tag(100);");
    assert_eq!((finished.code, counts(&report, ["changed", "failed", "unread"])), (Some(3), [3, 1, 0]));
    assert_eq!(failures(&report), [(openid(1).as_str(), "the platform gave no details of it")]);
    assert_eq!(calls_of(&server, BATCH_INFO), 2);
}

/// What a script says of a field, on a platform whose followers have the tag 100 and a remark.
const CHANGES: [(&str, &str); 3] =
    [("tag(200)", "tagid_list"), ("untag(100)", "tagid_list"), ("remark(|u| u.remark + \"二\")", "remark")];

/// Details of followers who have the tag 100; of those whom `lacks` names, without this field.
fn details_without(asked: &[String], field: &str, lacks: impl Fn(&str) -> bool) -> Value {
    let mut answer = all_details(asked);
    for (openid, details) in asked.iter().zip(answer["user_info_list"].as_array_mut().expect("a list")) {
        details["tagid_list"] = json!([100]);
        if lacks(openid) {
            details.as_object_mut().expect("details are a map").remove(field);
        }
    }
    answer
}

#[test]
fn details_without_the_field_that_a_job_changes_are_a_failure() {
    for (change, field) in CHANGES {
        let server = with_details(3, move |asked, _| details_without(asked, field, |of| of == openid(1)));
        let (finished, report) = run(&server, &format!("followers().{change};"));
        assert_eq!(finished.code, Some(3), "{change}: {}", finished.err);
        assert_eq!(counts(&report, ["changed", "failed", "already"]), [2, 1, 0], "{change}");
        let reason = format!("the platform's details of it have no `{field}`");
        assert_eq!(failures(&report), [(openid(1).as_str(), reason.as_str())], "{change}");
        // The two that lack nothing are not asked for again.
        let mut asked_again =
            server.exchanges().into_iter().filter(|exchange| exchange.request.contains(BATCH_INFO));
        let asked_again = asked_again.next_back().expect("details are asked for").request;
        assert_eq!(asked_again.matches("\"openid\"").count(), 1, "{change}: {asked_again}");
    }
}

#[test]
fn field_that_is_missing_once_is_asked_for_again() {
    for (change, field) in CHANGES {
        let server = with_details(3, move |asked, call| details_without(asked, field, |_| call == 1));
        let (finished, report) = run(&server, &format!("followers().{change};"));
        finished.success();
        assert_eq!(counts(&report, ["changed"]), [3], "{change}");
    }
}

#[test]
fn field_that_no_job_changes_may_be_missing() {
    let server = with_details(3, move |asked, _| details_without(asked, "remark", |_| true));
    let (finished, report) = run(&server, "followers().tag(200);");
    finished.success();
    assert_eq!(counts(&report, ["changed"]), [3]);
}

/// Runs a script that is recorded in a store.
fn run_recorded(server: &RawServer, script: &str) -> (Folder, Finished) {
    let url = format!("http://{}", server.address());
    let folder = Folder::with(script).account().env("MPSCRIPT_STORE", "store.sqlite3");
    let finished = folder.run(&["run", "script.rhai", "--base-url", &url, "--in-flight", "1"]);
    (folder, finished)
}

#[test]
fn call_is_not_sent_where_the_state_before_it_is_missing() {
    for (call, field, path) in [
        ("tag::attach(200, OPENIDS)", "tagid_list", ATTACH),
        ("tag::detach(100, OPENIDS)", "tagid_list", DETACH),
        ("user::remark(OPENIDS[0], \"老客户\")", "remark", REMARK),
    ] {
        let server = with_details(3, move |asked, _| details_without(asked, field, |_| true));
        let script = call.replace("OPENIDS", &json!(openids(0..2)).to_string());
        let (_, finished) = run_recorded(&server, &format!("{script};"));
        assert_eq!((finished.code, calls_of(&server, path)), (Some(1), 0), "{call}: {}", finished.err);
        let told = format!("the details of {} have no `{field}`\n", openid(0));
        assert!(finished.err.contains(&told), "{call}: {}", finished.err);
    }
}

#[test]
fn undo_names_the_followers_whose_state_is_missing() {
    for (change, field, path) in [
        ("tag(200)", "tagid_list", DETACH),
        ("untag(100)", "tagid_list", ATTACH),
        ("remark(|u| u.remark + \"二\")", "remark", REMARK),
    ] {
        let server = with_details(3, move |asked, call| details_without(asked, field, |_| call > 1));
        let (folder, finished) = run_recorded(&server, &format!("followers().{change};"));
        finished.success();
        let sent = calls_of(&server, path);
        let undone = folder.run(&["undo", &newest_run_id(&folder), "--yes", "--report", "report.json"]);
        assert_eq!((undone.code, calls_of(&server, path)), (Some(3), sent), "{change}: {}", undone.err);
        let report = folder.json("report.json");
        let reason = format!("the platform's details of it have no `{field}`");
        let all = openids(0..3);
        let expected: Vec<(&str, &str)> =
            all.iter().map(|openid| (openid.as_str(), reason.as_str())).collect();
        assert_eq!(failures(&report), expected, "{change}");
    }
}

#[test]
fn tag_of_another_name_is_put_on_no_follower() {
    let server = with_details(3, |asked, _| all_details(asked));
    let (finished, report) = run(&server, "followers().tag(\"新来的\");");
    assert_eq!((finished.code, calls_of(&server, ATTACH)), (Some(1), 0), "{}", finished.err);
    assert!(finished.err.contains("it is about another tag than \"新来的\"\n"), "{}", finished.err);
    assert_eq!(counts(&report, ["changed"]), [0]);
}

#[test]
fn details_of_others_are_discarded() {
    let server = with_details(3, |asked, _| {
        let mut answer = all_details(asked);
        answer["user_info_list"][1] = details(&openid(77));
        answer
    });
    let (finished, report) = run(&server, "followers().tag(100);");
    assert_eq!(
        (finished.code, counts(&report, ["changed", "failed"])),
        (Some(3), [0, 3]),
        "{}",
        finished.err
    );
    let reason = "the platform answered with the details of others";
    let expected = openids(0..3);
    let expected: Vec<(&str, &str)> = expected.iter().map(|openid| (openid.as_str(), reason)).collect();
    assert_eq!(failures(&report), expected);
}

#[test]
fn details_of_others_that_come_once_are_asked_for_again() {
    let server = with_details(3, |asked, call| match call {
        1 => all_details(&openids(7..10)),
        _ => all_details(asked),
    });
    let (finished, report) = run(&server, "followers().tag(100);");
    finished.success();
    assert_eq!(counts(&report, ["changed"]), [3]);
}

#[test]
fn swapped_details_belong_to_their_openids() {
    let server = with_details(3, |asked, _| {
        let mut asked = asked.to_vec();
        asked.reverse();
        all_details(&asked)
    });
    let (finished, _) = run(&server, "followers().each(|u| print(u.openid.sub_string(26) + u.remark));");
    assert_eq!(finished.success(), "00备注00\n01备注01\n02备注02\n");
}

#[test]
fn doubled_details_that_agree_are_accepted() {
    let server = with_details(2, |asked, _| all_details(&[asked, asked].concat()));
    let (finished, report) = run(&server, "followers().tag(100);");
    finished.success();
    assert_eq!(counts(&report, ["changed"]), [2]);
}

#[test]
fn doubled_details_that_differ_are_a_failure() {
    let server = with_details(2, |asked, _| {
        let mut answer = all_details(&[asked, &asked[..1]].concat());
        let last = answer["user_info_list"].as_array().map_or(0, Vec::len) - 1;
        answer["user_info_list"][last]["remark"] = json!("另一个");
        answer
    });
    let (finished, report) = run(&server, "followers().tag(100);");
    assert_eq!(
        (finished.code, counts(&report, ["changed", "failed"])),
        (Some(3), [1, 1]),
        "{}",
        finished.err
    );
    assert_eq!(failures(&report), [(openid(0).as_str(), "the platform gave two different answers about it")]);
}

#[test]
fn broken_details_fail_alone() {
    for (broken, reason) in [
        (
            json!({"subscribe": 1, "subscribe_time": "昨天"}),
            "its details can't be read: `user_info_list[1].subscribe_time` is a string and must be an integer",
        ),
        (json!({"remark": "老"}), "`subscribe` is missing and must be 0 or 1"),
        (json!({"subscribe": 7}), "`subscribe` is 7 and must be 0 or 1"),
    ] {
        let server = with_details(3, move |asked, call| {
            let mut answer = all_details(asked);
            // The second call asks for this one alone.
            let at = usize::from(call == 1);
            answer["user_info_list"][at] = broken.clone();
            answer["user_info_list"][at]["openid"] = json!(openid(1));
            answer
        });
        let (finished, report) = run(&server, "followers().tag(100);");
        assert_eq!(
            (finished.code, counts(&report, ["changed", "failed"])),
            (Some(3), [2, 1]),
            "{}",
            finished.err
        );
        let reason = reason.replace("[1]", "[0]");
        assert_eq!(failures(&report), [(openid(1).as_str(), reason.as_str())]);
    }
}

#[test]
fn details_of_which_none_can_be_read_are_an_error() {
    let server = with_details(3, |_, _| json!({"user_info_list": ["甲", "乙", "丙"]}));
    let (finished, _) = run(&server, "followers().tag(100);");
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.err.contains("`user_info_list[0]` is a string and must be a follower\n"),
        "{}",
        finished.err
    );
}

#[test]
fn batch_of_details_that_a_script_asks_for_is_held_to_its_openids() {
    for (answered, reason) in [
        (vec![0, 7], "it has openids that were not asked for\n"),
        (vec![0], "it lacks 1 of the 2 openids that were asked for\n"),
    ] {
        let server = with_details(1, move |_, _| all_details(&openids(answered.clone())));
        let (finished, _) = run(&server, &format!("print(user::batch({}));", json!(openids(0..2))));
        assert_eq!((finished.code, finished.out.as_str()), (Some(1), ""));
        assert!(finished.err.contains(reason), "{}", finished.err);
    }
}

#[test]
fn partial_failure_that_names_others_counts_no_follower_as_changed() {
    let server = RawServer::start(|request| {
        let target = request.split([' ', '?']).nth(1).unwrap_or_default();
        match target {
            "/cgi-bin/stable_token" => token("96_token"),
            LIST_USERS => ok(page(2, &openids(0..2)).to_string()),
            BATCH_INFO => ok(all_details(&openids(0..2)).to_string()),
            LIST_TAGS => ok(json!({"tags": [{"id": 100, "name": "会员", "count": 0}]}).to_string()),
            _ => ok(json!({"errcode": 45171, "errmsg": "some openid fail", "fail_openid_list": [openid(9)]})
                .to_string()),
        }
    });
    let (finished, report) = run(&server, "followers().tag(100);");
    assert_eq!(
        (finished.code, counts(&report, ["changed", "failed"])),
        (Some(3), [0, 2]),
        "{}",
        finished.err
    );
}
