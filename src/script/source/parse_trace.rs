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

/// The most keys that a file writes out in maps. At each key the parser looks through those before it in its map.
const MAX_KEYS: usize = 5_000;

/// The most parameters of a function or a closure: at each of them the parser looks through those before it.
const MAX_PARAMETERS: usize = 100;

/// The most words and signs of a script with its imports, names, numbers, texts, operators and brackets: what is done with a
/// script takes time for each of them. A file of 1 MiB may have a million.
pub(super) const MAX_TOKENS: usize = 200_000;

thread_local! {
    static LAST: RefCell<ParseTrace> = const { RefCell::new(ParseTrace::new()) };
}

/// What the last parse on this thread read.
pub(crate) struct ParseTrace {
    /// Tells one parse from the next: each has a control of its own.
    control: Option<TokenizerControl>,
    sign: Option<(String, Position)>,
    tokens: VecDeque<(Token, Position)>,
    /// What the text has had so far.
    counts: Counts,
    /// What it has too much of, with the position of the first that is too much.
    excess: Option<(String, Position)>,
    /// What was read last of a list of parameters, if one may be open.
    parameters: Option<ParameterList>,
}

/// How much of what takes time a text has.
struct Counts {
    tokens: usize,
    /// Variables and constants.
    declarations: usize,
    /// Keys of maps.
    keys: usize,
}

/// Names with commas between them: of a function's parameters after `fn NAME(`, of a closure's after `|`.
enum ParameterList {
    /// `fn` was read, and its list has not begun.
    Announced,
    /// So many names were read.
    Open(usize),
}

impl Counts {
    const fn new() -> Self {
        Self { tokens: 0, declarations: 0, keys: 0 }
    }
}

impl ParseTrace {
    const fn new() -> Self {
        Self {
            control: None,
            sign: None,
            tokens: VecDeque::new(),
            counts: Counts::new(),
            excess: None,
            parameters: None,
        }
    }

    /// Makes an engine keep a trace of what it parses, and end where a text becomes too long.
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
                let token = trace.limited(token, position);
                trace.add(&token, position);
                token
            })
        });
    }

    /// Reads the trace of the last parse.
    pub(crate) fn with_last<T>(read: impl FnOnce(&Self) -> T) -> T {
        LAST.with_borrow(read)
    }

    /// How many words and signs the text of the last parse has.
    pub(super) fn count_tokens() -> usize {
        LAST.with_borrow(|trace| trace.counts.tokens)
    }

    /// Counts what takes time: an error stands for one too many.
    fn limited(&mut self, token: Token, position: Position) -> Token {
        let Some(message) = self.count(&token) else { return token };
        self.excess.get_or_insert_with(|| (message.clone(), position));
        Token::LexError(LexError::Runtime(message).into())
    }

    /// Counts a token. Gives what there is too much of with it.
    fn count(&mut self, token: &Token) -> Option<String> {
        self.counts.tokens += 1;
        match token {
            Token::Let | Token::Const => self.counts.declarations += 1,
            // Nothing but a map has it.
            Token::Colon => self.counts.keys += 1,
            _ => {}
        }
        self.parameters = match (token, self.parameters.take()) {
            (Token::Fn, _) | (Token::Identifier(_), Some(ParameterList::Announced)) => {
                Some(ParameterList::Announced)
            }
            (Token::LeftParen, Some(ParameterList::Announced)) | (Token::Pipe, _) => {
                Some(ParameterList::Open(0))
            }
            (Token::Identifier(_), Some(ParameterList::Open(names))) => Some(ParameterList::Open(names + 1)),
            (Token::Comma, open @ Some(ParameterList::Open(_))) => open,
            _ => None,
        };
        let parameters = match self.parameters {
            Some(ParameterList::Open(names)) => names,
            Some(ParameterList::Announced) | None => 0,
        };
        let limits = [
            (parameters, MAX_PARAMETERS, "a function has more than", "parameters"),
            (self.counts.declarations, MAX_DECLARATIONS, "more than", "variables and constants are declared"),
            (
                self.counts.keys,
                MAX_KEYS,
                "more than",
                "keys of maps are written out: read a table from a file",
            ),
            (self.counts.tokens, MAX_TOKENS, "this is too long: it has more than", "words and signs"),
        ];
        let (_, most, before, behind) = limits.into_iter().find(|(count, most, ..)| count > most)?;
        Some(format!("{before} {most} {behind}"))
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

    /// What the text has too much of, with the position of the first that is too much.
    pub(crate) fn excess(&self) -> Option<(&str, Position)> {
        self.excess.as_ref().map(|(message, position)| (message.as_str(), *position))
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
