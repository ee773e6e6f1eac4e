//! The session at a real terminal.

use crate::fixtures::{
    program::{Folder, TIMEOUT, account_section},
    sandbox_process::SandboxProcess,
    terminal::Terminal,
};
use mpscript::sandbox::DEFAULT_SECRET;
use serde_json::json;
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

#[test]
fn lines_are_edited_completed_and_coloured() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    // An unfinished line is continued below, and a pasted function is one line.
    terminal.line("let m = #{");
    terminal.line("  scene: 98765,");
    terminal.line("  stand: \"展台\" };");
    terminal.ends_with("sandbox 2>");
    let body: Vec<String> = (0..28).map(|n| format!("    let a{n} = {n};")).collect();
    terminal.paste(&format!("fn many() {{\n{}\n    a0 + a27\n}}", body.join("\n")));
    terminal.press("Enter");
    terminal.ends_with("sandbox 3>");
    terminal.line("many()");
    terminal.ends_with("27\nsandbox 4>");
    // Fields of a follower, keys of a map, modules, tag names.
    terminal.type_in("followers().filter(|u| u.qr_sc");
    terminal.press("Tab");
    terminal.press("Tab");
    terminal.shows("qr_scene_str");
    terminal.clear_line();
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
    terminal.clear_line();
    terminal.type_in("folowers()");
    terminal.ends_with("sandbox 6> folowers()");
    let colours = terminal.colours();
    let line = colours.lines().rev().find(|line| line.contains("folowers")).unwrap_or_default();
    let before = line.split("folowers").next().unwrap_or_default();
    assert!(before.contains("\u{1b}[31m"), "{line:?}");
    terminal.clear_line();
    // History: searched, and shown behind the cursor.
    terminal.press("C-r");
    terminal.type_in("many");
    terminal.press("Enter");
    terminal.ends_with("27\nsandbox 7>");
    terminal.type_in("members");
    terminal.ends_with("sandbox 7> members(\"星标组\").count()");
    terminal.clear_line();
    terminal.press("C-d");
    terminal.is_left();
}

#[test]
fn code_with_tabs_arrives_as_pasted_at_a_small_terminal_without_bracketed_paste() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.shrink();
    terminal.ends_with("sandbox 1>");
    terminal.type_in("fn f(x) {\n\tif x > 1 {\n\t\treturn x * 2;\t\t// 甲\n\t}\n\tx\n}\n");
    terminal.ends_with("sandbox 2>");
    terminal.type_in("let list\t\t= [\n\t\tf(4),\t\t\"a\tb\".len()\n];\n");
    terminal.ends_with("sandbox 3>");
    terminal.line("list[0] * 10 + list[1]");
    terminal.ends_with("83\nsandbox 4>");
}

#[test]
fn tab_at_the_beginning_of_a_line_indents() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.press("Tab");
    terminal.type_in("40 + 2");
    terminal.shows("sandbox 1>      40 + 2");
    terminal.press("Enter");
    terminal.ends_with("42\nsandbox 2>");
}

#[test]
fn plain_terminal_gets_lines_without_an_escape_sequence() {
    let sandbox = SandboxProcess::start(&["--followers", "5000", "--latency", "20ms"]);
    for term in ["dumb", "emacs", "cons25"] {
        let folder = Folder::new().account().env("TERM", term);
        let Some(terminal) =
            Terminal::start(&folder, &["repl", "--base-url", &sandbox.url(), "--in-flight", "2"])
        else {
            return;
        };
        terminal.ends_with("mpscript 1>");
        let written = folder.path().join("written");
        terminal.record(&written);
        terminal.line("let n = #{");
        terminal.line("  a: 40 };");
        terminal.ends_with("mpscript 2>");
        terminal.line("folowers()");
        terminal.ends_with("mpscript 3>");
        terminal.line("followers().filter(|u| u.sex == 1).count() * 0 + n.a + 2");
        terminal.ends_with("42\nmpscript 4>");
        terminal.line(":help");
        terminal.ends_with("mpscript 4>");
        terminal.press("C-d");
        terminal.is_left();
        let written = fs::read_to_string(&written).expect("it is UTF-8");
        assert!(written.contains("did you mean") && !written.contains('\u{1b}'), "{term}: {written:?}");
    }
}

#[test]
fn watched_output_waits_for_the_end_of_the_line_at_a_plain_terminal() {
    let script = |text: &str| format!("print(\"{text}\"); followers().take(1).write_csv(\"{text}.csv\");");
    let folder = Folder::new().env("TERM", "dumb").file("own.rhai", script("one"));
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.line(":watch own.rhai");
    wait_for(&folder.path().join("one.csv"));
    terminal.line("1 + 1");
    terminal.ends_with("2\nsandbox 2>");
    terminal.type_in("40 + ");
    fs::write(folder.path().join("own.rhai"), script("two")).expect("it can be written");
    wait_for(&folder.path().join("two.csv"));
    terminal.ends_with("> 40 +");
    terminal.type_in("2");
    terminal.press("Enter");
    terminal.shows("[own.rhai] one");
    terminal.shows("> 40 + 2\n[own.rhai] ");
    terminal.shows("[own.rhai] two");
    terminal.shows("\n42\n");
}

/// Waits until a file is there.
#[track_caller]
fn wait_for(file: &Path) {
    let since = Instant::now();
    while !file.exists() {
        assert!(since.elapsed() < TIMEOUT, "no {}", file.display());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn vi_option_enables_vi_keys() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox", "--vi"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.type_in("1 + 2");
    terminal.press("Escape");
    thread::sleep(Duration::from_millis(700));
    terminal.type_in("0r5");
    terminal.press("Enter");
    terminal.ends_with("7\nsandbox 2>");
}

/// A session on a sandbox of its own process, with two calls in flight.
#[track_caller]
fn connected(folder: &Folder, sandbox: &SandboxProcess) -> Option<Terminal> {
    let url = sandbox.url();
    let terminal = Terminal::start(folder, &["repl", "--base-url", &url, "--in-flight", "2"])?;
    terminal.ends_with("mpscript 1>");
    Some(terminal)
}

#[test]
fn ctrl_c_stops_the_job_and_keeps_variables() {
    let sandbox = SandboxProcess::start(&["--followers", "20000", "--latency", "50ms"]);
    let folder = Folder::new().account();
    let Some(terminal) = connected(&folder, &sandbox) else { return };
    terminal.line("let n = 41;");
    terminal.ends_with("mpscript 2>");
    terminal.line("followers().tag(\"会员\")");
    sandbox.wait_for_calls("POST /cgi-bin/tags/members/batchtagging", 3);
    terminal.press("C-c");
    terminal.shows("error: stopped; every variable is still there");
    terminal.ends_with("mpscript 3>");
    terminal.line("n + 1");
    terminal.ends_with("42\nmpscript 4>");
    // Its changes are undone after a yes; then the line before it is the last one.
    assert!(sandbox.tagged("会员") > Some(0));
    terminal.line("followers().take(10).tag(\"乙\").changed");
    terminal.ends_with("calls\nmpscript 5>");
    terminal.line(":undo");
    terminal.shows("Undo what the line did to the account? [y/N]");
    terminal.line("y");
    terminal.shows("the account is as before that line\nthe variables are as before that line\nan earlier line has changed");
    assert_eq!(sandbox.tagged("乙"), None);
}

#[test]
fn watched_output_is_printed_above_the_typed_line() {
    let tick = "const automation = #{ on: [ #{ every: \"1s\" } ] };\nfn run(ctx) { print(`${followers().count()} here`) }";
    let folder = Folder::new().file("own.rhai", "print(\"one\");").file("jobs/tick.rhai", tick);
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.line(":watch own.rhai");
    terminal.shows("[own.rhai] one");
    terminal.type_in("40 + ");
    fs::write(folder.path().join("own.rhai"), "print(followers().take(7).count());")
        .expect("it can be written");
    terminal.shows("[own.rhai] 7");
    terminal.ends_with("sandbox 1> 40 +");
    terminal.type_in("2");
    terminal.press("Enter");
    terminal.shows("\n42\n");
    // Automations run on the session's own account.
    terminal.line(":serve jobs");
    terminal.shows("[jobs]");
    terminal.shows("tick");
    terminal.shows("10000 here");
    terminal.line(":serve");
    terminal.shows("running: :watch own.rhai, :serve jobs; :stop stops that");
    terminal.line(":stop");
    terminal.shows("stopped: :watch own.rhai, :serve jobs");
    terminal.line(":stop");
    terminal.shows("nothing is running in the background");
    terminal.line(":watch xyz.rhai");
    terminal.shows("there is no xyz.rhai");
    terminal.press("C-d");
    terminal.is_left();
}

#[test]
fn background_warning_is_printed_above_the_typed_line() {
    let sandbox = SandboxProcess::start(&["--followers", "10", "--latency", "1500ms"]);
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
fn history_is_private_and_without_secrets() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().account();
    {
        let Some(terminal) = Terminal::start(&folder, &["repl", "--base-url", &sandbox.url()]) else {
            return;
        };
        terminal.ends_with("mpscript 1>");
        terminal.line(&format!("let s = \"{DEFAULT_SECRET}\";"));
        terminal.ends_with("mpscript 2>");
        terminal.line(" let hidden = 1;");
        terminal.ends_with("mpscript 3>");
        terminal.line("let kept = 2;");
        terminal.ends_with("mpscript 4>");
        terminal.press("C-d");
        terminal.is_left();
    }
    let state = folder.path().join(".local/state/mpscript");
    let history = fs::read_to_string(state.join("history")).expect("there is a history");
    assert!(history.contains("let kept = 2;") && !history.contains("hidden"), "{history}");
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
    terminal.ends_with("mpscript 1> let kept = 2;");
}

#[test]
fn production_account_has_a_red_prompt_and_asks_once() {
    let sandbox = SandboxProcess::start(&["--followers", "10"]);
    let folder = Folder::new().shop(&sandbox.url(), "production = true\n");
    let Some(terminal) = Terminal::start(&folder, &["repl"]) else { return };
    terminal.ends_with("shop 1>");
    assert!(terminal.colours().contains("\u{1b}[31mshop 1>"), "{:?}", terminal.colours());
    terminal.line("tag::create(\"甲\").name");
    terminal.shows("The script is about to change the account `shop` (production). Continue? [y/N]");
    terminal.line("n");
    terminal.shows("changing the account `shop` was not confirmed");
    // Ctrl-C is a no, too.
    terminal.line("tag::create(\"甲\").name");
    terminal.ends_with("[y/N]");
    terminal.press("C-c");
    terminal.shows("Continue? [y/N]\nerror: changing the account `shop` was not confirmed");
    terminal.ends_with("shop 3>");
    terminal.line("tag::create(\"甲\").name");
    terminal.ends_with("[y/N]");
    terminal.line("y");
    terminal.ends_with("甲\nshop 4>");
    terminal.line("tag::create(\"乙\").name");
    terminal.ends_with("乙\nshop 5>");
    assert_eq!([sandbox.tagged("甲"), sandbox.tagged("乙")], [Some(0), Some(0)]);
}

#[test]
fn edit_command_opens_the_last_line_in_the_editor() {
    let folder = Folder::new().env("EDITOR", "sed -i s/6/7/");
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.line("6 * 6");
    terminal.ends_with("36\nsandbox 2>");
    terminal.line(":edit");
    terminal.ends_with("42\nsandbox 3>");
}

#[test]
fn lines_typed_ahead_are_evaluated_in_order() {
    let folder = Folder::new();
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    for line in ["let a = 1", "let b = 2", "followers().count()", "let c = 3", "[a, b, c].len() + 39"] {
        terminal.line(line);
    }
    terminal.ends_with("42\nsandbox 6>");
}

#[test]
fn account_command_switches_runs_and_history() {
    let (one, other) =
        (SandboxProcess::start(&["--followers", "10"]), SandboxProcess::start(&["--followers", "30"]));
    let (shop, branch) = (account_section("shop", &one.url()), account_section("branch", &other.url()));
    let folder = Folder::new().accounts(&format!("default = \"shop\"\n{shop}{branch}"));
    let Some(terminal) = Terminal::start(&folder, &["repl"]) else { return };
    terminal.ends_with("shop 1>");
    terminal.line("let n = followers().count(); n");
    terminal.ends_with("10\nshop 2>");
    terminal.line("followers().tag(\"甲\").changed");
    terminal.ends_with("10\nshop 3>");
    terminal.line(":account xyz");
    terminal.shows("xyz");
    terminal.ends_with("shop 3>");
    terminal.line(":account branch");
    terminal.ends_with("branch 3>");
    terminal.line("n + followers().count()");
    terminal.ends_with("40\nbranch 4>");
    terminal.line(":undo");
    terminal.ends_with("before that line\nbranch 4>");
    assert_eq!([one.tagged("甲"), other.tagged("甲")], [Some(10), None]);
    terminal.line(":runs");
    terminal.shows("done                line 2");
    terminal.line(":history");
    terminal.shows("n + followers().count()\n:undo\n:runs\n:history\nbranch 4>");
}

#[test]
fn ctrl_c_ends_an_endless_loop_and_clears_the_progress() {
    let sandbox = SandboxProcess::start(&["--followers", "20000", "--latency", "50ms"]);
    let folder = Folder::new().account();
    let Some(terminal) = connected(&folder, &sandbox) else { return };
    terminal.line("let n = 1; while true { n += 1; }");
    thread::sleep(Duration::from_millis(300));
    terminal.press("C-c");
    terminal.shows("error: stopped; every variable is still there");
    terminal.ends_with("mpscript 2>");
    terminal.line("n > 1");
    terminal.ends_with("true\nmpscript 3>");
    terminal.line("followers().tag(\"会员\")");
    terminal.shows("details");
    sandbox.wait_for_calls("POST /cgi-bin/tags/members/batchtagging", 3);
    terminal.press("C-c");
    terminal.ends_with("mpscript 4>");
    let screen = terminal.screen();
    assert!(!screen.contains("in flight") && !screen.contains("details "), "{screen}");
}

#[test]
fn matching_brackets_are_marked_and_paste_is_one_line() {
    let folder = Folder::new().env("PAGER", "head -n 2");
    let Some(terminal) = Terminal::start(&folder, &["repl", "--sandbox"]) else { return };
    terminal.ends_with("sandbox 1>");
    terminal.type_in("(40 + [2][0])");
    terminal.ends_with("sandbox 1> (40 + [2][0])");
    let colours = terminal.colours();
    let line = colours.lines().rev().find(|line| line.contains("40")).unwrap_or_default();
    // The last bracket and the first one.
    let of_brackets = line.matches("\u{1b}[4m").count() + line.matches("\u{1b}[1;4m").count();
    assert_eq!(of_brackets, 2, "{line:?}");
    terminal.press("Enter");
    terminal.ends_with("42\nsandbox 2>");
    terminal.paste("let a = 1\nlet m = #{\n  b: 41\n}\na + m.b");
    terminal.press("Enter");
    terminal.ends_with("42\nsandbox 3>");
    // What is longer than the terminal is leafed through.
    terminal.paste(&format!("fn many() {{\n{}\n}}", "  1;\n".repeat(60)));
    terminal.press("Enter");
    terminal.ends_with("sandbox 4>");
    terminal.line("??many");
    terminal.ends_with("sandbox 4> ??many\nfn many() {\n  1;\nsandbox 4>");
}
