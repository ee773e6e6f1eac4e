//! Turns the lines of a session into scripts: adds missing semicolons, and writes what `:save` saves.

use super::{
    lexer::{Kind, tokenize},
    names::CompletionNames,
};
use crate::script::{declared_functions, is_incomplete, is_pure_expression, is_script};
use std::{borrow::Cow, collections::BTreeSet, ops::Range};

/// A line that succeeded.
pub(super) struct Line {
    pub number: usize,
    pub text: String,
    /// Whether it has a result, which `it` and `out(…)` refer to.
    pub has_result: bool,
}

/// A longer block is not separated into statements: that takes quadratic time.
const MAX_BLOCK_LINES: usize = 300;

/// Adds the missing semicolons to a block whose statements are on lines of their own; returns any other text unchanged.
pub(super) fn separated(text: &str) -> Cow<'_, str> {
    let lines: Vec<&str> = text.lines().collect();
    if !text.trim().contains('\n') || lines.len() > MAX_BLOCK_LINES || is_script(text) {
        return Cow::Borrowed(text);
    }
    let (mut whole, mut begun) = (String::with_capacity(text.len() + lines.len()), String::new());
    for (at, line) in lines.iter().enumerate() {
        begun.push_str(line);
        let Some(next) = lines[at + 1..]
            .iter()
            .map(|line| line.trim_start())
            .find(|line| !line.is_empty() && !line.starts_with("//"))
        else {
            // The last one keeps its value.
            continue;
        };
        if is_continuation(next) || is_incomplete(&begun) {
            begun.push('\n');
        } else {
            whole.push_str(&ended(&begun));
            whole.push('\n');
            begun.clear();
        }
    }
    whole.push_str(&begun);
    if is_script(&whole) { Cow::Owned(whole) } else { Cow::Borrowed(text) }
}

/// Whether a line that begins like this continues the one before it.
fn is_continuation(line: &str) -> bool {
    let is_operator = line
        .starts_with(['.', '?', ')', ']', '}', '+', '-', '*', '/', '%', '=', '<', '>', '&', '^'])
        && !line.starts_with("//")
        && !line.starts_with("/*");
    is_operator || ["||", "else", "catch", "in "].iter().any(|word| line.starts_with(word))
}

/// Whether a line can't begin a statement of its own, so that it must continue the one before it.
pub(super) fn continues_previous(line: &str) -> bool {
    let line = line.trim_start();
    // A signed number and a closure can be statements of their own.
    is_continuation(line)
        && !line.starts_with(['+', '-', '|'])
        && (!line.starts_with('?') || line.starts_with("?."))
}

/// A statement with its semicolon, which goes before a comment at its end.
fn ended(text: &str) -> String {
    let known = CompletionNames::default();
    let is_code = |(range, kind): &(Range<usize>, Kind)| {
        *kind != Kind::Comment && !text[range.clone()].chars().all(char::is_whitespace)
    };
    match tokenize(text, &known).into_iter().rfind(is_code) {
        Some((range, _)) if &text[range.clone()] != ";" => {
            format!("{};{}", &text[..range.end], &text[range.end..])
        }
        _ => text.to_owned(),
    }
}

/// The earlier results to which a line refers.
#[derive(Default)]
struct Names {
    it: bool,
    /// Numbers, with the places of `out(…)`.
    outs: Vec<(usize, Range<usize>)>,
}

/// The results to which a line refers. A function sees neither `it` nor the variables of lines.
fn names(text: &str) -> Names {
    let mut names = Names::default();
    if !is_declaration(text) {
        names_within(text, 0, &mut names);
    }
    names
}

fn names_within(text: &str, at: usize, names: &mut Names) {
    let known = CompletionNames::default();
    let tokens: Vec<(Range<usize>, Kind)> = tokenize(text, &known)
        .into_iter()
        .filter(|(range, kind)| *kind != Kind::Comment && !text[range.clone()].trim().is_empty())
        .collect();
    let word = |at: usize| tokens.get(at).map_or("", |(range, _)| &text[range.clone()]);
    for (number, (range, kind)) in tokens.iter().enumerate() {
        let before = number.checked_sub(1).map_or("", &word);
        let next = word(number + 1);
        match word(number) {
            // An interpolation in a text between back-ticks is code.
            literal if *kind == Kind::Text && literal.starts_with('`') => {
                for (open, _) in literal.match_indices("${") {
                    let inner = &literal[open + 2..];
                    let inner = &inner[..inner.find('}').unwrap_or(inner.len())];
                    names_within(inner, at + range.start + open + 2, names);
                }
            }
            "it" if before != "." && before != "let" && next != "(" && next != ":" => names.it = true,
            "out" if before != "." && next == "(" && word(number + 3) == ")" => {
                if let Ok(of) = word(number + 2).parse() {
                    names.outs.push((of, at + range.start..at + tokens[number + 3].0.end));
                }
            }
            _ => {}
        }
    }
}

/// Whether a line only declares functions or imports, which can be outside of functions.
fn is_declaration(text: &str) -> bool {
    !declared_functions(text).is_empty() || text.trim_start().starts_with("import ")
}

/// A line that assigns its result to a name; unchanged if it can't be made one.
fn with_name(text: &str, name: &str) -> String {
    let known = CompletionNames::default();
    let (mut depth, mut ends) = (0_i32, vec![0]);
    for (range, kind) in tokenize(text, &known) {
        let word = &text[range.clone()];
        match word {
            _ if kind != Kind::Plain => {}
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 && [";", "}"].contains(&word) {
            ends.push(range.end);
        }
    }
    let named = ends.iter().rev().map(|end| {
        let at = end + text[*end..].len() - text[*end..].trim_start().len();
        format!("{}let {name} = {}", &text[..at], &text[at..])
    });
    let mut named = named.filter(|named| is_script(named));
    named.next().unwrap_or_else(|| text.to_owned())
}

/// A line as a statement of a script.
struct Statement {
    text: String,
    /// Whether it can be outside of functions.
    is_outside: bool,
}

/// Splits a line that declares functions beside other statements into two.
fn parted(line: &Line) -> Vec<Line> {
    let (functions, rest) = functions_apart(&line.text);
    let part = |text: String, has_result| Line { number: line.number, text, has_result };
    if functions.is_empty() || rest.trim().trim_matches(';').is_empty() {
        return vec![part(line.text.clone(), line.has_result)];
    }
    vec![part(functions, false), part(rest.trim().to_owned(), line.has_result)]
}

/// The functions of a line, and the rest of it.
fn functions_apart(text: &str) -> (String, String) {
    let (mut functions, mut rest) = (String::new(), String::new());
    let (mut depth, mut began) = (0_i32, None);
    let mut before = 0;
    for (range, kind) in tokenize(text, &CompletionNames::default()) {
        let word = &text[range.clone()];
        match word {
            "fn" | "private" if kind == Kind::Keyword && depth == 0 => {
                began.get_or_insert(range.start);
            }
            "{" | "(" | "[" if kind == Kind::Plain => depth += 1,
            "}" | ")" | "]" if kind == Kind::Plain => {
                depth -= 1;
                if let Some(start) = began.filter(|_| depth == 0 && word == "}") {
                    rest.push_str(&text[before..start]);
                    functions.push_str(&text[start..range.end]);
                    functions.push('\n');
                    before = range.end + usize::from(text[range.end..].starts_with(';'));
                    began = None;
                }
            }
            _ => {}
        }
    }
    rest.push_str(&text[before..]);
    (functions.trim_end().to_owned(), rest)
}

/// The lines as statements: without functions that a later line redeclares and without lines that only show a value, and
/// with names for the results to which other lines refer.
fn statements(lines: &[Line]) -> Vec<Statement> {
    let lines: Vec<Line> = lines.iter().flat_map(parted).collect();
    let is_in_force = |at: usize| {
        let functions = declared_functions(&lines[at].text);
        let later =
            |function| lines[at + 1..].iter().any(|line| declared_functions(&line.text).contains(function));
        functions.is_empty() || !functions.iter().all(later)
    };
    let lines: Vec<&Line> = (0..lines.len()).filter(|at| is_in_force(*at)).map(|at| &lines[at]).collect();
    let (mut of_it, mut of_out) = (BTreeSet::new(), BTreeSet::new());
    let mut last_result = None;
    // Whether a line is needed depends on later lines only, so they are visited from the last one.
    let mut uses = Vec::new();
    for line in &lines {
        let names = names(&line.text);
        uses.push((names, last_result));
        if line.has_result {
            last_result = Some(line.number);
        }
    }
    let is_idle = |line: &Line| is_pure_expression(&line.text);
    for (line, (names, last_result)) in lines.iter().zip(&uses).rev() {
        if is_idle(line) && !of_it.contains(&line.number) && !of_out.contains(&line.number) {
            continue;
        }
        of_it.extend(last_result.filter(|_| names.it));
        of_out.extend(names.outs.iter().map(|(number, _)| *number));
    }
    let mut statements = Vec::new();
    for (line, (names, _)) in lines.iter().zip(&uses) {
        let (is_it, is_out) = (of_it.contains(&line.number), of_out.contains(&line.number));
        if is_idle(line) && !is_it && !is_out {
            continue;
        }
        let mut text = line.text.trim().to_owned();
        for (number, range) in names.outs.iter().rev() {
            text.replace_range(range.clone(), &format!("out_{number}"));
        }
        if is_it || is_out {
            let name = if is_out { format!("out_{}", line.number) } else { "it".to_owned() };
            text = with_name(&text, &name);
        }
        text = ended(&text);
        if is_it && is_out {
            text.push_str(&format!("\nlet it = out_{};", line.number));
        }
        let uses_results = names.it || !names.outs.is_empty() || is_it || is_out;
        let is_outside = is_declaration(&line.text) || text.starts_with("const ");
        statements.push(Statement { is_outside: is_outside && !uses_results, text });
    }
    statements
}

/// The lines as a script, and how many of them it has.
pub(super) fn script(header: &str, lines: &[Line]) -> (String, usize) {
    let statements = statements(lines);
    let texts: Vec<&str> = statements.iter().map(|statement| statement.text.as_str()).collect();
    (format!("{header}\n{}\n", texts.join("\n")), texts.len())
}

/// The lines as an automation: declarations at the top, the rest in `run`.
pub(super) fn automation(header: &str, lines: &[Line]) -> (String, usize) {
    let statements = statements(lines);
    let (mut outside, mut inside) = (String::new(), String::new());
    for Statement { text, is_outside } in &statements {
        if *is_outside {
            outside.push_str(&format!("{text}\n"));
        } else {
            text.lines().for_each(|line| inside.push_str(&format!("    {line}\n")));
        }
    }
    let text = format!(
        "{header}{outside}\nconst automation = #{{\n    on: [ #{{ cron: \"0 9 * * *\", tz: \"Asia/Shanghai\" }} ],\n    \
         limits: #{{ changes: 50000, errors: \"1%\" }},\n}};\n\nfn run(ctx, p) {{\n{inside}}}\n"
    );
    (text, statements.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line((at, text): (usize, &&str)) -> Line {
        let has_result = !text.ends_with(';') && !text.starts_with("fn ") && !text.starts_with("let ");
        Line { number: at + 1, text: (*text).to_owned(), has_result }
    }

    fn saved(lines: &[&str]) -> String {
        let lines: Vec<Line> = lines.iter().enumerate().map(line).collect();
        script("", &lines).0.trim().to_owned()
    }

    #[test]
    fn missing_semicolons_of_a_block_are_added() {
        let block = "let a = 1 // 一\nlet m = #{\n  b: 2\n}\n\nfollowers()\n  // 一个\n  .take(1)\nlet d = a\n - 3\nfn f(x) {\n  x\n}\nif a == 1 {\n  2\n}\nelse { 3 }\na + m.b";
        assert_eq!(
            separated(block),
            "let a = 1; // 一\nlet m = #{\n  b: 2\n};\n\nfollowers()\n  // 一个\n  .take(1);\nlet d = a\n - 3;\nfn f(x) {\n  x\n};\nif a == 1 {\n  2\n}\nelse { 3 };\na + m.b"
        );
        for whole in ["let a = 1", "let a = 1;\na", "let a = \n)", "f(\n1\n)"] {
            assert_eq!(separated(whole), whole);
        }
    }

    #[test]
    fn used_results_get_names_and_pure_reads_are_dropped() {
        assert_eq!(saved(&["let z = #{ a: 1 }", "z", "z.a + 1"]), "let z = #{ a: 1 };");
        assert_eq!(
            saved(&["40 + 1", "it + 1", "let x = it;"]),
            "let it = 40 + 1;\nlet it = it + 1;\nlet x = it;"
        );
        assert_eq!(
            saved(&["let n = 1; n + 40", "5", "print(out(1)); print(\"it, out(2)\")"]),
            "let n = 1; let out_1 = n + 40;\nprint(out_1); print(\"it, out(2)\");"
        );
        assert_eq!(
            saved(&["7", "print(it + out(1));"]),
            "let out_1 = 7;\nlet it = out_1;\nprint(it + out_1);"
        );
        assert_eq!(saved(&["fn f() { 1 }", "fn f() { 2 }", "print(f())"]), "fn f() { 2 };\nprint(f());");
        let overloads = ["fn f(a) { a }", "fn f(a, b) { a + b }", "print(f(1) + f(1, 2));"];
        assert_eq!(saved(&overloads), "fn f(a) { a };\nfn f(a, b) { a + b };\nprint(f(1) + f(1, 2));");
        assert_eq!(
            saved(&["7", "print(`${it} ${out(1)}`)", "fn g(it) { it }"]),
            "let out_1 = 7;\nlet it = out_1;\nprint(`${it} ${out_1}`);\nfn g(it) { it };"
        );
        assert_eq!(
            saved(&["for x in [1] { print(x) } 5", "print(it)"]),
            "for x in [1] { print(x) } let it = 5;\nprint(it);"
        );
        assert_eq!(saved(&["(1 + 2) * 3", "print(it)"]), "let it = (1 + 2) * 3;\nprint(it);");
        let block = "fn f(x) {\n  x + 1\n}\nlet a = f(1);\nfn g() { `}` }\nprint(a);";
        assert_eq!(saved(&[block]), "fn f(x) {\n  x + 1\n}\nfn g() { `}` };\nlet a = f(1);\n\nprint(a);");
        let lines = [line((0, &block))];
        assert!(
            automation("", &lines)
                .0
                .ends_with("fn run(ctx, p) {\n    let a = f(1);\n    \n    print(a);\n}\n")
        );
    }
}
