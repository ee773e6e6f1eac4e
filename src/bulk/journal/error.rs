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
    /// The task that writes it has ended.
    #[error("the run's journal is not written any more")]
    Closed,
    /// The attempt is fenced: another process has resumed the run.
    #[error("this process was silent for so long that another process has gone on in its place")]
    Fenced,
    /// The script does something else than is recorded.
    #[error("step {step} was `{was}`, and is now `{is}`")]
    ReplayMismatch {
        /// Where.
        step: String,
        /// What is recorded.
        was: String,
        /// What it does now.
        is: String,
    },
    /// The script has ended without reaching a step that an earlier attempt left in flight.
    #[error("step {step}, `{what}`, was begun and has not ended, and the script did not come to it again")]
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
    /// Another run holds the write lock.
    #[error("run {by} is writing {what} now")]
    Locked {
        /// The other run.
        by: String,
        /// What is locked.
        what: String,
    },
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
