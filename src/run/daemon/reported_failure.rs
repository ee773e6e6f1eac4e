//! The failure that a failure hook is called with, as its fire keeps it until then.

use crate::store::FireState;
use serde::{Deserialize, Serialize};

/// The `error` of `on_failure`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReportedFailure {
    pub message: String,
    pub state: FireState,
    pub run: String,
    pub handler: String,
    /// The time of the fire that failed, in the zone of its trigger.
    pub scheduled: String,
}
