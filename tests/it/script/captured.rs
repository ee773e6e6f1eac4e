//! Values that a closure of followers has captured, held against the fields that it compares them with: what no check before
//! the run can know.

use crate::fixtures::program::Folder;

/// The first line and the hint of what a script fails with, before anything is listed.
fn refused(script: &str) -> (String, String) {
    Folder::with(script).run(&["run", "script.rhai", "--sandbox"]).error_and_hint()
}

#[test]
fn captured_value_of_another_kind_than_the_field_is_refused() {
    let text = "`qr_scene` is an integer, and this compares it with a string";
    for (script, message, hint) in [
        (
            "fn of(s) { followers().filter(|u| u.qr_scene == s).count() } of(\"98765\");",
            text,
            "write parse_int(s); a parameter with a number as its default is a number",
        ),
        (
            "for s in [1, \"2\"] { followers().filter(|u| u.qr_scene == s).count(); }",
            text,
            "write parse_int(s); a parameter with a number as its default is a number",
        ),
        (
            "fn of(m) { followers().filter(|u| u.qr_scene == m.scene).count() } of(#{scene: \"98765\"});",
            text,
            "compare it with an integer",
        ),
        (
            "fn of(n) { followers().filter(|u| n == u.qr_scene_str && u.subscribe == 1).count() } of(5);",
            "`qr_scene_str` is a string, and this compares it with an integer",
            "compare it with a string",
        ),
        (
            "fn of(tag) { followers().filter(|u| tag in u.tagid_list).count() } of(\"星标组\");",
            "`tagid_list` never has a string in it",
            "it holds ids: with_tag(NAME), or tag_id(NAME) in u.tagid_list",
        ),
        (
            "fn of(list) { followers().filter(|u| u.qr_scene in list).count() } of(\"1,2\".split(\",\"));",
            "`qr_scene` is an integer, and this list has strings only",
            "write the numbers without quotes",
        ),
    ] {
        assert_eq!(refused(script), (message.to_owned(), hint.to_owned()), "{script}");
    }
}

#[test]
fn captured_value_that_may_be_equal_is_accepted() {
    for script in [
        "fn of(s) { followers().filter(|u| u.qr_scene == s).count() } of(98765); of(5.0); of(());",
        "fn of(s) { followers().filter(|u| u.qr_scene == s || u.qr_scene_str == s).count() } of(\"98765\"); of(5);",
        "fn of(s) { followers().filter(|u| type_of(s) == \"i64\" && u.qr_scene == s).count() } of(\"a\");",
        "fn of(s) { followers().filter(|u| { let s = 5; u.qr_scene == s }).count() } of(\"a\");",
        "fn of(list) { followers().filter(|u| u.qr_scene in list).count() } of([]); of([1, \"a\"]);",
        "let last = \"\"; followers().take(9).filter(|u| { let same = u.qr_scene == last; last = u.qr_scene; same }).count();",
        "followers().from_scene(\"a\").by_channel(\"ADD_SCENE_SEARCH\").with_tag(\"星标组\").since(\"2026-01-01\").count();",
    ] {
        Folder::with(script).run(&["run", "script.rhai", "--sandbox", "--sandbox-followers", "20"]).success();
    }
}
