//! A syntax error of the engine as a diagnostic with its position and a hint.

use super::{
    foreign_words::{explain_foreign, hint_for_word},
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

/// Explains the error of the last parse on this thread, with its position. A character that no script can contain is
/// reported before anything else.
pub(crate) fn explain_syntax(kind: &ParseErrorType, position: Position) -> (Diagnostic, Position) {
    ParseTrace::with_last(|trace| {
        if let Some((message, position)) = trace.excess() {
            return (Diagnostic::new(message), position);
        }
        if let Some((sign, position)) = trace.sign() {
            let hint = "only texts and comments can have such characters";
            return (Diagnostic::new(sign).hint(hint), position);
        }
        let diagnostic = match explain_foreign(kind, position, trace) {
            Some((message, hint)) => Diagnostic::new(message).hint(hint),
            None => explain_plain(kind),
        };
        (diagnostic, position)
    })
}

/// What a name that does not exist was probably meant to be, if it is written in full-width letters or is a word of another
/// language.
pub(crate) fn hint_for_name(name: &str) -> Option<String> {
    if let (Some(ascii), Some(sign)) = (in_ascii(name), name.chars().find_map(TypedSign::new)) {
        return Some(format!("{}; the whole name is `{ascii}`", sign.describe()));
    }
    hint_for_word(name).map(str::to_owned)
}

fn explain_plain(kind: &ParseErrorType) -> Diagnostic {
    let hint = match kind {
        ParseErrorType::Reserved(_) => Some("choose another name".to_owned()),
        ParseErrorType::UnexpectedEOF => Some("a bracket, a string or a comment is still open".to_owned()),
        ParseErrorType::MissingToken(token, _) if token == "," => {
            Some("a comma or a closing bracket is missing before this place".to_owned())
        }
        ParseErrorType::VariableUndefined(name) if ["followers", "blacklisted"].contains(&name.as_str()) => {
            Some(format!("did you mean `{name}()`?"))
        }
        ParseErrorType::VariableUndefined(name) => {
            Some(hint_for_name(name).unwrap_or_else(|| "declare it first: let NAME = …;".to_owned()))
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
        ParseErrorType::VariableUndefined(name) => format!("there is no variable `{name}`"),
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
