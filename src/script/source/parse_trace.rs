//! What the parser read last on this thread: the first sign that no script can have, and the tokens up to an error.
//!
//! The parser's own error says where it stopped, not why: `print（` is "a reserved word" to it. `eval` parses too, and there
//! the error is all that is left, so this is recorded while parsing.

use crate::base::TypedSign;
use rhai::{Engine, LexError, Position, Token, TokenizerControl};
use std::{cell::RefCell, collections::VecDeque, rc::Rc};

/// Tokens that are kept: an error is explained by those just before it, and the parser reads one beyond it.
const KEPT: usize = 5;

/// The most variables and constants that a file declares. At each name the parser looks through those that are declared
/// before it: 100,000 of them, in a file of 1 MiB, would take it a minute.
const MAX_DECLARATIONS: usize = 2_000;

thread_local! {
    static LAST: RefCell<ParseTrace> = const { RefCell::new(ParseTrace::new()) };
}

/// What the last parse on this thread read.
pub(crate) struct ParseTrace {
    /// Tells one parse from the next: each has a control of its own.
    control: Option<TokenizerControl>,
    sign: Option<(String, Position)>,
    tokens: VecDeque<(Token, Position)>,
    /// Variables and constants that the text has declared so far.
    declarations: usize,
}

impl ParseTrace {
    const fn new() -> Self {
        Self { control: None, sign: None, tokens: VecDeque::new(), declarations: 0 }
    }

    /// Makes an engine keep a trace of what it parses, and end at one declaration too many.
    #[allow(
        deprecated,
        reason = "rhai marks its hook for tokens so for being volatile; its exact version is pinned"
    )]
    pub(crate) fn record(engine: &mut Engine) {
        engine.on_parse_token(|token, position, state| {
            LAST.with_borrow_mut(|trace| {
                if !trace.control.as_ref().is_some_and(|own| Rc::ptr_eq(own, &state.tokenizer_control)) {
                    *trace = Self::new();
                    trace.control = Some(Rc::clone(&state.tokenizer_control));
                }
                let token = trace.limited(token);
                trace.add(&token, position);
                token
            })
        });
    }

    /// Reads the trace of the last parse.
    pub(crate) fn with_last<T>(read: impl FnOnce(&Self) -> T) -> T {
        LAST.with_borrow(read)
    }

    /// Counts the declarations: an error stands for one too many.
    fn limited(&mut self, token: Token) -> Token {
        if matches!(token, Token::Let | Token::Const) {
            self.declarations += 1;
            if self.declarations > MAX_DECLARATIONS {
                let message = format!("more than {MAX_DECLARATIONS} variables and constants are declared");
                return Token::LexError(LexError::Runtime(message).into());
            }
        }
        token
    }

    fn add(&mut self, token: &Token, position: Position) {
        if self.sign.is_none() {
            self.sign = sign(token).map(|sign| (sign, position));
        }
        if self.tokens.len() == KEPT {
            self.tokens.pop_front();
        }
        self.tokens.push_back((token.clone(), position));
    }

    /// The first sign that was read and that no script can have, described, with its position.
    pub(crate) fn sign(&self) -> Option<(&str, Position)> {
        self.sign.as_ref().map(|(sign, position)| (sign.as_str(), *position))
    }

    /// The last token, and where it begins.
    pub(crate) fn last(&self) -> Option<(&Token, Position)> {
        self.tokens.back().map(|(token, position)| (token, *position))
    }

    /// The tokens before a position, the nearest first, and the one at it.
    pub(crate) fn around(&self, position: Position) -> (Vec<&Token>, Option<&Token>) {
        let before = self.tokens.iter().rev().filter(|(_, at)| *at < position).map(|(token, _)| token);
        let at = self.tokens.iter().find(|(_, at)| *at == position).map(|(token, _)| token);
        (before.collect(), at)
    }

    /// The token after the one at a position, if it was read.
    pub(crate) fn after(&self, position: Position) -> Option<&Token> {
        self.tokens.iter().find(|(_, at)| *at > position).map(|(token, _)| token)
    }
}

/// A sign in place of an ASCII one, or a keyword in full-width letters.
fn sign(token: &Token) -> Option<String> {
    match token {
        Token::LexError(error) => match &**error {
            LexError::UnexpectedInput(input) => Some(TypedSign::new(input.chars().next()?)?.describe()),
            _ => None,
        },
        Token::Identifier(name) => {
            let (ascii, sign) = (crate::base::in_ascii(name)?, name.chars().find_map(TypedSign::new)?);
            let is_keyword = Token::lookup_symbol_from_syntax(&ascii).is_some();
            is_keyword.then(|| format!("{} in `{name}`: the word is `{ascii}`", sign.describe()))
        }
        _ => None,
    }
}
