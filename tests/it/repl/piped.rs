//! The session where lines are piped in.

use crate::fixtures::{
    program::{Folder, piped_session},
    sandbox_process::SandboxProcess,
};
use std::fs;

#[track_caller]
fn gives(lines: &str, out: &str) {
    assert_eq!(piped_session(lines).success(), out, "{lines}");
}

#[test]
fn piped_lines_print_values_and_set_the_exit_code() {
    gives("1 + 1\n\"文本\"\nlet x = 5;\nx * 2\n()\n", "2\n文本\n10\n");
    let failed = piped_session("1 / 0\nxyz()\n2\n");
    assert_eq!((failed.code, failed.out.as_str()), (Some(1), "2\n"));
    assert!(failed.err.contains("there is no function `xyz`\n --> line 2:1:1"), "{}", failed.err);
    assert!(!failed.err.contains('\u{1b}'), "{}", failed.err);
    // A line that is never finished is reported at the end.
    let open = piped_session("followers(\n");
    assert_eq!(open.code, Some(1), "{}", open.out);
    assert_eq!(piped_session("3\n:quit\n4\n").success(), "3\n");
}

#[test]
fn line_with_a_compensation_is_a_run() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    for line in ["delete_tag_if_empty(t.id, t.name);", "restore_tag_name(t.id, \"旧名\", t.name);"] {
        let folder = Folder::new().account();
        let lines = format!("let t = tag::create(\"空的\");\n{line}\n");
        folder.run_with_input(&["repl", "--base-url", &sandbox.url()], &lines);
        let runs = folder.run(&["runs", "--json"]).success();
        assert!(runs.contains("line 2"), "{line}: {runs}");
    }
}

#[test]
fn declarations_are_kept_across_lines() {
    gives("fn doubled(a) { a * 2 }\nlet f = |a| doubled(a) + 1;\nf.call(4)\n", "9\n");
    gives("const LIMIT = 5;\nfn over(a) { a > global::LIMIT }\nover(6)\nLIMIT\n", "true\n5\n");
    gives("let n = 0;\nlet add = |a| n += a;\nadd.call(3);\nadd.call(4);\nn\n", "7\n");
    gives("let x = 1;\nlet x = 2;\nx\nit + 1\nout(3) * 10\n", "2\n3\n20\n");
    // A variable takes a constant's name over, and the other way round.
    gives("const K = 1;\nlet K = 2;\nK += 1;\nK\nconst K = 9;\nK\n", "3\n9\n");
    gives("if true {\n  \"yes\"\n} else {\n  \"no\"\n}\n`a\nb`\n/* c\nd */ 7\n", "yes\na\nb\n7\n");
    // An error leaves everything as it was but for what had been done.
    let failed = piped_session("let a = 1;\na = 2; throw \"坏了\";\na\n");
    assert_eq!((failed.code, failed.out.as_str()), (Some(1), "2\n"), "{}", failed.err);
    // An audience of an earlier line is gone through by a later one.
    gives(
        "let booth = followers().filter(|u| u.qr_scene == 98765);\nbooth.count()\nbooth.tag(\"展台\").changed\n",
        "1234\n1234\n",
    );
}

#[test]
fn error_in_an_earlier_line_has_its_position() {
    let folder = Folder::new().file("lib/shop.rhai", "fn price(n) { n * 3 } export const NAME = \"店\";");
    let lines = "import \"lib/shop\" as shop;\nshop::price(2)\nshop::NAME\nfn bad() {\n\n  xyz()\n}\nbad()\n";
    let finished = folder.run_with_input(&["repl", "--sandbox"], lines);
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), "6\n店\n"), "{}", finished.err);
    assert!(finished.err.contains("there is no function `xyz`\n --> line 4:3:3"), "{}", finished.err);
    // In a closure, in a function that one of this line calls, and in a file.
    let output = |lines: &str| piped_session(lines).err;
    assert!(output("let f = |x| x.xyz();\n1\nf.call(1)\n").contains("--> line 1:1:15"));
    assert!(output("fn f(x) { x.foo }\nfn g(x) { f(x) } g(1)\n").contains("--> line 1:1:13"));
    let own = output("fn f(x) { x }\nfn g(x) { f(x); x.foo } g(1)\n");
    assert!(own.contains("--> line 2:1:1"), "{own}");
    let folder = Folder::new().file("bad.rhai", "fn three() { 3 }\n\nfn four() { xyz() }\nlet a = ;");
    let output = |lines: &str| folder.run_with_input(&["repl", "--sandbox"], lines).err;
    // Of functions that share a name nothing says which one it was.
    let of_two = output("fn f(a) { a.xyz() }\nfn f(a, b) { a + b }\n1 +\n f(1)\n");
    assert!(of_two.contains("--> line 3:2:2"), "{of_two}");
    assert!(output(":load bad.rhai\n").contains("--> bad.rhai:4:9"), "{}", output(":load bad.rhai\n"));
    // In an import of an earlier line, though a line declares the same name.
    let with_import = Folder::new().file("m.rhai", "\n\nfn h(x) {\n  x.xyz()\n}");
    let lines = "fn h(x) { 1 }\nimport \"m\" as m\nimport \"m\" as m\nm::h(5)\n:vars\n";
    let of_import = with_import.run_with_input(&["repl", "--sandbox"], lines);
    assert!(of_import.err.contains("m.rhai:4:5"), "{}", of_import.err);
    assert_eq!(of_import.out.matches("import").count(), 1, "{}", of_import.out);
    let folder = Folder::new().file("bad.rhai", "fn four() {\n  xyz()\n}");
    let output = folder.run_with_input(&["repl", "--sandbox"], ":load bad.rhai\nfour()\n").err;
    assert!(output.contains("--> bad.rhai:2:3"), "{output}");
}

#[test]
fn values_are_displayed_readably() {
    gives("tag::list()\n", " id  name    count\n 2   星标组  20\n");
    gives("#{b: [1], a: \"甲\"}\n", "{\n  \"a\": \"甲\",\n  \"b\": [\n    1\n  ]\n}\n");
    gives("[#{n: 1, 名: \"乙\"}, #{n: 2, 名: \"丙\"}]\n", " n  名\n 1  乙\n 2  丙\n");
    let many = piped_session("let all = []; for n in 0..25 { all.push(n); } all\n:more\n");
    assert!(many.out.contains(" 19  19\n 20  20\n") && many.out.ends_with(" 24  24\n"), "{}", many.out);
    assert!(many.err.contains("there are no more rows"), "{}", many.err);
    gives(
        "followers().take(3)\n",
        "followers()\n  .take(3)\nnothing is called yet: .count(), .each(|u| …) or .tag(\"…\") runs it\n",
    );
    let people = piped_session("followers().take(2).to_array()\n").success();
    assert!(people.starts_with(" openid                        remark  subscribed"), "{people}");
    let one = piped_session("followers().take(1).to_array()[0]\n").success();
    assert!(one.contains("subscribe_scene   ADD_SCENE_"), "{one}");
    let report = piped_session("followers().take(5).tag(\"甲\")\n").success();
    assert!(report.contains("tag `甲`: done in") && report.contains("changed                5"), "{report}");
}

#[test]
fn commands_have_their_documented_effect() {
    let folder = Folder::new()
        .file("more.rhai", "fn three() { 3 }\nlet present = true;")
        .file("own.rhai", "print(\"own\");");
    let run = |lines: &str| folder.run_with_input(&["repl", "--sandbox"], lines);
    let loaded = run(":load more.rhai\nthree()\npresent\n:run own.rhai\n:vars\n").success();
    assert!(loaded.starts_with("3\ntrue\nown\n  present          a bool           true\n"), "{loaded}");
    assert!(loaded.ends_with("  fn three()\n"), "{loaded}");
    let made =
        run("import \"more\" as m;\nlet f = |a| a;\nlet r = followers().take(1).count();\n:vars\n").success();
    assert!(made.starts_with("  import \"more\" as m\n  f                a closure\n"), "{made}");
    assert_eq!(run("let a = 1;\n:reset\n:vars\n").success(), "nothing is declared yet\n");
    assert_eq!(run("let a = 1;\na = 2;\n:undo\na\n").success(), "the variables are as before that line\n1\n");
    let timed = run(":time 1 + 1\n");
    assert_eq!(timed.out, "2\n");
    assert!(timed.err.starts_with("0.") && timed.err.ends_with(" s, 0 calls\n"), "{}", timed.err);
    for (line, says) in [
        (":xyz", "there is no command `:xyz`"),
        (":hlep", "did you mean `:help`?"),
        (":load", ":load needs the name of a file"),
        (":load xyz.rhai", "can't read xyz.rhai"),
        (":dry maybe", "`maybe` is neither on nor off"),
        (":undo", "there is no earlier line to undo"),
        (":account shop", "this session is on a sandbox of its own"),
        (":more", "the last result is not a list"),
        ("?folowers", "did you mean ?followers"),
        ("??", "??NAME"),
        ("??xyz", "is not a function that is written in a script"),
    ] {
        let refused = run(&format!("{line}\n"));
        assert!(refused.code != Some(0) && refused.err.contains(says), "{line}: {}", refused.err);
    }
    assert!(run(":help\n").success().contains(":undo"));
    assert!(run("?\n").success().contains("tag::attach"));
    assert!(run("?tag::attach\n").success().starts_with("tag::attach(tagid: int, openid_list: Array)"));
    assert!(run("??from_scene\n").success().contains("fn from_scene(scene) {"));
    assert_eq!(run("fn mine(a) { a }\n??mine\n").success(), "fn mine(a) { a }\n");
    assert!(run("tag::list();\n:quota\n").success().contains("/cgi-bin/tags/get"));
}

#[test]
fn misspelt_variable_of_an_earlier_line_gets_a_suggestion() {
    let finished =
        Folder::new().run_with_input(&["repl", "--sandbox"], "let 展台列表 = [1];\nlet foo = 1;\nfooo\n");
    assert!(finished.err.contains("there is no variable `fooo`"), "{}", finished.err);
    assert!(finished.err.contains("hint: did you mean `foo`?"), "{}", finished.err);
}

#[test]
fn line_that_only_shows_followers_is_not_saved() {
    let folder = Folder::new();
    let lines = "followers().take(1)\nprint(1)\n:save 只打印.rhai\n";
    folder.run_with_input(&["repl", "--sandbox"], lines).success();
    let saved = fs::read_to_string(folder.path().join("只打印.rhai")).expect("it was written");
    assert!(!saved.contains("followers()") && saved.contains("print(1);"), "{saved}");
}

#[test]
fn successful_lines_are_saved_as_a_script() {
    let folder = Folder::new();
    let lines = "const SCENE = 98765;\nfn booth() { followers().filter(|u| u.qr_scene == global::SCENE) }\nxyz()\n\
                 print(booth().count())\n:save booth.rhai\n:save --automation daily.rhai\n:save booth.rhai\n";
    let saved = folder.run_with_input(&["repl", "--sandbox"], lines);
    assert_eq!(saved.out, "1234\n3 lines written to booth.rhai\n3 lines written to daily.rhai\n");
    assert!(saved.err.contains("there is a file booth.rhai already"), "{}", saved.err);
    assert_eq!(folder.run(&["run", "booth.rhai", "--sandbox", "--quiet"]).success(), "1234\n");
    let daily = fs::read_to_string(folder.path().join("daily.rhai")).expect("it was written");
    assert!(daily.starts_with("//! Written on 20"), "{daily}");
    assert!(
        daily.contains("const SCENE = 98765;\n")
            && daily.contains("fn run(ctx, p) {\n    print(booth().count());\n}\n"),
        "{daily}"
    );
    assert_eq!(folder.run(&["check", "daily.rhai"]).code, Some(0));
}

#[test]
fn dry_run_lines_change_nothing() {
    let sandbox = SandboxProcess::start(&["--followers", "300"]);
    let folder = Folder::new().account();
    let url = sandbox.url();
    let lines = "followers().tag(\"甲\").changed\n:dry off\nfollowers().take(20).tag(\"乙\").changed\n:dry on\ntag::create(\"丙\").id < 0\n";
    let finished = folder.run_with_input(&["repl", "--dry-run", "--base-url", &url], lines);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let expected = "300\nnot dry: lines change the account\n20\ndry: lines change nothing, and show what they would change\ntrue\n";
    assert_eq!(finished.out, expected);
    assert!(finished.err.contains("300 followers would be changed by tag `甲`"), "{}", finished.err);
    assert_eq!([sandbox.tagged("甲"), sandbox.tagged("乙"), sandbox.tagged("丙")], [None, Some(20), None]);
}

#[test]
fn line_that_changes_the_account_is_a_run_and_undoable() {
    let sandbox = SandboxProcess::start(&["--followers", "300"]);
    let folder = Folder::new().account();
    let url = sandbox.url();
    let lines = "let n = 1;\nn = followers().tag(\"甲\").changed;\nn\n";
    folder.run_with_input(&["repl", "--base-url", &url], lines).success();
    let runs = folder.run(&["runs"]).success();
    assert_eq!(runs.lines().count(), 1, "{runs}");
    let run = runs.split(' ').next().unwrap_or_default();
    assert!(runs.trim_end().ends_with("done                line 2"), "{runs}");
    let refused = folder.run(&["resume", run]);
    assert!(refused.out.contains("has ended: done"), "{}", refused.err);
    folder.run(&["undo", run, "--yes", "--quiet", "--base-url", &url]);
    assert_eq!(sandbox.tagged("甲"), None);
    // The session asks for confirmation, which is impossible where lines are piped.
    let lines = "followers().tag(\"乙\").changed\n:undo\n";
    let unasked = folder.run_with_input(&["repl", "--base-url", &url], lines);
    assert!(unasked.err.contains("there is no terminal to confirm at"), "{}", unasked.err);
    assert_eq!(sandbox.tagged("乙"), Some(300));
    let sure = folder
        .run_with_input(&["repl", "--yes", "--base-url", &url], "followers().tag(\"丙\").changed\n:undo\n");
    assert_eq!((sure.code, sandbox.tagged("丙")), (Some(0), None), "{}", sure.err);
}

#[test]
fn finished_line_does_not_stop_later_lines() {
    let lines = "let a = followers().filter(|u| u.qr_scene == 98765);\na.take(3).tag(\"一\").changed\nsleep(2)\na.count()\n";
    assert_eq!(piped_session(lines).success(), "3\n1234\n");
}

#[test]
fn undo_in_dry_run_mode_changes_nothing() {
    let lines = "tag::create(\"甲\").name\n:dry on\n:undo\n:dry off\n:undo\ntag::list().len()\nlet n = 1;\n:reset\n:vars\n";
    let finished = Folder::new().run_with_input(&["repl", "--sandbox", "--yes"], lines);
    assert!(finished.err.contains("the session is dry"), "{}", finished.err);
    assert!(finished.out.contains("the account is as before that line\n"), "{}", finished.out);
    assert!(finished.out.ends_with("\n1\nnothing is declared yet\n"), "{}", finished.out);
}

#[test]
fn variables_outside_a_function_s_scope_are_explained() {
    let output = |lines: &str| piped_session(lines).err;
    assert!(
        output("let x = 5;\nfn f() { x }\nf()\n").contains("a function does not see the variables of lines")
    );
    assert!(output("let f = |n| n + 1;\nf(1)\n").contains("f.call(…) calls a closure"));
    assert_eq!(piped_session("1\nexit\n2\n").success(), "1\n");
    let folder = Folder::new();
    let lines = "fn d(x) { x * 2 }\nfn d(x) { x * 3 }\nlet e = d(2) // 二\nprint(e)\n:save s.rhai\n";
    folder.run_with_input(&["repl", "--sandbox"], lines).success();
    assert_eq!(folder.run(&["run", "s.rhai", "--sandbox"]).success(), "6\n");
    // Results that others use get names; values that were only looked at are left out.
    let lines = "let n = 41\nn\nfollowers().take(3).count()\nit + n\nprint(it * out(3))\n:save t.rhai\n";
    let saved = folder.run_with_input(&["repl", "--sandbox"], lines);
    assert_eq!(saved.success(), "41\n3\n44\n132\n4 lines written to t.rhai\n");
    assert_eq!(folder.run(&["run", "t.rhai", "--sandbox"]).success(), "132\n");
    let looks = folder.run_with_input(&["repl", "--sandbox"], "1 + 1\n:save u.rhai\n");
    assert!(looks.err.contains("have only shown values"), "{}", looks.err);
}

#[test]
fn type_errors_name_the_types_in_words() {
    for (line, says) in [
        ("let r = followers().tag(\"甲\"); r.changed = 1", "the field `changed` of a Report can't be set"),
        ("followers()[0]", "an audience can't be indexed"),
        ("() + 1", "`+` can't be applied to () and an integer"),
        ("5.foo", "an integer has no field `foo`"),
        ("\"文\".foo", "a string has no field `foo`"),
        ("let n = 1; if n { 2 }", "a bool is expected here, not an integer"),
        ("let n = 5; for x in n { }", "a for loop goes through an array, a range or an audience"),
        ("let m = #{}; m[1]", "a string is expected here, not an integer"),
        ("let r = followers().count(); r.foo = 1", "an integer has no field `foo`"),
    ] {
        let output = piped_session(&format!("{line}\n")).err;
        assert!(output.contains(says), "{line}: {output}");
    }
}

#[test]
fn line_without_changes_is_not_recorded_as_a_run() {
    let sandbox = SandboxProcess::start(&["--followers", "300"]);
    let folder = Folder::new().account().file("vip.rhai", "followers().take(5).tag(\"甲\").changed");
    let url = sandbox.url();
    let lines = "fn t(a) { a.tag(\"乙\") }\nt(followers().take(0)).changed\n:dry on\nt(followers()).changed\n:dry off\n\
                 :load vip.rhai\ntag::list().len()\n";
    assert_eq!(folder.run_with_input(&["repl", "--base-url", &url], lines).code, Some(0));
    let runs = folder.run(&["runs"]).success();
    assert_eq!(runs.lines().count(), 1, "{runs}");
    assert!(runs.trim_end().ends_with("vip.rhai"), "{runs}");
}

#[test]
fn dry_run_line_names_each_follower_once() {
    let dry = Folder::new().run_with_input(
        &["repl", "--sandbox", "--dry-run"],
        "let e = followers().filter(|u| u.qr_scene == 98765).take(3).tag(\"甲\")\ne\nfollowers().take(1).tag(2)\n",
    );
    let report = dry.out.split("tag 2: ").nth(1).unwrap_or_default();
    let openid = report.rsplit("would change ").next().unwrap_or_default().trim();
    assert!(openid.starts_with('o') && !dry.err.contains(&format!("{openid}\n")), "{}{}", dry.out, dry.err);
}
