//! The session: lines that are continued, what can be undone, what is saved, and that no secret is kept.

use crate::{
    cli::secrets::{assert_hidden, recorded},
    fixtures::{
        program::{Folder, piped_session},
        sandbox_process::SandboxProcess,
        terminal::Terminal,
    },
};
use mpscript::sandbox::DEFAULT_SECRET;
use serde_json::Value;
use std::{fs, io::Write};

#[test]
fn line_starting_with_a_dot_continues_the_previous_one() {
    let chain = "let some = followers()\n  .filter(|u| u.sex == 9)\n\n  .take(5)\nsome.count()\n";
    assert_eq!(piped_session(chain).success(), "0\n");
    assert_eq!(piped_session("if false { 1 }\nelse { 2 }\n1\n-5\n").success(), "2\n1\n-5\n");
    let alone = piped_session("print(1);\n:vars\n.count()\n");
    assert!(alone.err.contains("the line above was already evaluated"), "{}", alone.err);
}

#[test]
fn line_that_is_not_utf_8_is_reported_and_skipped() {
    let mut child = Folder::new().command(&["repl", "--sandbox"]).spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("standard input is a pipe");
    // 中 as GBK has it.
    input.write_all(b"1 + 1\nlet s = \"\xd6\xd0\";\n2 + 2\n").expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(1), "2\n4\n"));
    assert!(err.contains("a line of the input can't be read") && err.contains("iconv"), "{err}");
}

#[test]
fn undo_reverts_lines_one_by_one() {
    let lines = "let a = 1;\na = 2;\na = 3;\n:undo\na\n:undo\n:undo\na\n:undo\n:undo\n:undo\n";
    let undone = piped_session(lines);
    let restored = "the variables are as before that line\n";
    assert_eq!(undone.out, format!("{restored}2\n{restored}{restored}1\n{restored}{restored}"));
    assert!(undone.err.contains("there is no earlier line to undo"), "{}", undone.err);
    // A run of its own is a line, too, and takes no other one's place.
    let folder = Folder::new().file("own.rhai", "print(\"own\");");
    let lines = "let q = 5;\n:run own.rhai\n:undo\nq\n";
    assert_eq!(folder.run_with_input(&["repl", "--sandbox"], lines).success(), format!("own\n{restored}5\n"));
    // What a line changed is within reach when the next one was wrong.
    let lines = "let t = tag::create(\"甲\");\nt.xyz\n:undo\n:undo\ntag::list().len()\n";
    let undone = Folder::new().run_with_input(&["repl", "--sandbox", "--yes"], lines);
    assert!(undone.out.contains("an earlier line has changed the account: :undo one more time undoes that"));
    assert!(
        undone
            .out
            .ends_with("the account is as before that line\nthe variables are as before that line\n1\n")
    );
    assert!(!undone.out.contains("mpscript undo"), "its world ends with it: {}", undone.out);
}

#[test]
fn block_with_functions_is_saved_as_an_automation() {
    let folder = Folder::new();
    let block = "fn doubled(n) {\n  n * 2\n}\nlet total = doubled(4);\nprint(total);\n";
    let saved = folder.file("block.rhai", block);
    fs::create_dir(saved.path().join("jobs")).expect("a folder can be made");
    let lines = ":load block.rhai\n:save --automation jobs/doubled.rhai\n";
    saved.run_with_input(&["repl", "--sandbox"], lines).success();
    assert_eq!(saved.run(&["run", "jobs/doubled.rhai", "--sandbox"]).success(), "8\n");
}

#[test]
fn command_with_unexpected_argument_is_refused() {
    let printed = piped_session("let a = 1;\n:reset alpha\n:undo 3\na\n:edit\n");
    assert_eq!(printed.out, "1\n");
    for says in
        [":reset takes no argument, and `alpha` is one", ":undo takes no argument", ":edit needs a terminal"]
    {
        assert!(printed.err.contains(says), "{}", printed.err);
    }
}

#[test]
fn long_nested_values_are_truncated_and_escaped() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.line("let ids = []; for n in 0..100 { ids.push(n); } ids");
    terminal.ends_with("80 more (:more)\nsandbox 2>");
    terminal.line("#{ ids: ids, all: [followers(), |a| a] }");
    terminal.ends_with("    \"80 more\"\n  ]\n}\nsandbox 3>");
    terminal.shows("\"followers()\"");
    terminal.line("\"a\\x1b[31mred\"");
    terminal.ends_with("\na\u{fffd}[31mred\nsandbox 4>");
    // Functions with their parameters, of the language too.
    terminal.type_in("tag::d");
    terminal.press("Tab");
    terminal.press("Tab");
    terminal.shows("tag::detach(tagid: int, openid_list: Array)");
    terminal.ends_with("sandbox 4> tag::de");
    terminal.clear_line();
    terminal.type_in("ids.index_o");
    terminal.press("Tab");
    terminal.shows("sandbox 4> ids.index_of(");
    terminal.clear_line();
    terminal.type_in("user::create(1)");
    terminal.ends_with("user::create(1)");
    let colours = terminal.colours();
    let line = colours.lines().rev().find(|line| line.contains("create")).unwrap_or_default().to_owned();
    assert!(line.split("create").next().unwrap_or_default().contains("\u{1b}[31m"), "{line:?}");
    terminal.clear_line();
    terminal.press("C-d");
    terminal.is_left();
}

#[test]
fn secrets_are_masked_in_session_files() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account();
    let base = ["--base-url", &sandbox.url()];
    let token = folder.run(&[&["token", "show", "--reveal"][..], &base].concat()).success();
    let secrets = [DEFAULT_SECRET, token.trim()];
    let [secret, token] = secrets;
    let lines = format!(
        "let m = tag::create(\"秘\"); print(\"{secret} {token}\"); throw \"{token}\"\nlet x = \"{token}\";\n\
         tag::create(\"甲\"); let y = \"{secret}\";\n:save kept.rhai\n"
    );
    let printed = folder.run_with_input(&[&["repl"][..], &base].concat(), &lines);
    assert!(printed.err.contains("a secret was masked as ***"), "{}", printed.err);
    let saved = fs::read_to_string(folder.path().join("kept.rhai")).expect("it is written");
    assert!(saved.contains("let x = \"***\";"), "{saved}");
    assert_hidden("a saved session", &saved, secrets);
    // A script that holds one, and a parameter.
    let script = folder.file("own.rhai", format!("tag::create(\"乙\"); print(\"{secret}\"); param(\"p\");"));
    script.run(&[&["run", "own.rhai", "--param", &format!("p={secret}")][..], &base].concat()).success();
    let store = script.path().join(".local/state/mpscript/store.sqlite3");
    let kept = recorded(&store);
    assert!(kept.contains("tag::create") && kept.contains("***"), "{kept}");
    assert_hidden("what is recorded", &kept, secrets);
    // A run that is not recorded whole is not resumed.
    let cut_off = script.file("cut.rhai", format!("let s = \"{secret}\"; followers().tag(\"丙\");"));
    let run = cut_off
        .start_with(&[&["run", "cut.rhai"][..], &base].concat(), &[("MPSCRIPT_FAIL_POINT", "batch-call:1")]);
    assert_eq!(run.finish().code, None);
    let runs: Value = serde_json::from_str(&cut_off.run(&["runs", "--json"]).success()).expect("it is JSON");
    let id = runs[0]["id"].as_str().expect("it has one");
    let message = cut_off.run(&[&["resume", id][..], &base].concat()).failure(2);
    assert!(message.contains(&format!("run {id} held a secret in its text or its parameters")), "{message}");
}
