//! What the parts of a step have in common: how long they take, how far they come, and their errors, which do not stop the
//! others.

use super::log::{DaemonLog, Level};
use crate::store::StoreError;
use std::{collections::BTreeSet, time::Duration};

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

/// The errors of the parts of a step.
#[derive(Default)]
pub(super) struct StepErrors {
    /// The first one that concerns some rows.
    first: Option<StoreError>,
    /// Those of rows that can't be decoded. The store works: what does not depend on them goes on in time.
    damaged: Vec<StoreError>,
}

impl StepErrors {
    /// Takes the result of a part, and returns what it came to. An error that concerns some rows is kept instead, and the
    /// step goes on; that of a store that does not answer ends the step.
    pub(super) fn absorb<T>(&mut self, result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match result {
            Err(error @ StoreError::Decode { .. }) => {
                self.damaged.push(error);
                Ok(None)
            }
            Err(error @ (StoreError::Other { .. } | StoreError::Conflict { .. })) => {
                self.first.get_or_insert(error);
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Logs the rows that can't be decoded; the error is the first other one that was kept.
    pub(super) fn into_result(self, damaged: &mut DamagedRows, log: &DaemonLog) -> Result<(), StoreError> {
        self.damaged.iter().for_each(|error| damaged.report(error, log));
        self.first.map_or(Ok(()), Err)
    }
}

/// The rows that can't be decoded, as the log has said.
#[derive(Default)]
pub(super) struct DamagedRows(BTreeSet<String>);

impl DamagedRows {
    /// Logs a row that can't be decoded, once.
    pub(super) fn report(&mut self, error: &StoreError, log: &DaemonLog) {
        let text = format!("what needs this row waits, all else continues: {error} ({})", error.hint());
        if self.0.insert(error.to_string()) {
            log.daemon(Level::Error, &text);
        }
    }
}
