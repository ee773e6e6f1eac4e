//! `mpscript check` and captured variables that are assigned after their closure was made.

use crate::fixtures::program::Folder;

/// What `check` warns of in a script that has no problem.
#[track_caller]
fn warnings(script: &str) -> Vec<String> {
    let shown = Folder::with(script).run(&["check", "script.rhai"]).success();
    shown.lines().filter_map(|line| line.strip_prefix("  warning: ")).map(str::to_owned).collect()
}

#[test]
fn variable_that_a_step_changes_and_that_is_assigned_below_is_warned_of() {
    let script = "let s = 98765;\n\
                  let a = followers().filter(|u| { if u.sex == 9 { s = 1; } u.qr_scene == s });\n\
                  s = 5;\nprint(a.count());";
    let warning = "script.rhai:3:1: `s` is assigned after line 2 has made a step whose closure changes it: the step sees \
                   the new value (let the closure use a variable that nothing else assigns)";
    assert_eq!(warnings(script), [warning]);
}

#[test]
fn variable_of_a_while_loop_in_a_stored_closure_is_warned_of() {
    for stored in ["a.push(|| i);", "a += || i;", "a.push(#{f: || i});", "a[0] = || i;"] {
        let script = format!("let a = [()];\nlet i = 0;\nwhile i < 3 {{\n{stored}\ni += 1;\n}}");
        let found = warnings(&script);
        assert!(
            found.len() == 1 && found[0].contains(": `i` is assigned in the loop that stores this closure: "),
            "{script}: {found:?}"
        );
    }
}

#[test]
fn captured_variable_that_keeps_its_meaning_is_not_warned_of() {
    for script in [
        // The stage has a copy.
        "let s = 98765; let a = followers().filter(|u| u.qr_scene == s); s = 5; print(a.count());",
        "let i = 0; let a = []; while i < 3 { a.push(followers().filter(|u| u.qr_scene == i)); i += 1; }",
        // A counter that begins again.
        "let n = 0; let a = followers().filter(|u| { n += 1; true }); a.count(); n = 0; a.count();",
        // The job has run.
        "let n = 0; print(followers().filter(|u| { n += 1; true }).count()); n = 5; print(n);",
        "let n = 0; for u in followers().filter(|u| { n += 1; true }) { print(u); } n = 5; print(n);",
        "let n = 0; let odd = [1, 2].filter(|x| { n += 1; x % 2 == 1 }); n = 5; print(n); print(odd);",
        // Each round has its own.
        "let a = []; let i = 0; while i < 3 { let now = i; a.push(|| now); i += 1; }",
        "let a = []; for i in 0..3 { a.push(|| i); }",
        // Called at once.
        "let a = []; let i = 0; while i < 3 { a.push([1].map(|x| x + i)); i += 1; }",
        "let i = 0; let a = [|| i]; i = 1; print(a);",
    ] {
        assert_eq!(warnings(script), Vec::<String>::new(), "{script}");
    }
}
