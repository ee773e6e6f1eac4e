//! A syntax error of the engine as a diagnostic with its position and a hint.

use super::{
    brackets::{explain_brackets, is_past_end},
    foreign_words::{explain_foreign, hint_for_foreign_function, hint_for_word},
    parse_trace::ParseTrace,
};
use crate::{
    base::{Diagnostic, TypedSign, closest_match, in_ascii},
    script::host::{
        limits::{EXPRESSION_LEVELS, FUNCTION_LEVELS},
        modules::modules,
    },
};
use rhai::{ParseErrorType, Position};

/// The hint for a variable that is declared nowhere, when nothing tells what it may be.
pub(crate) const DECLARE_IT: &str = "declare it first: let NAME = …;";

/// What is wrong with a variable that is declared nowhere, in words.
pub(crate) fn no_variable(name: &str) -> String {
    format!("there is no variable `{name}`")
}

/// Whether a name is one of a function without arguments that gives followers, which may be written as if it were a variable.
pub(super) fn is_source_of_followers(name: &str) -> bool {
    ["followers", "blacklisted"].contains(&name)
}

/// Explains the error of the last parse on this thread, with its position. A character that no script can contain is
/// reported before anything else. Without the text, brackets are not looked at.
pub(crate) fn explain_syntax(
    kind: &ParseErrorType,
    position: Position,
    text: Option<&str>,
) -> (Diagnostic, Position) {
    let excess = ParseTrace::with_last(|trace| {
        trace.excess().map(|(message, position)| (Diagnostic::new(message), position))
    });
    if let Some(excess) = excess {
        return excess;
    }
    let sign =
        ParseTrace::with_last(|trace| trace.sign().map(|(sign, position)| (Diagnostic::new(sign), position)));
    if let Some((sign, position)) = sign {
        return (sign.hint("only texts and comments can have such characters"), position);
    }
    let foreign = ParseTrace::with_last(|trace| explain_foreign(kind, position, trace));
    let brackets = || text.and_then(|text| explain_brackets(kind, position, text));
    // What stands at the end of a text says nothing of an error there.
    let is_at_end = text.is_some_and(|text| is_past_end(position, text));
    let foreign = foreign.map(|(message, hint)| Diagnostic::new(message).hint(hint));
    match foreign {
        Some(foreign) if !is_at_end => (foreign, position),
        foreign => brackets().unwrap_or_else(|| (foreign.unwrap_or_else(|| explain_plain(kind)), position)),
    }
}

/// What a name that does not exist was probably meant to be, if it is written in full-width letters or is a word of another
/// language.
pub(crate) fn hint_for_name(name: &str) -> Option<String> {
    if let (Some(ascii), Some(sign)) = (in_ascii(name), name.chars().find_map(TypedSign::new)) {
        return Some(format!("{}; the whole name is `{ascii}`", sign.describe()));
    }
    hint_for_word(name).map(str::to_owned)
}

/// The same of a function or a method that does not exist.
pub(crate) fn hint_for_function(name: &str) -> Option<String> {
    hint_for_name(name).or_else(|| hint_for_foreign_function(name).map(str::to_owned))
}

fn explain_plain(kind: &ParseErrorType) -> Diagnostic {
    let hint = match kind {
        ParseErrorType::Reserved(_) => Some("choose another name".to_owned()),
        ParseErrorType::UnexpectedEOF => Some("a bracket, a string or a comment is still open".to_owned()),
        ParseErrorType::MissingToken(token, _) if token == "," => {
            Some("a comma or a closing bracket is missing before this place".to_owned())
        }
        ParseErrorType::VariableUndefined(name) if is_source_of_followers(name) => {
            Some(format!("did you mean `{name}()`?"))
        }
        ParseErrorType::VariableUndefined(name) => {
            Some(hint_for_name(name).unwrap_or_else(|| DECLARE_IT.to_owned()))
        }
        ParseErrorType::ModuleUndefined(name) => Some(closest_match(name, modules()).map_or_else(
            || format!("import one of your own first: import \"lib/{name}\" as {name};"),
            |near| format!("did you mean `{near}`?"),
        )),
        ParseErrorType::ExprTooDeep => Some(
            "a long `||` is [98765, 98766].contains(u.qr_scene); a long sum, or blocks in blocks, are split with `let` or \
             functions"
                .to_owned(),
        ),
        _ => None,
    };
    let message = match kind {
        ParseErrorType::VariableUndefined(name) => no_variable(name),
        ParseErrorType::ModuleUndefined(name) => format!("there is no module `{name}`"),
        ParseErrorType::Reserved(name) => format!("`{name}` is a reserved word"),
        ParseErrorType::ExprTooDeep => format!(
            "this is nested too deeply: {EXPRESSION_LEVELS} levels are allowed, and {FUNCTION_LEVELS} in a function or a \
             closure"
        ),
        other => lower_first(&other.to_string()),
    };
    let mut diagnostic = Diagnostic::new(message);
    diagnostic.hint = hint;
    diagnostic
}

/// A message of the engine without its capital letter: our messages begin in lower case.
pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let second_is_lower = text.chars().nth(1).is_some_and(char::is_lowercase);
    match chars.next() {
        Some(first) if second_is_lower => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
