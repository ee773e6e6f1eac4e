//! How errors are reported: they travel up as `anyhow::Error`, with their context, and are turned here into a message and
//! an exit code.

use super::{args::SETTING_NAMES, output::exit};
use crate::{
    base::Diagnostic,
    client::CallError,
    script::{ErrorKind, ScriptFailure},
    store::StoreError,
};
use std::{error::Error, fmt};

/// A message for the person, and the exit code of a command that ends with it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub diagnostic: Diagnostic,
    pub code: u8,
}

impl Failure {
    /// The arguments, the configuration or the environment are wrong.
    pub(crate) fn usage(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, code: exit::USAGE }
    }

    /// The script failed.
    pub(crate) fn script(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, code: exit::SCRIPT }
    }

    /// The script failed, unless the configuration is to blame.
    pub(crate) fn from_script_failure(failure: &ScriptFailure) -> Self {
        let diagnostic = failure.diagnostic.clone();
        match failure.kind {
            ErrorKind::Configuration => Self::usage(diagnostic),
            ErrorKind::Script | ErrorKind::Cancelled | ErrorKind::Quota | ErrorKind::NotStarted => {
                Self::script(diagnostic)
            }
        }
    }

    fn from_call_error(error: &CallError) -> Self {
        let diagnostic = Diagnostic::new(error.to_string());
        let diagnostic = match error.hint() {
            Some(advice) => diagnostic.hint(advice.text(SETTING_NAMES)),
            None => diagnostic,
        };
        if error.is_configuration() { Self::usage(diagnostic) } else { Self::script(diagnostic) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl Error for Failure {}

/// Errors that carry a hint or an exit code keep them; the message of any other is its context and its causes.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        if let Some(error) = error.downcast_ref::<StoreError>() {
            return Self::usage(Diagnostic::new(error.to_string()).hint(error.hint()));
        }
        if let Some(error) = error.downcast_ref::<CallError>() {
            return Self::from_call_error(error);
        }
        Self::usage(Diagnostic::new(format!("{error:#}")))
    }
}

/// An error in what the person gave, with what to do about it.
pub(crate) fn usage_error(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Failure::usage(Diagnostic::new(message).hint(hint)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use std::io;

    #[test]
    fn usage_error_under_context_keeps_message_hint_and_code() {
        let error =
            Err::<(), _>(usage_error("`x` is not a folder", "give a folder")).context("while serving");
        let failure = Failure::from(error.unwrap_err());
        assert_eq!(failure.diagnostic, Diagnostic::new("`x` is not a folder").hint("give a folder"));
        assert_eq!(failure.code, exit::USAGE);
    }

    #[test]
    fn plain_error_becomes_context_and_cause_in_one_message() {
        let error = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let failure = Failure::from(Err::<(), _>(error).context("can't read booth.rhai").unwrap_err());
        assert_eq!(failure.diagnostic, Diagnostic::new("can't read booth.rhai: no such file"));
        assert_eq!(failure.code, exit::USAGE);
    }

    #[test]
    fn hint_of_a_call_names_the_flag_of_its_setting() {
        let error = CallError::Throttled {
            endpoint: "tag::list",
            host: "api.weixin.qq.com".to_owned(),
            tries: 3,
            wait: None,
        };
        let hint = Failure::from(anyhow::Error::from(error)).diagnostic.hint;
        assert_eq!(
            hint.as_deref(),
            Some(
                "wait as long, or make fewer calls at once (--in-flight); a proxy in between may count them too"
            )
        );
    }

    #[test]
    fn store_error_keeps_its_hint() {
        let error = StoreError::ReadOnly { location: "store.sqlite3".to_owned() };
        let hint = error.hint().to_owned();
        let failure = Failure::from(anyhow::Error::from(error));
        assert_eq!(failure.diagnostic.hint, Some(hint));
    }
}
