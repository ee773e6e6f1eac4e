//! `mpscript check` names everything that is wrong with a file at once: undeclared variables, syntax errors, brackets.

use crate::fixtures::{check::assert_hint, program::Folder};

/// The place and the message of each error of `check`.
#[track_caller]
fn errors(script: &str) -> Vec<String> {
    let message = Folder::with(script).run(&["check", "script.rhai"]).failure(1);
    let mut lines = message.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("error: ") {
            let place = lines.next().unwrap_or_default().trim_start_matches([' ', '-', '>']);
            found.push(format!("{} {text}", place.trim_start_matches("script.rhai:")));
        }
    }
    found
}

#[test]
fn undeclared_variables_are_reported_with_the_other_problems() {
    let script = "let scene = 98765;\nprint(scen);\nfolowers().count();\nlet r = followers().tag(\"甲\");\nprint(r.chnged);\nprint(rr);\n";
    assert_eq!(
        errors(script),
        [
            "2:7 there is no variable `scen`",
            "3:1 there is no function `folowers`",
            "5:9 a Report has no field `chnged`",
            "6:7 there is no variable `rr`",
        ]
    );
}

#[test]
fn every_statement_with_a_syntax_error_is_reported() {
    let script = "var a = 1;\nif 1 == 1 and 2 == 2 { print(1); }\nlet x := 5;\nprint(1);\nfor i of [1] { print(i); }\n";
    assert_eq!(
        errors(script),
        [
            "1:1 there is no `var` in scripts",
            "2:11 there is no `and` in scripts",
            "3:7 there is no `:=` in scripts",
            "5:7 there is no `of` in scripts",
        ]
    );
}

#[test]
fn undeclared_variable_before_a_syntax_error_is_reported_first() {
    assert_eq!(
        errors("print(foo);\nlet y = 5 5;\n"),
        ["1:7 there is no variable `foo`", "2:11 expecting ';' to terminate this statement"]
    );
}

#[test]
fn undeclared_variable_gets_a_suggestion() {
    for (script, problem, hint) in [
        ("let foo = 1; print(fooo);", "there is no variable `fooo`", "did you mean `foo`?"),
        (
            "followers().filter(|user| usr.sex == 1).count();",
            "there is no variable `usr`",
            "did you mean `user`?",
        ),
        ("fn f(scene) { print(scen); } f(1);", "there is no variable `scen`", "did you mean `scene`?"),
        (
            "let wanted = 1; followers().filter(|u| u.sex == wantd).count();",
            "there is no variable `wantd`",
            "did you mean `wanted`?",
        ),
        ("for index in 0..3 { print(indx); }", "there is no variable `indx`", "did you mean `index`?"),
        (
            "try { sleep(0); } catch (error) { print(eror); }",
            "there is no variable `eror`",
            "did you mean `error`?",
        ),
        ("fn greet(x) { x } [1].map(gret);", "there is no variable `gret`", "did you mean `greet`?"),
        (
            "const SCENE = 1; fn f() { SCENE } f();",
            "there is no variable `SCENE`",
            "in a function, a constant of the file is global::SCENE",
        ),
        (
            "let scene = 1; fn f() { scene } f();",
            "there is no variable `scene`",
            "a function sees no variables of the file: give it this one as a parameter",
        ),
        (
            "if true {\n    let found = 1;\n}\nprint(found);",
            "there is no variable `found`",
            "that of line 2 ends with its block: declare it before the block",
        ),
        ("let later = 1; print(banana);", "there is no variable `banana`", "declare it first: let NAME = …;"),
        (
            "print(banana); let bananas = 1;",
            "there is no variable `banana`",
            "declare it first: let NAME = …;",
        ),
        ("if followers == 1 { }", "there is no variable `followers`", "did you mean `followers()`?"),
    ] {
        assert_hint(script, problem, hint);
    }
}

#[test]
fn open_bracket_is_named_with_its_line() {
    for (script, problem, hint) in [
        ("fn f() {\n    print(1);\n", "`{` of line 1 is never closed", "close it with `}`"),
        ("let m = #{\n    a: 1,\n", "`#{` of line 1 is never closed", "close it with `}`"),
        (
            "fn f(x) {\n    if x {\n        print(1);\n    print(2);\n}\nf(true);\n",
            "`{` of line 2 is never closed",
            "close it with `}`",
        ),
        (
            "print(1);\nfollowers()\n    .filter(|u| (u.sex == 1\n    .count();\n",
            "`(` of line 3 is never closed",
            "close it with `)`",
        ),
        ("let list = [1,\n    2;\nprint(list);\n", "`[` of line 1 is never closed", "close it with `]`"),
        ("print(1", "`(` of line 1 is never closed", "close it with `)`"),
    ] {
        assert_hint(script, problem, hint);
    }
}

#[test]
fn closing_bracket_too_many_is_named() {
    assert_hint(
        "fn f() {\n    print(1);\n}\n}\nf();\n",
        "`}` closes nothing: no bracket is open here",
        "remove it, or open its bracket before it",
    );
}

#[test]
fn byte_order_mark_and_interpreter_line_are_accepted() {
    for script in [
        "\u{feff}print(1);",
        "#!/usr/bin/env mpscript\nprint(1);",
        "\u{feff}#!/usr/bin/env mpscript\nprint(1);",
        "#!/usr/bin/env mpscript\r\nimport \"lib/甲\" as 甲;\r\nprint(甲::one());\r\n",
    ] {
        let folder = Folder::with(script).file("lib/甲.rhai", "\u{feff}#!rhai\nfn one() { 1 }");
        assert!(folder.run(&["check", "script.rhai"]).success().starts_with("script.rhai: ok\n"), "{script}");
        assert_eq!(folder.run(&["run", "script.rhai", "--sandbox"]).code, Some(0), "{script}");
    }
}

#[test]
fn many_errors_are_bounded() {
    let script = "print(nothing_here);\n".repeat(180);
    let message = Folder::with(&script).run(&["check", "script.rhai"]).failure(1);
    assert_eq!(message.matches("there is no variable `nothing_here`").count(), 100);
    assert!(
        message.contains("error: there is more that is wrong, at 80 other places in script.rhai\n"),
        "{message}"
    );
}

#[test]
fn function_of_another_language_gets_its_translation() {
    for (script, problem, hint) in [
        ("let l = [1]; print(l.length());", "there is no function `length`", "write x.len()"),
        (
            "let s = \"a\"; print(s.toUpperCase());",
            "there is no function `toUpperCase`",
            "write text.to_upper()",
        ),
        ("print(str(5));", "there is no function `str`", "write `${x}`, or x.to_string()"),
        ("println(5);", "there is no function `println`", "write print(x)"),
        ("let l = [1]; print(l.length);", "an array of integers has no field `length`", "write x.len()"),
        ("print(\"甲\".length);", "a string has no field `length`", "write x.len()"),
    ] {
        assert_hint(script, problem, hint);
    }
}
