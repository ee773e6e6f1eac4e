//! The fires whose runs the system gives no process or no thread. They wait and are tried again; until they start, the daemon
//! is not ready.

use super::fire_queue::FireId;
use crate::store::Fire;
use std::collections::{BTreeMap, HashSet};

/// Fires that wait because their last start has failed, with the reason.
#[derive(Default)]
pub(super) struct FailedStarts(BTreeMap<FireId, String>);

impl FailedStarts {
    /// The start of a fire has failed.
    pub(super) fn failed(&mut self, fire: &Fire, why: &str) {
        self.0.insert(FireId::from(fire), why.to_owned());
    }

    /// A fire was started.
    pub(super) fn started(&mut self, fire: &Fire) {
        self.0.remove(&FireId::from(fire));
    }

    /// Whether a fire is one of them.
    pub(super) fn contains(&self, fire: &Fire) -> bool {
        self.0.contains_key(&FireId::from(fire))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why fires do not start, if so. Those that no longer wait are forgotten.
    pub(super) fn trouble(&mut self, waiting: impl FnOnce() -> HashSet<FireId>) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let waiting = waiting();
        self.0.retain(|fire, _| waiting.contains(fire));
        let why = self.0.values().next()?;
        Some(match self.0.len() {
            1 => format!("a run can't start: {why}"),
            count => format!("{count} runs can't start: {why}"),
        })
    }
}
