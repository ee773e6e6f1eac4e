//! The session: lines that are piped in, and lines that are typed at a real terminal.

use crate::{
    program::{Finished, Folder},
    served::Served,
    terminal::Terminal,
};
use mpscript::sandbox::{DEFAULT_APPID, DEFAULT_SECRET};
use serde_json::json;
use std::fs;

fn piped(lines: &str) -> Finished {
    Folder::new().run_with_input(&["repl", "--sandbox"], lines)
}

#[track_caller]
fn gives(lines: &str, out: &str) {
    assert_eq!(piped(lines).success(), out, "{lines}");
}

#[test]
fn piped_lines_give_plain_values_and_the_exit_code_of_the_last_error() {
    gives("1 + 1\n\"文本\"\nlet x = 5;\nx * 2\n()\n", "2\n文本\n10\n");
    let failed = piped("1 / 0\nnix()\n2\n");
    assert_eq!((failed.code, failed.out.as_str()), (Some(1), "2\n"));
    assert!(failed.err.contains("there is no function `nix`\n --> line 2:1:1"), "{}", failed.err);
    assert!(!failed.err.contains('\u{1b}'), "{}", failed.err);
    // A line that is never finished is told at the end.
    let open = piped("followers(\n");
    assert_eq!(open.code, Some(1), "{}", open.out);
    assert_eq!(piped("3\n:quit\n4\n").success(), "3\n");
}

#[test]
fn what_lines_make_stays() {
    gives("fn doppelt(a) { a * 2 }\nlet f = |a| doppelt(a) + 1;\nf.call(4)\n", "9\n");
    gives("const GRENZE = 5;\nfn over(a) { a > global::GRENZE }\nover(6)\nGRENZE\n", "true\n5\n");
    gives("let n = 0;\nlet add = |a| n += a;\nadd.call(3);\nadd.call(4);\nn\n", "7\n");
    gives("let x = 1;\nlet x = 2;\nx\nit + 1\nout(3) * 10\n", "2\n3\n20\n");
    // A variable takes a constant's name over, and the other way round.
    gives("const K = 1;\nlet K = 2;\nK += 1;\nK\nconst K = 9;\nK\n", "3\n9\n");
    gives("if true {\n  \"ja\"\n} else {\n  \"nein\"\n}\n`a\nb`\n/* c\nd */ 7\n", "ja\na\nb\n7\n");
    // An error leaves everything as it was but for what had been done.
    let failed = piped("let a = 1;\na = 2; throw \"坏了\";\na\n");
    assert_eq!((failed.code, failed.out.as_str()), (Some(1), "2\n"), "{}", failed.err);
    // An audience of an earlier line is gone through by a later one.
    gives(
        "let booth = followers().filter(|u| u.qr_scene == 98765);\nbooth.count()\nbooth.tag(\"展台\").changed\n",
        "1234\n1234\n",
    );
}

#[test]
fn imports_stay_and_errors_in_functions_of_other_lines_are_shown_at_the_call() {
    let folder = Folder::new().file("lib/shop.rhai", "fn price(n) { n * 3 } export const NAME = \"店\";");
    let lines = "import \"lib/shop\" as shop;\nshop::price(2)\nshop::NAME\nfn bad() {\n\n  nix()\n}\nbad()\n";
    let finished = folder.run_with_input(&["repl", "--sandbox"], lines);
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), "6\n店\n"), "{}", finished.err);
    assert!(finished.err.contains("there is no function `nix`\n --> line 5:1:1"), "{}", finished.err);
}

#[test]
fn values_are_shown_as_a_person_reads_them() {
    gives("tag::list()\n", " id  name    count\n 2   星标组  20\n");
    gives("#{b: [1], a: \"甲\"}\n", "{\n  \"a\": \"甲\",\n  \"b\": [\n    1\n  ]\n}\n");
    gives("[#{n: 1, 名: \"乙\"}, #{n: 2, 名: \"丙\"}]\n", " n  名\n 1  乙\n 2  丙\n");
    let many = piped("let all = []; for n in 0..25 { all.push(n); } all\n:more\n:more\n");
    assert!(many.out.contains(" 19  19\n5 more (:more)\n"), "{}", many.out);
    assert!(many.out.ends_with(" 24  24\n"), "{}", many.out);
    assert!(many.err.contains("there are no more rows"), "{}", many.err);
    gives(
        "followers().take(3)\n",
        "followers()\n  .take(3)\nnothing is called yet: .count(), .each(|u| …) or .tag(\"…\") runs it\n",
    );
    let people = piped("followers().take(2).to_array()\n").success();
    assert!(people.starts_with(" openid                        remark  subscribed"), "{people}");
    let one = piped("followers().take(1).to_array()[0]\n").success();
    assert!(one.contains("subscribe_scene   ADD_SCENE_"), "{one}");
    let report = piped("followers().take(5).tag(\"甲\")\n").success();
    assert!(report.contains("tag `甲`: done in") && report.contains("changed                5"), "{report}");
}

#[test]
fn commands_do_what_they_say() {
    let folder = Folder::new()
        .file("more.rhai", "fn drei() { 3 }\nlet geladen = true;")
        .file("own.rhai", "print(\"own\");");
    let run = |lines: &str| folder.run_with_input(&["repl", "--sandbox"], lines);
    let loaded = run(":load more.rhai\ndrei()\ngeladen\n:run own.rhai\n:vars\n").success();
    assert!(loaded.starts_with("3\ntrue\nown\n  geladen          a bool           true\n"), "{loaded}");
    assert!(loaded.ends_with("  fn drei()\n"), "{loaded}");
    assert_eq!(run("let a = 1;\n:reset\n:vars\n").success(), "nothing is declared yet\n");
    assert_eq!(run("let a = 1;\na = 2;\n:undo\na\n").success(), "the variables are as before that line\n1\n");
    let timed = run(":time 1 + 1\n");
    assert_eq!((timed.out.as_str(), timed.err.as_str()), ("2\n", "0.0 s, 0 calls\n"));
    for (line, says) in [
        (":nix", "there is no command `:nix`"),
        (":hlep", "did you mean `:help`?"),
        (":load", ":load needs the name of a file"),
        (":load nix.rhai", "can't read nix.rhai"),
        (":dry maybe", "`maybe` is neither on nor off"),
        (":undo", "there is no line before this"),
        (":account shop", "this session is on a sandbox of its own"),
        (":more", "the last result is no list"),
        ("?folowers", "did you mean ?followers"),
        ("??nix", "is no function that is written in a script"),
    ] {
        let refused = run(&format!("{line}\n"));
        assert!(refused.code != Some(0) && refused.err.contains(says), "{line}: {}", refused.err);
    }
    assert!(run(":help\n").success().contains(":undo"));
    assert!(run("?\n").success().contains("tag::attach"));
    assert!(run("?tag::attach\n").success().starts_with("tag::attach(tagid: int, openid_list: Array)"));
    assert!(run("??from_scene\n").success().contains("fn from_scene(scene) {"));
    assert_eq!(run("fn eigen(a) { a }\n??eigen\n").success(), "fn eigen(a) { a }\n");
    assert!(run("tag::list();\n:quota\n").success().contains("/cgi-bin/tags/get"));
}

#[test]
fn what_did_what_it_should_is_saved_as_a_script() {
    let folder = Folder::new();
    let lines = "const SCENE = 98765;\nfn booth() { followers().filter(|u| u.qr_scene == global::SCENE) }\nnix()\n\
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
fn dry_lines_change_nothing() {
    let sandbox = Served::start(&["--followers", "300"]);
    let folder = Folder::new().account();
    let url = sandbox.url();
    let lines = "followers().tag(\"甲\").changed\n:dry off\nfollowers().take(20).tag(\"乙\").changed\n:dry on\ntag::create(\"丙\").id < 0\n";
    let finished = folder.run_with_input(&["repl", "--dry-run", "--base-url", &url], lines);
    assert_eq!(finished.code, Some(0), "{}", finished.err);
    let expected = "300\nnot dry: lines change the account\n20\ndry: lines change nothing, and say what they would\ntrue\n";
    assert_eq!(finished.out, expected);
    assert!(finished.err.contains("300 followers would be changed by tag `甲`"), "{}", finished.err);
    assert_eq!([sandbox.tagged("甲"), sandbox.tagged("乙"), sandbox.tagged("丙")], [None, Some(20), None]);
}

#[test]
fn a_line_that_changed_the_account_is_a_run_and_is_taken_back_like_one() {
    let sandbox = Served::start(&["--followers", "300"]);
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
    // Asked for in the session; nobody can be asked where lines are piped.
    let lines = "followers().tag(\"乙\").changed\n:undo\n";
    let unasked = folder.run_with_input(&["repl", "--base-url", &url], lines);
    assert!(unasked.err.contains("nobody can be asked"), "{}", unasked.err);
    assert_eq!(sandbox.tagged("乙"), Some(300));
    let sure = folder
        .run_with_input(&["repl", "--yes", "--base-url", &url], "followers().tag(\"丙\").changed\n:undo\n");
    assert_eq!((sure.code, sandbox.tagged("丙")), (Some(0), None), "{}", sure.err);
}

#[test]
fn lines_are_edited_completed_and_coloured() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    // A line that is not finished goes on below, and a pasted function is one line.
    terminal.line("let m = #{");
    terminal.line("  scene: 98765,");
    terminal.line("  stand: \"展台\" };");
    terminal.ends_with("sandbox 2>");
    let body: Vec<String> = (0..28).map(|n| format!("    let a{n} = {n};")).collect();
    terminal.paste(&format!("fn lang() {{\n{}\n    a0 + a27\n}}", body.join("\n")));
    terminal.press("Enter");
    terminal.ends_with("sandbox 3>");
    terminal.line("lang()");
    terminal.ends_with("27\nsandbox 4>");
    // Fields of a follower, keys of a map, modules, tag names.
    terminal.type_in("followers().filter(|u| u.qr_sc");
    terminal.press("Tab");
    terminal.press("Tab");
    terminal.shows("qr_scene_str");
    terminal.press("C-c");
    terminal.ends_with("sandbox 4>");
    terminal.type_in("m.sta");
    terminal.press("Tab");
    terminal.ends_with("sandbox 4> m.stand");
    terminal.press("Enter");
    terminal.ends_with("展台\nsandbox 5>");
    terminal.type_in("members(\"星");
    terminal.press("Tab");
    terminal.type_in(").count()");
    terminal.press("Enter");
    terminal.ends_with("20\nsandbox 6>");
    // The signature while its arguments are typed, and a name that nothing answers to in red.
    terminal.type_in("tag::attach(");
    terminal.shows("tag::attach(   tag::attach(tagid: int, openid_list: Array)");
    terminal.press("C-c");
    terminal.type_in("folowers()");
    terminal.ends_with("sandbox 6> folowers()");
    let colours = terminal.colours();
    let line = colours.lines().rev().find(|line| line.contains("folowers")).unwrap_or_default();
    let before = line.split("folowers").next().unwrap_or_default();
    assert!(before.contains("\u{1b}[31m"), "{line:?}");
    terminal.press("C-c");
    // History: searched, and shown behind the cursor.
    terminal.press("C-r");
    terminal.type_in("lang");
    terminal.press("Enter");
    terminal.ends_with("27\nsandbox 7>");
    terminal.type_in("members");
    terminal.ends_with("sandbox 7> members(\"星标组\").count()");
    terminal.press("C-c");
    terminal.press("C-d");
    terminal.is_left();
}

#[test]
fn the_keys_of_vi_are_there_for_whoever_asks() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox", "--vi"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.type_in("1 + 2");
    terminal.press("Escape");
    std::thread::sleep(std::time::Duration::from_millis(700));
    terminal.type_in("0r5");
    terminal.press("Enter");
    terminal.ends_with("7\nsandbox 2>");
}

#[test]
fn ctrl_c_stops_the_work_and_keeps_every_variable() {
    let sandbox = Served::start(&["--followers", "20000", "--latency", "50ms"]);
    let folder = Folder::new().account();
    let Some(terminal) =
        Terminal::start(&folder, &["repl", "--base-url", &sandbox.url(), "--in-flight", "2"])
    else {
        return;
    };
    terminal.ends_with("mpscript 1>");
    terminal.line("let n = 41;");
    terminal.ends_with("mpscript 2>");
    terminal.line("followers().tag(\"会员\")");
    sandbox.wait_for_calls("POST /cgi-bin/tags/members/batchtagging", 3);
    terminal.press("C-c");
    terminal.shows("error: stopped; every variable is still there");
    terminal.ends_with("mpscript 3>");
    terminal.line("n + 1");
    terminal.ends_with("42\nmpscript 4>");
    // What it had done is taken back, after a yes; the line before that is the last one then.
    assert!(sandbox.tagged("会员") > Some(0));
    terminal.line("followers().take(10).tag(\"乙\").changed");
    terminal.ends_with("calls\nmpscript 5>");
    terminal.line(":undo");
    terminal.shows("Take back what the line did to the account? [y/N]");
    terminal.line("y");
    terminal.shows("the account is as before that line\nthe variables are as before that line\na line before it has changed");
    assert_eq!(sandbox.tagged("乙"), None);
}

#[test]
fn what_happens_meanwhile_is_said_above_the_line_that_is_typed() {
    let sandbox = Served::start(&["--followers", "10", "--latency", "1500ms"]);
    sandbox.control("faults", &json!({"path": "/cgi-bin/tags/get", "errcode": 48001}));
    let folder = Folder::new().account();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--base-url", &sandbox.url()]) else { return };
    terminal.ends_with("mpscript 1>");
    terminal.type_in("40 + ");
    terminal.shows("warning: tag names can't be completed: tag::list was refused: 48001");
    terminal.ends_with("mpscript 1> 40 +");
    terminal.type_in("2");
    terminal.press("Enter");
    terminal.ends_with("42\nmpscript 2>");
}

#[test]
fn the_history_is_kept_for_its_owner_alone_and_without_secrets() {
    let sandbox = Served::start(&["--followers", "10"]);
    let folder = Folder::new().account();
    {
        let Some(terminal) = Terminal::start(&folder, &["repl", "--base-url", &sandbox.url()]) else {
            return;
        };
        terminal.ends_with("mpscript 1>");
        terminal.line(&format!("let s = \"{DEFAULT_SECRET}\";"));
        terminal.ends_with("mpscript 2>");
        terminal.line(" let heimlich = 1;");
        terminal.ends_with("mpscript 3>");
        terminal.line("let offen = 2;");
        terminal.ends_with("mpscript 4>");
        terminal.press("C-d");
        terminal.is_left();
    }
    let state = folder.path().join(".local/state/mpscript");
    let history = fs::read_to_string(state.join("history")).expect("there is a history");
    assert!(history.contains("let offen = 2;") && !history.contains("heimlich"), "{history}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(state.join("history")).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    for entry in fs::read_dir(&state).expect("it is there") {
        let bytes = fs::read(entry.expect("it can be listed").path()).expect("it can be read");
        let has_secret = bytes.windows(DEFAULT_SECRET.len()).any(|bytes| bytes == DEFAULT_SECRET.as_bytes());
        assert!(!has_secret);
    }
    // The next session finds it.
    let Some(terminal) = Terminal::start(&folder, &["repl", "--base-url", &sandbox.url()]) else { return };
    terminal.ends_with("mpscript 1>");
    terminal.press("Up");
    terminal.ends_with("mpscript 1> let offen = 2;");
}

#[test]
fn an_account_of_production_has_a_red_prompt_and_asks_once() {
    let sandbox = Served::start(&["--followers", "10"]);
    let config = format!(
        "[accounts.shop]\nappid = \"{DEFAULT_APPID}\"\nsecret_env = \"SHOP_SECRET\"\nbase_url = \"{}\"\nproduction = true\n",
        sandbox.url()
    );
    let folder = Folder::new().file("mpscript.toml", config).env("SHOP_SECRET", DEFAULT_SECRET);
    let Some(terminal) = Terminal::start(&folder, &["repl"]) else { return };
    terminal.ends_with("shop 1>");
    assert!(terminal.colours().contains("\u{1b}[31mshop 1>"), "{:?}", terminal.colours());
    terminal.line("tag::create(\"甲\").name");
    terminal.shows("The script is about to change the account `shop` (production). Go on? [y/N]");
    terminal.line("n");
    terminal.shows("account `shop` was not to be changed");
    terminal.line("tag::create(\"甲\").name");
    terminal.ends_with("[y/N]");
    terminal.line("y");
    terminal.ends_with("甲\nshop 3>");
    terminal.line("tag::create(\"乙\").name");
    terminal.ends_with("乙\nshop 4>");
    assert_eq!([sandbox.tagged("甲"), sandbox.tagged("乙")], [Some(0), Some(0)]);
}

#[test]
fn the_last_line_is_edited_in_the_person_s_editor() {
    let folder = Folder::new().env("EDITOR", "sed -i s/6/7/");
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.line("6 * 6");
    terminal.ends_with("36\nsandbox 2>");
    terminal.line(":edit");
    terminal.ends_with("42\nsandbox 3>");
}

#[test]
fn what_is_typed_ahead_is_evaluated_in_turn() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    for line in ["let a = 1", "let b = 2", "followers().count()", "let c = 3", "[a, b, c].len() + 39"] {
        terminal.line(line);
    }
    terminal.ends_with("42\nsandbox 6>");
}

#[test]
fn a_line_that_is_over_stops_no_other_one() {
    let lines = "let a = followers().filter(|u| u.qr_scene == 98765);\na.take(3).tag(\"一\").changed\nsleep(2)\na.count()\n";
    assert_eq!(piped(lines).success(), "3\n1234\n");
}

#[test]
fn what_a_line_changed_is_not_taken_back_for_show() {
    let lines = "tag::create(\"甲\").name\n:dry on\n:undo\n:dry off\n:undo\ntag::list().len()\nlet n = 1;\n:reset\n:vars\n";
    let finished = Folder::new().run_with_input(&["repl", "--sandbox", "--yes"], lines);
    assert!(finished.err.contains("lines change nothing now"), "{}", finished.err);
    assert!(finished.out.contains("the account is as before that line\n"), "{}", finished.out);
    assert!(finished.out.ends_with("\n1\nnothing is declared yet\n"), "{}", finished.out);
}

#[test]
fn names_that_a_function_does_not_see_are_told_apart() {
    let told = |lines: &str| piped(lines).err;
    assert!(
        told("let x = 5;\nfn f() { x }\nf()\n").contains("a function does not see the variables of lines")
    );
    assert!(told("let f = |n| n + 1;\nf(1)\n").contains("f.call(…) calls a closure"));
    assert_eq!(piped("1\nexit\n2\n").success(), "1\n");
    let folder = Folder::new();
    let lines = "fn d(x) { x * 2 }\nfn d(x) { x * 3 }\nlet e = d(2) // 二\nprint(e)\n:save s.rhai\n";
    folder.run_with_input(&["repl", "--sandbox"], lines).success();
    assert_eq!(folder.run(&["run", "s.rhai", "--sandbox"]).success(), "6\n");
    let saved = folder.run_with_input(&["repl", "--sandbox"], "1 + 1\nit * 3\n:save t.rhai\n");
    assert!(saved.err.contains("there is no variable `it`"), "{}", saved.err);
}
