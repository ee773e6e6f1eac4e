//! The facts of a report that are not in the run's own numbers.

use crate::{base::EpochMs, store::Store};
use tokio::runtime::Runtime;

#[derive(Default)]
pub(crate) struct About<'a> {
    /// The script's name.
    pub script: String,
    /// When this attempt was started.
    pub started_at: EpochMs,
    /// When the run was started, if this attempt resumes it.
    pub first_started_at: Option<EpochMs>,
    /// The store with its journal, which has every follower that was changed.
    pub journal: Option<(&'a Runtime, Store)>,
}
