//! What the parts of a step have in common: how long they take, how far they come, and their errors, which do not stop the
//! others.

use crate::store::StoreError;
use std::time::Duration;

/// Between two looks at the store for what other processes do.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The longest that one step starts runs, so that signals and heartbeats are not delayed.
pub(super) const MAX_STEP: Duration = Duration::from_millis(250);

/// How far a part of a step came in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Everything was tried.
    Whole,
    /// The next step continues with the rest.
    Partial,
}

/// The first error of the parts of a step.
#[derive(Default)]
pub(super) struct StepErrors(Option<StoreError>);

impl StepErrors {
    /// Takes the result of a part, and returns what it came to. An error that concerns some rows is kept instead, and the
    /// step goes on; that of a store that does not answer ends the step.
    pub(super) fn absorb<T>(&mut self, result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match result {
            Err(
                error @ (StoreError::Other { .. } | StoreError::Conflict { .. } | StoreError::Decode { .. }),
            ) => {
                self.0.get_or_insert(error);
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// The first error that was kept.
    pub(super) fn into_result(self) -> Result<(), StoreError> {
        self.0.map_or(Ok(()), Err)
    }
}
