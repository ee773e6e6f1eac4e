//! `mpscript check`: what it finds without running anything, and what it leaves alone.

use crate::fixtures::{
    check::{assert_problem, assert_sound, folder, problems},
    program::Folder,
    sandbox_process::SandboxProcess,
};
use serde_json::json;

#[test]
fn check_runs_nothing() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    let folder = Folder::with("print(\"ran\"); followers().tag(\"老客户\"); throw 1;").account();
    assert_eq!(folder.run(&["check", "script.rhai"]).success(), "script.rhai: ok\n");
    assert_eq!(sandbox.stats()["calls"], json!({}));
}

#[test]
fn valid_script_is_summarized() {
    let folder = folder(
        "import \"lib/dates\" as dates;\nprint(param(\"scene\", 1)); print(param(\"标签\")); dates::today();",
    );
    let expected = "script.rhai: ok\n  parameters: scene, 标签\n  imports: lib/labels, lib/dates\n";
    assert_eq!(folder.run(&["check", "script.rhai"]).success(), expected);
    assert_eq!(folder.run_with_input(&["check", "-"], "print(1);").success(), "-: ok\n");
}

#[test]
fn every_problem_of_every_file_is_reported_in_order() {
    let folder = Folder::new()
        .file("a.rhai", "nobody();\nlet x = 1;\nfollowers().cuont();\nno_one();\n")
        .file("b.rhai", "print(1);")
        .file("c.rhai", "let = 1;");
    let finished = folder.run(&["check", "a.rhai", "b.rhai", "c.rhai"]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), "b.rhai: ok\n"));
    let places: Vec<&str> =
        finished.err.lines().filter_map(|line| line.trim_start().strip_prefix("--> ")).collect();
    assert_eq!(places, ["a.rhai:1:1", "a.rhai:3:13", "a.rhai:4:1", "c.rhai:1:5"]);
}

#[test]
fn problem_in_an_import_has_its_position_there() {
    let folder = Folder::with("import \"lib/broken\" as b;\nb::go_on();")
        .file("lib/broken.rhai", "fn go_on() {\n    folowers().count()\n}");
    let expected = "\
error: there is no function `folowers`
 --> ./lib/broken.rhai:2:5
  |
2 |     folowers().count()
  |     ^^^^^^^^
  |
  = hint: did you mean `followers`?
";
    assert_eq!(folder.run(&["check", "script.rhai"]).failure(1), expected);
}

#[test]
fn unknown_follower_field_is_found_everywhere() {
    let problem = "a follower has no field `qr_scen`";
    for script in [
        "followers().filter(|u| u.qr_scen == 1).tag(\"新\");",
        "followers().take(5).filter(|u| true).filter(|u| u.sex == 1 && u.qr_scen == 1).count();",
        "followers().each(|u| print(u.qr_scen));",
        "followers().each(|u| { if u.sex == 1 { print(`${u.qr_scen}`); } });",
        "followers().remark(|u| u.qr_scen);",
        "members(\"老客户\").filter(|u| u.qr_scen == 1).untag(\"老客户\");",
        "openids([]).filter(|u| u.qr_scen == 1).count();",
        "for u in followers() { print(u.qr_scen); }",
        "for (u, i) in followers().take(3) { print(u.qr_scen); }",
        "let people = followers(); people.filter(|u| u.qr_scen == 1).count();",
        "let people = followers(); let few = people.take(3); for u in few { print(u.qr_scen); }",
        "let people = followers(); people = people.take(3); people.each(|u| print(u.qr_scen));",
        "let scene = 1; followers().filter(|u| u.qr_scen == scene).count();",
        "let people = followers(); let later = || people.filter(|u| u.qr_scen == 1); later.call();",
        "fn run_it() { followers().filter(|u| u.qr_scen == 1).count() } run_it();",
        "followers().filter(|u| u.qr_scen.to_string() == \"1\").count();",
    ] {
        assert_problem(script, problem);
    }
}

#[test]
fn audience_method_on_a_report_is_found() {
    assert_problem(
        "followers().take(3).tag(\"甲\").untag(\"乙\");",
        "`tag` runs the audience and gives a report, which has no `untag`",
    );
    assert_problem(
        "let people = followers(); people.each(|u| u.openid).filter(|u| true);",
        "`each` runs the audience and gives a report, which has no `filter`",
    );
    assert_sound("print(followers().take(3).tag(\"甲\").changed); [1].filter(|n| n > 0).filter(|n| n < 2);");
}

#[test]
fn comparison_that_is_never_true_is_found() {
    for (condition, problem) in [
        ("u.qr_scene == \"1\"", "`qr_scene` is an integer, and this compares it with a string"),
        ("\"1\" != u.qr_scene", "`qr_scene` is an integer, and this compares it with a string"),
        (
            "u.subscribe_time > \"2026-01-01\"",
            "`subscribe_time` is an integer, and this compares it with a string",
        ),
        ("u.subscribe == true", "`subscribe` is an integer, and this compares it with true or false"),
        ("u.qr_scene_str == 5", "`qr_scene_str` is a string, and this compares it with an integer"),
        ("u.tagid_list == 100", "`tagid_list` is an array of integers, and this compares it with an integer"),
    ] {
        assert_problem(&format!("followers().filter(|u| {condition}).count();"), problem);
    }
}

#[test]
fn comparison_with_a_value_of_a_known_kind_is_found() {
    let text = "`qr_scene` is an integer, and this compares it with a string";
    for script in [
        "let s = param(\"s\", \"\"); followers().filter(|u| u.qr_scene == s).count();",
        "let s = \"98765\"; followers().filter(|u| u.qr_scene == s).count();",
        "for u in followers().take(5).to_array() { if u.qr_scene == \"1\" { print(1); } }",
        "let people = followers(); for u in people.to_array() { if u.qr_scene == \"1\" { print(1); } }",
        "let s = \"98765\"; let t = s; for u in followers() { if u.qr_scene == t { print(1); } }",
        "const S = \"98765\"; fn f() { followers().filter(|u| u.qr_scene == global::S).count() } f();",
        "for s in [\"98765\", \"5\"] { followers().filter(|u| u.qr_scene == s).count(); }",
        "followers().filter(|u| u.qr_scene == param(\"s\", \"\")).count();",
        "followers().since(\"2026-01-01\").filter(|u| u.qr_scene == \"1\").count();",
        "const automation = #{ on: [], params: #{ s: \"98765\" } };\n\
         fn run(ctx, p) { followers().filter(|u| u.qr_scene == p.s).count() }",
    ] {
        assert_problem(script, text);
    }
}

#[test]
fn comparison_with_the_result_of_a_function_is_found() {
    for (condition, problem) in [
        ("u.qr_scene == beijing_time(5)", "`qr_scene` is an integer, and this compares it with a string"),
        ("u.openid == display_width(\"a\")", "`openid` is a string, and this compares it with an integer"),
        ("u.remark == u.remark.len()", "`remark` is a string, and this compares it with an integer"),
        ("name in u.tagid_list", "`tagid_list` never has a string in it"),
    ] {
        let script = format!("let name = beijing_time(5); followers().filter(|u| {condition}).count();");
        assert_problem(&script, problem);
    }
}

#[test]
fn comparison_with_the_field_of_a_map_is_found() {
    let text = "`qr_scene` is an integer, and this compares it with a string";
    for script in [
        "let m = #{scene: \"98765\"}; followers().filter(|u| u.qr_scene == m.scene).count();",
        "let m = #{scene: 1}; m.scene = 2; let n = #{scene: `${m.scene}`}; followers().filter(|u| u.qr_scene == n.scene).count();",
        "const M = #{scene: \"98765\"}; fn f() { followers().filter(|u| u.qr_scene == global::M.scene).count() } f();",
        "let m = #{scene: \"98765\"}; print(m); m.keys(); followers().filter(|u| u.qr_scene == m.scene).count();",
    ] {
        assert_problem(script, text);
    }
}

#[test]
fn comparison_with_a_field_or_result_of_an_unknown_kind_is_accepted() {
    for script in [
        "let m = #{scene: \"98765\"}; m.scene = 5; followers().filter(|u| u.qr_scene == m.scene).count();",
        "let m = #{scene: \"98765\"}; m[\"scene\"] = 5; followers().filter(|u| u.qr_scene == m.scene).count();",
        "let m = #{scene: \"98765\"}; m.set(\"scene\", 5); followers().filter(|u| u.qr_scene == m.scene).count();",
        "let m = #{scene: \"98765\"}; m.mixin(#{scene: 5}); followers().filter(|u| u.qr_scene == m.scene).count();",
        "let m = #{scene: \"98765\"}; m += #{scene: 5}; followers().filter(|u| u.qr_scene == m.scene).count();",
        "let m = #{scene: \"98765\"}; m = #{}; followers().filter(|u| u.qr_scene == m.scene).count();",
        "fn fix() { this.scene = 5; } let m = #{scene: \"98765\"}; m.fix(); followers().filter(|u| u.qr_scene == m.scene).count();",
        "fn f(m) { followers().filter(|u| u.qr_scene == m.scene).count() } let m = #{scene: \"1\"}; f(#{scene: 5});",
        "fn display_width(x) { x } followers().filter(|u| u.openid == display_width(\"a\")).count();",
        "let m = #{len: || \"a\"}; followers().filter(|u| u.remark == m.len.call()).count();",
    ] {
        assert_sound(script);
    }
}

#[test]
fn membership_that_is_never_true_is_found() {
    let ids = "`tagid_list` never has a string in it";
    for (condition, problem) in [
        ("u.tagid_list.contains(\"星标组\")", ids),
        ("\"星标组\" in u.tagid_list", ids),
        ("!(\"星标组\" in u.tagid_list)", ids),
        ("u.tagid_list.contains(name)", ids),
        ("name in u.tagid_list", ids),
        ("u.tagid_list.index_of(\"星标组\") >= 0", ids),
        ("u.qr_scene in [\"1\", \"2\"]", "`qr_scene` is an integer, and this list has strings only"),
        ("texts.contains(u.qr_scene)", "`qr_scene` is an integer, and this list has strings only"),
        ("[1, 2].contains(u.openid)", "`openid` is a string, and this list has integers only"),
    ] {
        let script = format!(
            "let name = \"星标组\"; let texts = [\"1\"]; followers().filter(|u| {condition}).count();"
        );
        assert_problem(&script, problem);
    }
}

#[test]
fn comparison_with_a_value_of_an_unknown_kind_is_accepted() {
    for script in [
        "let s = \"1\"; s = 2; followers().filter(|u| u.qr_scene == s).count();",
        "let s = param(\"s\", 98765); followers().filter(|u| u.qr_scene == s).count();",
        "let s = parse_int(param(\"s\", \"5\")); followers().filter(|u| u.qr_scene == s || u.qr_scene_str == `${s}`).count();",
        "fn f(s) { followers().filter(|u| u.qr_scene == s).count() } let s = \"1\"; f(5);",
        "for s in [1, \"2\"] { if type_of(s) == \"i64\" { followers().filter(|u| u.qr_scene == s).count(); } }",
        "let ids = [1, 2]; followers().filter(|u| u.qr_scene in ids && !(\"a\" in u.openid)).count();",
        "let tag = tag_id(\"星标组\"); followers().filter(|u| tag in u.tagid_list).count();",
    ] {
        assert_sound(script);
    }
}

#[test]
fn closure_of_followers_with_two_parameters_is_found() {
    assert_problem(
        "let n = 1; followers().filter(|u, i| u.qr_scene == n).count();",
        "filter's closure takes one parameter, and this has two parameters",
    );
}

#[test]
fn comparison_that_may_be_true_is_accepted() {
    assert_sound(
        "let scenes = [1, \"x\"]; let name = \"展台\";
         followers().filter(|u| u.qr_scene == scenes[0] || u.qr_scene == () || u.qr_scene == 5.0).count();
         followers().filter(|u| u.qr_scene in scenes || u.tagid_list.contains(100) || 2 in u.tagid_list).count();
         followers().filter(|u| u.qr_scene_str == `${name}-01` || u.qr_scene.to_string() == \"5\").count();
         followers().filter(|u| u.remark > \"a\" && u.remark.len() == 3 || u.tagid_list == []).count();",
    );
}

#[test]
fn fields_of_other_values_are_accepted() {
    for script in [
        "print([#{foo: 1}].filter(|u| u.foo == \"1\").map(|u| u.bar).len());",
        "for u in [#{foo: 1}] { print(u.foo); }",
        // The name holds an audience here and something else there.
        "let people = followers(); fn show(people) { for u in people { print(u.foo); } } show([#{foo: 1}]);",
        "let people = followers(); for people in [[#{foo: 1}]] { for u in people { print(u.foo); } }",
        "let people = followers(); let show = |people| { for u in people { print(u.foo); } }; show.call([#{foo: 1}]);",
        "let people = followers(); people = [#{foo: 1}]; for u in people { print(u.foo); }",
        "let people = if 1 > 2 { followers() } else { [#{foo: 1}] }; for u in people { print(u.foo); }",
        "let members = [#{foo: 1}]; for u in members { print(u.foo); }",
        // The file has a function of its own by that name.
        "fn openids(a, b) { [#{foo: a}, #{foo: b}] } for u in openids(1, 2) { print(u.foo); }",
        "fn followers() { [#{foo: 1}] } print(followers().filter(|u| u.foo == 1).len());",
        // Within a closure that is given a follower, the name means something else.
        "followers().each(|u| { let u = #{foo: 1}; print(u.foo); });",
        "followers().each(|u| { u = #{foo: 1}; print(u.foo); });",
        "followers().each(|u| { for u in [#{foo: 1}] { print(u.foo); } });",
        "followers().filter(|u| [#{foo: 1}].some(|u| u.foo == 2)).count();",
        "followers().each(|u| print(u[\"openid\"]));",
        "followers().each(|u| { let name = u.openid; name += \"x\"; u.tagid_list.contains(1); u = (); });",
        "let u = #{foo: 1}; followers().each(|v| print(v.openid + u.foo));",
    ] {
        assert_sound(script);
    }
    // A field that the platform adds later is read by its name; here it has none, which only a run can find.
    assert_eq!(problems("followers().filter(|u| u[\"new_field\"] == 1).count();"), [""; 0]);
}
