//! Lexes a half-typed line, for colours, completion and hints. It works on text alone; which names exist is a question to
//! `CompletionNames`.

use super::names::CompletionNames;
use crate::script::docs::KEYWORDS;
use std::ops::Range;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Comment,
    Text,
    Number,
    Keyword,
    Call,
    /// A call of a function that does not exist.
    Unknown,
    Plain,
}

pub(super) fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The tokens of a line, in order and without gaps.
pub(super) fn tokenize(line: &str, known: &CompletionNames) -> Vec<(Range<usize>, Kind)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut last_word = "";
    while let Some(first) = line[at..].chars().next() {
        let rest = &line[at..];
        let (length, kind) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), Kind::Comment)
        } else if rest.starts_with("/*") {
            (comment_length(rest).unwrap_or(rest.len()), Kind::Comment)
        } else if ['"', '`', '\''].contains(&first) {
            (text_length(rest, first), Kind::Text)
        } else if first.is_ascii_digit() {
            let end = rest.find(|char: char| !is_of_word(char) && char != '.');
            (end.unwrap_or(rest.len()), Kind::Number)
        } else if is_of_word(first) {
            let length = rest.find(|char| !is_of_word(char)).unwrap_or(rest.len());
            let word = &rest[..length];
            let kind = kind_of_word(word, &line[..at], &rest[length..], last_word, known);
            last_word = word;
            (length, kind)
        } else {
            (first.len_utf8(), Kind::Plain)
        };
        tokens.push((at..at + length, kind));
        at += length;
    }
    tokens
}

/// The length in bytes of a comment, which may be nested; `None` if it is not closed.
fn comment_length(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// The length in bytes of a text literal, up to the end of the line if it is not closed.
fn text_length(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        if char == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = char == '\\' && !is_escaped && quote != '`';
    }
    rest.len()
}

fn kind_of_word(word: &str, before: &str, after: &str, last_word: &str, known: &CompletionNames) -> Kind {
    if KEYWORDS.contains(&word) {
        return Kind::Keyword;
    }
    if !after.trim_start().starts_with('(') {
        return Kind::Plain;
    }
    if let Some(before) = before.strip_suffix("::") {
        let module = before.rsplit(|char| !is_of_word(char)).next().unwrap_or_default();
        // The members of an import are unknown here.
        let is_there = module == "global"
            || known.modules.iter().any(|known| known == module)
            || before.contains(&format!(" as {module}"))
            || known.words.known.contains(&format!("{module}::{word}"));
        return if is_there { Kind::Call } else { Kind::Unknown };
    }
    let is_declared = last_word == "fn" || known.functions.iter().any(|(name, _)| name == word);
    let is_here = before.contains(&format!("fn {word}"));
    if is_declared || is_here || known.words.known.contains(word) { Kind::Call } else { Kind::Unknown }
}

/// The bracket at the cursor, else the one before it, and its counterpart.
pub(super) fn pair_at(
    line: &str,
    position: usize,
    tokens: &[(Range<usize>, Kind)],
) -> Option<(usize, usize)> {
    let brackets: Vec<(usize, char)> = tokens
        .iter()
        .filter(|(range, kind)| *kind == Kind::Plain && range.len() == 1)
        .filter_map(|(range, _)| Some((range.start, line[range.clone()].chars().next()?)))
        .filter(|(_, char)| "()[]{}".contains(*char))
        .collect();
    let here = brackets.iter().position(|(at, _)| *at == position);
    let here = here.or_else(|| brackets.iter().position(|(at, _)| at + 1 == position))?;
    let is_open = |char: char| "([{".contains(char);
    let mut depth = 0_i32;
    let step = |depth: &mut i32, char: char| {
        *depth += if is_open(char) { 1 } else { -1 };
        *depth == 0
    };
    let (at, first) = brackets[here];
    let other = if is_open(first) {
        brackets[here..].iter().find(|(_, char)| step(&mut depth, *char))
    } else {
        brackets[..=here].iter().rev().find(|(_, char)| step(&mut depth, *char))
    };
    other.map(|(other, _)| (at, *other))
}

/// The name, with its module, of the call whose arguments the cursor is in.
pub(super) fn open_call(line: &str) -> Option<&str> {
    let tokens = tokenize(line, &CompletionNames::default());
    let mut depth = 0_i32;
    for (range, _) in tokens.iter().rev().filter(|(_, kind)| *kind == Kind::Plain) {
        match &line[range.clone()] {
            ")" | "]" | "}" => depth += 1,
            "(" | "[" | "{" if depth > 0 => depth -= 1,
            "(" => {
                let before = line[..range.start].trim_end();
                let start = before
                    .rfind(|char| !is_of_word(char) && char != ':')
                    .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
                return Some(before[start..].trim_start_matches(':')).filter(|name| !name.is_empty());
            }
            // In a closure or a block within the call, only calls made there count.
            "{" => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::docs::words;
    use crate::script::is_incomplete;
    use std::sync::Arc;

    #[test]
    fn call_around_the_cursor_is_found() {
        assert_eq!(open_call("tag::attach(t, [a"), Some("tag::attach"));
        assert_eq!(open_call("tag::attach(t, f(x), "), Some("tag::attach"));
        assert_eq!(open_call("print(\"(\""), Some("print"));
        assert_eq!(open_call("f(1)"), None);
    }

    #[test]
    fn unknown_names_are_marked() {
        let known = CompletionNames {
            words: Arc::new(words()),
            functions: vec![("mine".to_owned(), "mine(a, b)".to_owned())],
            modules: vec!["shop".to_owned()],
            ..CompletionNames::default()
        };
        let unknown = |line: &str| -> Vec<String> {
            let tokens = tokenize(line, &known).into_iter();
            tokens
                .filter(|(_, kind)| *kind == Kind::Unknown)
                .map(|(range, _)| line[range].to_owned())
                .collect()
        };
        assert_eq!(unknown("folowers().count()"), ["folowers"]);
        assert_eq!(
            unknown("mine(1, 2); shop::buy(3); tag::list(); [1].len(); print(\"nix()\") // nix()"),
            Vec::<String>::new()
        );
        assert_eq!(unknown("fn neu(a) { a } neu(1)"), Vec::<String>::new());
        assert_eq!(unknown("if (true) { 备注() }"), ["备注"]);
    }

    #[test]
    fn unfinished_input_is_distinguished_from_an_error() {
        for line in
            ["f(", "let m = #{", "if x {", "`a", "`a ${x} b", "/* a", "/* a /* b */", "1 + 1 /*", "let x ="]
        {
            assert!(is_incomplete(line), "{line}");
        }
        let whole = [
            "1",
            "\"a",
            "f)",
            "'`'; \"a",
            "// `\nlet x = \"a",
            "`/*`",
            "\"/*\"",
            "/* a /* b */ */ 1",
            "`${x}/*`",
        ];
        for line in whole {
            assert!(!is_incomplete(line), "{line}");
        }
    }

    #[test]
    fn brackets_are_matched_outside_of_strings() {
        let line = "f(\")\", [1])";
        let tokens = tokenize(line, &CompletionNames::default());
        assert_eq!(pair_at(line, 1, &tokens), Some((1, 10)));
        assert_eq!(pair_at(line, 11, &tokens), Some((10, 1)));
        assert_eq!(pair_at(line, 4, &tokens), None);
    }
}
