//! The message for each sign that a Chinese keyboard or a web page puts in place of an ASCII one, and for each habit of
//! another language.

use crate::fixtures::program::{Folder, assert_message, assert_refused};

/// The first line of the error and its hint.
fn refused(script: &str) -> (String, String) {
    let finished = Folder::with(script).run(&["check", "script.rhai"]);
    assert_eq!(finished.code, Some(1), "{script}: {}{}", finished.out, finished.err);
    let line = |start: &str| {
        let found = finished.err.lines().find_map(|line| Some(line.split_once(start)?.1.to_owned()));
        found.unwrap_or_default()
    };
    (line("error: "), line("= hint: "))
}

#[test]
fn full_width_sign_is_named_with_its_ascii_twin() {
    assert_refused(
        "print（\"你好\"）",
        "\
error: full-width `（` (U+FF08): write `(`
 --> script.rhai:1:6
  |
1 | print（\"你好\"）
  |      ^^
  |
  = hint: only texts and comments can have such characters
",
    );
}

#[test]
fn every_sign_of_the_keyboard_is_named_before_other_explanations() {
    let cases = [
        ("if 1 ！= 2 { }", "full-width `！` (U+FF01): write `!`"),
        ("let a ＝ 1;", "full-width `＝` (U+FF1D): write `=`"),
        ("let a = 1；", "full-width `；` (U+FF1B): write `;`"),
        ("let a = [1，2];", "full-width `，` (U+FF0C): write `,`"),
        ("let a = #{甲： 1};", "full-width `：` (U+FF1A): write `:`"),
        ("followers()。count()", "full-width `。` (U+3002): write `.`"),
        ("followers().filter(｜u｜ true)", "full-width `｜` (U+FF5C): write `|`"),
        ("print(“你好”)", "typographic `“` (U+201C): write `\"`"),
        ("print(‘你’)", "typographic `‘` (U+2018): write `'`, or `\"` around a text"),
        ("let a = 【1】;", "full-width `【` (U+3010): write `[`"),
        ("fn f(x) ｛ x ｝", "full-width `｛` (U+FF5B): write `{`"),
        ("let a = 1 ＆＆ 2;", "full-width `＆` (U+FF06): write `&`"),
        ("let a = ４２;", "full-width `４` (U+FF14): write `4`"),
        ("let a = `共 ${1 ＋ 2} 人（约）`;", "full-width `＋` (U+FF0B): write `+`"),
        ("ｌｅｔ a = 1;", "full-width `ｌ` (U+FF4C): write `l` in `ｌｅｔ`: the word is `let`"),
    ];
    for (script, message) in cases {
        assert_eq!(refused(script).0, message, "{script}");
    }
}

#[test]
fn sign_that_can_not_be_seen_is_named_by_its_number() {
    let cases = [
        ("let a\u{3000}= 1;", "invisible U+3000 (ideographic space): write a plain space"),
        ("let a = 1;\u{a0}let b = 2;", "invisible U+00A0 (no-break space): write a plain space"),
        ("let a\u{200b}= 1;", "invisible U+200B (zero-width space): remove it"),
        ("let a = \u{feff}1;", "invisible U+FEFF (byte order mark): remove it"),
        ("let a = \u{202e}1;", "invisible U+202E: remove it"),
    ];
    for (script, message) in cases {
        assert_eq!(refused(script).0, message, "{script:?}");
    }
}

#[test]
fn signs_in_texts_and_comments_are_unchanged() {
    let script = "// 注释（，。）\n/* “” */ print(\"你好（，。）\u{3000}\"); print(`共 ${1 + 1} 人；‘约’`);";
    let folder = Folder::with(script);
    assert_eq!(folder.run(&["run", "script.rhai"]).success(), "你好（，。）\u{3000}\n共 2 人；‘约’\n");
}

#[test]
fn text_closed_by_another_quotation_mark_is_reported() {
    assert_eq!(
        refused("print(\"你好”)"),
        (
            "a text is not closed".to_owned(),
            "is it meant to end here? typographic `”` (U+201D): write `\"`".to_owned()
        )
    );
}

#[test]
fn name_in_full_width_letters_is_refused_with_its_ascii_twin() {
    let hint = "full-width `ｐ` (U+FF50): write `p`; the whole name is `print`".to_owned();
    assert_eq!(refused("ｐｒｉｎｔ(\"你好\")"), ("there is no function `ｐｒｉｎｔ`".to_owned(), hint));
    assert!(refused("print(ｂ)").1.starts_with("full-width `ｂ` (U+FF42)"));
}

#[test]
fn sign_in_an_import_is_named() {
    let folder = Folder::with("import \"lib/甲\" as a;").file("lib/甲.rhai", "export const 店 ＝ 1;");
    let expected = "\
error: full-width `＝` (U+FF1D): write `=`
 --> ./lib/甲.rhai:1:16
  |
1 | export const 店 ＝ 1;
  |                 ^^
  |
  = hint: only texts and comments can have such characters
";
    assert_message(&folder, expected);
}

#[test]
fn sign_in_a_text_for_eval_is_named_at_the_call() {
    let folder = Folder::new();
    let finished = folder.run(&["run", "-e", "let s = \"print（1）\";\neval(s)"]);
    assert!(
        finished.err.contains("error: full-width `（` (U+FF08): write `(`\n --> -e:2:6"),
        "{}",
        finished.err
    );
}

#[test]
fn sign_of_an_earlier_text_for_eval_is_forgotten() {
    let script = "try { eval(\"1 ＋ 2\") } catch (e) { } eval(\"let go = 1\")";
    let finished = Folder::new().run(&["run", "-e", script]);
    assert!(finished.err.contains("error: `go` is a reserved word\n"), "{}", finished.err);
}

#[test]
fn sign_in_a_line_of_the_session_is_named() {
    let finished = Folder::new().run_with_input(&["repl", "--sandbox"], "print（1）\n");
    assert!(finished.err.contains("error: full-width `（` (U+FF08): write `(`\n"), "{}", finished.err);
}

#[test]
fn word_of_another_language_gets_its_translation() {
    let cases = [
        ("let x = null;", "null", "write `()`"),
        ("let x = nil;", "nil", "write `()`"),
        ("let x = undefined;", "undefined", "write `()`"),
        ("let x = None;", "None", "write `()`"),
        ("var x = 1;", "var", "write `let`"),
        ("let x = True;", "True", "write `true`"),
        ("function f(a) { a }", "function", "write `fn`, as in fn name(x) { … }"),
        ("def f(a): a", "def", "write `fn`, as in fn name(x) { … }"),
        ("if 1 == 1 and 2 == 2 { }", "and", "write `&&`"),
        ("if 1 == 1 or 2 == 2 { }", "or", "write `||`"),
        ("if not true { }", "not", "write `!`, or `!in` for what is not in a list"),
        ("if 1 is 1 { }", "is", "write `==`"),
        ("if true { } elif false { }", "elif", "write `else if`"),
        ("if 1 === 1 { }", "===", "write `==`"),
        ("if 1 !== 1 { }", "!==", "write `!=`"),
        ("if 1 <> 1 { }", "<>", "write `!=`"),
        ("let x = 1; x++;", "++", "write `x += 1`"),
        ("let x = true ? 1 : 2;", "?", "write if x { 1 } else { 2 }"),
        ("let mut x = 1;", "mut", "leave it out: every `let` can be changed"),
        ("for x of [1] { }", "of", "write `in`, as in for x in list { … }"),
        ("# 注释", "#", "a comment begins with `//`, and a map with `#{`"),
        ("switch 1 { case 1: 2 }", "case", "write switch x { 1 => …, _ => … }"),
        ("throw new Error(\"坏了\");", "new", "leave it out: a map is #{ name: 1 }"),
        ("try { 1 } except { 2 }", "except", "write catch (e) { … }"),
        ("console.log(\"你好\");", "console", "write print(x)"),
    ];
    for (script, word, hint) in cases {
        let expected = (format!("there is no `{word}` in scripts"), hint.to_owned());
        assert_eq!(refused(script), expected, "{script}");
    }
}

#[test]
fn syntax_of_another_language_gets_its_translation() {
    let cases = [
        ("let x = 'hello';", "a text is written between double quotes"),
        ("let x = {\"甲\": 1};", "a map begins with `#{`"),
        ("let x = { a: 1 };", "a map begins with `#{`"),
        ("let x: int = 1;", "variables have no types"),
        ("fn f(a: int) { a }", "parameters have no types and no defaults"),
        ("for (let i = 0; i < 3; i += 1) { }", "a loop goes through a list or a range"),
        ("if (true) print(1);", "a block is written in braces"),
        ("try { 1 } catch e { 2 }", "the error's name is written in brackets"),
        ("print \"你好\";", "`print` is a function, and its arguments are written in brackets"),
        ("import lib from \"lib/甲\";", "what is imported is a file's name"),
    ];
    for (script, message) in cases {
        assert_eq!(refused(script).0, message, "{script}");
    }
}

#[test]
fn reserved_word_as_a_key_is_written_in_quotes() {
    let (_, hint) = refused("let m = #{ null: 1 };");
    assert_eq!(hint, "as a key it is written in quotes: #{ \"NAME\": 1 }");
    let (_, hint) = refused("let m = #{}; m.null");
    assert_eq!(hint, "as a key it is written map[\"NAME\"]");
}

#[test]
fn word_of_another_language_is_found_in_a_line_of_the_session() {
    let finished = Folder::new().run_with_input(&["repl", "--sandbox"], "let x = None;\nfunction f(x) { }\n");
    let hints: Vec<&str> =
        finished.err.lines().filter_map(|line| line.split_once("hint: ")).map(|(_, hint)| hint).collect();
    assert_eq!(hints, ["write `()`", "write `fn`, as in fn name(x) { … }"], "{}", finished.err);
}
