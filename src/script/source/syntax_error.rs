//! A syntax error of the engine as a diagnostic with its position and a hint.

use crate::{
    base::{Diagnostic, SourceSpan, closest_match},
    script::host::{
        limits::{EXPRESSION_LEVELS, FUNCTION_LEVELS},
        modules::modules,
    },
};
use rhai::ParseErrorType;

/// A syntax error, with its position.
pub(crate) fn explain_syntax(kind: &ParseErrorType, span: Option<SourceSpan>) -> Diagnostic {
    let hint = match kind {
        ParseErrorType::Reserved(name) => Some(match name.as_str() {
            "null" | "nil" => "nothing is written ()".to_owned(),
            "var" => "a variable is declared with let".to_owned(),
            _ => "choose another name".to_owned(),
        }),
        ParseErrorType::UnexpectedEOF => Some("a bracket, a string or a comment is still open".to_owned()),
        ParseErrorType::MissingToken(token, _) if token == "," => {
            Some("a comma or a closing bracket is missing before this place".to_owned())
        }
        ParseErrorType::VariableUndefined(name) if ["followers", "blacklisted"].contains(&name.as_str()) => {
            Some(format!("did you mean `{name}()`?"))
        }
        ParseErrorType::VariableUndefined(_) => Some("declare it first: let NAME = …;".to_owned()),
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
    let mut diagnostic = Diagnostic::new(message).at(span);
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
