//! How long runs by hand, lines of sessions and what is recorded of an account's calls are kept, and their purge by commands.

use crate::{
    api::quota,
    base::{EpochMs, Stopwatch},
    client::purge_budgets,
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

/// Purges what is recorded of the calls of all accounts, and is longer ago than a run is kept by default: the days of the
/// ledger, tokens that expired and were not renewed, budgets, and estimates of accounts that nothing else is recorded of.
pub(super) async fn purge_calls(store: &Store, trusted_now: EpochMs) -> Result<(), StoreError> {
    let before = trusted_now - DEFAULT_KEPT;
    store.purge_ledger(quota::day(before.as_secs())).await?;
    store.purge_tokens(before).await?;
    purge_budgets(store, before).await?;
    store.purge_audience_sizes().await
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
    purge_calls(store, trusted_now).await
}
