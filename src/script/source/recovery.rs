//! All syntax errors of a text: behind each, the statement that has it is left out, and the text is parsed again.

use super::{
    named_source::NamedSource,
    parse::{compile, lenient_parser},
    tokens::tokens,
};
use crate::script::host::error::ScriptFailure;
use rhai::{Position, Token};

/// The most syntax errors of a file that are found. Each takes a parse.
const MAX_ERRORS: usize = 20;

/// The syntax errors of a text in order. What a left-out statement declares is not missed: undeclared variables are no errors
/// here. Nothing is searched behind an error whose statement can't be told from the others.
pub(crate) fn syntax_errors(source: &NamedSource) -> Vec<ScriptFailure> {
    let engine = lenient_parser();
    let mut rest = NamedSource { name: source.name.clone(), text: source.text.clone() };
    let mut errors = Vec::new();
    let mut last = Position::NONE;
    while errors.len() < MAX_ERRORS
        && let Err(mut error) = compile(&engine, &rest)
    {
        let Some(span) = &mut error.diagnostic.span else { break };
        let (Ok(line), Ok(column)) = (u16::try_from(span.line), u16::try_from(span.column)) else { break };
        let position = Position::new(line, column);
        if !last.is_none() && position <= last {
            break;
        }
        last = position;
        // The message shows the line as it is written.
        span.source.clone_from(&source.text);
        errors.push(error);
        let Some(text) = without_statement(&rest.text, position) else { break };
        rest.text = text.into();
    }
    errors
}

/// The text with blanks in place of the statement at a position; `None` if it has no such, or its brackets do not match.
fn without_statement(text: &str, at: Position) -> Option<String> {
    let tokens = tokens(text);
    let (first, end) = statement(&tokens, at)?;
    let (first, end) = (
        offset(text, tokens.get(first)?.1)?,
        match tokens.get(end) {
            Some((_, position)) => offset(text, *position)?,
            None => text.len(),
        },
    );
    let blank = |char: char| if char == '\n' { '\n' } else { ' ' };
    let removed: String = text.get(first..end)?.chars().map(blank).collect();
    Some(format!("{}{removed}{}", &text[..first], &text[end..]))
}

fn offset(text: &str, position: Position) -> Option<usize> {
    let line = text.split_inclusive('\n').take(position.line()? - 1).map(str::len).sum::<usize>();
    let rest = text.get(line..)?;
    let column = rest.char_indices().nth(position.position()?.max(1) - 1);
    Some(line + column.map_or(rest.len(), |(at, _)| at))
}

/// A bracket that is open, and where the statement in it begins, if it is a block of statements.
struct Open {
    closing: Token,
    /// The number of the first token of the present statement.
    begins: usize,
    is_block: bool,
}

/// The numbers of the first token of the statement at a position, and of the first one behind it.
fn statement(tokens: &[(Token, Position)], at: Position) -> Option<(usize, usize)> {
    // The whole text is a block that nothing closes.
    let mut open = vec![Open { closing: Token::EOF, begins: 0, is_block: true }];
    // `switch` whose braces have not begun, by the brackets around it.
    let mut switches: Vec<usize> = Vec::new();
    // Where the statement that is looked for begins, and how many brackets are around it.
    let mut wanted: Option<(usize, usize)> = None;
    for (number, (token, position)) in tokens.iter().enumerate() {
        if wanted.is_none() && *position >= at {
            let depth = open.iter().rposition(|bracket| bracket.is_block)?;
            wanted = Some((open[depth].begins, depth + 1));
        }
        let is_at_level = wanted.is_none_or(|(_, depth)| open.len() == depth);
        match token {
            Token::Switch => switches.push(open.len()),
            Token::LeftBrace
            | Token::MapStart
            | Token::LeftParen
            | Token::LeftBracket
            | Token::QuestionBracket => {
                let is_brace = *token == Token::LeftBrace;
                let of_switch = is_brace && switches.pop_if(|depth| *depth == open.len()).is_some();
                let is_block = is_brace && !of_switch;
                open.push(Open { closing: closing(token)?, begins: number + 1, is_block });
            }
            Token::RightBrace | Token::RightParen | Token::RightBracket => {
                if is_at_level && let Some((begins, _)) = wanted {
                    return (begins < number).then_some((begins, number));
                }
                let bracket = open.pop().filter(|bracket| bracket.closing == *token && !open.is_empty())?;
                let level = open.len();
                let around = open.last_mut()?;
                let next = tokens.get(number + 1).map(|(token, _)| token);
                let statement = tokens.get(around.begins..number).unwrap_or_default();
                if bracket.is_block && around.is_block && !continues(next) && !lacks_catch(statement) {
                    match wanted {
                        Some((begins, depth)) if depth == level => return Some((begins, number + 1)),
                        _ => around.begins = number + 1,
                    }
                }
            }
            Token::SemiColon => match wanted {
                Some((begins, depth)) if depth == open.len() => return Some((begins, number + 1)),
                _ => open.last_mut()?.begins = number + 1,
            },
            _ => {}
        }
    }
    let (begins, depth) = wanted?;
    (depth == 1 && open.len() == 1 && begins < tokens.len()).then_some((begins, tokens.len()))
}

const fn closing(opening: &Token) -> Option<Token> {
    match opening {
        Token::LeftBrace | Token::MapStart => Some(Token::RightBrace),
        Token::LeftParen => Some(Token::RightParen),
        Token::LeftBracket | Token::QuestionBracket => Some(Token::RightBracket),
        _ => None,
    }
}

/// Whether a statement is a `try` whose `catch` has not come.
fn lacks_catch(statement: &[(Token, Position)]) -> bool {
    let is_try = matches!(statement, [(Token::Try, _), ..]);
    is_try && !statement.iter().any(|(token, _)| *token == Token::Catch)
}

/// Whether a statement goes on behind a block that is closed.
fn continues(next: Option<&Token>) -> bool {
    matches!(
        next,
        Some(
            Token::Else
                | Token::Catch
                | Token::While
                | Token::Until
                | Token::SemiColon
                | Token::Period
                | Token::Elvis
                | Token::Comma
                | Token::RightParen
                | Token::RightBracket
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_errors(text: &str, expected: &[&str]) {
        let source = NamedSource { name: "甲.rhai".to_owned(), text: text.into() };
        let found: Vec<String> = syntax_errors(&source)
            .into_iter()
            .map(|error| {
                let span = error.diagnostic.span.expect("it has a place");
                format!("{}:{} {}", span.line, span.column, error.diagnostic.message)
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_statement_with_an_error_is_reported() {
        assert_errors(
            "var 甲 = 1;\nprint(甲);\nfn f() {\n    let x = 5 5;\n    print(x);\n}\nif 1 == 1 and true { f(); }\nlet y = null;\n",
            &[
                "1:1 there is no `var` in scripts",
                "4:15 expecting ';' to terminate this statement",
                "7:11 there is no `and` in scripts",
                "8:9 there is no `null` in scripts",
            ],
        );
    }

    #[test]
    fn left_out_statement_causes_no_other_error() {
        for text in [
            "switch 1 { case 1: 2 }\nlet x = 1;",
            "let f = |x| { let y = 1 2; y };\nf.call(1);",
            "fn f(a: int) { a }\nprint(f(1));",
            "if true { 1 } elif false { 2 }\nprint(1);",
            "let m = #{a: 1, b = 2};\nprint(m);",
            "for (let i = 0; i < 3; i += 1) { print(i); }\nprint(1);",
            "try { 1 } except { 2 }\nprint(1);",
        ] {
            let source = NamedSource { name: "甲.rhai".to_owned(), text: text.into() };
            assert_eq!(syntax_errors(&source).len(), 1, "{text}");
        }
    }

    #[test]
    fn nothing_is_searched_behind_an_open_bracket() {
        assert_errors(
            "fn f() {\n    let x = (1;\n\nvar y = 1;\n",
            &["2:15 expecting ')' for a matching ( in this expression"],
        );
    }
}
