//! What a daemon tells of itself to whoever measures it: counts since it began, and how it stands now.

use crate::{
    base::{Stopwatch, lock},
    client::Client,
    store::FireState,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// Bounds of the lags that are told apart, in milliseconds.
pub const LAG_BUCKETS: [i64; 7] = [100, 500, 1_000, 5_000, 30_000, 300_000, 3_600_000];

/// A daemon's stats, shared with whoever reads them.
#[derive(Default)]
pub struct DaemonStats(Mutex<StatsSnapshot>);

/// DaemonStats at one moment.
#[derive(Clone, Default)]
pub struct StatsSnapshot {
    /// How many fires came to what, by automation and result.
    pub fires: BTreeMap<(String, FireState), u64>,
    /// How many runs began at most so late, by [`LAG_BUCKETS`]; each counts in the first that it fits.
    pub lags: [u64; LAG_BUCKETS.len()],
    /// How many runs began, however late.
    pub begun: u64,
    /// How late they began, all together, in milliseconds.
    pub lag_ms: i64,
    /// When a fire of an automation was last done, in milliseconds.
    pub last_success: BTreeMap<String, i64>,
    /// The automations that are live.
    pub live: Vec<String>,
    /// How many files are not what runs.
    pub stale: usize,
    /// Runs of this process.
    pub under_way: usize,
    /// Fires of this process that wait.
    pub waiting: usize,
    /// The accounts that were called, by AppID.
    pub accounts: BTreeMap<String, Client>,
    /// Since the last step, whatever came of it.
    pub alive: Option<Stopwatch>,
    /// Since the last step that was done, the folder being known.
    pub stepped: Option<Stopwatch>,
    /// Why the last step was not done, if it was not.
    pub trouble: Option<String>,
    /// It fires nothing more.
    pub is_leaving: bool,
}

/// A daemon that takes longer for a step hangs.
const MAX_STEP: Duration = Duration::from_mins(1);

impl DaemonStats {
    /// The stats as they are now.
    #[must_use]
    pub fn snapshot(&self) -> StatsSnapshot {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, StatsSnapshot> {
        lock(&self.0)
    }

    /// An account that is called.
    pub fn track_account(&self, client: &Client) {
        self.lock().accounts.insert(client.appid().to_owned(), client.clone());
    }

    /// A fire came to something.
    pub(super) fn ended(&self, automation: &str, result: FireState, at: i64) {
        let mut reading = self.lock();
        *reading.fires.entry((automation.to_owned(), result)).or_default() += 1;
        if result.is_completed() {
            reading.last_success.insert(automation.to_owned(), at);
        }
    }

    /// A run began so many milliseconds late.
    pub(super) fn begun(&self, lag: i64) {
        let mut reading = self.lock();
        let lag = lag.max(0);
        reading.begun += 1;
        reading.lag_ms += lag;
        if let Some(at) = LAG_BUCKETS.iter().position(|bound| lag <= *bound) {
            reading.lags[at] += 1;
        }
    }
}

impl StatsSnapshot {
    /// Why the process should be started anew, if it should.
    #[must_use]
    pub fn liveness_error(&self) -> Option<String> {
        let since = self.alive.as_ref()?.elapsed();
        let shown = humantime::format_duration(Duration::from_secs(since.as_secs()));
        (since > MAX_STEP).then(|| format!("it has done nothing for {shown}"))
    }

    /// Why nothing fires now, if nothing does.
    #[must_use]
    pub fn readiness_error(&self) -> Option<String> {
        if self.is_leaving {
            return Some("it is stopping".to_owned());
        }
        if self.stepped.is_none() {
            return Some(self.trouble.clone().unwrap_or_else(|| "it has not begun yet".to_owned()));
        }
        self.trouble.clone().or(self.liveness_error())
    }
}
