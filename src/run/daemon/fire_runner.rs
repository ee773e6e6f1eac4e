//! What the daemon's fires and runs are kept in, and the operations on it. Which of them follows when is decided elsewhere.

use super::{
    accounts::{ServedAccount, ServedAccounts},
    ended_fire::FireEnd,
    failed_starts::FailedStarts,
    finish::{FailedFire, fail_fire, record_outcome},
    fire_queue::{FireId, FireQueue, QueuedFire},
    loaded::LoadedAutomations,
    log::Level,
    preparation::{Preparations, PreparedRun},
    process::Process,
    reload_facts::FactsReader,
    running_set::{Capacity, Running, RunningSet},
    stats::DaemonStats,
    step::StepErrors,
    transition::{Places, StopReason},
    triggers::Triggers,
};
use crate::{
    base::{EpochMs, Setting},
    bulk::Attempt,
    run::{
        registry::Revision,
        runner::{Reporter, Runner, Spawned, Waker},
        worker::{Connector, HandlerRun, RunOutcome},
    },
    script::HandlerCall,
    store::{AutomationId, Fire, StoreError},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, io, mem, path::Path, sync::Arc, time::Duration};

/// The timeout of a run whose automation is not known any more.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_hours(12);

/// A `ctx.state` that is longer as JSON does not stay in the records of the runs that were given it.
const MAX_KEPT_STATE: usize = 4 << 10;

fn is_large(state: &Map<String, Value>) -> bool {
    !state.is_empty() && serde_json::to_string(state).is_ok_and(|json| json.len() > MAX_KEPT_STATE)
}

/// Starts, resumes and follows the runs of fires, from what is loaded, queued and running.
pub(super) struct FireRunner {
    process: Process,
    loaded: LoadedAutomations,
    /// The accounts that the automations are served for.
    accounts: ServedAccounts,
    queue: FireQueue,
    /// Fires that this step skips and that are not closed yet, each with the reason.
    skipped: Vec<(Fire, String)>,
    running: RunningSet,
    failed_starts: FailedStarts,
    capacity: Capacity,
    preparations: Preparations,
    /// The last run of each automation of which the log says that it has overrun the time to the next fire.
    overrun: BTreeMap<AutomationId, String>,
}

impl FireRunner {
    /// One of a folder, which has loaded nothing yet and runs this many runs at the same time.
    pub(super) fn new(process: Process, folder: &Path, connector: Arc<dyn Connector>, max: usize) -> Self {
        Self {
            process,
            loaded: LoadedAutomations::new(folder),
            accounts: ServedAccounts::new(Arc::clone(&connector)),
            queue: FireQueue::default(),
            skipped: Vec::new(),
            running: RunningSet::default(),
            failed_starts: FailedStarts::default(),
            capacity: Capacity { max, is_full: false },
            preparations: Preparations::new(connector),
            overrun: BTreeMap::new(),
        }
    }

    /// Runs no more than this many runs at the same time.
    pub(super) const fn set_max_parallel(&mut self, count: usize) {
        self.capacity.max = count;
    }

    /// Counts in these statistics.
    pub(super) fn set_stats(&mut self, stats: Arc<DaemonStats>) {
        self.process.stats = stats;
    }

    /// Executes runs with this runner.
    pub(super) fn set_runner(&mut self, runner: Arc<dyn Runner>) {
        self.process.runner = runner;
    }

    /// Calls this when a run has ended or an account is connected.
    pub(super) fn set_waker(&mut self, waker: Waker) {
        self.process.waker = waker;
    }

    /// The process that it belongs to.
    pub(super) const fn process(&self) -> &Process {
        &self.process
    }

    /// The automations that are loaded.
    pub(super) const fn loaded(&self) -> &LoadedAutomations {
        &self.loaded
    }

    /// The accounts that they are served for.
    pub(super) const fn accounts(&self) -> &ServedAccounts {
        &self.accounts
    }

    /// The fires that wait.
    pub(super) const fn queue(&self) -> &FireQueue {
        &self.queue
    }

    /// A revision runs from now on.
    pub(super) fn load(&mut self, revision: Arc<Revision>) {
        self.loaded.load(revision);
    }

    /// The file of an automation can't be used.
    pub(super) fn mark_stale(&mut self, name: &str) {
        self.loaded.mark_stale(name);
    }

    /// An automation runs no more.
    pub(super) fn unload(&mut self, name: &str) {
        self.loaded.unload(name);
    }

    /// An automation is served for these accounts from now on, by which the log names it.
    pub(super) fn serve(&mut self, name: &str, accounts: Vec<ServedAccount>) {
        self.process.log.name_accounts(name, &accounts);
        self.accounts.serve(name, accounts);
    }

    /// Reads the configuration again, and returns the revisions whose accounts it finds otherwise than before. What can't
    /// be found now stays what it was.
    pub(super) fn refresh_accounts(&mut self) -> Vec<Arc<Revision>> {
        self.accounts.refresh();
        let mut changed = Vec::new();
        for (name, revision) in self.loaded.revisions() {
            let before = self.accounts.of(name).to_vec();
            if !before.is_empty()
                && self.accounts.of_declaration(&revision.automation).is_ok_and(|accounts| accounts != before)
            {
                changed.push(Arc::clone(revision));
            }
        }
        changed
    }

    /// Reads what events of the folder are planned from.
    pub(super) const fn facts_reader<'a>(&'a mut self, triggers: &'a Triggers) -> FactsReader<'a> {
        FactsReader::new(&self.process, &self.loaded, &mut self.accounts, triggers)
    }

    /// Logs an account that can't be called when automations of it are loaded.
    pub(super) fn check_account(&self, account: &str, automations: Vec<AutomationId>) {
        self.preparations.check_account(&self.process, account, automations);
    }

    /// Whether an automation is served from this process's folder for one of its accounts, or was last: several folders
    /// and accounts may share a store.
    pub(super) fn is_mine(&mut self, automation: &AutomationId) -> Result<bool, StoreError> {
        if self.accounts.find(automation).is_some() {
            return Ok(true);
        }
        let Some(record) = self.process.wait(self.process.store.automation(automation))? else {
            return Ok(false);
        };
        Ok(record.folder == self.loaded.stored_folder() && self.accounts.is_ours(&record)?)
    }

    /// Queues a claimed fire behind all others.
    pub(super) fn enqueue(&mut self, fire: Fire, not_before: EpochMs) {
        self.queue.push_start(QueuedFire { fire, revision: None, not_before });
    }

    /// A claimed fire does not run, for this reason: it is closed at the end of the step.
    pub(super) fn skip(&mut self, fire: Fire, reason: String) {
        self.skipped.push((fire, reason));
    }

    /// The fires that are to be closed now.
    pub(super) fn take_skipped(&mut self) -> Vec<(Fire, String)> {
        mem::take(&mut self.skipped)
    }

    /// A claimed fire was started, or is closed.
    pub(super) fn dequeue_start(&mut self, id: &FireId) {
        self.queue.remove_start(id);
    }

    /// Tries a claimed fire again, but not before this time.
    pub(super) fn defer_start(&mut self, id: &FireId, not_before: EpochMs) {
        self.queue.defer_start(id, not_before);
    }

    /// Resumes the run of a fire later.
    pub(super) fn resume_later(&mut self, queued: QueuedFire) {
        self.queue.push_resume(queued);
    }

    /// The run of the fire at this position was resumed, or its fire was closed.
    pub(super) fn dequeue_resume(&mut self, position: usize) {
        self.queue.remove_resume_at(position);
    }

    /// A run is no longer resumed later: its fire was closed.
    pub(super) fn dequeue_resume_of(&mut self, run: &str) {
        self.queue.remove_resume_of(run);
    }

    /// Tries to resume the run of the fire at this position again, but not before this time.
    pub(super) fn defer_resume(&mut self, position: usize, not_before: EpochMs) {
        self.queue.defer_resume_at(position, not_before);
    }

    /// Tries everything that waits at once: its times were taken from a clock that was wrong.
    pub(super) fn retry_all(&mut self) {
        self.queue.retry_all();
    }

    /// Whether a run is one of this process that has not ended.
    pub(super) fn is_running(&self, run: &str) -> bool {
        self.running.contains(run)
    }

    /// How many runs of this process have not ended.
    pub(super) fn active_runs(&self) -> usize {
        self.running.len()
    }

    /// Whether nothing runs, and nothing waits to be started.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.has_no_starts() && self.preparations.is_empty()
    }

    /// Asks a run to stop; whether it is of this process.
    pub(super) fn stop(&mut self, run: &str, reason: StopReason) -> bool {
        self.running.stop(run, reason)
    }

    /// Asks all runs to stop.
    pub(super) fn stop_all(&mut self, reason: StopReason) {
        self.running.stop_all(reason);
    }

    /// Asks the runs to stop that have exceeded their timeout.
    pub(super) fn enforce_timeouts(&mut self) {
        self.running.enforce_timeouts(self.process.host.clock.monotonic());
    }

    /// Why fires do not start; `None` if they do.
    pub(super) fn start_trouble(&mut self) -> Option<String> {
        self.failed_starts.trouble(|| self.queue.ids())
    }

    /// Records the runs that have ended. One that the store does not take does not delay the others.
    pub(super) fn record_outcomes(&mut self, errors: &mut StepErrors) -> Result<(), StoreError> {
        for _ in 0..self.running.collect_finished() {
            let Some(finished) = self.running.next_finished() else { break };
            let has_started = !matches!(finished.outcome, RunOutcome::NotStarted(_));
            let (queue, failed_starts) = (&mut self.queue, &mut self.failed_starts);
            let result = self.running.get(&finished.run).map_or(Ok(()), |running| {
                record_outcome(&self.process, queue, failed_starts, running, &finished.outcome)
            });
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

    /// Whether the account of a fire's run is connected; has it connected if it was not.
    pub(super) fn prepare(&mut self, fire: &Fire, account: Option<&str>) -> bool {
        self.preparations.poll(&self.process, fire, account)
    }

    /// The connected account of a fire's run.
    pub(super) fn take_prepared(&mut self, fire: &Fire, account: Option<&str>) -> PreparedRun {
        self.preparations.take(&self.process, fire, account)
    }

    /// Drops the connected accounts of fires that do not wait any longer.
    pub(super) fn drop_unneeded_preparations(&mut self) {
        self.preparations.drop_unneeded(&self.queue.ids());
    }

    /// Closes a fire that has failed, and queues the automation's `on_failure`.
    pub(super) fn fail(&mut self, failed: &FailedFire<'_>, end: &FireEnd) -> Result<(), StoreError> {
        fail_fire(&self.process, &mut self.queue, failed, end)
    }

    /// Notes that the run of this fire has overrun the time to the next one; whether it was not noted before.
    pub(super) fn note_overrun(&mut self, fire: &Fire) -> bool {
        let before = self.overrun.insert(fire.automation.clone(), fire.run.clone());
        before.as_ref() != Some(&fire.run)
    }

    /// The places of the runs of an automation, of which this many may run.
    pub(super) fn places_of(&self, automation: &AutomationId, max: usize) -> Places {
        self.places(self.running.count_of(automation), max)
    }

    /// The places of the runs of its failure hook, likewise.
    pub(super) fn places_of_hooks(&self, automation: &AutomationId, max: usize) -> Places {
        self.places(self.running.count_of_hooks(automation), max)
    }

    fn places(&self, of_automation: usize, max_of_automation: usize) -> Places {
        Places { of_automation, max_of_automation, taken: self.running.len(), max: self.capacity.max }
    }

    /// What the limit of parallel runs is called where it is set.
    pub(super) fn max_parallel(&self) -> &'static str {
        self.process.host.setting_names.of(Setting::MaxParallel)
    }

    /// Whether as many runs run as may, which is logged once.
    pub(super) fn has_no_place(&mut self) -> bool {
        let is_full = self.running.len() >= self.capacity.max;
        if is_full && !self.capacity.is_full {
            let (max, setting) = (self.capacity.max, self.max_parallel());
            let text = format!("{max} runs are running: further ones wait ({setting})");
            self.process.log.daemon(Level::Warn, &text);
        }
        self.capacity.is_full = is_full;
        is_full
    }

    /// Starts a recorded attempt.
    pub(super) fn run(
        &mut self,
        spawned: Spawned,
        fire: Fire,
        revision: Option<Arc<Revision>>,
        plan: HandlerRun,
        attempt: Attempt,
    ) {
        let timeout = revision.as_ref().map_or(DEFAULT_TIMEOUT, |revision| revision.automation.timeout);
        let deadline = self.process.host.clock.monotonic().saturating_add(timeout);
        let cancel = plan.cancel.clone();
        let has_large_state = is_large(&plan.call.state);
        let call = HandlerCall { state: Map::new(), params: Map::new(), ..plan.call.clone() };
        let run = attempt.run.clone();
        // It is not set yet: a preparation is used once.
        let _ = plan.run.set(run.clone());
        let reporter =
            Reporter { finished: self.running.sender().clone(), waker: Arc::clone(&self.process.waker) };
        self.failed_starts.started(&fire);
        let handle = (spawned.start)(plan, attempt, reporter);
        self.running.insert(
            run,
            Running { fire, revision, call, has_large_state, cancel, deadline, stop: None, handle },
        );
    }

    /// Whether a fire waits because the system has no process for all: an automation that has one leaves the next to others.
    pub(super) fn yields(&self, fire: &Fire) -> bool {
        !self.failed_starts.is_empty() && self.running.count_of(&fire.automation) > 0
    }

    /// A run that gets no thread or process is not started: its fire waits. Returns why.
    pub(super) fn note_no_process(&mut self, fire: &Fire, error: &io::Error) -> String {
        let why = format!("the system gives it no process: {error}");
        self.failed_starts.failed(fire, &why);
        why
    }
}
