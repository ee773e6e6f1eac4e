//! Errors on their way from the platform through a script to a person.

use super::{
    catalog::{functions, kind_in_words, modules},
    env::NoClient,
    stdlib::is_source,
};
use crate::{
    api::errcode::DAILY_QUOTA,
    base::{Diagnostic, Place, nearest},
    bulk::{JournalError, Limit},
    client::CallError,
    script::{docs::value_fields, engine::engine::show, source::program::Program},
};
use rhai::{Dynamic, Engine, EvalAltResult, ParseErrorType, Position};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// An error as a script catches it: `e.errcode`, `e.errmsg`, `e.endpoint`, `e.rid`, `e.hint`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PlatformError {
    pub message: String,
    pub errcode: Option<i64>,
    pub errmsg: String,
    pub endpoint: String,
    pub rid: Option<String>,
    pub hint: Option<String>,
    pub notes: Vec<String>,
    /// No call will succeed before a person mends the configuration.
    pub is_configuration: bool,
    /// The run was stopped.
    pub is_cancelled: bool,
    /// Whether the call took effect is not known.
    pub is_unsure: bool,
}

impl PlatformError {
    /// A mistake in how a function of ours was called.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            errmsg: message.clone(),
            message,
            hint: Some(hint.into()).filter(|hint| !hint.is_empty()),
            ..Self::default()
        }
    }

    /// What is wrong with the journal of a run.
    pub(crate) fn of_journal(error: &JournalError, run: &str) -> Self {
        match error {
            JournalError::Store(error) => {
                Self::usage(format!("the run's journal can't be kept: {error}"), error.hint())
            }
            JournalError::Ended | JournalError::TakenOver => {
                Self::usage(error.to_string(), format!("mpscript show {run} tells how it stands"))
            }
            JournalError::Differs { .. } | JournalError::Unmet { .. } => Self::usage(
                format!("the run does not go on as it began: {error}"),
                format!(
                    "what the script looks at has changed since, by itself perhaps: run it anew, \
                     or take back what it did with mpscript undo {run}"
                ),
            ),
            JournalError::Unsure { .. } => Self::usage(
                error.to_string(),
                format!(
                    "look in the console whether it did, then: mpscript resume {run} --unsure again, \
                     or --unsure done"
                ),
            ),
            JournalError::Claimed { by, .. } => {
                Self::usage(error.to_string(), format!("wait for it, or stop it with mpscript stop {by}"))
            }
        }
    }

    /// The error that another carries, if it is one of ours.
    pub(crate) fn within(error: &EvalAltResult) -> Option<Self> {
        let mut inner = error;
        while let EvalAltResult::ErrorInFunctionCall(_, _, next, _)
        | EvalAltResult::ErrorInModule(_, next, _) = inner
        {
            inner = next;
        }
        match inner {
            EvalAltResult::ErrorRuntime(value, _) | EvalAltResult::ErrorTerminated(value, _) => {
                value.clone().try_cast()
            }
            _ => None,
        }
    }

    /// As it stands in a journal.
    pub(crate) fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// As it stood in a journal.
    pub(crate) fn read(value: Value) -> Self {
        serde_json::from_value(value).unwrap_or_default()
    }

    /// What became of a call.
    pub(crate) fn of(error: &CallError) -> Self {
        let (errmsg, rid, endpoint) = match error {
            CallError::Refused(refusal) => (refusal.errmsg.clone(), refusal.rid.clone(), refusal.endpoint),
            CallError::NoAnswer { endpoint, .. }
            | CallError::Unreadable { endpoint, .. }
            | CallError::Cancelled { endpoint } => (error.to_string(), None, *endpoint),
            CallError::NoTls(_) | CallError::NoToken { .. } => (error.to_string(), None, ""),
        };
        Self {
            message: error.to_string(),
            errcode: error.errcode(),
            errmsg,
            endpoint: endpoint.to_owned(),
            notes: rid
                .iter()
                .map(|rid| format!("rid {rid} (the platform's support can look it up)"))
                .collect(),
            rid,
            hint: error.hint().map(str::to_owned),
            is_configuration: error.is_configuration(),
            is_cancelled: matches!(error, CallError::Cancelled { .. }),
            is_unsure: error.is_unsure(),
        }
    }

    /// There is nobody to call.
    pub(crate) fn no_client(NoClient(diagnostic): &NoClient) -> Self {
        let hint = diagnostic.hint.clone().unwrap_or_default();
        Self { is_configuration: true, ..Self::usage(diagnostic.message.clone(), hint) }
    }

    /// The same error with one more fact.
    pub(crate) fn note(mut self, note: String) -> Self {
        self.notes.insert(0, note);
        self
    }

    /// The error as the engine carries it; it gets its place there.
    #[allow(clippy::unnecessary_box_returns, reason = "the engine's results hold boxed errors")]
    pub(crate) fn raise(self) -> Box<EvalAltResult> {
        // The day's quota is used up: the run is paused here and goes on here, which no `catch` may pass over.
        if self.errcode == Some(DAILY_QUOTA) {
            return EvalAltResult::ErrorTerminated(Dynamic::from(self), Position::NONE).into();
        }
        EvalAltResult::ErrorRuntime(Dynamic::from(self), Position::NONE).into()
    }
}

/// A limit of the run was reached, as a script error.
#[allow(clippy::unnecessary_box_returns, reason = "the engine's results hold boxed errors")]
pub(crate) fn limit_reached(limit: &Limit) -> Box<EvalAltResult> {
    let hint =
        "what was done is in the report; raise the limit if it was meant to be more (resume takes one too)";
    PlatformError::usage(limit.to_string(), hint).raise()
}

/// Gives an error the place of the call: the engine gives functions of modules none.
pub(crate) fn placed<T>(
    position: Position,
    result: Result<T, Box<EvalAltResult>>,
) -> Result<T, Box<EvalAltResult>> {
    result.map_err(|mut error| {
        error.set_position(position);
        error
    })
}

/// The fields of a caught error, for the reference.
pub(crate) const ERROR_FIELDS: &[(&str, &str)] = &[
    ("errcode", "The platform's number, or `()` where it said nothing."),
    ("errmsg", "The platform's words, without hint and rid."),
    ("endpoint", "The function that failed."),
    ("rid", "What the platform's support looks a request up by, or `()`."),
    ("hint", "What to do next, or `()`."),
    ("message", "All of it as one line."),
];

/// Makes the error a value that scripts can look into.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<PlatformError>("Error")
        .register_get("errcode", |error: &mut PlatformError| {
            error.errcode.map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_get("errmsg", |error: &mut PlatformError| error.errmsg.clone())
        .register_get("endpoint", |error: &mut PlatformError| error.endpoint.clone())
        .register_get("rid", |error: &mut PlatformError| {
            error.rid.clone().map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_get("hint", |error: &mut PlatformError| {
            error.hint.clone().map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_get("message", |error: &mut PlatformError| error.message.clone())
        .register_fn("to_string", |error: &mut PlatformError| error.message.clone())
        .register_fn("to_debug", |error: &mut PlatformError| error.message.clone());
}

/// How a script failed.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// For the person.
    pub diagnostic: Diagnostic,
    /// The configuration is to be mended, not the script.
    pub is_configuration: bool,
    /// The run was stopped; there is nothing to mend.
    pub is_cancelled: bool,
    /// The day's quota is used up (45009).
    pub is_of_quota: bool,
}

impl Trouble {
    /// Something that is wrong with the script itself.
    pub(crate) fn of_script(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, is_configuration: false, is_cancelled: false, is_of_quota: false }
    }
}

/// A runtime error, with the place where it came up.
pub(crate) fn explain(error: &EvalAltResult, engine: &Engine, program: &Program) -> Trouble {
    let mut inner = error;
    let mut source = None;
    // A function that another text declares.
    let mut function = None;
    let mut is_in_library = false;
    let mut position = error.position();
    while let EvalAltResult::ErrorInFunctionCall(_, of, next, _) | EvalAltResult::ErrorInModule(of, next, _) =
        inner
    {
        is_in_library |= is_source(of);
        if let EvalAltResult::ErrorInFunctionCall(name, _, next, _) = inner {
            // Where it can't be told which function it was, the call is shown.
            is_in_library |=
                matches!(program.earlier.functions.get(name.as_str()), Some(None)) && !program.is_import(of);
            if !is_in_library && !next.position().is_none() {
                function = Some(name.as_str()).filter(|_| !program.is_import(of));
            }
        }
        if !of.is_empty() && !is_in_library {
            source = Some(of.as_str());
        }
        inner = next;
        // What goes wrong in the standard library is shown where the person called it.
        if !inner.position().is_none() && !is_in_library {
            position = inner.position();
        }
    }
    let place = program.place(source, function, position);
    if let EvalAltResult::ErrorRuntime(value, _) | EvalAltResult::ErrorTerminated(value, _) = inner
        && let Some(error) = value.clone().try_cast::<PlatformError>()
    {
        let mut diagnostic = Diagnostic::new(error.message).at(place);
        diagnostic.notes = error.notes;
        diagnostic.hint = error.hint;
        return Trouble {
            diagnostic,
            is_configuration: error.is_configuration,
            is_cancelled: error.is_cancelled,
            is_of_quota: error.errcode == Some(DAILY_QUOTA),
        };
    }
    let diagnostic = describe(inner, engine).at(place);
    Trouble {
        diagnostic,
        is_configuration: false,
        is_cancelled: matches!(inner, EvalAltResult::ErrorTerminated(..)),
        is_of_quota: false,
    }
}

/// A syntax error, with its place.
pub(crate) fn explain_syntax(kind: &ParseErrorType, place: Option<Place>) -> Diagnostic {
    let hint = match kind {
        ParseErrorType::Reserved(_) => Some("choose another name".to_owned()),
        ParseErrorType::UnexpectedEOF => Some("a bracket, a string or a comment is still open".to_owned()),
        ParseErrorType::MissingToken(token, _) if token == "," => {
            Some("a comma or a closing bracket is missing before this place".to_owned())
        }
        ParseErrorType::VariableUndefined(name) if ["followers", "blacklisted"].contains(&name.as_str()) => {
            Some(format!("did you mean `{name}()`?"))
        }
        ParseErrorType::VariableUndefined(_) => Some("declare it first: let NAME = …;".to_owned()),
        ParseErrorType::ModuleUndefined(name) => Some(nearest(name, modules()).map_or_else(
            || format!("import one of your own first: import \"lib/{name}\" as {name};"),
            |near| format!("did you mean `{near}`?"),
        )),
        _ => None,
    };
    let message = match kind {
        ParseErrorType::VariableUndefined(name) => format!("there is no variable `{name}`"),
        ParseErrorType::ModuleUndefined(name) => format!("there is no module `{name}`"),
        ParseErrorType::Reserved(name) => format!("`{name}` is a reserved word"),
        other => lower_first(&other.to_string()),
    };
    let mut diagnostic = Diagnostic::new(message).at(place);
    diagnostic.hint = hint;
    diagnostic
}

/// The engine's errors in our words.
fn describe(error: &EvalAltResult, engine: &Engine) -> Diagnostic {
    match error {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => unknown_function(signature, engine),
        EvalAltResult::ErrorVariableNotFound(name, _) if name.contains("::") => {
            Diagnostic::new(format!("there is no variable `{name}`"))
                .hint("only what its file exports can be seen: export const NAME = …;")
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            Diagnostic::new(format!("there is no variable `{name}`")).hint("declare it first: let NAME = …;")
        }
        EvalAltResult::ErrorRuntime(value, _) => {
            let text = show(engine, value.clone());
            Diagnostic::new(if text.is_empty() { "the script threw ()".to_owned() } else { text })
        }
        EvalAltResult::ErrorTerminated(..) => Diagnostic::new("stopped"),
        EvalAltResult::ErrorStackOverflow(_) => {
            Diagnostic::new("functions call each other too deeply").hint("does one call itself for ever?")
        }
        EvalAltResult::ErrorMismatchDataType(expected, given, _)
        | EvalAltResult::ErrorMismatchOutputType(expected, given, _)
            if !expected.is_empty() && !given.is_empty() =>
        {
            Diagnostic::new(format!("{} is expected here, not {}", a_kind(expected), a_kind(given)))
        }
        EvalAltResult::ErrorIndexingType(kinds, _)
            if kind_in_words(kinds.split(" [").next().unwrap_or_default()) == "audience" =>
        {
            Diagnostic::new("an audience can't be indexed").hint("its people are in a list after .to_array()")
        }
        EvalAltResult::ErrorIndexingType(kinds, _) => match kinds.split_once(" [") {
            Some((kind, index)) => {
                let index = a_kind(index.trim_end_matches(']'));
                Diagnostic::new(format!("{} has nothing at {index}", a_kind(kind)))
            }
            None => Diagnostic::new(format!("{} can't be indexed", a_kind(kinds))),
        },
        EvalAltResult::ErrorFor(_) => {
            Diagnostic::new("a for loop goes through an array, a range or an audience")
                .hint("for x in 0..5 { … }, or for user in followers() { … }")
        }
        other => {
            let text = other.to_string();
            if let Some(diagnostic) = no_such_field(&text) {
                return diagnostic;
            }
            // The engine writes the place behind its text; ours stands in the frame.
            let text = text.rsplit_once(" (line ").map_or(text.as_str(), |(text, _)| text);
            Diagnostic::new(lower_first(text))
        }
    }
}

/// The engine's name of a type in a person's words: "an integer".
fn a_kind(kind: &str) -> String {
    let word = kind_in_words(kind);
    match word.as_str() {
        "()" => word,
        _ if word.starts_with(['a', 'e', 'i', 'o']) => format!("an {word}"),
        _ => format!("a {word}"),
    }
}

/// A field that a value does not have. The engine says so in words alone.
fn no_such_field(text: &str) -> Option<Diagnostic> {
    let (_, rest) = text.split_once(" property '")?;
    let (field, rest) = rest.split_once('\'')?;
    let (_, rest) = rest.split_once("for type '")?;
    let (kind, _) = rest.split_once('\'')?;
    let Some(fields) = value_fields(kind) else {
        return Some(Diagnostic::new(format!("{} has no field `{field}`", a_kind(kind))));
    };
    if fields.contains(&field) {
        let diagnostic = Diagnostic::new(format!("the field `{field}` of a {kind} can't be set"));
        return Some(
            diagnostic.hint("a value of the platform's is read only: change it with the function for that"),
        );
    }
    let hint = match nearest(field, fields.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its fields are {}", fields.join(", ")),
    };
    Some(Diagnostic::new(format!("a {kind} has no field `{field}`")).hint(hint))
}

/// A call that nothing answers to: the name is wrong, or what it was given is.
fn unknown_function(signature: &str, engine: &Engine) -> Diagnostic {
    let (name, given) = signature.split_once(" (").unwrap_or((signature, ")"));
    let given = given.trim_end_matches(')');
    if !name.contains(char::is_alphabetic) {
        let given: Vec<String> = given.split(", ").map(a_kind).collect();
        return Diagnostic::new(format!("`{name}` can't be applied to {}", given.join(" and ")));
    }
    let known = functions(engine);
    let shapes: BTreeSet<&str> = known
        .iter()
        .filter(|function| function.name == name)
        .map(|function| function.signature.as_str())
        .collect();
    if shapes.is_empty() {
        let diagnostic = Diagnostic::new(format!("there is no function `{name}`"));
        return match nearest(name, known.iter().map(|function| function.name.as_str())) {
            Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
            None => diagnostic,
        };
    }
    let given: Vec<String> = given.split(", ").filter(|kind| !kind.is_empty()).map(kind_in_words).collect();
    // Those for what it was called on, where there are some.
    let of_first = format!("{name}({}", given.first().map_or("", String::as_str));
    let (near, far): (Vec<&str>, Vec<&str>) = shapes.iter().partition(|shape| shape.starts_with(&of_first));
    let shapes = if near.is_empty() { far } else { near };
    let given = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
    Diagnostic::new(format!("`{name}` can't be called with {given}"))
        .hint(format!("it is {}", shapes.join(" or ")))
}

pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let second_is_lower = text.chars().nth(1).is_some_and(char::is_lowercase);
    match chars.next() {
        Some(first) if second_is_lower => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
