//! The error that a script catches, and the failure that a person is shown.

use super::value_type::DeclaredField;
use crate::{
    api::errcode::DAILY_QUOTA,
    base::{Diagnostic, Redactor, Setting, SettingNames},
    bulk::{JournalError, ObserveError},
    client::CallError,
};
use rhai::{Dynamic, Engine, EvalAltResult, Position};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The result of a native function, as the engine takes it.
pub(crate) type ScriptResult<T> = Result<T, Box<EvalAltResult>>;

/// Why the platform can't be called at all: no account, say. A script that makes no call runs.
#[derive(Clone, Debug)]
pub struct NoClient(pub Diagnostic);

/// The longest text of an error that is recorded or shown, in bytes. A script can throw what fills its memory; of an error
/// all texts together, as JSON, must fit into a line to the daemon.
const MAX_TEXT: usize = 16 << 10;

/// What an error means for the run that it ends: its state and its exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The script's own: a mistake in it, or a call that failed.
    #[default]
    Script,
    /// No retry will succeed until the configuration or the arguments are corrected.
    Configuration,
    /// The run was stopped; there is nothing to correct.
    Cancelled,
    /// The day's quota is used up (45009): the run pauses.
    Quota,
    /// The system gave the script no thread: it has not started.
    NotStarted,
}

/// An error as a script catches it: `e.errcode`, `e.errmsg`, `e.endpoint`, `e.rid`, `e.hint`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptError {
    pub message: String,
    pub errcode: Option<i64>,
    pub errmsg: String,
    pub endpoint: String,
    pub rid: Option<String>,
    pub hint: Option<String>,
    pub notes: Vec<String>,
    pub kind: ErrorKind,
    /// Whether the call took effect is unknown. An error of any kind can be: the first request of a call got no answer,
    /// and its retry was refused.
    pub in_doubt: bool,
}

impl ScriptError {
    /// A mistake in how a function was called.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            errmsg: message.clone(),
            message,
            hint: Some(hint.into()).filter(|hint| !hint.is_empty()),
            ..Self::default()
        }
    }

    /// A mistake in the configuration or in the arguments of the command.
    pub(crate) fn configuration(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Configuration, ..Self::usage(message, hint) }
    }

    /// A fault of the run's journal.
    pub(crate) fn from_journal(error: &JournalError, run: &str, names: SettingNames) -> Self {
        match error {
            JournalError::Store(error) => {
                Self::usage(format!("the run's journal can't be kept: {error}"), error.hint())
            }
            JournalError::Undecodable(error) => {
                Self::usage(format!("the run's journal can't be read: {error}"), error.hint())
            }
            JournalError::Unrecordable { .. } => Self::usage(
                format!("the run's journal can't be kept: {error}"),
                "please report it with the script",
            ),
            JournalError::Closed | JournalError::Fenced => {
                Self::usage(error.to_string(), format!("mpscript show {run} shows its state"))
            }
            JournalError::ReplayMismatch { .. } | JournalError::NotReplayed { .. } => Self::usage(
                format!("the run differs from what was recorded: {error}"),
                format!(
                    "what the script reads has changed since, maybe by its own writes: run it from scratch, \
                     or undo what it did with mpscript undo {run}"
                ),
            ),
            JournalError::InDoubt { .. } => Self::usage(
                error.to_string(),
                format!(
                    "look in the console whether it did, then: mpscript resume {run} {resolution} retry, \
                     or {resolution} completed",
                    resolution = names.of(Setting::Resolution)
                ),
            ),
            JournalError::UnusableAnswer { .. } => Self::usage(
                error.to_string(),
                format!(
                    "give it with the platform's field names: mpscript resume {run} {} completed {} JSON",
                    names.of(Setting::Resolution),
                    names.of(Setting::Answer)
                ),
            ),
            JournalError::Locked { by, .. } => {
                Self::usage(error.to_string(), format!("wait for it, or stop it with mpscript stop {by}"))
            }
        }
    }

    /// The `ScriptError` that an error of the engine carries, if it carries one.
    pub(crate) fn find_in(error: &EvalAltResult) -> Option<Self> {
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

    /// With texts of a bounded length, as it is recorded.
    #[must_use]
    pub(crate) fn bounded(self, secrets: &Redactor) -> Self {
        let cut = |text: String| secrets.cut(&text, MAX_TEXT);
        Self {
            message: cut(self.message),
            errmsg: cut(self.errmsg),
            rid: self.rid.map(cut),
            hint: self.hint.map(cut),
            notes: self.notes.into_iter().map(cut).collect(),
            ..self
        }
    }

    /// As the journal stores it.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// A failed call of the platform.
    pub(super) fn from_call(error: &CallError, names: SettingNames) -> Self {
        let (errmsg, rid, endpoint) = match error {
            CallError::Refused(refusal) => (refusal.errmsg.clone(), refusal.rid.clone(), refusal.endpoint),
            CallError::NoAnswer { endpoint, .. }
            | CallError::Throttled { endpoint, .. }
            | CallError::Unreadable { endpoint, .. }
            | CallError::Cancelled { endpoint } => (error.to_string(), None, *endpoint),
            CallError::NoTls(_) | CallError::NoToken { .. } => (error.to_string(), None, ""),
        };
        let kind = match error {
            CallError::Cancelled { .. } => ErrorKind::Cancelled,
            CallError::Refused(refusal) if refusal.errcode == DAILY_QUOTA => ErrorKind::Quota,
            error if error.is_configuration() => ErrorKind::Configuration,
            CallError::Refused(_)
            | CallError::NoAnswer { .. }
            | CallError::Throttled { .. }
            | CallError::Unreadable { .. }
            | CallError::NoTls(_)
            | CallError::NoToken { .. } => ErrorKind::Script,
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
            hint: error.hint().map(|advice| advice.text(names).into_owned()),
            kind,
            in_doubt: error.is_in_doubt(),
        }
    }

    /// The account could not be read.
    pub(super) fn from_observe(error: &ObserveError, names: SettingNames) -> Self {
        match error {
            ObserveError::Call(error) => Self::from_call(error, names),
            ObserveError::Details(missing) => Self::usage(
                missing.to_string(),
                format!(
                    "what is there now is not known, so nothing was sent: user::info({:?}) shows what the platform gives",
                    missing.openid
                ),
            ),
            ObserveError::Store(error) => Self::usage(
                format!("temporary data of the job can't be stored: {error}"),
                "set TMPDIR to a folder with free space",
            ),
        }
    }

    /// The platform can't be called.
    pub(crate) fn no_client(NoClient(diagnostic): &NoClient) -> Self {
        let hint = diagnostic.hint.clone().unwrap_or_default();
        Self::configuration(diagnostic.message.clone(), hint)
    }

    /// The same error with one more note.
    pub(crate) fn note(mut self, note: String) -> Self {
        self.notes.insert(0, note);
        self
    }

    /// The error as the engine carries it; the engine adds its position.
    #[allow(clippy::unnecessary_box_returns, reason = "the engine's results hold boxed errors")]
    pub(crate) fn raise(self) -> Box<EvalAltResult> {
        match self.kind {
            // The run pauses here and resumes here, so no `catch` may handle it. The callbacks of the engine's own
            // functions make it an error that can be caught: `RunEnv::interruption` ends the run then.
            ErrorKind::Quota => EvalAltResult::ErrorTerminated(Dynamic::from(self), Position::NONE).into(),
            // The engine's progress callback ends a cancelled run, whatever the script catches.
            ErrorKind::Script | ErrorKind::Configuration | ErrorKind::Cancelled | ErrorKind::NotStarted => {
                EvalAltResult::ErrorRuntime(Dynamic::from(self), Position::NONE).into()
            }
        }
    }
}

/// Adds the position of the call: the engine adds none for functions of modules.
pub(crate) fn at_position<T>(
    position: Position,
    result: Result<T, Box<EvalAltResult>>,
) -> Result<T, Box<EvalAltResult>> {
    result.map_err(|mut error| {
        error.set_position(position);
        error
    })
}

/// The fields of a caught error.
pub(crate) const ERROR_FIELDS: &[DeclaredField] = &[
    ("errcode", "int", "The platform's number, or `()` where it said nothing."),
    ("errmsg", "String", "The platform's words, without hint and rid."),
    ("endpoint", "String", "The function that failed."),
    ("rid", "String", "What the platform's support looks a request up by, or `()`."),
    ("hint", "String", "What to do next, or `()`."),
    ("message", "String", "All of it as one line."),
];

/// What an error of the language itself is caught as has these keys, of which each has some; `message` is there too.
pub(crate) const LANGUAGE_ERROR_KEYS: &[&str] = &[
    "actual",
    "error",
    "function",
    "index",
    "length",
    "line",
    "module",
    "position",
    "property",
    "requested",
    "source",
    "token",
    "tokens",
    "type",
    "variable",
];

/// Registers the error's fields for scripts.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<ScriptError>("Error")
        .register_get("errcode", |error: &mut ScriptError| error.errcode.map_or(Dynamic::UNIT, Dynamic::from))
        .register_get("errmsg", |error: &mut ScriptError| error.errmsg.clone())
        .register_get("endpoint", |error: &mut ScriptError| error.endpoint.clone())
        .register_get("rid", |error: &mut ScriptError| error.rid.clone().map_or(Dynamic::UNIT, Dynamic::from))
        .register_get("hint", |error: &mut ScriptError| {
            error.hint.clone().map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_get("message", |error: &mut ScriptError| error.message.clone())
        .register_fn("to_string", |error: &mut ScriptError| error.message.clone())
        .register_fn("to_debug", |error: &mut ScriptError| error.message.clone());
}

/// How a script failed.
#[derive(Clone, Debug)]
pub struct ScriptFailure {
    /// For the person.
    pub diagnostic: Diagnostic,
    /// What it means for the run.
    pub kind: ErrorKind,
}

impl ScriptFailure {
    /// With texts of a bounded length.
    #[must_use]
    pub(crate) fn bounded(self, secrets: &Redactor) -> Self {
        let cut = |text: String| secrets.cut(&text, MAX_TEXT);
        let Diagnostic { message, span, notes, hint } = self.diagnostic;
        let notes = notes.into_iter().map(cut).collect();
        let diagnostic = Diagnostic { message: cut(message), span, notes, hint: hint.map(cut) };
        Self { diagnostic, ..self }
    }

    /// Something that is wrong with the script itself.
    pub(crate) fn in_script(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, kind: ErrorKind::Script }
    }
}
