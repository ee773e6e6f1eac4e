//! How long runs by hand and lines of sessions are kept, and their purge by commands.

use crate::{
    base::{EpochMs, Stopwatch},
    store::{SeenDay, Store, StoreError},
};
use std::time::Duration;

/// How long each is kept by default.
const DEFAULT_KEPT: Duration = Duration::from_hours(90 * 24);

/// The longest that a command purges before it ends; the next day's goes on.
const MAX_PURGE: Duration = Duration::from_secs(1);

/// How long runs that no fire has started are kept after their last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepPeriods {
    /// Runs by hand.
    pub runs: Duration,
    /// Lines of sessions.
    pub sessions: Duration,
}

impl Default for KeepPeriods {
    fn default() -> Self {
        Self { runs: DEFAULT_KEPT, sessions: DEFAULT_KEPT }
    }
}

/// Purges what is older than it is kept. Of all processes that share a store, the first one of a day does.
pub async fn purge_once_a_day(store: &Store, keep: KeepPeriods, now: EpochMs) -> Result<(), StoreError> {
    let SeenDay { is_new: true, trusted_now: Some(trusted_now) } = store.see_day(now).await? else {
        return Ok(());
    };
    let since = Stopwatch::start();
    while since.elapsed() < MAX_PURGE {
        let runs = store.purge_runs_by_hand(trusted_now - keep.runs).await?;
        let lines = store.purge_session_lines(trusted_now - keep.sessions).await?;
        if runs + lines == 0 {
            break;
        }
    }
    Ok(())
}
