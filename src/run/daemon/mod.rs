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
mod due_fire;
mod ended_fire;
mod failed_starts;
mod finish;
mod fire_queue;
mod fire_runner;
mod folder_health;
mod loaded;
mod log;
mod outage;
mod preparation;
mod process;
mod recovery;
mod reload;
mod reload_facts;
mod reload_plan;
mod retention;
mod running_set;
mod scans;
mod start;
mod stats;
mod step;
mod transition;
mod triggers;

pub use loaded::{RUNS_LAST_GOOD, RUNS_NOTHING};
pub use log::{Level, Log, LogRecord};
pub use outage::Outage;
pub use process::serving_lease;
pub use retention::DEFAULT_RETENTION;
pub use stats::{DaemonStats, LAG_BUCKETS, StatsSnapshot};

use self::{
    clock_watch::{ClockJump, ClockWatch, SkewWatch},
    dispatch::{enqueue_due, resume_queued, start_queued},
    fire_runner::FireRunner,
    process::{Process, shown_owner},
    recovery::adopt_orphans,
    reload::Reloader,
    retention::Retention,
    scans::FolderScans,
    stats::trouble_of,
    step::{DamagedRows, POLL_INTERVAL, Progress, StepErrors},
    transition::StopReason,
    triggers::Triggers,
};
use crate::{
    base::{EpochMs, Stopwatch},
    host::Host,
    run::{
        kept::KeepPeriods,
        registry::{AutomationRegistry, Revision},
        runner::{Runner, Waker},
        worker::Connector,
    },
    store::{Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::runtime::Runtime;

/// How many runs of one daemon run at the same time by default.
pub const DEFAULT_MAX_PARALLEL: usize = 100;

/// The longest sleep between two steps.
const MAX_SLEEP: Duration = Duration::from_millis(250);

/// The daemon: its parts, and the order of a step. Each part keeps its own invariants.
pub struct Daemon {
    runner: FireRunner,
    reloader: Reloader,
    triggers: Triggers,
    retention: Retention,
    clock_watch: ClockWatch,
    outage: Outage,
    damaged_rows: DamagedRows,
    skew_watch: SkewWatch,
    /// When the store was last polled.
    polled_at: Option<EpochMs>,
    is_shutting_down: bool,
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
        let folder = registry.folder().to_owned();
        let scans = FolderScans::new(registry, Arc::clone(&process.waker));
        Self {
            runner: FireRunner::new(process, &folder, connector, DEFAULT_MAX_PARALLEL),
            reloader: Reloader::new(scans),
            triggers: Triggers::default(),
            retention: Retention::default(),
            clock_watch: ClockWatch::default(),
            outage: Outage::default(),
            damaged_rows: DamagedRows::default(),
            skew_watch: SkewWatch::default(),
            polled_at: None,
            is_shutting_down: false,
        }
    }

    /// Keeps fires and their runs for this long.
    #[must_use]
    pub fn with_retention(mut self, period: Duration) -> Self {
        self.retention.period = period;
        self
    }

    /// Sets the retention of runs that no fire started.
    #[must_use]
    pub fn with_kept(mut self, by_hand: KeepPeriods) -> Self {
        self.retention.by_hand = by_hand;
        self
    }

    /// Runs no more than this many runs at the same time.
    #[must_use]
    pub fn with_max_parallel(mut self, count: usize) -> Self {
        self.runner.set_max_parallel(count);
        self
    }

    /// Continues these statistics.
    #[must_use]
    pub fn with_stats(mut self, stats: Arc<DaemonStats>) -> Self {
        self.runner.set_stats(stats);
        self
    }

    /// Continues an outage of the store that began before it was opened.
    #[must_use]
    pub fn with_outage(mut self, outage: Outage) -> Self {
        self.outage = outage;
        self
    }

    /// Executes runs with this runner, instead of on threads of this process.
    #[must_use]
    pub fn with_runner(mut self, runner: Arc<dyn Runner>) -> Self {
        self.runner.set_runner(runner);
        self
    }

    /// Calls this when there is something to do before the sleep between two steps is over.
    #[must_use]
    pub fn with_waker(mut self, waker: Waker) -> Self {
        self.reloader.set_waker(Arc::clone(&waker));
        self.runner.set_waker(waker);
        self
    }

    /// Calls this before each scan of the folder, on the thread of the scans. To be set before the first one.
    #[must_use]
    pub fn with_scan_hook(mut self, hook: impl FnMut() + Send + 'static) -> Self {
        self.reloader.set_hook(hook);
        self
    }

    /// Has the folder scanned. The steps that follow load what is found.
    pub fn begin_scan(&mut self) {
        self.reloader.begin_scan(&mut self.runner);
    }

    /// Whether a scan goes on, or something that it has found is not loaded yet.
    #[must_use]
    pub fn is_scanning(&self) -> bool {
        self.reloader.is_scanning()
    }

    /// The revisions that run, by the names of their automations.
    #[must_use]
    pub fn revisions(&self) -> &BTreeMap<String, Arc<Revision>> {
        self.runner.loaded().revisions()
    }

    /// Its statistics, which it updates as it goes.
    #[must_use]
    pub fn stats(&self) -> &Arc<DaemonStats> {
        &self.runner.process().stats
    }

    /// How many runs of this process have not ended.
    #[must_use]
    pub fn active_runs(&self) -> usize {
        self.runner.active_runs()
    }

    /// When the next fire starts.
    #[must_use]
    pub fn next_start(&self) -> Option<EpochMs> {
        self.triggers.next_start()
    }

    /// Whether nothing runs in this process, and nothing waits to be started.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.runner.is_idle()
    }

    /// Does what is due, and returns how long to sleep until the next step. An error of the store is logged, and the next
    /// step tries again; one that is final ends the daemon.
    pub fn step(&mut self) -> Result<Duration, StoreError> {
        let done = self.step_inner();
        let is_final = done.as_ref().is_err_and(StoreError::is_final);
        if !is_final && let Some((level, text)) = self.outage.observe(&done) {
            self.runner.process().log.daemon(level, &text);
        }
        let start_error = self.runner.start_trouble();
        let mut stats = self.runner.process().stats.lock();
        stats.start_error = start_error;
        stats.alive = Some(Stopwatch::start());
        stats.trouble = done.as_ref().err().map(trouble_of);
        if done.is_ok() && self.reloader.has_looked() {
            stats.stepped = Some(Stopwatch::start());
        }
        stats.active_runs = self.runner.active_runs();
        stats.waiting = self.runner.queue().len();
        stats.is_shutting_down = self.is_shutting_down;
        stats.clock_behind = self.clock_watch.behind(self.runner.process().now());
        stats.clock_skew = self.runner.process().store.clock_skew();
        drop(stats);
        done
    }

    fn step_inner(&mut self) -> Result<Duration, StoreError> {
        let mut errors = StepErrors::default();
        let mut has_backlog = false;
        self.runner.record_outcomes(&mut errors)?;
        let now = self.runner.process().now();
        if let Some(jump) = self.clock_watch.observe(now) {
            self.runner.process().log.daemon(Level::Warn, &jump.to_string());
            if matches!(jump, ClockJump::Back(_)) {
                self.runner.retry_all();
            }
            self.follow_jump(jump, now);
        }
        self.runner.enforce_timeouts();
        if !self.is_shutting_down {
            if self.polled_at.is_none_or(|at| now.distance(at) >= POLL_INTERVAL) {
                self.runner.process().heartbeat()?;
                self.announce()?;
                self.log_skew();
                self.polled_at = Some(now);
                self.runner.drop_unneeded_preparations();
                if self.reloader.has_looked() {
                    adopt_orphans(&mut self.runner, now, &mut errors)?;
                }
            }
            has_backlog |= self.load_found(&mut errors)?;
            let (runner, triggers) = (&mut self.runner, &mut self.triggers);
            has_backlog |= errors.absorb(enqueue_due(runner, triggers))? == Some(Progress::Partial);
            has_backlog |= start_queued(runner, &mut errors)? == Progress::Partial;
            resume_queued(runner, &mut errors)?;
            // The day's purge is planned once, for all accounts that are served.
            if self.reloader.has_looked()
                && let Err(error) =
                    self.retention.purge_expired(self.runner.process(), self.runner.accounts(), now)
            {
                let text = format!("expired fires and runs can't be purged now: {error}");
                self.runner.process().log.daemon(Level::Warn, &text);
            }
        }
        errors.into_result(&mut self.damaged_rows, &self.runner.process().log)?;
        if self.is_shutting_down {
            return Ok(MAX_SLEEP);
        }
        if has_backlog {
            return Ok(Duration::ZERO);
        }
        let until_next = self.next_start().map(|next| next.since(now));
        Ok(until_next.unwrap_or(MAX_SLEEP).clamp(Duration::from_millis(1), MAX_SLEEP))
    }

    /// Loads what scans have found; `true` when the next step has more to do at once.
    fn load_found(&mut self, errors: &mut StepErrors) -> Result<bool, StoreError> {
        let had_looked = self.reloader.has_looked();
        let progress = errors.absorb(self.reloader.load_found(&mut self.runner, &mut self.triggers))?;
        let has_looked_now = self.reloader.has_looked() && !had_looked;
        if has_looked_now {
            // Now it is known which fires are this daemon's.
            self.polled_at = None;
        }
        Ok(has_looked_now || progress == Some(Progress::Partial))
    }

    fn follow_jump(&mut self, jump: ClockJump, now: EpochMs) {
        for id in self.triggers.ids() {
            let revision = self.runner.loaded().get(&id.automation.name);
            if let Some(trigger) = revision.as_ref().and_then(|revision| revision.trigger(&id.key)) {
                self.triggers.follow_jump(&id, trigger, jump, now);
            }
        }
    }

    /// Logs that this machine's clock is not the store's, and that it is again. No process is judged by it.
    fn log_skew(&mut self) {
        let Process { store, log, .. } = self.runner.process();
        if let Some((level, text)) = self.skew_watch.observe(store.clock_skew(), store.location()) {
            log.daemon(level, &text);
        }
    }

    /// Records for which accounts the folder is served. Logs once which other processes serve it for them.
    fn announce(&self) -> Result<(), StoreError> {
        let folder = self.runner.loaded().stored_folder();
        let mut peers = BTreeSet::new();
        for account in self.runner.accounts().keys() {
            peers.extend(self.runner.process().announce(&account, &folder)?);
        }
        if self.polled_at.is_none() && self.reloader.has_looked() && !peers.is_empty() {
            let names: Vec<String> = peers.iter().map(|owner| shown_owner(owner)).collect();
            let text = format!("{} serves this folder too: each fire runs once", names.join(", "));
            self.runner.process().log.daemon(Level::Info, &text);
        }
        Ok(())
    }

    /// Starts nothing more, and asks the runs of this process to stop at a safe point.
    pub fn begin_shutdown(&mut self) {
        self.is_shutting_down = true;
        self.runner.stop_all(StopReason::ShuttingDown);
    }

    /// Ends the heartbeat, so that other processes need not wait for it to expire before they adopt what is left.
    pub fn release_lease(&self) -> Result<(), StoreError> {
        for account in self.runner.accounts().keys() {
            self.runner.process().renounce(&account, &self.runner.loaded().stored_folder())?;
        }
        self.runner.process().release()
    }
}
