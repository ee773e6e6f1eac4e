//! The daemon: fires the triggers of a folder's automations, exactly once on however many machines share the store, and
//! sees every fire through to an end.
//!
//! A fire is a row that is written once; whoever writes it has it. What is under way is known by the store alone: a process
//! that dies leaves its fires to the others, who take them over from the row that they have read, so that a process that
//! only slept finds them gone. Must never know how its folder is watched, nor where its words go.

mod end;
mod figures;
mod folder;
mod start;
mod take_over;
mod words;

pub use figures::{Figures, LAGS, Reading};
pub use folder::ScanError;
pub use words::{Entry, Level, Log};

use super::{
    due::{begins, due},
    served::{Change, Served, Version},
    trigger::Trigger,
    worker::{Connect, Ended, Wake},
};
use crate::{
    base::{Cancel, Diagnostic, Stopwatch},
    host::Host,
    store::{Fire, Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
const LOOK_EVERY: i64 = 2_000;

/// What the names of processes' leases begin with.
const NODE: &str = "node ";

/// A clock that is off by more than this was set, in milliseconds; or the machine slept.
const JUMP: i64 = 5_000;

/// A process that has given no sign of life for so long is taken for dead, in milliseconds.
const LIFE: i64 = 8_000;

/// How long fires and their runs are kept, unless somebody says otherwise.
pub const KEEP: Duration = Duration::from_hours(90 * 24);

/// Between two times that what is older is forgotten, in milliseconds.
const TIDY_EVERY: i64 = 24 * 3_600_000;

/// The longest that anybody sleeps between two steps.
const LONGEST_SLEEP: Duration = Duration::from_millis(250);

/// A trigger that is waited for.
struct Armed {
    /// The last instant that is accounted for.
    last: i64,
    /// When the next fire begins, if there is one.
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
    /// The fire that it is of; none for one that hears of a failure.
    fire: Option<Fire>,
    version: Option<Arc<Version>>,
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
}

/// A fire that waits: for the end of a run, or for its next try.
#[derive(Clone)]
struct Waiting {
    fire: Fire,
    version: Option<Arc<Version>>,
    /// Not before this, in milliseconds.
    not_before: i64,
}

/// The daemon.
pub struct Daemon {
    host: Host,
    runtime: Arc<Runtime>,
    store: Store,
    served: Served,
    connect: Connect,
    log: Arc<dyn Log>,
    node: String,
    armed: BTreeMap<(String, String), Armed>,
    running: BTreeMap<String, Running>,
    queue: Vec<Waiting>,
    retries: Vec<Waiting>,
    /// What a scan has found and is not made known yet.
    changes: VecDeque<Change>,
    /// Runs that have ended and whose end is not recorded yet.
    unsettled: VecDeque<Ended>,
    ended: (Sender<Ended>, Receiver<Ended>),
    wake: Wake,
    looked_at: i64,
    tidied_at: i64,
    /// When the last step was, by a clock that nobody sets and by the one that is gone by.
    stepped: Option<(Stopwatch, i64)>,
    /// The folder was looked at.
    is_known: bool,
    keep: Duration,
    is_leaving: bool,
    figures: Arc<Figures>,
}

impl Daemon {
    /// A daemon that has not looked at its folder yet.
    #[must_use]
    pub fn new(
        host: &Host,
        runtime: &Arc<Runtime>,
        store: &Store,
        served: Served,
        connect: Connect,
        log: Arc<dyn Log>,
    ) -> Self {
        // A process may have several, in tests.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self {
            node: format!("{} {} {number}", host.process, host.birth),
            host: host.clone(),
            runtime: Arc::clone(runtime),
            store: store.clone(),
            served,
            connect,
            log,
            armed: BTreeMap::new(),
            running: BTreeMap::new(),
            queue: Vec::new(),
            retries: Vec::new(),
            changes: VecDeque::new(),
            unsettled: VecDeque::new(),
            ended: mpsc::channel(),
            wake: Arc::new(|| {}),
            looked_at: 0,
            tidied_at: 0,
            stepped: None,
            is_known: false,
            keep: KEEP,
            is_leaving: false,
            figures: Arc::default(),
        }
    }

    /// Keeps fires and their runs for so long.
    #[must_use]
    pub fn keeping(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Tells whoever waits between two steps that a run has ended.
    #[must_use]
    pub fn waking(mut self, wake: Wake) -> Self {
        self.wake = wake;
        self
    }

    /// What it serves.
    #[must_use]
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// What it tells of itself, as it goes on.
    #[must_use]
    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// How many runs are under way here.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.running.len()
    }

    /// When the next fire begins, in milliseconds.
    #[must_use]
    pub fn next_begin(&self) -> Option<i64> {
        self.armed.values().filter_map(|armed| armed.next).min()
    }

    /// Whether nothing is under way here, and nothing waits to begin.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.is_empty()
    }

    fn say(&self, level: Level, automation: &str, run: &str, text: &str) {
        self.log.say(&Entry { at: self.host.clock.now_ms(), level, automation, run, text });
    }

    /// Does what is to be done at this moment, and says how long nothing will be.
    ///
    /// # Errors
    /// When the store fails; the next step does it again.
    pub fn step(&mut self) -> Result<Duration, StoreError> {
        let done = self.do_step();
        let mut figures = self.figures.lock();
        figures.trouble = done.as_ref().err().map(|error| format!("the store failed: {error}"));
        if done.is_ok() && self.is_known {
            figures.stepped = Some(Stopwatch::start());
        }
        figures.under_way = self.running.len();
        figures.waiting = self.queue.len() + self.retries.len();
        figures.is_leaving = self.is_leaving;
        drop(figures);
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
        while let Some(ended) = self.unsettled.pop_front() {
            if let Err(error) = self.settle(&ended) {
                self.unsettled.push_front(ended);
                return Err(error);
            }
            self.running.remove(&ended.run);
        }
        // A thread that has ended without a word has met a fault; its run is gone on with when it is silent for long.
        for run in lost {
            self.running.remove(&run);
        }
        let now = self.host.clock.now_ms();
        self.notice_jump(now);
        self.stop_late(now);
        // Who does not know yet what there is would take it for gone.
        if !self.is_leaving && self.is_known {
            self.apply_changes()?;
            if (now - self.looked_at).abs() >= LOOK_EVERY {
                self.runtime.block_on(self.store.take_lease(&self.lease(), &self.node, now, now + LIFE))?;
                self.take_over(now)?;
                self.looked_at = now;
            }
            if (now - self.tidied_at).abs() >= TIDY_EVERY {
                let keep = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
                self.runtime.block_on(self.store.forget_fires(now.saturating_sub(keep)))?;
                self.runtime.block_on(self.store.forget_leases(NODE, now - TIDY_EVERY))?;
                self.tidied_at = now;
            }
            self.fire_due(now)?;
            self.go_on_waiting(now)?;
        }
        let until = self
            .next_begin()
            .map(|next| Duration::from_millis(u64::try_from(next - now).unwrap_or_default()));
        Ok(until.unwrap_or(LONGEST_SLEEP).clamp(Duration::from_millis(1), LONGEST_SLEEP))
    }

    /// Says so when the clock has not gone as time did.
    fn notice_jump(&mut self, now: i64) {
        if let Some((since, then)) = &self.stepped {
            let passed = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
            let jump = now.saturating_sub(*then).saturating_sub(passed);
            let shown = humantime::format_duration(Duration::from_secs(jump.unsigned_abs() / 1_000));
            if jump >= JUMP {
                let text = format!(
                    "the clock is {shown} ahead of the time that has passed: the machine slept, or its clock was set; \
                     what was missed follows catch_up"
                );
                self.say(Level::Warn, "", "", &text);
            } else if jump <= -JUMP {
                let text = format!(
                    "the clock was set back by {shown}: what has fired does not fire again, and the next fires come when \
                     the clock is there"
                );
                self.say(Level::Warn, "", "", &text);
            }
        }
        self.stepped = Some((Stopwatch::start(), now));
    }

    fn lease(&self) -> String {
        node_lease(&self.node)
    }

    /// Claims what has come.
    fn fire_due(&mut self, now: i64) -> Result<(), StoreError> {
        let due_now: Vec<(String, String)> = self
            .armed
            .iter()
            .filter(|(_, armed)| armed.next.is_some_and(|next| next <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for (name, key) in due_now {
            let Some(version) = self.served.versions().get(&name).map(Arc::clone) else { continue };
            let Some(trigger) = version.triggers.iter().find(|trigger| trigger.key == key) else { continue };
            let last = self.armed[&(name.clone(), key.clone())].last;
            let mut missed = Vec::new();
            for one in due(&name, trigger, version.automation.catch_up, last, now) {
                let state = if one.missed.is_some() { "missed" } else { "claimed" };
                let fire = Fire {
                    automation: name.clone(),
                    source: key.clone(),
                    instant: one.instant,
                    state: state.to_owned(),
                    reason: one.missed.clone().unwrap_or_default(),
                    run: String::new(),
                    node: self.node.clone(),
                    at: now,
                };
                let is_ours = self.runtime.block_on(self.store.add_fire(&fire))?;
                if let Some(armed) = self.armed.get_mut(&(name.clone(), key.clone())) {
                    armed.last = one.instant;
                    armed.next = next_begin(&name, trigger, one.instant);
                }
                if is_ours && one.missed.is_some() {
                    self.figures.ended(&name, "missed", now);
                }
                if is_ours && one.missed.is_none() {
                    let version = Some(Arc::clone(&version));
                    self.queue.push(Waiting { fire, version, not_before: now });
                } else if let (true, Some(reason)) = (is_ours, one.missed) {
                    missed.push((one.instant, reason));
                }
            }
            self.tell_missed(&name, trigger, &missed);
        }
        Ok(())
    }

    /// Says of fires that do not run why they do not: once for those that share a reason.
    fn tell_missed(&self, name: &str, trigger: &Trigger, missed: &[(i64, String)]) {
        for same in missed.chunk_by(|one, other| one.1 == other.1) {
            let [(first, reason), ..] = same else { continue };
            let from = trigger.schedule.show(*first);
            let text = match same {
                [_] => format!("missed the fire of {from}: {reason}"),
                [.., (last, _)] => {
                    let (count, to) = (same.len(), trigger.schedule.show(*last));
                    format!("missed {count} fires from {from} to {to}: {reason}")
                }
                [] => continue,
            };
            self.say(Level::Warn, name, "", &text);
        }
    }

    /// Starts what waits, as far as it may.
    fn go_on_waiting(&mut self, now: i64) -> Result<(), StoreError> {
        // Of each automation the first that waits is tried; those behind it wait for it.
        let mut tried = BTreeSet::new();
        let mut at = 0;
        while let Some(waiting) = self.queue.get(at).cloned() {
            let is_first = tried.insert(waiting.fire.automation.clone());
            if is_first && waiting.not_before <= now {
                match self.begin(&waiting, now)? {
                    Begun::Over => {
                        self.queue.remove(at);
                        // The next one of the same automation may begin as well.
                        tried.remove(&waiting.fire.automation);
                        continue;
                    }
                    Begun::Waits => self.queue[at].not_before = now + 100,
                }
            }
            at += 1;
        }
        let mut at = 0;
        while let Some(waiting) = self.retries.get(at).cloned() {
            if waiting.not_before > now {
                at += 1;
                continue;
            }
            self.go_on(&waiting.fire, waiting.version)?;
            self.retries.remove(at);
        }
        Ok(())
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
    pub fn leave(&mut self) {
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
    pub fn let_go(&self) -> Result<(), StoreError> {
        self.runtime.block_on(self.store.give_lease_back(&self.lease(), &self.node))
    }
}

/// The sign of life of a process.
fn node_lease(node: &str) -> String {
    format!("{NODE}{node}")
}

fn next_begin(name: &str, trigger: &Trigger, last: i64) -> Option<i64> {
    trigger.schedule.after(last).map(|instant| begins(name, trigger, instant))
}

/// A message on one line, with its place and its mend.
fn told(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.place.as_ref();
    let place = place.map(|place| format!("{}:{}:{}: ", place.file, place.line, place.column));
    let hint = diagnostic.hint.as_ref().map(|hint| format!(" ({hint})"));
    format!("{}{}{}", place.unwrap_or_default(), diagnostic.message, hint.unwrap_or_default())
}
