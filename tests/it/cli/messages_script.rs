//! The whole message for each mistake in a script: names, kinds, syntax.

use crate::fixtures::program::{Folder, assert_refused};

#[test]
fn misspelt_function_gets_a_suggestion() {
    assert_refused(
        "let who = followrs();",
        "\
error: there is no function `followrs`
 --> script.rhai:1:11
  |
1 | let who = followrs();
  |           ^^^^^^^^
  |
  = hint: did you mean `followers`?
",
    );
}

#[test]
fn misspelt_field_gets_a_suggestion() {
    assert_refused(
        "followers()\n    .filter(|u| u.qr_scen == 98765)\n    .tag(\"展台\");",
        "\
error: a follower has no field `qr_scen`
 --> script.rhai:2:19
  |
2 |     .filter(|u| u.qr_scen == 98765)
  |                   ^^^^^^^
  |
  = hint: did you mean `qr_scene`?
",
    );
}

#[test]
fn comparison_with_another_type_is_reported() {
    assert_refused(
        "followers().filter(|u| u.qr_scene == \"98765\").tag(\"展台\");",
        "\
error: `qr_scene` is an integer, and this compares it with a string
 --> script.rhai:1:35
  |
1 | followers().filter(|u| u.qr_scene == \"98765\").tag(\"展台\");
  |                                   ^
  |
  = hint: write 98765 without quotes
",
    );
}

#[test]
fn wrong_argument_type_of_an_endpoint_is_reported() {
    let folder = Folder::with("tag::attach(\"展台\", [\"oABC\"]);");
    let expected = "\
error: tag::attach: `tagid` must be an integer, not a string
 --> script.rhai:1:6
  |
1 | tag::attach(\"展台\", [\"oABC\"]);
  |      ^^^^^^
  |
  = hint: it is tag::attach(tagid: an integer, openid_list: an array of strings)
";
    assert_eq!(folder.run(&["run", "script.rhai", "--sandbox"]).failure(1), expected);
}

/// The message of a run that gets as far as the platform.
#[track_caller]
fn assert_fails(script: &str, expected: &str) {
    let folder = Folder::with(script);
    let message = folder.run(&["run", "script.rhai", "--sandbox", "--sandbox-followers", "9"]).failure(1);
    assert_eq!(message, expected);
}

#[test]
fn wrong_argument_type_of_a_function_is_reported() {
    assert_fails(
        "followers().filter(\"qr_scene == 1\").count();",
        "\
error: `filter` can't be called with audience, string
 --> script.rhai:1:13
  |
1 | followers().filter(\"qr_scene == 1\").count();
  |             ^^^^^^
  |
  = hint: it is filter(audience, closure)
",
    );
    assert_fails(
        "let report = #{};\nreport.untag(\"旧\");",
        "\
error: `untag` can't be called with map, string
 --> script.rhai:2:8
  |
2 | report.untag(\"旧\");
  |        ^^^^^
  |
  = hint: it is untag(audience, tag)
",
    );
}

#[test]
fn report_used_as_an_audience_is_reported() {
    assert_refused(
        "let report = followers().tag(\"新\");\nreport.untag(\"旧\");",
        "\
error: a report has no `untag`
 --> script.rhai:2:8
  |
2 | report.untag(\"旧\");
  |        ^^^^^
  |
  = hint: write two statements: let people = followers()…; people.NAME(…); people.NAME(…);
",
    );
    assert_refused(
        "followers().tag(\"新\").untag(\"旧\");",
        "\
error: `tag` runs the audience and gives a report, which has no `untag`
 --> script.rhai:1:22
  |
1 | followers().tag(\"新\").untag(\"旧\");
  |                       ^^^^^
  |
  = hint: write two statements: let people = followers()…; people.NAME(…); people.NAME(…);
",
    );
}

#[test]
fn assignment_instead_of_comparison_is_reported() {
    assert_refused(
        "followers().filter(|u| u.qr_scene = 98765).tag(\"展台\");",
        "\
error: a follower's `qr_scene` can't be set
 --> script.rhai:1:26
  |
1 | followers().filter(|u| u.qr_scene = 98765).tag(\"展台\");
  |                          ^^^^^^^^
  |
  = hint: write == to compare; remark(|u| …) and tag(…) change followers
",
    );
}

#[test]
fn syntax_error_is_reported() {
    assert_refused(
        "let scene = 98765;\nfollowers().filter(|u| u.qr_scene == scene;\n",
        "\
error: expecting ',' to separate the arguments to function call 'filter'
 --> script.rhai:2:43
  |
2 | followers().filter(|u| u.qr_scene == scene;
  |                                           ^
  |
  = hint: a comma or a closing bracket is missing before this place
",
    );
    assert_refused(
        "let go = 1;",
        "\
error: `go` is a reserved word
 --> script.rhai:1:5
  |
1 | let go = 1;
  |     ^^
  |
  = hint: choose another name
",
    );
}

#[test]
fn unknown_variable_or_module_is_reported() {
    assert_refused(
        "let scene = 98765;\nprint(scen);",
        "\
error: there is no variable `scen`
 --> script.rhai:2:7
  |
2 | print(scen);
  |       ^^^^
  |
  = hint: did you mean `scene`?
",
    );
    assert_refused(
        "tagg::list();",
        "\
error: there is no module `tagg`
 --> script.rhai:1:1
  |
1 | tagg::list();
  | ^^^^
  |
  = hint: did you mean `tag`?
",
    );
    assert_refused(
        "crm::sync_all();",
        "\
error: there is no module `crm`
 --> script.rhai:1:1
  |
1 | crm::sync_all();
  | ^^^
  |
  = hint: import one of your own first: import \"lib/crm\" as crm;
",
    );
}

#[test]
fn closure_called_like_a_function_is_reported() {
    assert_refused(
        "let label = |n| `展台 ${n}`;\nprint(label(1));",
        "\
error: there is no function `label`
 --> script.rhai:2:7
  |
2 | print(label(1));
  |       ^^^^^
  |
  = hint: if the variable holds a closure, write label.call(…)
",
    );
}

#[test]
fn expression_that_is_nested_too_deeply_names_the_bound() {
    let condition = vec!["u.qr_scene == 1"; 500].join(" || ");
    let folder = Folder::with(&format!("followers().filter(|u| {condition}).count();"));
    let message = folder.run(&["check", "script.rhai"]).failure(1);
    let expected =
        "error: this is nested too deeply: 128 levels are allowed, and 64 in a function or a closure\n";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.contains("hint: a long `||` is [98765, 98766].contains(u.qr_scene); "), "{message}");
}

#[test]
fn function_of_a_module_with_a_wrong_argument_shows_its_form() {
    let folder = Folder::with("let n = 5; oauth::authorize_url(\"https://x\");");
    let message = folder.run(&["run", "script.rhai", "--sandbox", "--quiet"]).failure(1);
    assert!(message.starts_with("error: `oauth::authorize_url` can't be called with "), "{message}");
    assert!(message.contains("hint: it is oauth::authorize_url("), "{message}");
}
