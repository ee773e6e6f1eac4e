//! The daemon: fires the triggers of a folder's automations, exactly once on however many machines share the store, and
//! sees every fire through to an end.
//!
//! A fire is a row that is written once; whoever writes it has it. What is under way is known by the store alone: a process
//! that dies leaves its fires to the others, who take them over from the row that they have read, so that a process that
//! only slept finds them gone. Must never know how its folder is watched, nor where its words go.

mod dispatch;
mod finish;
mod log;
mod outage;
mod preparation;
mod recovery;
mod reload;
mod retention;
mod start;
mod stats;

pub use log::{Level, Log, LogRecord};
pub use reload::ScanError;
pub use stats::{DaemonStats, LAG_BUCKETS, StatsSnapshot};

use self::{outage::Outage, preparation::Connecting};
use crate::{
    base::{Cancel, Diagnostic, Stopwatch},
    host::Host,
    run::{
        registry::{AutomationRegistry, RegistryEvent, Revision},
        schedule::{due::starts_at, trigger::Trigger},
        worker::{Connector, RunFinished, Waker},
    },
    store::{Fire, Store, StoreError},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::runtime::Runtime;

/// Between two looks at what others do, in milliseconds.
const POLL_INTERVAL: i64 = 2_000;

/// What the names of the leases begin with by which processes give a sign of life.
pub const DAEMON_LEASE: &str = "node ";

/// How long a run may take whose automation is not known any more.
const DEFAULT_TIMEOUT: Duration = Duration::from_hours(12);

/// A clock that is off by more than this was set, in milliseconds; or the machine slept.
const CLOCK_JUMP: i64 = 5_000;

/// A process that has given no sign of life for so long is taken for dead, in milliseconds.
const HEARTBEAT_TTL: i64 = 8_000;

/// How long fires and their runs are kept, unless somebody says otherwise.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(90 * 24);

/// What becomes of an automation whose file is stale.
pub const RUNS_LAST_GOOD: &str = "the version before goes on";
pub const RUNS_NOTHING: &str = "it does not run";

/// So long a step goes on beginning with things: in between somebody may want it to stop, and others see it alive.
const MAX_STEP: Duration = Duration::from_millis(250);

/// The longest that anybody sleeps between two steps.
const MAX_SLEEP: Duration = Duration::from_millis(250);

/// A trigger that is waited for.
struct Armed {
    /// The last instant that is accounted for.
    last: i64,
    /// When the next fire starts_at, if there is one.
    next: Option<i64>,
}

/// Why the daemon has stopped a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    TimedOut,
    Leaving,
    Replaced,
}

/// A run of this process.
struct Running {
    /// The fire that it is of.
    fire: Fire,
    revision: Option<Arc<Revision>>,
    cancel: Cancel,
    deadline: i64,
    stopped: Option<Stopped>,
    thread: JoinHandle<()>,
}

/// What became of a try to begin with a fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// It has begun, or will not.
    Over,
    /// It waits for something else to end.
    Waits,
    /// What surrounds its run is being made.
    Connects,
}

/// A fire that waits: for the end of a run, or for its next try.
#[derive(Clone)]
struct Waiting {
    fire: Fire,
    /// The revision that its run has begun with, if that is known here.
    revision: Option<Arc<Revision>>,
    /// Not before this, in milliseconds.
    not_before: i64,
}

/// The daemon.
pub struct Daemon {
    host: Host,
    runtime: Arc<Runtime>,
    store: Store,
    registry: AutomationRegistry,
    connect: Connector,
    log: Arc<dyn Log>,
    node: String,
    armed: BTreeMap<(String, String), Armed>,
    running: BTreeMap<String, Running>,
    queue: Vec<Waiting>,
    retries: Vec<Waiting>,
    /// Surroundings of the runs of fires that wait.
    connecting: BTreeMap<(String, String, i64), Connecting>,
    /// What a scan has found and is not made known yet.
    changes: VecDeque<RegistryEvent>,
    /// Runs that have ended and whose end is not recorded yet.
    unsettled: VecDeque<RunFinished>,
    ended: (Sender<RunFinished>, Receiver<RunFinished>),
    wake: Waker,
    looked_at: i64,
    tidied_at: i64,
    /// Automations whose old fires are still to be forgotten; none stands for runs that are of no fire.
    untidy: Vec<Option<String>>,
    /// When the last step was, by a clock that nobody sets and by the one that is gone by.
    stepped: Option<(Stopwatch, i64)>,
    /// The folder was looked at.
    is_known: bool,
    keep: Duration,
    is_leaving: bool,
    /// There was more to do than a step may take.
    is_behind: bool,
    outage: Outage,
    stats: Arc<DaemonStats>,
}

impl Daemon {
    /// A daemon that has not looked at its folder yet.
    #[must_use]
    pub fn new(
        host: &Host,
        runtime: &Arc<Runtime>,
        store: &Store,
        registry: AutomationRegistry,
        connect: Connector,
        log: Arc<dyn Log>,
    ) -> Self {
        // A process may have several, in tests.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self {
            node: format!("{} {} {number}", host.process, host.start_id),
            host: host.clone(),
            runtime: Arc::clone(runtime),
            store: store.clone(),
            registry,
            connect,
            log,
            armed: BTreeMap::new(),
            running: BTreeMap::new(),
            queue: Vec::new(),
            retries: Vec::new(),
            connecting: BTreeMap::new(),
            changes: VecDeque::new(),
            unsettled: VecDeque::new(),
            ended: mpsc::channel(),
            wake: Arc::new(|| {}),
            looked_at: 0,
            tidied_at: 0,
            untidy: Vec::new(),
            stepped: None,
            is_known: false,
            keep: DEFAULT_RETENTION,
            is_leaving: false,
            is_behind: false,
            outage: Outage::default(),
            stats: Arc::default(),
        }
    }

    /// Keeps fires and their runs for so long.
    #[must_use]
    pub fn with_retention(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Tells whoever waits between two steps that a run has ended.
    #[must_use]
    pub fn with_waker(mut self, wake: Waker) -> Self {
        self.wake = wake;
        self
    }

    /// What it serves.
    #[must_use]
    pub fn registry(&self) -> &AutomationRegistry {
        &self.registry
    }

    /// What it tells of itself, as it goes on.
    #[must_use]
    pub fn stats(&self) -> &Arc<DaemonStats> {
        &self.stats
    }

    /// How many runs are under way here.
    #[must_use]
    pub fn active_runs(&self) -> usize {
        self.running.len()
    }

    /// When the next fire starts_at, in milliseconds.
    #[must_use]
    pub fn next_start(&self) -> Option<i64> {
        self.armed.values().filter_map(|armed| armed.next).min()
    }

    /// Whether nothing is under way here, and nothing waits to begin.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.is_empty() && self.connecting.is_empty()
    }

    fn say(&self, level: Level, automation: &str, run: &str, text: &str) {
        self.log.write(&LogRecord {
            at: self.host.clock.now_ms(),
            level,
            automation,
            run,
            is_printed: false,
            text,
        });
    }

    /// Does what is to be done at this moment, and says how long nothing will be.
    ///
    /// # Errors
    /// When the store fails, which is told; the next step does it again.
    pub fn step(&mut self) -> Result<Duration, StoreError> {
        let done = self.do_step();
        if let Some((level, text)) = self.outage.follow(&done) {
            self.say(level, "", "", &text);
        }
        let mut stats = self.stats.lock();
        stats.alive = Some(Stopwatch::start());
        stats.trouble = done.as_ref().err().map(|error| format!("the store failed: {error}"));
        if done.is_ok() && self.is_known {
            stats.stepped = Some(Stopwatch::start());
        }
        stats.under_way = self.running.len();
        stats.waiting = self.queue.len() + self.retries.len();
        stats.is_leaving = self.is_leaving;
        drop(stats);
        done
    }

    fn do_step(&mut self) -> Result<Duration, StoreError> {
        let lost: Vec<String> = self
            .running
            .iter()
            .filter(|(_, run)| run.thread.is_finished())
            .map(|(id, _)| id.clone())
            .collect();
        self.unsettled.extend(std::iter::from_fn(|| self.ended.1.try_recv().ok()));
        // What the store does not take of one thing does not hold the others up.
        let mut done = Ok(());
        for _ in 0..self.unsettled.len() {
            let Some(ended) = self.unsettled.pop_front() else { break };
            match self.settle(&ended) {
                Ok(()) => drop(self.running.remove(&ended.run)),
                Err(error) => {
                    self.unsettled.push_back(ended);
                    done = go_on_after(done, error)?;
                }
            }
            // Whoever waits for an end may begin now.
            self.queue.iter_mut().for_each(|waiting| waiting.not_before = 0);
        }
        // A thread that has ended without a word has met a fault; its run is gone on with when it is silent for long.
        for run in lost.into_iter().filter(|run| !self.unsettled.iter().any(|ended| ended.run == *run)) {
            self.running.remove(&run);
        }
        let now = self.host.clock.now_ms();
        self.notice_jump(now);
        self.stop_late(now);
        // Who does not know yet what there is would take it for gone.
        if !self.is_leaving && self.is_known {
            if (now - self.looked_at).abs() >= POLL_INTERVAL {
                self.runtime.block_on(self.store.take_lease(
                    &self.lease(),
                    &self.node,
                    now,
                    now + HEARTBEAT_TTL,
                ))?;
                self.tell_others(now)?;
                self.looked_at = now;
                self.forget_prepared();
                if let Err(error) = self.take_over(now) {
                    done = go_on_after(done, error)?;
                }
            }
            for part in [Self::apply_changes, Self::fire_due, Self::go_on_waiting] {
                if let Err(error) = part(self) {
                    done = go_on_after(done, error)?;
                }
            }
            self.tidy(now);
        }
        done?;
        if self.is_leaving {
            return Ok(MAX_SLEEP);
        }
        if std::mem::take(&mut self.is_behind) {
            return Ok(Duration::ZERO);
        }
        let until = self
            .next_start()
            .map(|next| Duration::from_millis(u64::try_from(next - now).unwrap_or_default()));
        Ok(until.unwrap_or(MAX_SLEEP).clamp(Duration::from_millis(1), MAX_SLEEP))
    }

    /// Says once which other processes share the fires.
    fn tell_others(&mut self, now: i64) -> Result<(), StoreError> {
        if self.looked_at == 0 {
            let owners = self.runtime.block_on(self.store.lease_owners(DAEMON_LEASE, now))?;
            let others: Vec<&str> = owners
                .iter()
                .filter(|owner| **owner != self.node)
                .filter_map(|owner| owner.split(' ').next())
                .collect();
            if !others.is_empty() {
                let text = format!("{} serves on this store too: each fire runs once", others.join(", "));
                self.say(Level::Info, "", "", &text);
            }
        }
        Ok(())
    }

    /// Says so when the clock has not gone as time did.
    fn notice_jump(&mut self, now: i64) {
        if let Some((since, then)) = &self.stepped {
            let passed = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
            let jump = now.saturating_sub(*then).saturating_sub(passed);
            let shown = humantime::format_duration(Duration::from_secs((jump.unsigned_abs() + 500) / 1_000));
            if jump >= CLOCK_JUMP {
                let text = format!(
                    "the clock is {shown} ahead of the time that has passed: the machine slept, or its clock was set; \
                     what was missed follows catch_up"
                );
                self.say(Level::Warn, "", "", &text);
            } else if jump <= -CLOCK_JUMP {
                let text = format!(
                    "the clock was set back by {shown}: what has fired does not fire again, and the next fires come when \
                     the clock is there"
                );
                self.say(Level::Warn, "", "", &text);
                // What was to begin by the clock that was wrong starts_at now.
                self.queue.iter_mut().chain(&mut self.retries).for_each(|waiting| waiting.not_before = 0);
            }
        }
        self.stepped = Some((Stopwatch::start(), now));
    }

    fn lease(&self) -> String {
        node_lease(&self.node)
    }

    /// Stops runs that take too long; their threads come back when they have.
    fn stop_late(&mut self, now: i64) {
        for running in self.running.values_mut().filter(|running| running.deadline <= now) {
            if running.stopped.is_none() {
                running.stopped = Some(Stopped::TimedOut);
                running.cancel.cancel();
            }
        }
    }

    /// Fires nothing more, and asks what is under way to stop at a safe point.
    pub fn begin_shutdown(&mut self) {
        self.is_leaving = true;
        for running in self.running.values_mut() {
            if running.stopped.is_none() {
                running.stopped = Some(Stopped::Leaving);
                running.cancel.cancel();
            }
        }
    }

    /// Lets go of what it holds: others need not wait to take over.
    ///
    /// # Errors
    /// When the store fails.
    pub fn release_lease(&self) -> Result<(), StoreError> {
        self.runtime.block_on(self.store.give_lease_back(&self.lease(), &self.node))
    }
}

/// What tells a fire from all others.
fn key(fire: &Fire) -> (String, String, i64) {
    (fire.automation.clone(), fire.source.clone(), fire.instant)
}

/// The sign of life of a process.
fn node_lease(node: &str) -> String {
    format!("{DAEMON_LEASE}{node}")
}

/// The error of a part of a step, while the others go on; that of a store that does not answer ends the step.
fn go_on_after(
    done: Result<(), StoreError>,
    error: StoreError,
) -> Result<Result<(), StoreError>, StoreError> {
    match error {
        StoreError::Other { .. } | StoreError::Conflict { .. } => Ok(done.and(Err(error))),
        error => Err(error),
    }
}

fn next_start(name: &str, trigger: &Trigger, last: i64) -> Option<i64> {
    trigger.schedule.after(last).map(|instant| starts_at(name, trigger, instant))
}

/// A message on one line, with its place and its mend.
fn told(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.span.as_ref();
    let place = place.map(|place| format!("{}:{}:{}: ", place.file, place.line, place.column));
    let hint = diagnostic.hint.as_ref().map(|hint| format!(" ({hint})"));
    format!("{}{}{}", place.unwrap_or_default(), diagnostic.message, hint.unwrap_or_default())
}
