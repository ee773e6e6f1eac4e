//! Brackets that are not closed, or close nothing: the parser's own error is about the place where it noticed.

use super::tokens::tokens;
use crate::base::Diagnostic;
use rhai::{LexError, ParseErrorType, Position, Token};

/// An opening bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opening {
    sign: &'static str,
    closing: &'static str,
    position: Position,
    /// The columns of blanks before the first token of its line.
    indent: usize,
}

/// What is wrong with the brackets of a text.
#[derive(Debug, PartialEq, Eq)]
enum Unbalanced {
    /// It is never closed; what another bracket or the end of the text shows.
    Open(Opening),
    /// It closes nothing.
    Stray(&'static str, Position),
}

/// Explains a syntax error by a bracket before it that is not closed, or by one there that closes nothing. Gives where the
/// bracket is.
pub(super) fn explain_brackets(
    kind: &ParseErrorType,
    position: Position,
    text: &str,
) -> Option<(Diagnostic, Position)> {
    if let ParseErrorType::BadInput(LexError::UnterminatedString) = kind {
        return None;
    }
    match unbalanced(text)? {
        // An error before it is another one. On the same line, the place where the parser stopped says more.
        Unbalanced::Open(open) if is_before(open.position, position) || is_past_end(position, text) => {
            let line = open.position.line().unwrap_or_default();
            let message = format!("`{}` of line {line} is never closed", open.sign);
            let hint = format!("close it with `{}`", open.closing);
            Some((Diagnostic::new(message).hint(hint), open.position))
        }
        Unbalanced::Stray(sign, at) if at == position => {
            let message = format!("`{sign}` closes nothing: no bracket is open here");
            Some((Diagnostic::new(message).hint("remove it, or open its bracket before it"), at))
        }
        Unbalanced::Open(_) | Unbalanced::Stray(..) => None,
    }
}

/// Whether a position is after the last token of a text.
pub(super) fn is_past_end(position: Position, text: &str) -> bool {
    let lines = text.trim_end().lines().count();
    let end = text.trim_end().lines().last().map_or(0, |line| line.chars().count());
    position.line().is_none_or(|line| {
        line > lines || (line == lines && position.position().is_some_and(|column| column > end))
    })
}

/// Whether a bracket is on a line before that of an error, which may be past the end of the text.
fn is_before(bracket: Position, error: Position) -> bool {
    error.line().is_none_or(|error| bracket.line().is_some_and(|line| line < error))
}

/// The first bracket that does not fit. Of blocks that are open at the end of the text, that is the one whose closing
/// bracket seems to be missing by the indentation of the lines.
fn unbalanced(text: &str) -> Option<Unbalanced> {
    let mut open: Vec<Opening> = Vec::new();
    // A block that was closed by a bracket that stands further to the left.
    let mut suspect = None;
    let (mut line, mut indent) = (None, 0);
    for (token, position) in tokens(text) {
        let begins_line = position.line() != line;
        if begins_line {
            (line, indent) = (position.line(), position.position().unwrap_or_default());
        }
        if let Some((sign, closing)) = opening(&token) {
            open.push(Opening { sign, closing, position, indent });
            continue;
        }
        let Some(sign) = closing(&token) else { continue };
        match open.pop() {
            None => return Some(Unbalanced::Stray(sign, position)),
            Some(last) if last.closing != sign => return Some(Unbalanced::Open(last)),
            Some(last) => {
                let is_another_line = last.position.line() != line;
                if begins_line && is_another_line && indent < last.indent {
                    suspect = suspect.or(Some(last));
                }
            }
        }
    }
    let last = open.pop()?;
    Some(Unbalanced::Open(suspect.unwrap_or(last)))
}

/// An opening bracket, and what closes it.
const fn opening(token: &Token) -> Option<(&'static str, &'static str)> {
    match token {
        Token::LeftBrace => Some(("{", "}")),
        Token::MapStart => Some(("#{", "}")),
        Token::LeftParen => Some(("(", ")")),
        Token::LeftBracket => Some(("[", "]")),
        Token::QuestionBracket => Some(("?[", "]")),
        _ => None,
    }
}

const fn closing(token: &Token) -> Option<&'static str> {
    match token {
        Token::RightBrace => Some("}"),
        Token::RightParen => Some(")"),
        Token::RightBracket => Some("]"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_open(text: &str, sign: &str, line: usize) {
        let Some(Unbalanced::Open(open)) = unbalanced(text) else { panic!("{text}: nothing is open") };
        assert_eq!((open.sign, open.position.line()), (sign, Some(line)), "{text}");
    }

    #[test]
    fn bracket_that_is_never_closed_is_found() {
        assert_open("fn f() {\n    print(1);\n", "{", 1);
        assert_open("let m = #{\n    名: \"甲\",\nprint(m);", "#{", 1);
        assert_open("let list = [1,\n    2;\nprint(list)", "[", 1);
        assert_open("fn f() {\n    print(\"}\";\n}\nprint(1);", "(", 2);
        assert_open("let x = `${f(1}`;\nprint(x);", "(", 1);
    }

    #[test]
    fn open_block_is_found_by_the_indentation_of_the_lines() {
        assert_open("fn f(x) {\n    if x {\n        print(1);\n    print(2);\n}\nf(true);\n", "{", 2);
        assert_open("for u in followers() {\n    if u.sex == 1 {\n        print(1);\n}\n", "{", 2);
    }

    #[test]
    fn closing_bracket_without_an_opening_one_is_found() {
        let stray = Unbalanced::Stray("}", Position::new(3, 1));
        assert_eq!(unbalanced("fn f() {\n}\n}\n"), Some(stray));
    }

    #[test]
    fn brackets_in_texts_and_comments_are_left_alone() {
        for text in [
            "let x = \"(\";",
            "// {\nprint(1)",
            "/* [ /* ( */ */ f()",
            "let x = `${`(${[1]}`}{`;",
            "let c = '(';",
        ] {
            assert_eq!(unbalanced(text), None, "{text}");
        }
    }
}
