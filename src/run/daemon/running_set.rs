//! The runs of this process: started, perhaps asked to stop, ended, and recorded in the end.

use super::transition::StopReason;
use crate::{
    base::Cancel,
    run::{
        registry::Revision,
        runner::{RunFinished, RunHandle},
    },
    script::HandlerCall,
    store::{AutomationId, Fire, FireKind},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

/// A run of this process.
pub(super) struct Running {
    pub fire: Fire,
    pub revision: Option<Arc<Revision>>,
    /// What is called, without the state that it is given.
    pub call: HandlerCall,
    /// Whether that state is large.
    pub has_large_state: bool,
    pub cancel: Cancel,
    /// When it times out, by the monotonic clock: neither a suspended machine nor a corrected clock shortens its time.
    pub deadline: Duration,
    /// Why the daemon has asked it to stop, if it has. The first reason counts.
    pub stop: Option<StopReason>,
    pub handle: RunHandle,
}

impl Running {
    /// Asks the run to stop at its next safe point.
    fn stop(&mut self, reason: StopReason) {
        if self.stop.is_none() {
            self.stop = Some(reason);
            self.cancel.cancel();
        }
    }
}

/// How many runs of this process run at the same time.
pub(super) struct Capacity {
    /// At the most.
    pub max: usize,
    /// Whether the log says that further ones wait.
    pub is_full: bool,
}

/// The runs of this process, by id. A run leaves the set when its end is recorded, or when its thread has panicked without
/// reporting one: another process, or this one, then adopts it after its heartbeat has expired.
pub(super) struct RunningSet {
    runs: BTreeMap<String, Running>,
    /// Runs that have ended, whose ends are not recorded yet.
    finished: VecDeque<RunFinished>,
    sender: Sender<RunFinished>,
    receiver: Receiver<RunFinished>,
}

impl Default for RunningSet {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { runs: BTreeMap::new(), finished: VecDeque::new(), sender, receiver }
    }
}

impl RunningSet {
    /// Where the threads of runs report that they have ended.
    pub(super) fn sender(&self) -> &Sender<RunFinished> {
        &self.sender
    }

    pub(super) fn insert(&mut self, run: String, running: Running) {
        self.runs.insert(run, running);
    }

    pub(super) fn get(&self, run: &str) -> Option<&Running> {
        self.runs.get(run)
    }

    pub(super) fn contains(&self, run: &str) -> bool {
        self.runs.contains_key(run)
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// How many runs of an automation have not ended.
    pub(super) fn count_of(&self, automation: &AutomationId) -> usize {
        self.runs.values().filter(|running| running.fire.automation == *automation).count()
    }

    /// How many of them are of its failure hook.
    pub(super) fn count_of_hooks(&self, automation: &AutomationId) -> usize {
        let is_hook = |fire: &Fire| fire.automation == *automation && fire.kind == FireKind::FailureHook;
        self.runs.values().filter(|running| is_hook(&running.fire)).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Receives the runs that have ended since, and drops those whose threads have panicked without reporting it. Returns how
    /// many ends are to be recorded.
    pub(super) fn collect_finished(&mut self) -> usize {
        // Looked at before the channel is read: a run that reports in between must not be taken for a dead one.
        let ended: Vec<String> = self
            .runs
            .iter()
            .filter(|(_, running)| running.handle.is_finished())
            .map(|(run, _)| run.clone())
            .collect();
        self.finished.extend(std::iter::from_fn(|| self.receiver.try_recv().ok()));
        for run in ended {
            if !self.finished.iter().any(|finished| finished.run == run) {
                self.runs.remove(&run);
            }
        }
        self.finished.len()
    }

    /// The next run whose end is to be recorded; it goes to [`RunningSet::recorded`] or [`RunningSet::not_recorded`].
    pub(super) fn next_finished(&mut self) -> Option<RunFinished> {
        self.finished.pop_front()
    }

    /// The end of a run is recorded.
    pub(super) fn recorded(&mut self, finished: &RunFinished) {
        self.runs.remove(&finished.run);
    }

    /// The store did not take the end of a run: the next step tries again.
    pub(super) fn not_recorded(&mut self, finished: RunFinished) {
        self.finished.push_back(finished);
    }

    /// Asks a run to stop; whether it is of this process.
    pub(super) fn stop(&mut self, run: &str, reason: StopReason) -> bool {
        self.runs.get_mut(run).map(|running| running.stop(reason)).is_some()
    }

    /// Asks all runs to stop.
    pub(super) fn stop_all(&mut self, reason: StopReason) {
        self.runs.values_mut().for_each(|running| running.stop(reason));
    }

    /// Asks the runs to stop that have exceeded their timeout.
    pub(super) fn enforce_timeouts(&mut self, now: Duration) {
        let late = self.runs.values_mut().filter(|running| running.deadline <= now);
        late.for_each(|running| running.stop(StopReason::TimedOut));
    }
}
