//! Values that grow or nest without end: an error of the script, and never the end of the process.

use crate::fixtures::{
    program::{Finished, Folder},
    runs::{newest_run, newest_run_id},
    sandbox_process::SandboxProcess,
};
use serde_json::json;

const TOO_LONG: &str = "at most 50000000 entries are made at once";

fn error(script: &str) -> String {
    let finished = Folder::with(script).run(&["run", "script.rhai"]);
    assert_eq!(finished.code, Some(1), "{script}: {}", finished.err);
    finished.err
}

#[test]
fn text_that_doubles_is_refused() {
    for script in [
        "let s = \"甲\"; loop { s += s; }",
        "let s = \"甲\"; loop { s = s + s; }",
        "let s = \"甲\"; loop { s = `${s}${s}`; }",
        "fn f() { let s = \"甲\"; loop { s += s; } } f()",
    ] {
        let error = error(script);
        assert!(error.contains(TOO_LONG), "{script}: {error}");
    }
}

#[test]
fn blob_that_doubles_is_refused() {
    for script in [
        "let b = blob(1); loop { b += b; }",
        "let b = blob(1); loop { b.append(b); }",
        "let b = blob(1); loop { b = b + b; }",
    ] {
        let error = error(script);
        assert!(error.contains(TOO_LONG), "{script}: {error}");
    }
}

#[test]
fn value_that_is_put_into_itself_is_refused() {
    for script in [
        "let x = []; loop { x = [x, x]; }",
        "let x = []; loop { x += [x]; }",
        "let x = [1]; loop { x.push(x); }",
        "let m = #{}; loop { m = #{甲: m, 乙: m}; }",
        "let m = #{甲: 1}; loop { m.甲 = m; m.乙 = m; }",
    ] {
        let error = error(script);
        assert!(error.contains("a value has more than 50000000 parts"), "{script}: {error}");
    }
}

#[test]
fn text_in_a_map_or_a_list_that_doubles_is_refused() {
    for script in [
        "let m = #{s: \"甲\"}; loop { m.s += m.s; }",
        "let m = #{s: \"甲\"}; loop { m.s = m.s + m.s; }",
        "let m = #{s: \"甲\"}; loop { m[\"s\"] += m[\"s\"]; }",
        "let a = [\"甲\"]; loop { a[0] = `${a[0]}${a[0]}`; }",
    ] {
        let error = error(script);
        assert!(error.contains("a value has more than 50000000 parts"), "{script}: {error}");
    }
}

#[test]
fn text_that_doubles_in_a_line_of_the_session_leaves_the_session() {
    let lines = "let s = \"甲\"; loop { s += s; }\ns = \"\";\n1 + 1\n";
    let finished = Folder::new().run_with_input(&["repl", "--sandbox"], lines);
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), "2\n"), "{}", finished.err);
    assert!(finished.err.contains(TOO_LONG), "{}", finished.err);
}

#[test]
fn growth_within_the_bound_is_unchanged() {
    let script = "let x = [1]; for i in 0..3 { x = [x, x]; x.push(x); } let m = #{s: \"甲\"}; m.s += m.s; \
                  print(`${x.len()} ${m.s}`); let s = \"\"; let a = []; let n = 0; for i in 0..1000 { s += \"甲\"; a += i; n += i * 2; } \
                  print(`${s.len()} ${a.len()} ${n}`);";
    assert_eq!(Folder::with(script).run(&["run", "script.rhai"]).success(), "3 甲甲\n1000 1000 999000\n");
}

/// A value that doubles in a function, which no bound of a variable sees.
const DOUBLING: &str = "fn two(x) { [x, x] } let x = \"中\"; loop { x = two(x) }";

const TOO_MUCH: &str = "error: the script has taken more than 64 MiB of memory, --run-memory";

#[track_caller]
fn assert_too_much(finished: &Finished) {
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), ""), "{}", finished.err);
    assert!(finished.err.contains(TOO_MUCH), "{}", finished.err);
}

#[test]
#[cfg(target_os = "linux")]
fn script_that_takes_too_much_memory_ends_with_an_error() {
    assert_too_much(&Folder::with(DOUBLING).run(&["run", "script.rhai", "--run-memory", "64MiB"]));
}

#[test]
#[cfg(target_os = "linux")]
fn script_does_not_catch_that_it_takes_too_much_memory() {
    let script = "fn two(x) { [x, x] } fn fill() { let x = \"中\"; loop { x = two(x) } }
        loop { try { fill() } catch { } try { [1].map(|n| fill()) } catch { } }";
    assert_too_much(&Folder::with(script).run(&["run", "script.rhai", "--run-memory", "64MiB"]));
}

#[test]
#[cfg(target_os = "linux")]
fn line_that_takes_too_much_memory_leaves_the_session() {
    let lines = format!("{}\n1 + 1\n", DOUBLING.replace("let x", "let y = 0; let x"));
    let finished = Folder::new().run_with_input(&["repl", "--sandbox", "--run-memory", "64MiB"], &lines);
    assert_eq!((finished.code, finished.out.as_str()), (Some(1), "2\n"), "{}", finished.err);
    assert!(finished.err.contains(TOO_MUCH), "{}", finished.err);
}

#[test]
#[cfg(target_os = "linux")]
fn job_whose_script_takes_too_much_memory_has_its_outcomes_recorded_and_is_undone() {
    let sandbox = SandboxProcess::start(&["--followers", "3000", "--latency", "20ms"]);
    let script = "fn two(x) { [x, x] } let n = #{passed: 0};
        followers().filter(|u| { n.passed += 1; if n.passed > 1500 { let x = \"中\"; loop { x = two(x) } } true }).tag(\"甲\");";
    let folder = Folder::with(script).account();
    let finished = sandbox.run(&folder, &["--run-memory", "64MiB", "--report", "report.json"]);
    assert_too_much(&finished);
    assert_eq!(newest_run(&folder)["state"], json!("error"));
    let changed = folder.json("report.json")["changed"].as_u64();
    assert!(changed.is_some_and(|changed| changed > 0), "{changed:?}");
    assert_eq!(sandbox.tagged("甲"), changed);
    let undone = folder.run(&["undo", &newest_run_id(&folder), "--yes", "--base-url", &sandbox.url()]);
    assert_eq!(undone.code, Some(0), "{}", undone.err);
    assert_eq!(sandbox.tagged("甲").unwrap_or_default(), 0);
}

/// A closure in a closure, deeper than the usual stack of a thread can drop.
const NESTED: &str = "let f = |x| x; for i in 0..250000 { let g = f; f = |x| g.call(x); }";

#[test]
fn deeply_nested_value_is_dropped() {
    let script = format!("{NESTED} print(\"完\");");
    assert_eq!(Folder::with(&script).run(&["run", "script.rhai"]).success(), "完\n");
}

#[test]
fn deeply_nested_value_of_a_session_is_dropped() {
    let lines = format!("{NESTED}\n:reset\n1 + 1\n{NESTED}\n2 + 2\n");
    let finished = Folder::new().run_with_input(&["repl", "--sandbox"], &lines);
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "2\n4\n"), "{}", finished.err);
}
