//! The daemon: fires the triggers of a folder's automations, each fire once on however many machines share the store, and
//! follows every fire to its end.
//!
//! A fire is a row of the store. The process that inserts it owns it, and it changes by compare-and-set only: when a
//! process dies, another one adopts its fires from the rows that it has read, and a process that only slept finds that
//! its own rows have changed.
//!
//! Must never know how its folder is watched, nor where its log is written.

mod accounts;
mod clock_watch;
mod dispatch;
mod failed_starts;
mod finish;
mod fire_queue;
mod folder_health;
mod loaded;
mod log;
mod outage;
mod preparation;
mod process;
mod recovery;
mod reload;
mod retention;
mod running_set;
mod scans;
mod start;
mod stats;
mod step_errors;
mod transition;
mod triggers;

pub use log::{Level, Log, LogRecord};
pub use outage::Outage;
pub use process::serving_lease;
pub use retention::DEFAULT_RETENTION;
pub use stats::{DaemonStats, LAG_BUCKETS, StatsSnapshot};

use self::{
    accounts::ServedAccounts,
    clock_watch::{ClockJump, ClockWatch},
    failed_starts::FailedStarts,
    fire_queue::FireQueue,
    folder_health::{FirstLook, FolderHealth},
    loaded::LoadedAutomations,
    preparation::Preparations,
    process::{Process, shown_owner},
    retention::Retention,
    running_set::{Capacity, RunningSet},
    scans::FolderScans,
    stats::trouble_of,
    step_errors::StepErrors,
    transition::StopReason,
    triggers::Triggers,
};
use crate::{
    base::{EpochMs, Stopwatch},
    bulk::HEARTBEAT_TTL,
    host::Host,
    run::{
        kept::KeepPeriods,
        registry::{AutomationRegistry, RegistryEvent, Revision},
        runner::{Runner, Waker},
        worker::{Connector, RunOutcome},
    },
    store::{AutomationId, Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::runtime::Runtime;

/// How many runs of one daemon run at the same time by default.
pub const DEFAULT_MAX_PARALLEL: usize = 100;

/// Between two looks at the store for what other processes do.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What runs of an automation whose file is stale.
pub const RUNS_LAST_GOOD: &str = "the last good version keeps running";
pub const RUNS_NOTHING: &str = "it does not run";

/// The longest that one step starts runs, so that signals and heartbeats are not delayed.
const MAX_STEP: Duration = Duration::from_millis(250);

/// The longest sleep between two steps.
const MAX_SLEEP: Duration = Duration::from_millis(250);

/// The daemon: its parts, and the order of a step. Each part keeps its own invariants.
pub struct Daemon {
    process: Process,
    scans: FolderScans,
    /// What scans have found and the store has not taken yet.
    events: VecDeque<RegistryEvent>,
    loaded: LoadedAutomations,
    folder_health: FolderHealth,
    /// The accounts that the automations are served for.
    accounts: ServedAccounts,
    triggers: Triggers,
    queue: FireQueue,
    running: RunningSet,
    failed_starts: FailedStarts,
    capacity: Capacity,
    /// The last run of each automation of which the log says that it has outlived the time to the next fire.
    outlived: BTreeMap<AutomationId, String>,
    preparations: Preparations,
    retention: Retention,
    clock_watch: ClockWatch,
    outage: Outage,
    /// The daemons whose clocks are ahead of this one's, as the log has said.
    clocks_ahead: BTreeSet<String>,
    /// When the store was last polled.
    polled_at: Option<EpochMs>,
    is_shutting_down: bool,
    /// Whether the step ended before everything was tried.
    has_backlog: bool,
}

impl Daemon {
    /// A daemon that has not scanned its folder yet.
    #[must_use]
    pub fn new(
        host: &Host,
        runtime: &Arc<Runtime>,
        store: &Store,
        registry: AutomationRegistry,
        connector: Arc<dyn Connector>,
        log: Arc<dyn Log>,
    ) -> Self {
        let process = Process::new(host, runtime, store, log);
        let loaded = LoadedAutomations::of(registry.folder());
        Self {
            scans: FolderScans::new(registry, Arc::clone(&process.waker)),
            process,
            events: VecDeque::new(),
            loaded,
            folder_health: FolderHealth::default(),
            accounts: ServedAccounts::new(Arc::clone(&connector)),
            triggers: Triggers::default(),
            queue: FireQueue::default(),
            running: RunningSet::default(),
            failed_starts: FailedStarts::default(),
            capacity: Capacity { max: DEFAULT_MAX_PARALLEL, is_full: false },
            outlived: BTreeMap::new(),
            preparations: Preparations::new(connector),
            retention: Retention::default(),
            clock_watch: ClockWatch::default(),
            outage: Outage::default(),
            clocks_ahead: BTreeSet::new(),
            polled_at: None,
            is_shutting_down: false,
            has_backlog: false,
        }
    }

    /// Keeps fires and their runs for this long.
    #[must_use]
    pub fn with_retention(mut self, period: Duration) -> Self {
        self.retention.period = period;
        self
    }

    /// Keeps other runs for so long.
    #[must_use]
    pub fn with_kept(mut self, by_hand: KeepPeriods) -> Self {
        self.retention.by_hand = by_hand;
        self
    }

    /// Runs no more than this many runs at the same time.
    #[must_use]
    pub fn with_max_parallel(mut self, count: usize) -> Self {
        self.capacity.max = count;
        self
    }

    /// Continues these statistics.
    #[must_use]
    pub fn with_stats(mut self, stats: Arc<DaemonStats>) -> Self {
        self.process.stats = stats;
        self
    }

    /// Continues an outage of the store that began before it was opened.
    #[must_use]
    pub fn with_outage(mut self, outage: Outage) -> Self {
        self.outage = outage;
        self
    }

    /// Executes runs so, instead of on threads of this process.
    #[must_use]
    pub fn with_runner(mut self, runner: Arc<dyn Runner>) -> Self {
        self.process.runner = runner;
        self
    }

    /// Calls this when there is something to do before the sleep between two steps is over.
    #[must_use]
    pub fn with_waker(mut self, waker: Waker) -> Self {
        self.scans.set_waker(Arc::clone(&waker));
        self.process.waker = waker;
        self
    }

    /// Calls this before each scan of the folder, on the thread of the scans. To be set before the first one.
    #[must_use]
    pub fn with_scan_hook(mut self, hook: impl FnMut() + Send + 'static) -> Self {
        self.scans.set_hook(Box::new(hook));
        self
    }

    /// The revisions that run, by the names of their automations.
    #[must_use]
    pub fn revisions(&self) -> &BTreeMap<String, Arc<Revision>> {
        self.loaded.revisions()
    }

    /// Its statistics, which it updates as it goes.
    #[must_use]
    pub fn stats(&self) -> &Arc<DaemonStats> {
        &self.process.stats
    }

    /// How many runs of this process have not ended.
    #[must_use]
    pub fn active_runs(&self) -> usize {
        self.running.len()
    }

    /// When the next fire starts.
    #[must_use]
    pub fn next_start(&self) -> Option<EpochMs> {
        self.triggers.next_start()
    }

    /// Whether nothing runs in this process, and nothing waits to be started.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.has_no_starts() && self.preparations.is_empty()
    }

    /// Does what is due, and returns how long to sleep until the next step. An error of the store is logged, and the next
    /// step tries again; one that is final ends the daemon.
    pub fn step(&mut self) -> Result<Duration, StoreError> {
        let done = self.step_inner();
        let is_final = done.as_ref().is_err_and(StoreError::is_final);
        if !is_final && let Some((level, text)) = self.outage.observe(&done) {
            self.process.log.daemon(level, &text);
        }
        let start_error = self.failed_starts.trouble(|| self.queue.ids());
        let mut stats = self.process.stats.lock();
        stats.start_error = start_error;
        stats.alive = Some(Stopwatch::start());
        stats.trouble = done.as_ref().err().map(trouble_of);
        if done.is_ok() && self.folder_health.first_look == FirstLook::Done {
            stats.stepped = Some(Stopwatch::start());
        }
        stats.active_runs = self.running.len();
        stats.waiting = self.queue.len();
        stats.is_shutting_down = self.is_shutting_down;
        stats.clock_behind = self.clock_watch.behind(self.process.now());
        drop(stats);
        done
    }

    fn step_inner(&mut self) -> Result<Duration, StoreError> {
        let mut errors = StepErrors::default();
        self.record_outcomes(&mut errors)?;
        let now = self.process.now();
        if let Some(jump) = self.clock_watch.observe(now) {
            self.process.log.daemon(Level::Warn, &jump.to_string());
            if matches!(jump, ClockJump::Back(_)) {
                self.queue.retry_all();
            }
            self.follow_jump(jump, now);
        }
        self.running.enforce_timeouts(self.process.host.clock.monotonic());
        if !self.is_shutting_down {
            if self.polled_at.is_none_or(|at| now.distance(at) >= POLL_INTERVAL) {
                self.process.heartbeat(now)?;
                self.announce(now)?;
                self.log_clocks_ahead(now)?;
                self.polled_at = Some(now);
                self.preparations.drop_unneeded(&self.queue.ids());
                if self.folder_health.first_look == FirstLook::Done {
                    errors.absorb(self.adopt_orphans(now))?;
                }
            }
            errors.absorb(self.load_found())?;
            errors.absorb(self.enqueue_due())?;
            self.start_queued(&mut errors)?;
            self.resume_queued(&mut errors)?;
            // The day's purge is planned once, for all accounts that are served.
            if self.folder_health.first_look == FirstLook::Done
                && let Err(error) = self.retention.purge_expired(&self.process, &self.accounts, now)
            {
                let text = format!("expired fires and runs can't be purged now: {error}");
                self.process.log.daemon(Level::Warn, &text);
            }
        }
        errors.into_result()?;
        if self.is_shutting_down {
            return Ok(MAX_SLEEP);
        }
        if std::mem::take(&mut self.has_backlog) {
            return Ok(Duration::ZERO);
        }
        let until_next = self.next_start().map(|next| next.since(now));
        Ok(until_next.unwrap_or(MAX_SLEEP).clamp(Duration::from_millis(1), MAX_SLEEP))
    }

    /// Records the runs that have ended. One that the store does not take does not delay the others.
    fn record_outcomes(&mut self, errors: &mut StepErrors) -> Result<(), StoreError> {
        for _ in 0..self.running.collect_finished() {
            let Some(finished) = self.running.next_finished() else { break };
            let has_started = !matches!(finished.outcome, RunOutcome::NotStarted(_));
            let result = self.record_outcome(&finished);
            if result.is_ok() {
                self.running.recorded(&finished);
            } else {
                self.running.not_recorded(finished);
            }
            errors.absorb(result)?;
            self.queue.retry_starts();
            if has_started {
                // What it has left may be enough.
                self.queue.retry_resumes(|fire| self.failed_starts.contains(fire));
            }
        }
        Ok(())
    }

    fn follow_jump(&mut self, jump: ClockJump, now: EpochMs) {
        for id in self.triggers.ids() {
            let revision = self.loaded.get(&id.automation.name);
            if let Some(trigger) = revision.as_ref().and_then(|revision| revision.trigger(&id.key)) {
                self.triggers.follow_jump(&id, trigger, jump, now);
            }
        }
    }

    /// Logs once of each daemon whose heartbeats come from the future. Nothing is judged by its clock.
    fn log_clocks_ahead(&mut self, now: EpochMs) -> Result<(), StoreError> {
        for peer in self.process.peers(now + 2 * HEARTBEAT_TTL)? {
            let name = shown_owner(&peer);
            if self.clocks_ahead.insert(peer) {
                let text = format!(
                    "the clock of {name} is more than {} s ahead of this one: one of them is wrong, and fires of both \
                     may be late or look missed; synchronize them (NTP)",
                    HEARTBEAT_TTL.as_secs()
                );
                self.process.log.daemon(Level::Warn, &text);
            }
        }
        Ok(())
    }

    /// Records for which accounts the folder is served. Logs once which other processes serve it for them.
    fn announce(&self, now: EpochMs) -> Result<(), StoreError> {
        let folder = self.folder();
        let mut peers = BTreeSet::new();
        for account in self.accounts.keys() {
            peers.extend(self.process.announce(&account, &folder, now)?);
        }
        if self.polled_at.is_none() && self.folder_health.first_look == FirstLook::Done && !peers.is_empty() {
            let names: Vec<String> = peers.iter().map(|owner| shown_owner(owner)).collect();
            let text = format!("{} serves this folder too: each fire runs once", names.join(", "));
            self.process.log.daemon(Level::Info, &text);
        }
        Ok(())
    }

    /// The folder, as the store keeps it.
    fn folder(&self) -> String {
        self.loaded.folder().display().to_string()
    }

    /// Starts nothing more, and asks the runs of this process to stop at a safe point.
    pub fn begin_shutdown(&mut self) {
        self.is_shutting_down = true;
        self.running.stop_all(StopReason::ShuttingDown);
    }

    /// Ends the heartbeat, so that other processes need not wait for it to expire before they adopt what is left.
    pub fn release_lease(&self) -> Result<(), StoreError> {
        for account in self.accounts.keys() {
            self.process.renounce(&account, &self.folder())?;
        }
        self.process.release()
    }
}
