//! The constants that the cases of each `switch` of a text have. The engine keeps only the hashes of their values, so they are
//! taken from the tokens of the text, in one pass.

use super::parse::lenient_parser;
use rhai::{Dynamic, Position, Token};
use std::{cell::RefCell, collections::BTreeMap, mem};

/// A constant of a case.
pub(crate) struct Case {
    pub position: Position,
    pub value: Dynamic,
}

/// The constants of the cases of a text, by the position of their `switch`.
pub(crate) type Cases = BTreeMap<Position, Vec<Case>>;

/// The cases of a text that can be parsed.
#[allow(
    deprecated,
    reason = "rhai marks its hook for tokens so for being volatile; its exact version is pinned"
)]
pub(crate) fn in_text(text: &str) -> Cases {
    // The engine's hook must be shareable between threads, and a parse is on one.
    thread_local! {
        static SCANNER: RefCell<Scanner> = RefCell::default();
    }
    SCANNER.take();
    let mut engine = lenient_parser();
    engine.on_parse_token(|token, position, _| {
        SCANNER.with_borrow_mut(|scanner| scanner.take(&token, position));
        token
    });
    // The text was parsed before, without an error.
    let _ = engine.compile(text);
    SCANNER.take().found
}

/// What the tokens before have told.
#[derive(Default)]
struct Scanner {
    found: Cases,
    /// The brackets that are open, the innermost last.
    open: Vec<Bracket>,
    /// Each `switch` whose block has not begun, with the number of brackets that are open around it.
    headers: Vec<(Position, usize)>,
    /// Whether the next token may begin a case.
    may_begin: bool,
    /// The last token, if it is a constant that begins a case; the next one tells whether it is all of it.
    candidate: Option<Case>,
}

enum Bracket {
    /// The block of a `switch`.
    Switch(SwitchBlock),
    Other,
}

struct SwitchBlock {
    at: Position,
    /// What may be the constants of the next case, until its `=>` is seen.
    pending: Vec<Case>,
    /// Whether an `if` has followed them.
    is_guarded: bool,
}

impl SwitchBlock {
    const fn new(at: Position) -> Self {
        Self { at, pending: Vec::new(), is_guarded: false }
    }
}

impl Scanner {
    fn take(&mut self, token: &Token, position: Position) {
        let candidate = self.candidate.take();
        let may_begin = mem::take(&mut self.may_begin);
        match token {
            Token::Switch => self.headers.push((position, self.open.len())),
            Token::LeftBrace => self.open_block(),
            Token::MapStart | Token::LeftParen | Token::LeftBracket | Token::QuestionBracket => {
                self.open.push(Bracket::Other);
            }
            Token::RightParen | Token::RightBracket => drop(self.open.pop()),
            Token::RightBrace => {
                self.open.pop();
                // After what ends with a block, a case needs no comma.
                self.end_case();
            }
            Token::Comma => self.end_case(),
            Token::Pipe | Token::If | Token::DoubleArrow => self.delimit(token, candidate),
            constant if may_begin => {
                self.candidate = value_of(constant).map(|value| Case { position, value });
            }
            _ => {}
        }
    }

    /// The block whose cases are looked at, unless a bracket is open within it.
    fn block(&mut self) -> Option<&mut SwitchBlock> {
        match self.open.last_mut() {
            Some(Bracket::Switch(block)) => Some(block),
            _ => None,
        }
    }

    fn open_block(&mut self) {
        let depth = self.open.len();
        let of_switch = self.headers.pop_if(|(_, around)| *around == depth);
        self.may_begin = of_switch.is_some();
        self.open.push(of_switch.map_or(Bracket::Other, |(at, _)| Bracket::Switch(SwitchBlock::new(at))));
    }

    /// A value has ended, and a case may begin: what was pending belongs to no case.
    fn end_case(&mut self) {
        let Some(block) = self.block() else { return };
        block.pending.clear();
        block.is_guarded = false;
        self.may_begin = true;
    }

    /// What may follow a constant of a case.
    fn delimit(&mut self, token: &Token, candidate: Option<Case>) {
        let Some(block) = self.block() else { return };
        block.pending.extend(candidate);
        match token {
            Token::If => block.is_guarded = true,
            Token::Pipe => self.may_begin = !block.is_guarded,
            _ => {
                let (at, cases) = (block.at, mem::take(&mut block.pending));
                block.is_guarded = false;
                self.found.entry(at).or_default().extend(cases);
            }
        }
    }
}

/// The value of a token that is a constant.
fn value_of(token: &Token) -> Option<Dynamic> {
    Some(match token {
        Token::StringConstant(text) => text.as_str().into(),
        Token::CharConstant(char) => (*char).into(),
        Token::IntegerConstant(number) => (*number).into(),
        Token::FloatConstant(number) => (*number.0).into(),
        Token::True => true.into(),
        Token::False => false.into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(at: Position) -> String {
        format!("{}:{}", at.line().unwrap_or(0), at.position().unwrap_or(0))
    }

    /// Each `switch` with its constants.
    fn cases(text: &str) -> Vec<(String, Vec<String>)> {
        let found = in_text(text).into_iter().map(|(at, cases)| {
            let cases = cases.iter().map(|case| format!("{} {}", place(case.position), case.value));
            (place(at), cases.collect())
        });
        found.collect()
    }

    #[track_caller]
    fn assert_cases(text: &str, expected: &[(&str, &[&str])]) {
        let expected: Vec<(String, Vec<String>)> = expected
            .iter()
            .map(|(at, cases)| ((*at).to_owned(), cases.iter().map(ToString::to_string).collect()))
            .collect();
        assert_eq!(cases(text), expected, "{text}");
    }

    #[test]
    fn constants_of_cases_are_found_with_their_positions() {
        assert_cases(
            "let 名 = \"1\";\nswitch 名 { \"甲\" | 'b' => 5, /* 二 */ 2 if 名 == \"3\" => { `${名}` } 4.5 => 0 }",
            &[("2:1", &["2:12 甲", "2:18 b", "2:36 2", "2:64 4.5"])],
        );
    }

    #[test]
    fn each_switch_has_its_own_constants() {
        assert_cases(
            "switch 1 { \"甲\" => switch 2 { 5 => `${switch 3 { 6 => 1 }}`, \"甲\" => 0 }, 7 => 0 }\nswitch 4 { \"甲\" => 0 }",
            &[
                ("1:1", &["1:12 甲", "1:73 7"]),
                ("1:19", &["1:30 5", "1:61 甲"]),
                ("1:38", &["1:49 6"]),
                ("2:1", &["2:12 甲"]),
            ],
        );
    }

    #[test]
    fn constant_that_is_no_case_is_left_out() {
        assert_cases(
            "switch f(|x| #{a: 1}) { 1 if x | true | y => x | true | y, 2 => [3 | 4, 5], 6 => if x | true | y { 7 } 8 => { 9 } _ => 10 }",
            &[("1:1", &["1:25 1", "1:60 2", "1:77 6", "1:104 8"])],
        );
    }
}
