//! What is kept or sent as JSON: values without a JSON form are refused with their place.

use crate::fixtures::{program::Folder, sandbox_process::SandboxProcess};

/// The values, with what messages call them.
const WITHOUT_JSON: &[(&str, &str)] = &[
    ("|x| x", "a closure"),
    ("followers()", "an Audience"),
    ("timestamp()", "a timestamp"),
    ("0..5", "a range"),
    ("blob(3)", "a blob"),
    ("0.0 / 0.0", "no finite number"),
    ("1.0 / 0.0", "no finite number"),
    ("token::get()", "a Token"),
];

#[test]
fn state_without_a_json_form_fails_the_run_with_its_place() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    for (value, kind) in WITHOUT_JSON {
        let automation = format!(
            "const automation = #{{ on: [] }};\nfn run(ctx) {{ ctx.state.a = #{{ f: [1, {value}] }}; }}"
        );
        let folder =
            Folder::new().file("计数.rhai", automation).account().env("MPSCRIPT_STORE", "store.sqlite3");
        let finished = folder.run(&["run", "计数.rhai", "--base-url", &sandbox.url(), "--quiet"]);
        let expected = format!(
            "error: `ctx.state.a.f[1]` is {kind} and can't be kept: nothing of `ctx.state` was saved"
        );
        assert_eq!(
            (finished.code, finished.err.lines().next()),
            (Some(1), Some(expected.as_str())),
            "{value}"
        );
    }
}

#[test]
fn character_in_the_state_fails_the_run() {
    let automation = "const automation = #{ on: [] };\nfn run(ctx) { ctx.state.首字 = '甲'; }";
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    let folder = Folder::new().file("计数.rhai", automation).account().env("MPSCRIPT_STORE", "store.sqlite3");
    let message = folder.run(&["run", "计数.rhai", "--base-url", &sandbox.url(), "--quiet"]).failure(1);
    assert!(message.starts_with("error: `ctx.state.首字` is a character and can't be kept"), "{message}");
}

#[test]
fn map_without_a_json_form_is_refused_by_to_json() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    for (value, kind) in WITHOUT_JSON {
        let folder = Folder::with(&format!("print(#{{a: [{value}]}}.to_json());")).account();
        let message = folder.run(&["run", "script.rhai", "--base-url", &sandbox.url(), "--quiet"]).failure(1);
        assert!(message.starts_with(&format!("error: to_json: `a[0]` is {kind}\n")), "{message}");
    }
}

#[test]
fn values_of_the_platform_have_a_json_form() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    let script = "let u = followers().to_array()[0]; print(#{u: u}.to_json().contains(u.openid)); \
                  print(#{t: tag::list()[0]}.to_json().contains(\"星标组\")); print(#{n: [1, 1.5, true, \"甲\", ()]}.to_json());";
    let folder = Folder::with(script).account();
    let out = folder.run(&["run", "script.rhai", "--base-url", &sandbox.url(), "--quiet"]).success();
    assert_eq!(out, "true\ntrue\n{\"n\":[1,1.5,true,\"甲\",null]}\n");
}

#[test]
fn group_that_is_no_text_is_refused() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    let folder = Folder::with("print(followers().count_by(|u| u));").account();
    let message = folder.run(&["run", "script.rhai", "--base-url", &sandbox.url(), "--quiet"]).failure(1);
    let expected = "error: the closure of count_by must return a text or a number; it returned a User\n";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn text_among_ids_is_refused_where_values_decide() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    for condition in ["u.tagid_list.contains(names[0])", "names[0] in u.tagid_list"] {
        let script = format!("let names = [\"星标组\", 1]; followers().filter(|u| {condition}).count();");
        let folder = Folder::with(&script).account();
        let message = folder.run(&["run", "script.rhai", "--base-url", &sandbox.url(), "--quiet"]).failure(1);
        assert!(
            message.starts_with("error: `tagid_list` holds ids, and this looks for `星标组` in it\n"),
            "{message}"
        );
        assert!(message.contains("hint: write with_tag(\"星标组\")"), "{message}");
    }
}

#[test]
fn tag_stands_for_its_id_in_a_list_of_ids() {
    let sandbox = SandboxProcess::start(&["--followers", "3"]);
    let script = "followers().take(2).tag(\"甲\"); let all = tag::list(); let t = all[all.len() - 1]; \
                  print(followers().filter(|u| t in u.tagid_list).count()); print(t == t.id); print([1, t.id].contains(t)); \
                  print(t != t.id); print([\"a\", 'b'].contains(\"b\"));";
    let folder = Folder::with(script).account();
    let out = folder.run(&["run", "script.rhai", "--base-url", &sandbox.url(), "--quiet"]).success();
    assert_eq!(out, "2\ntrue\ntrue\nfalse\ntrue\n");
}

#[test]
fn value_that_is_too_deep_is_shown_as_such_and_not_compared() {
    let lists = "let x = []; for i in 0..2000 { x = [[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]; } let y = x;";
    let maps = "let x = #{}; for i in 0..2000 { x = #{a: [#{a: [#{a: x}]}]}; } let y = x;";
    for (make, shown) in
        [(lists, "[nested more than 64 levels deep]\n"), (maps, "#{nested more than 64 levels deep}\n")]
    {
        let run = |what: &str| {
            Folder::with(&format!("{make} {what};")).run(&["run", "script.rhai", "--sandbox", "--quiet"])
        };
        assert_eq!(run("print(`${x}`)").success(), shown);
        assert_eq!(run("print(x)").success(), shown);
        for what in ["print(x == y)", "print(x != y)", "print([x] == [y])"] {
            let message = run(what).failure(1);
            let expected = "error: these values can't be compared: one is nested more than 64 levels deep\n";
            assert!(message.starts_with(expected), "{what}: {message}");
        }
    }
}

#[test]
fn arrays_and_maps_are_shown_and_compared_as_before() {
    let script = "print([1, \"甲\", (), #{a: [2.5, 'c']}, true]); print(#{\"b c\": [], a: #{}}); debug([1]); \
                  print([1, [2]] == [1, [2]]); print([1] != [1]); print([1, \"1\"] == [1, 1]); print(#{a: 1} == #{a: 1.0}); \
                  print(#{a: 1} != #{b: 1}); print([] == []); print(`${[\"a\"]}`);";
    let finished = Folder::with(script).run(&["run", "script.rhai", "--sandbox", "--quiet"]);
    assert_eq!(
        finished.out,
        "[1, \"甲\", (), #{\"a\": [2.5, c]}, true]\n#{\"a\": #{}, \"b c\": []}\ntrue\nfalse\nfalse\ntrue\ntrue\ntrue\n[\"a\"]\n"
    );
}
