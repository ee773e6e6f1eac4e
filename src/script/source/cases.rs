//! The constants that a text may have as cases of a `switch`. The engine keeps only the hashes of their values, by which they
//! are told from constants in other places.

use super::parse::lenient_parser;
use rhai::{AST, Dynamic, Engine, Expr, Position, Stmt, Token};
use std::cell::RefCell;

/// A constant that may be a case.
pub(crate) struct Case {
    pub position: Position,
    pub value: Dynamic,
    /// What the engine finds it by.
    pub hash: u64,
}

/// The constants of a text that are followed by what follows a case.
pub(crate) fn in_text(text: &str) -> Vec<Case> {
    let tokens = tokens(text);
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    let engine = lenient_parser();
    pairs
        .filter(|((_, is_constant), _)| *is_constant == Role::Constant)
        .filter(|(_, (_, after))| *after == Role::AfterCase)
        .filter_map(|((begin, _), (end, _))| {
            let constant = text.get(offset(text, *begin)?..offset(text, *end)?)?;
            let (value, hash) = read(&engine, constant)?;
            Some(Case { position: *begin, value, hash })
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Constant,
    /// `=>`, `|` or `if`.
    AfterCase,
    Other,
}

/// The tokens of a text in their order.
#[allow(
    deprecated,
    reason = "rhai marks its hook for tokens so for being volatile; its exact version is pinned"
)]
fn tokens(text: &str) -> Vec<(Position, Role)> {
    // The engine's hook must be shareable between threads, and a parse is on one.
    thread_local! {
        static TOKENS: RefCell<Vec<(Position, Role)>> = const { RefCell::new(Vec::new()) };
    }
    TOKENS.take();
    let mut engine = lenient_parser();
    engine.on_parse_token(|token, position, _| {
        let role = match &token {
            Token::StringConstant(_)
            | Token::CharConstant(_)
            | Token::IntegerConstant(_)
            | Token::FloatConstant(_)
            | Token::True
            | Token::False => Role::Constant,
            Token::DoubleArrow | Token::Pipe | Token::If => Role::AfterCase,
            _ => Role::Other,
        };
        TOKENS.with_borrow_mut(|tokens| tokens.push((position, role)));
        token
    });
    // The text was parsed before, without an error.
    let _ = engine.compile(text);
    TOKENS.take()
}

/// Where a position is in a text, in bytes.
fn offset(text: &str, position: Position) -> Option<usize> {
    let (line, column) = (position.line()?, position.position()?);
    let begin: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let in_line = text.get(begin..)?.char_indices().nth(column - 1).map(|(at, _)| at);
    in_line.map(|at| begin + at)
}

/// The value of a constant, and its hash as a case.
fn read(engine: &Engine, constant: &str) -> Option<(Dynamic, u64)> {
    let only = |ast: &AST| match ast.statements() {
        [Stmt::Switch(switch, _)] => match (&switch.0, switch.1.cases.keys().next()) {
            (Expr::Array(entries, _), Some(hash)) => Some((entries.first()?.get_literal_value(None)?, *hash)),
            _ => None,
        },
        _ => None,
    };
    engine.compile(format!("switch [{constant}] {{ {constant} => 0 }}")).ok().as_ref().and_then(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(text: &str) -> Vec<String> {
        let place = |at: Position| format!("{}:{}", at.line().unwrap_or(0), at.position().unwrap_or(0));
        in_text(text).iter().map(|case| format!("{} {}", place(case.position), case.value)).collect()
    }

    #[test]
    fn constants_of_cases_are_found_with_their_positions() {
        let text = "let 名 = \"1\";\nswitch 名 { \"甲\" | 'b' => 5, /* 二 */ 2 if 名 == \"3\" => { `${名}` } 4.5 => 0 }";
        assert_eq!(cases(text), ["2:12 甲", "2:18 b", "2:36 2", "2:46 3", "2:64 4.5"]);
    }
}
