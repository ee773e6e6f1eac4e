//! Why a run can't go on by itself.

use crate::store::StoreError;

/// Why a run can't go on by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The journal can't be written or read.
    #[error("{0}")]
    Store(StoreError),
    /// Nothing writes it any more.
    #[error("the run's journal is not written any more")]
    Closed,
    /// Another process goes on with the run.
    #[error("this process was silent for so long that another process has gone on in its place")]
    Fenced,
    /// The script does something else than it did before.
    #[error("step {step} was `{was}`, and is now `{is}`")]
    ReplayMismatch {
        /// Where.
        step: String,
        /// What it did.
        was: String,
        /// What it does now.
        is: String,
    },
    /// The script has ended without something that it was in the midst of before.
    #[error("step {step}, `{what}`, was begun and has not ended, and the script did not come to it again")]
    NotReplayed {
        /// Where.
        step: String,
        /// What it did.
        what: String,
    },
    /// It is not known whether a call took effect that must not be made twice.
    #[error("step {step}, `{what}`, may have taken effect or not, and must not be done twice")]
    InDoubt {
        /// Where.
        step: String,
        /// The call.
        what: String,
    },
    /// Another run writes the same.
    #[error("run {by} is writing {what} now")]
    Locked {
        /// The other run.
        by: String,
        /// What both want to write.
        what: String,
    },
}

impl From<StoreError> for JournalError {
    fn from(error: StoreError) -> Self {
        match error {
            // The one thing that entries expect is that the attempt is still the run's last.
            StoreError::Conflict { .. } => Self::Fenced,
            error => Self::Store(error),
        }
    }
}
