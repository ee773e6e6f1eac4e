//! Why a run stops at its journal.

use crate::store::StoreError;

/// Why a run stops at its journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The journal can't be written or read.
    #[error("{0}")]
    Store(StoreError),
    /// A row of the journal can't be decoded. It is left as it is.
    #[error("{0}")]
    Undecodable(StoreError),
    /// Something has no JSON form, so that it can't be recorded.
    #[error("{what} can't be recorded: {reason}")]
    Unrecordable {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The task that writes it has ended.
    #[error("the run's journal is not written any more")]
    Closed,
    /// The attempt is fenced: another process has resumed the run.
    #[error("this attempt is fenced: its process missed its heartbeats, and another one has resumed the run")]
    Fenced,
    /// The script does something else than is recorded.
    #[error("step {step} was `{was}`, and is now {}", differing(.was, .is))]
    ReplayMismatch {
        /// Where.
        step: String,
        /// What is recorded.
        was: String,
        /// What it does now.
        is: String,
    },
    /// The script has ended without reaching a step that an earlier attempt left in flight.
    #[error("step {step}, `{what}`, is in flight, and the script ended without reaching it")]
    NotReplayed {
        /// Where.
        step: String,
        /// What it did.
        what: String,
    },
    /// A call that must not be made twice is in doubt.
    #[error("step {step}, `{what}`, may have taken effect or not, and must not be done twice")]
    InDoubt {
        /// Where.
        step: String,
        /// The call.
        what: String,
    },
    /// What a person gave as the answer of a call in doubt does not fit the call.
    #[error("step {step}, `{what}`: the answer that was given does not fit: {reason}")]
    UnusableAnswer {
        /// Where.
        step: String,
        /// The call.
        what: String,
        /// Why it does not fit.
        reason: String,
    },
    /// Another run holds the write lock.
    #[error("run {by} is writing {what} now")]
    Locked {
        /// The other run.
        by: String,
        /// What is locked.
        what: String,
    },
}

/// How people tell a step from the recorded one: labels leave out long requests, and which openids are in a list.
fn differing(was: &str, is: &str) -> String {
    if was == is { "the same with other values".to_owned() } else { format!("`{is}`") }
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> Self {
        match error {
            // The one thing that writes expect is that the attempt is not fenced.
            StoreError::Conflict { .. } => Self::Fenced,
            StoreError::Decode { .. } => Self::Undecodable(error),
            error => Self::Store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mismatch_of_steps_with_one_label_says_that_their_values_differ() {
        let mismatch = |is: &str| {
            let (step, was) = ("1".to_owned(), "openids([2 openids]).block()".to_owned());
            JournalError::ReplayMismatch { step, was, is: is.to_owned() }.to_string()
        };
        let was = "step 1 was `openids([2 openids]).block()`, and is now";
        assert_eq!(mismatch("openids([2 openids]).block()"), format!("{was} the same with other values"));
        assert_eq!(mismatch("openids([3 openids]).block()"), format!("{was} `openids([3 openids]).block()`"));
    }
}
