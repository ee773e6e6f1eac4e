//! Statistics of a daemon: counters since it started, and its present state.

use crate::{
    base::{ClockSkew, EpochMs, Stopwatch, lock},
    client::Client,
    store::{AutomationId, FireState, StoreError},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// The upper bounds of the buckets of start lags.
pub const LAG_BUCKETS: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(5),
    Duration::from_hours(1),
];

/// A daemon whose last step is older than this hangs.
const STEP_TIMEOUT: Duration = Duration::from_mins(1);

/// The statistics of a daemon, shared with their readers.
#[derive(Default)]
pub struct DaemonStats(Mutex<StatsSnapshot>);

/// The statistics at one moment.
#[derive(Clone, Default)]
pub struct StatsSnapshot {
    /// Fires that were closed, by automation and state.
    pub fires: BTreeMap<(AutomationId, FireState), u64>,
    /// Runs by their start lag: each counts in the first bucket of [`LAG_BUCKETS`] that it fits.
    pub lags: [u64; LAG_BUCKETS.len()],
    /// All runs that were started.
    pub started: u64,
    /// The sum of their start lags.
    pub lag_sum: Duration,
    /// When a fire of an automation last completed.
    pub last_success: BTreeMap<AutomationId, EpochMs>,
    /// The automations that are live, once for each account.
    pub live: Vec<AutomationId>,
    /// How many files are stale.
    pub stale: usize,
    /// Runs of this process that have not ended.
    pub active_runs: usize,
    /// Fires of this process that wait.
    pub waiting: usize,
    /// The accounts that were called, by their keys: two may have one AppID.
    pub accounts: BTreeMap<String, Client>,
    /// Since the last step, failed or not.
    pub alive: Option<Stopwatch>,
    /// Since the last step that succeeded after the first scan.
    pub stepped: Option<Stopwatch>,
    /// Why the last step failed, if it did.
    pub trouble: Option<String>,
    /// Why the folder is not served as it is, if so.
    pub scan_error: Option<String>,
    /// Why runs that are due do not start, if so.
    pub start_error: Option<String>,
    /// Whether the daemon starts nothing more.
    pub is_shutting_down: bool,
    /// How long it takes until a clock that was set back shows again what it did show.
    pub clock_behind: Duration,
    /// How far the machine's clock is from that of the store's server.
    pub clock_skew: Option<ClockSkew>,
}

impl DaemonStats {
    /// The statistics now.
    #[must_use]
    pub fn snapshot(&self) -> StatsSnapshot {
        self.lock().clone()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, StatsSnapshot> {
        lock(&self.0)
    }

    /// The store can't be opened.
    pub fn set_trouble(&self, error: &StoreError) {
        self.lock().trouble = Some(trouble_of(error));
    }

    /// Reports on an account from now on.
    pub fn track_account(&self, client: &Client) {
        self.lock().accounts.insert(client.account_key().to_owned(), client.clone());
    }

    /// Counts a fire that was closed.
    pub(super) fn count_fire(&self, automation: &AutomationId, state: FireState, at: EpochMs) {
        let mut counters = self.lock();
        *counters.fires.entry((automation.clone(), state)).or_default() += 1;
        if state.is_completed() {
            counters.last_success.insert(automation.clone(), at);
        }
    }

    /// Counts a run that was started this late.
    pub(super) fn count_start(&self, lag: Duration) {
        let mut stats = self.lock();
        stats.started += 1;
        stats.lag_sum += lag;
        if let Some(bucket) = LAG_BUCKETS.iter().position(|bound| lag <= *bound) {
            stats.lags[bucket] += 1;
        }
    }
}

/// Why nothing fires while the store fails.
pub(super) fn trouble_of(error: &StoreError) -> String {
    format!("the store failed: {error}")
}

impl StatsSnapshot {
    /// Why the daemon is not alive: the process should be restarted.
    #[must_use]
    pub fn liveness_error(&self) -> Option<String> {
        let since = self.alive.as_ref()?.elapsed();
        let shown = humantime::format_duration(Duration::from_secs(since.as_secs()));
        (since > STEP_TIMEOUT).then(|| format!("the daemon has made no step for {shown}"))
    }

    /// Why the daemon is not ready: nothing fires now.
    #[must_use]
    pub fn readiness_error(&self) -> Option<String> {
        if self.is_shutting_down {
            return Some("the daemon is shutting down".to_owned());
        }
        let trouble = self.trouble.as_ref().or(self.scan_error.as_ref()).cloned();
        if self.stepped.is_none() {
            return Some(trouble.unwrap_or_else(|| "the daemon has not started yet".to_owned()));
        }
        trouble.or(self.liveness_error()).or(self.start_error.clone()).or(self.clock_error())
    }

    fn clock_error(&self) -> Option<String> {
        let behind = Duration::from_secs(self.clock_behind.as_secs());
        let shown = humantime::format_duration(behind);
        (!behind.is_zero()).then(|| {
            format!("the clock was set back: it shows its earlier time in {shown}, and what cron has fired till then does not fire again")
        })
    }
}
