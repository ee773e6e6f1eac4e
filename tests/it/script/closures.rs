//! Closures: what they capture and when, and how their errors and answers are taken.

use crate::fixtures::{
    account::Account,
    client::fault,
    program::{Folder, run_on},
};
use serde_json::json;

/// What a script prints in a sandbox of 300 followers, of whom 120 came by the code 98765.
fn printed(script: &str) -> String {
    run_on(&Account::of(300), script, &[]).0.success()
}

/// The first line of a failed script's message.
fn error(script: &str) -> String {
    let folder = Folder::with(script).account();
    let finished = folder.run(&["run", "script.rhai", "--sandbox", "--sandbox-followers", "20", "--quiet"]);
    assert_eq!(finished.code, Some(1), "{script}: {} {}", finished.out, finished.err);
    finished.err.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn audiences_made_in_a_loop_keep_the_value_of_their_round() {
    let expected = printed(
        "print(followers().filter(|u| u.qr_scene == 98765).count()); print(followers().filter(|u| u.qr_scene == 0).count());",
    );
    let in_list = "let jobs = []; for s in [98765, 0] { jobs.push(followers().filter(|u| u.qr_scene == s)); } \
                   for j in jobs { print(j.count()); }";
    assert_eq!(printed(in_list), expected);
    let in_map = "let jobs = #{}; for s in [98765, 0] { jobs[`${s}`] = followers().filter(|u| u.qr_scene == s); } \
                  print(jobs[\"98765\"].count()); print(jobs[\"0\"].count());";
    assert_eq!(printed(in_map), expected);
    let by_while = "let jobs = []; let scenes = [98765, 0]; let i = 0; \
                    while i < 2 { let s = scenes[i]; jobs.push(followers().filter(|u| u.qr_scene == scenes[i] && u.qr_scene == s)); i += 1; } \
                    for j in jobs { print(j.count()); }";
    assert_eq!(printed(by_while), expected);
}

#[test]
fn stage_keeps_the_value_that_a_variable_had_when_it_was_made() {
    assert_eq!(
        printed(
            "let s = 98765; let right = followers().filter(|u| u.qr_scene == s).count(); \
             let a = followers().filter(|u| u.qr_scene == s); s = 5; print(a.count() == right && right > 0);"
        ),
        "true\n"
    );
}

#[test]
fn stage_keeps_the_values_of_a_captured_closure() {
    assert_eq!(
        printed(
            "let s = 98765; let by = |u| u.qr_scene == s; let a = followers().filter(|u| by.call(u)); \
             let right = a.count(); s = 5; print(a.count() == right && right > 0);"
        ),
        "true\n"
    );
}

#[test]
fn closures_of_a_loop_keep_the_follower_of_their_round() {
    let script = "let a = []; let right = []; for u in followers().take(3) { right.push(u.openid); a.push(|| u.openid); } \
                  print(a.map(|f| f.call()) == right); \
                  let b = []; for (n, i) in [7, 8] { b.push(|| n * 10 + i); } print(b.map(|f| f.call()));";
    assert_eq!(printed(script), "true\n[70, 81]\n");
}

#[test]
fn closures_in_a_loop_of_a_function_keep_the_value_of_their_round() {
    let script =
        "fn all() { let a = []; for n in [1, 2, 3] { a.push(|| n); } a.map(|f| f.call()) } print(all());";
    assert_eq!(printed(script), "[1, 2, 3]\n");
}

#[test]
fn counter_of_a_terminal_operation_is_shared() {
    let script = "let n = 0; let ids = []; followers().take(5).each(|u| { n += 1; ids.push(u.openid); }); print(`${n} ${ids.len()}`);";
    assert_eq!(printed(script), "5 5\n");
}

#[test]
fn variable_that_a_filter_writes_is_shared() {
    let script = "let n = 0; let seen = []; fn note(id) { this.push(id) } let noted = []; \
                  let count = followers().take(6).filter(|u| { n += 1; seen.push(u.openid); noted.note(u.openid); n % 2 == 0 }).count(); \
                  print(`${count} ${n} ${seen.len()} ${noted.len()}`);";
    assert_eq!(printed(script), "3 6 6 6\n");
}

#[test]
fn variable_that_an_inner_closure_writes_is_shared() {
    let script =
        "let n = 0; followers().take(4).filter(|u| { [1, 2].for_each(|| n += 1); true }).count(); print(n);";
    assert_eq!(printed(script), "8\n");
}

#[test]
fn loop_variable_that_its_closure_writes_is_shared() {
    let script = "for list in [[], []] { [1, 2].map(|x| { list.push(x); x }); print(list); }";
    assert_eq!(printed(script), "[1, 2]\n[1, 2]\n");
}

#[test]
fn error_of_a_comparator_ends_the_sort() {
    for method in ["sort", "sort_by", "order", "order_by"] {
        let script = format!(
            "let c = followers().take(3).to_array(); let d = c.{method}(|a, b| b.qr_scen - a.qr_scene); print(\"sorted\");"
        );
        assert_eq!(error(&script), "error: a follower has no field `qr_scen`", "{method}");
    }
    assert_eq!(error("[1, 2].dedup(|a, b| throw \"no\");"), "error: no");
    assert_eq!(error("[3, 1].sort(|a, b| throw \"no\");"), "error: no");
}

#[test]
fn sort_takes_numbers_and_bools_as_an_order() {
    let script = "let a = [3.5, 1.2, 2.25]; a.sort(|x, y| x - y); print(a); \
                  let b = [3, 1, 2]; b.sort(|x, y| x < y); print(b); \
                  print([1, 3, 2].order(|x, y| y - x)); let c = [1, 1, 2, 1]; c.dedup(|x, y| x == y); print(c);";
    assert_eq!(printed(script), "[1.2, 2.25, 3.5]\n[1, 2, 3]\n[3, 2, 1]\n[1, 2, 1]\n");
}

#[test]
fn sort_keeps_the_order_of_equal_entries() {
    let script = "let a = []; for i in 0..100 { a.push(#{k: i % 3, i: i}); } a.sort(|x, y| x.k - y.k); \
                  print([a[0].i, a[33].i, a[34].i, a[99].i]);";
    assert_eq!(printed(script), "[0, 99, 1, 98]\n");
}

#[test]
fn comparator_without_an_order_is_an_error() {
    let expected = "error: the closure of sort must return a number: below 0 if the first comes first, above 0 if the second does; it returned ";
    assert_eq!(error("[3, 1].sort(|a, b| \"x\");"), format!("{expected}a string"));
    assert_eq!(error("[3, 1].sort(|a, b| ());"), format!("{expected}()"));
}

/// Asserts that a quota error in each of these calls pauses the run, whatever the script catches.
fn assert_quota_error_pauses(calls: &[&str]) {
    let account = Account::of(3);
    fault(&account, "/cgi-bin/user/get", json!({"errcode": 45009, "times": 400}));
    let url = format!("http://{}", account.address());
    for call in calls {
        let script =
            format!("let a = [3, 1, 2]; let m = #{{ 甲: 1 }}; try {{ {call} }} catch {{ }} print(a);");
        let folder = Folder::with(&script).account();
        let finished = folder.run(&["run", "script.rhai", "--base-url", &url, "--quiet"]);
        assert_eq!((finished.code, finished.out.as_str()), (Some(4), ""), "{call}: {}", finished.err);
    }
}

#[test]
fn quota_error_in_a_closure_of_an_array_pauses_the_run() {
    assert_quota_error_pauses(&[
        "a.sort(|x, y| { user::list(); y - x });",
        "a.map(|x| user::list());",
        "a.filter(|x| { user::list(); true });",
        "a.reduce(|x, y| user::list());",
        "a.find(|x| { user::list(); true });",
        "a.for_each(|| user::list());",
        "a.retain(|x| { user::list(); true });",
        "a.zip([1, 2, 3], |x, y| user::list());",
        "a.dedup(|x, y| { user::list(); true });",
    ]);
}

#[test]
fn quota_error_in_a_closure_of_a_map_pauses_the_run() {
    assert_quota_error_pauses(&["m.map(|k, v| user::list());", "m.retain(|k, v| { user::list(); true });"]);
}

#[test]
fn quota_error_in_evaluated_text_pauses_the_run() {
    assert_quota_error_pauses(&["eval(\"user::list()\");"]);
}

#[test]
fn quota_error_that_the_last_statement_catches_pauses_the_run() {
    let account = Account::of(3);
    fault(&account, "/cgi-bin/user/get", json!({"errcode": 45009, "times": 40}));
    let folder = Folder::with("try { [1].map(|x| user::list()) } catch { }").account();
    let url = format!("http://{}", account.address());
    let finished = folder.run(&["run", "script.rhai", "--base-url", &url, "--quiet"]);
    assert_eq!(finished.code, Some(4), "{}", finished.err);
}

#[test]
fn predicate_that_returns_no_bool_is_an_error() {
    for call in ["filter", "some", "all", "find", "index_of", "drain", "retain"] {
        let expected =
            format!("error: the closure of {call} must return true or false; it returned an integer");
        assert_eq!(error(&format!("let a = [1, 2]; a.{call}(|x| x);")), expected);
    }
    for call in ["filter", "drain", "retain"] {
        let expected =
            format!("error: the closure of {call} must return true or false; it returned a string");
        assert_eq!(error(&format!("let a = #{{甲: 1}}; a.{call}(|key, value| key);")), expected);
    }
}

#[test]
fn predicates_keep_what_they_did() {
    let script = "let a = [1, 2, 3, 4]; print(a.filter(|x| x > 2)); print(a.filter(|x, i| i == 0)); print(a.filter(|| this > 3)); \
                  print(a.some(|x| x > 3)); print(a.all(|x| x > 3)); print(a.find(|x| x > 2)); print(a.index_of(|x| x > 2)); \
                  print(a.index_of(|x| x > 0, -2)); print(a.find(|x| x > 9)); print(a.retain(|x| x > 1)); print(a.drain(|x| x > 3)); print(a); \
                  let m = #{a: 1, b: 2, c: 3}; print(m.filter(|k, v| v > 1)); print(m.drain(|k, v| k == \"a\")); print(m.retain(|k| k == \"b\")); print(m);";
    assert_eq!(
        printed(script),
        "[3, 4]\n[1]\n[4]\ntrue\nfalse\n3\n2\n2\n\n[1]\n[4]\n[2, 3]\n#{\"b\": 2, \"c\": 3}\n#{\"a\": 1}\n#{\"c\": 3}\n#{\"b\": 2}\n"
    );
}

#[test]
fn closure_with_other_parameters_is_explained() {
    for (script, expected) in [
        (
            "followers().filter(|u, i| true).count();",
            "filter's closure takes one parameter, and this has two parameters",
        ),
        (
            "followers().each(|a, b| print(a));",
            "each's closure takes one parameter, and this has two parameters",
        ),
        ("followers().remark(|| \"x\");", "remark's closure takes one parameter, and this has no parameter"),
        (
            "let f = |u, i| true; followers().filter(f).count();",
            "filter's closure takes one parameter, and this has two parameters",
        ),
        (
            "let n = 1; [1].map(|a, b, c| n);",
            "map's closure has three parameters, and is called with two arguments at the most",
        ),
        ("[2, 1].sort(|a| a);", "sort's closure takes two parameters, and this has one parameter"),
        ("let f = |a| a; f.call(1, 2);", "this closure has one parameter, and is called with two arguments"),
    ] {
        assert_eq!(error(script), format!("error: {expected}"), "{script}");
    }
}

#[test]
fn printed_closure_shows_no_name_of_the_engine() {
    assert_eq!(
        printed("fn f() {} print(|x| x); print([|x| x]); print(Fn(\"f\")); print(`${|x| x}`);"),
        "a closure\n[a closure]\nFn(f)\na closure\n"
    );
}

#[test]
fn mixed_list_can_t_be_sorted_and_says_why() {
    assert_eq!(error("[1, \"a\"].sort();"), "error: an array with values of different kinds can't be sorted");
    assert_eq!(
        error("followers().take(2).to_array().sort();"),
        "error: an array can't be sorted by a follower itself"
    );
}

#[test]
fn library_function_with_a_wrong_value_is_named_itself() {
    assert_eq!(error("followers().since(true).count();"), "error: `since` can't take a bool");
}
