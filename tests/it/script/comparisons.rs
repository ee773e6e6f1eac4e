//! Methods of arrays that are given a function by its name, and comparisons that can't be true.

use crate::fixtures::program::Folder;

/// What a script prints, and the first line of its message.
fn outcome(script: &str) -> (String, String) {
    let folder = Folder::with(script).account();
    let finished = folder.run(&["run", "script.rhai", "--sandbox", "--sandbox-followers", "20", "--quiet"]);
    (finished.out, finished.err.lines().next().unwrap_or_default().to_owned())
}

/// Asserts that a script ends with this error before it prints.
#[track_caller]
fn assert_refused(script: &str, message: &str) {
    assert_eq!(outcome(script), (String::new(), format!("error: {message}")), "{script}");
}

/// A list from elsewhere, whose entries are texts.
fn configured(rest: &str) -> String {
    format!("let s = param(\"码\", \"98765\"); {rest}")
}

const NUMBER_AND_TEXT: &str = "`qr_scene` is an integer, and this compares it with a string";

#[test]
fn field_compared_with_a_captured_text_in_count_by_is_refused() {
    assert_refused(&configured("print(followers().count_by(|u| u.qr_scene == s))"), NUMBER_AND_TEXT);
}

#[test]
fn field_compared_with_a_captured_text_in_each_is_refused() {
    let script = "let cfg = parse_json(`{\"码\":\"98765\"}`); let s = cfg.码; \
                  followers().each(|u| if u.qr_scene == s { print(u.openid) })";
    assert_refused(script, NUMBER_AND_TEXT);
}

#[test]
fn index_of_a_text_is_its_place_and_no_call() {
    let script = "fn 甲(x) { throw \"x\" } print([\"乙\", \"甲\"].index_of(\"甲\"))";
    assert_eq!(outcome(script), ("1\n".to_owned(), String::new()));
}

#[test]
fn index_of_a_text_finds_a_character() {
    assert_eq!(outcome("print(['乙', '甲'].index_of(\"甲\"))"), ("1\n".to_owned(), String::new()));
}

#[test]
fn comparator_by_a_name_that_does_not_exist_is_refused() {
    assert_refused("let c = [3, 1, 2]; c.sort(\"cmp\"); print(c)", "there is no function `cmp`");
}

#[test]
fn comparator_by_name_that_throws_ends_the_call() {
    assert_refused("fn same(a, b) { throw \"坏了\" } let c = [3, 3]; c.dedup(\"same\"); print(c)", "坏了");
}

#[test]
fn predicate_by_name_that_returns_no_boolean_is_refused() {
    let message = "the closure of filter must return true or false; it returned an integer";
    assert_refused("fn odd(x) { 5 } print([1, 2].filter(\"odd\"))", message);
}
