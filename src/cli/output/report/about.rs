//! The facts of a report that are not in the run's own numbers.

use crate::store::Store;
use tokio::runtime::Runtime;

#[derive(Default)]
pub(crate) struct About<'a> {
    /// The script's name.
    pub script: String,
    /// When this attempt was started, in milliseconds.
    pub started_at: i64,
    /// When the run was started, if this attempt resumes it.
    pub first_started_at: Option<i64>,
    /// The store with its journal, which has every follower that was changed.
    pub journal: Option<(&'a Runtime, Store)>,
}
