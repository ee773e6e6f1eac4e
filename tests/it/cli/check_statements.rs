//! `mpscript check` and statements: those that are never reached, audiences that nothing runs, and `${…}` in plain texts.

use crate::fixtures::check::{assert_hint, assert_problem, assert_sound};

#[test]
fn statement_that_is_never_reached_is_found() {
    for (script, problem) in [
        ("print(1);\nreturn;\nprint(2);", "this is never reached: `return` of line 2 comes before it"),
        (
            "fn f() {\n    return 1;\n    print(2);\n}\nf();",
            "this is never reached: `return` of line 2 comes before it",
        ),
        (
            "for n in 0..3 { continue; print(n); }",
            "this is never reached: `continue` of line 1 comes before it",
        ),
        ("loop { break; print(1); }", "this is never reached: `break` of line 1 comes before it"),
        (
            "followers().each(|u| { throw \"坏了\"; print(u.openid); });",
            "this is never reached: `throw` of line 1 comes before it",
        ),
        (
            "fn f(x) { if x { return 1; } else { return 2; } print(3); } f(true);",
            "this is never reached: `return` of line 1 comes before it",
        ),
        (
            "print(switch 1 { 1 => { return; 5 }, _ => 0 });",
            "this is never reached: `return` of line 1 comes before it",
        ),
    ] {
        assert_problem(script, problem);
    }
}

#[test]
fn statement_that_may_be_reached_is_accepted() {
    for script in [
        "if param(\"stop\", false) { return; } print(1);",
        "fn f(x) { if x { return 1; } 2 } print(f(true)); print(f(false));",
        "loop { break; } print(1); for n in 0..2 { if n == 1 { continue; } print(n); }",
        "try { throw \"坏了\"; } catch { print(1); } print(2); return; fn g() { 1 }",
        "fn f(x) { if x { return 1; } else { print(0); } 3 } print(f(false));",
    ] {
        assert_sound(script);
    }
}

#[test]
fn audience_that_nothing_runs_is_found() {
    let problem = "this audience is never run: followers are listed for a terminal operation only";
    for script in [
        "followers().filter(|u| u.sex == 1);",
        "followers();\nprint(1);",
        "let people = followers(); people.take(5);",
        "for n in 0..2 { followers().take(n); }",
        "if param(\"x\", true) { followers().since(\"2026-01-01\"); } print(1);",
        "members(\"老客户\").untagged(); print(1);",
    ] {
        assert_problem(script, problem);
    }
}

#[test]
fn audience_that_is_a_value_is_accepted() {
    for script in [
        "fn people() { followers().take(2) } print(people().count());",
        "fn people(x) { if x { followers().take(2) } else { followers().take(3) } } print(people(true).count());",
        "let people = if true { followers().take(2) } else { followers() }; print(people.count());",
        "let f = || followers().take(2); print(f.call().count());",
        "let list = []; list.push(followers().take(1)); for people in list { print(people.count()); }",
        "fn note(people) { print(1); people } note(followers().take(1)); [1, 2].filter(|n| n > 1);",
        "print(1); followers().take(2)",
    ] {
        assert_sound(script);
    }
}

#[test]
fn value_in_a_plain_text_is_found() {
    assert_hint(
        "let n = 5; print(\"共 ${n} 人\");",
        "`${n}` is not replaced in a text between double quotes",
        "write the text between back-ticks: `… ${x} …`",
    );
    for script in [
        "followers().remark(|u| \"${u.city}\");",
        "for u in followers() { print(\"${u.openid}: ${u.remark}\"); }",
        "fn f(x) { \"${x + 1}\" } print(f(1));",
    ] {
        let name = script.split("${").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or_default();
        assert_problem(script, &format!("`${{{name}}}` is not replaced in a text between double quotes"));
    }
}

#[test]
fn text_that_is_meant_as_it_is_is_accepted() {
    for script in [
        "print(\"${first}\"); print(\"${\"); print(\"$5 {a}\"); print(\"${}\");",
        "let n = 5; print(`共 ${n} 人`); print(#\"${n}\"#); print(\"${other}\");",
        "let keyword1 = 1; print(\"{{keyword1.DATA}}\"); print(\"$\" + \"{keyword1}\");",
        "print(\"${1 + 2}\");",
    ] {
        assert_sound(script);
    }
}
