//! From a fire to its run: whether it may start, and what it is started with.

use super::{
    accounts::ServedAccounts,
    failed_starts::FailedStarts,
    finish::{FireEnd, close_fire, fail_fire},
    fire_queue::{FireQueue, QueuedFire},
    loaded::LoadedAutomations,
    log::Level,
    preparation::{Preparations, PreparedRun},
    process::Process,
    running_set::{Capacity, Running, RunningSet},
    transition::{
        Admission, Places, REPLACED, RunningFire, StartTransition, StopReason, admit, is_backlog, on_due,
    },
};
use crate::{
    base::{Diagnostic, Setting},
    bulk::Attempt,
    run::{
        automation_state,
        record::RunOptions,
        registry::Revision,
        runner::{Reporter, Spawned},
        schedule::due::starts_at,
        worker::{self, Connector, HandlerRun},
    },
    script::{CallTrigger, HANDLER, HandlerCall, ON_FAILURE, Overlap, Parameter, UnknownCallTrigger},
    store::{
        AutomationId, Fire, FireKind, FireReason, FireState, LeaseKey, LeaseKind, ReportedFailure, RunEnd,
        RunState, StoreError,
    },
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, io, path::Path, sync::Arc, time::Duration};

/// The timeout of a run whose automation is not known any more.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_hours(12);

/// A `ctx.state` that is longer as JSON does not stay in the records of the runs that were given it.
const MAX_KEPT_STATE: usize = 4 << 10;

fn is_large(state: &Map<String, Value>) -> bool {
    !state.is_empty() && serde_json::to_string(state).is_ok_and(|json| json.len() > MAX_KEPT_STATE)
}

/// What became of the attempt to start a fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartOutcome {
    /// It was started or closed.
    Handled,
    /// It waits for another run to end.
    Blocked,
    /// Its account is being connected.
    Preparing,
}

/// The handler that a fire calls; `None` once its trigger was removed.
pub(super) fn handler_of<'a>(revision: &'a Revision, fire: &Fire) -> Option<&'a str> {
    revision.trigger(&fire.trigger).map(|trigger| trigger.handler.as_str())
}

/// What the call of a fire's handler says started it.
fn call_trigger(fire: &Fire) -> Result<CallTrigger, StoreError> {
    fire.trigger.parse().map_err(|error: UnknownCallTrigger| StoreError::Decode {
        table: "mpscript_fire",
        row: format!("{}, {}, {}", fire.automation, fire.trigger, fire.scheduled_at),
        column: "trigger",
        expected: UnknownCallTrigger::EXPECTED.to_owned(),
        found: format!("`{}`", error.found),
    })
}

/// How long after its start a fire was claimed.
fn claimed_after(revision: &Revision, fire: &Fire) -> Duration {
    let start = revision
        .trigger(&fire.trigger)
        .map(|trigger| starts_at(&fire.automation.name, trigger, fire.scheduled_at));
    fire.updated_at.since(start.unwrap_or(fire.scheduled_at))
}

/// Starts the runs of fires, from what is loaded, queued and running.
pub(super) struct FireRunner {
    pub process: Process,
    pub loaded: LoadedAutomations,
    /// The accounts that the automations are served for.
    pub accounts: ServedAccounts,
    pub queue: FireQueue,
    pub running: RunningSet,
    pub failed_starts: FailedStarts,
    pub capacity: Capacity,
    pub preparations: Preparations,
    /// The last run of each automation of which the log says that it has outlived the time to the next fire.
    outlived: BTreeMap<AutomationId, String>,
}

impl FireRunner {
    pub(super) fn new(process: Process, folder: &Path, connector: Arc<dyn Connector>, max: usize) -> Self {
        Self {
            process,
            loaded: LoadedAutomations::new(folder),
            accounts: ServedAccounts::new(Arc::clone(&connector)),
            queue: FireQueue::default(),
            running: RunningSet::default(),
            failed_starts: FailedStarts::default(),
            capacity: Capacity { max, is_full: false },
            preparations: Preparations::new(connector),
            outlived: BTreeMap::new(),
        }
    }

    /// Starts a fire, or closes it with the reason why it does not run.
    pub(super) fn try_start(&mut self, queued: &QueuedFire) -> Result<StartOutcome, StoreError> {
        let fire = &queued.fire;
        if let FireReason::Failure(failure) = &fire.reason {
            return self.start_failure_hook(queued, failure);
        }
        let Some(revision) = self.loaded.get(&fire.automation.name) else {
            return self.skip(fire, "the automation was removed");
        };
        let Some(account) = self.accounts.find(&fire.automation).map(|account| account.name.clone()) else {
            return self.skip(fire, "the automation is no longer served for this account");
        };
        let account = account.as_deref();
        if revision.trigger(&fire.trigger).is_none() {
            return self.skip(fire, "its trigger was removed");
        }
        let record = self.process.wait(self.process.store.automation(&fire.automation))?;
        if record.and_then(|record| record.paused_until).is_some_and(|until| until > fire.scheduled_at) {
            return self.skip(fire, "the automation is paused");
        }
        if revision.automation.overlap == Overlap::Parallel {
            if let Some(outcome) = self.apply_limits(fire, revision.automation.max_parallel)? {
                return Ok(outcome);
            }
            if self.yields(fire) {
                return Ok(StartOutcome::Blocked);
            }
            if !self.preparations.poll(&self.process, fire, account) {
                return Ok(StartOutcome::Preparing);
            }
            return self.start(fire, &revision);
        }
        // A fire that waits or is skipped needs no account.
        if let Some(outcome) = self.apply_overlap_policy(fire, &revision)? {
            return Ok(outcome);
        }
        if self.has_no_place() {
            return Ok(StartOutcome::Blocked);
        }
        if !self.preparations.poll(&self.process, fire, account) {
            return Ok(StartOutcome::Preparing);
        }
        // No other process may start a run of the automation between the look at what is running and the start.
        let (store, name) = (self.process.store.clone(), self.process.name.clone());
        let automation = format!("{} {}", fire.automation.account, fire.automation.name);
        let lease = LeaseKey::new(LeaseKind::Start, automation);
        if !self.process.acquire(&lease)? {
            return Ok(StartOutcome::Blocked);
        }
        let outcome = match self.apply_overlap_policy(fire, &revision) {
            Ok(None) => self.start(fire, &revision),
            Ok(Some(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        };
        self.process.wait(store.release_lease(&lease, &name))?;
        outcome
    }

    /// Applies `overlap` to a due fire; `None` when it may start.
    fn apply_overlap_policy(
        &mut self,
        fire: &Fire,
        revision: &Revision,
    ) -> Result<Option<StartOutcome>, StoreError> {
        let overlap = revision.automation.overlap;
        let relation = |other: &Fire| {
            if (&other.trigger, other.scheduled_at) == (&fire.trigger, fire.scheduled_at) {
                return RunningFire::Same;
            }
            // The handler of a trigger that was removed is not known: it counts as the same.
            match handler_of(revision, other) {
                Some(handler) if Some(handler) != handler_of(revision, fire) => RunningFire::OtherHandler,
                _ => RunningFire::Other,
            }
        };
        let others = self.process.wait(self.process.store.running_fires(&fire.automation))?;
        let related = others.into_iter().map(|other| (relation(&other), other));
        let Some((running, other)) = related.min_by_key(|(relation, _)| *relation) else {
            return Ok(None);
        };
        let transition = on_due(overlap, running, claimed_after(revision, fire));
        if running == RunningFire::Other
            && matches!(transition, StartTransition::Skip | StartTransition::Wait)
        {
            self.log_outlived(fire, &other, transition);
        }
        match transition {
            StartTransition::Start => Ok(None),
            StartTransition::Started => Ok(Some(StartOutcome::Handled)),
            StartTransition::Skip => {
                self.skip(fire, &format!("run {} was still running", other.run)).map(Some)
            }
            StartTransition::Wait => Ok(Some(StartOutcome::Blocked)),
            StartTransition::Replace => {
                self.replace(&other)?;
                Ok(Some(StartOutcome::Blocked))
            }
        }
    }

    /// Logs once of each run that it takes longer than the time to the next fire of its handler: if that is the rule,
    /// most fires of it do not run.
    fn log_outlived(&mut self, fire: &Fire, other: &Fire, transition: StartTransition) {
        let (runs, interval) =
            (self.process.now().since(other.updated_at), fire.scheduled_at.since(other.scheduled_at));
        if runs < interval || self.outlived.get(&fire.automation) == Some(&other.run) {
            return;
        }
        self.outlived.insert(fire.automation.clone(), other.run.clone());
        let seconds = |span: Duration| humantime::format_duration(Duration::from_secs(span.as_secs()));
        let (runs, interval) = (seconds(runs), seconds(interval));
        let fate = if transition == StartTransition::Skip { "is skipped" } else { "waits" };
        let text =
            format!("it has been running for {runs}, and the next fire came after {interval}: that {fate}");
        self.process.log.run(Level::Warn, &fire.automation, &other.run, &text);
    }

    /// Closes a fire whose handler has an earlier one that has not started yet, unless it may wait as well.
    pub(super) fn skip_behind_another(&self, fire: &Fire, first: &Fire) -> Result<StartOutcome, StoreError> {
        let Some(revision) = self.loaded.revisions().get(&fire.automation.name) else {
            return Ok(StartOutcome::Blocked);
        };
        let may_wait = fire.kind == FireKind::FailureHook
            || revision.automation.overlap != Overlap::Forbid
            || is_backlog(claimed_after(revision, fire))
            || is_backlog(claimed_after(revision, first));
        if may_wait {
            return Ok(StartOutcome::Blocked);
        }
        let at = revision.trigger(&first.trigger).map(|trigger| trigger.schedule.show(first.scheduled_at));
        let reason = format!("the fire of {} had not started yet", at.unwrap_or_default());
        self.skip(fire, &reason)
    }

    /// Applies the limits of parallel runs to a due fire; `None` when it may start.
    fn apply_limits(&mut self, fire: &Fire, max: usize) -> Result<Option<StartOutcome>, StoreError> {
        let places = self.places(self.running.count_of(&fire.automation), max);
        match admit(places) {
            Admission::Start => Ok(None),
            Admission::Wait => Ok(self.has_no_place().then_some(StartOutcome::Blocked)),
            Admission::Skip => {
                let Places { of_automation, taken, .. } = places;
                let reason = format!(
                    "{of_automation} of its runs are running (max_parallel: {max}), {taken} in all ({} {})",
                    self.max_parallel(),
                    self.capacity.max
                );
                self.skip(fire, &reason).map(Some)
            }
        }
    }

    /// The places of an automation of which this many runs are running.
    fn places(&self, of_automation: usize, max_of_automation: usize) -> Places {
        Places { of_automation, max_of_automation, taken: self.running.len(), max: self.capacity.max }
    }

    /// Whether a waiting fire is one of those that `max_waiting` bounds: what is caught up was decided by `catch_up`.
    pub(super) fn is_bounded(&self, fire: &Fire) -> bool {
        let revision = self.loaded.revisions().get(&fire.automation.name);
        fire.kind == FireKind::FailureHook
            || revision.is_some_and(|revision| !is_backlog(claimed_after(revision, fire)))
    }

    /// Closes a fire behind as many others of its automation as may wait.
    pub(super) fn skip_beyond_bound(&self, fire: &Fire, waiting: usize) -> Result<StartOutcome, StoreError> {
        let revision = self.loaded.revisions().get(&fire.automation.name);
        match revision.map(|revision| revision.automation.max_waiting) {
            Some(max) if waiting >= max => {
                self.skip(fire, &format!("{waiting} of its fires wait already (max_waiting: {max})"))
            }
            _ => Ok(StartOutcome::Blocked),
        }
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

    /// What the limit of parallel runs is called where it is set.
    fn max_parallel(&self) -> &'static str {
        self.process.host.setting_names.of(Setting::MaxParallel)
    }

    fn skip(&self, fire: &Fire, reason: &str) -> Result<StartOutcome, StoreError> {
        close_fire(&self.process, fire, FireState::Skipped, reason).map(|_| StartOutcome::Handled)
    }

    /// Stops the run of a fire in favour of a later one, wherever it runs.
    fn replace(&mut self, other: &Fire) -> Result<(), StoreError> {
        if self.running.stop(&other.run, StopReason::Replaced) {
            return Ok(());
        }
        if self.queue.resumes(&other.run) {
            close_fire(&self.process, other, FireState::Stopped, REPLACED)?;
            self.queue.remove_resume_of(&other.run);
            return Ok(());
        }
        self.process.wait(self.process.store.request_stop(&other.run))
    }

    /// Starts the run of a fire.
    fn start(&mut self, fire: &Fire, revision: &Arc<Revision>) -> Result<StartOutcome, StoreError> {
        let trigger = revision.trigger(&fire.trigger);
        let handler = trigger.map_or(HANDLER, |trigger| &trigger.handler);
        let scheduled =
            trigger.map(|trigger| trigger.schedule.rfc3339(fire.scheduled_at)).unwrap_or_default();
        let started_by = call_trigger(fire)?;
        let call = HandlerCall::new(&fire.automation.name, handler, started_by, fire.scheduled_at, scheduled);
        self.launch(fire, revision, call)
    }

    /// Starts the `on_failure` of an automation.
    fn start_failure_hook(
        &mut self,
        queued: &QueuedFire,
        failure: &ReportedFailure,
    ) -> Result<StartOutcome, StoreError> {
        let fire = &queued.fire;
        let present = || self.loaded.get(&fire.automation.name);
        let revision = queued.revision.clone().or_else(present);
        let Some(revision) = revision.filter(|revision| revision.automation.has_failure_hook) else {
            return self.skip(fire, "the automation has no on_failure any more");
        };
        let places =
            self.places(self.running.count_of_hooks(&fire.automation), revision.automation.max_parallel);
        if self.has_no_place() || admit(places) != Admission::Start {
            return Ok(StartOutcome::Blocked);
        }
        let account = self.accounts.find(&fire.automation).and_then(|account| account.name.clone());
        if !self.preparations.poll(&self.process, fire, account.as_deref()) {
            return Ok(StartOutcome::Preparing);
        }
        let error = Some(json!(failure));
        let (name, started_by) = (&fire.automation.name, call_trigger(fire)?);
        let call =
            HandlerCall::new(name, ON_FAILURE, started_by, fire.scheduled_at, failure.scheduled.clone());
        let call = HandlerCall { error, ..call };
        self.launch(fire, &revision, call)
    }

    /// Gives a call the automation's parameters and its saved state; the inner error is why it has none.
    fn complete_call(
        &self,
        revision: &Revision,
        automation: &AutomationId,
        call: &mut HandlerCall,
    ) -> Result<Result<(), Diagnostic>, StoreError> {
        call.params = match Parameter::values(&revision.automation.params, &BTreeMap::new()) {
            Ok(params) => params,
            Err(diagnostic) => return Ok(Err(diagnostic)),
        };
        call.state = match self.process.wait(automation_state(&self.process.store, automation)) {
            Ok(state) => state,
            // Trying again would not help, and an empty state in its place would be saved.
            Err(error @ StoreError::Decode { .. }) => {
                return Ok(Err(Diagnostic::new(error.to_string()).hint(error.hint())));
            }
            Err(error) => return Err(error),
        };
        Ok(Ok(()))
    }

    /// Records and starts the run of a fire.
    fn launch(
        &mut self,
        fire: &Fire,
        revision: &Arc<Revision>,
        mut call: HandlerCall,
    ) -> Result<StartOutcome, StoreError> {
        let automation = &revision.automation;
        if let Err(diagnostic) = self.complete_call(revision, &fire.automation, &mut call)? {
            let end = FireEnd::failed(FireState::Failed, &diagnostic.one_line());
            return fail_fire(&self.process, &mut self.queue, fire, Some(revision), &call, &end)
                .map(|()| StartOutcome::Handled);
        }
        let spawned = match self.process.runner.spawn() {
            Ok(spawned) => spawned,
            Err(error) => return Ok(self.without_process(fire, &error)),
        };
        let account = self.accounts.find(&fire.automation).and_then(|account| account.name.clone());
        let PreparedRun { connected, cancel, run, .. } =
            self.preparations.take(&self.process, fire, account.as_deref());
        let mut connected = match connected {
            Ok(connected) => connected,
            Err(diagnostic) => {
                let end = FireEnd::failed(FireState::Failed, &diagnostic.one_line());
                return fail_fire(&self.process, &mut self.queue, fire, Some(revision), &call, &end)
                    .map(|()| StartOutcome::Handled);
            }
        };
        if connected.key() != fire.automation.account {
            let reason = format!("its account is {} now: the next scan notices it", connected.key());
            return self.skip(fire, &reason);
        }
        connected.options = RunOptions {
            roots: vec![self.loaded.folder().to_owned()],
            max_changes: automation.limits.changes,
            max_errors: automation.limits.errors,
            call: Some(call.clone()),
            ..connected.options
        };
        connected.config.files.allow(&connected.options.roots);
        let plan = HandlerRun { program: Arc::clone(&revision.program), call, connected, cancel, run };
        let Process { host, store, .. } = &self.process;
        let attempt = self.process.wait(worker::begin(host, store, &plan, &spawned.owner))?;
        let Some(attempt) = attempt else { return Ok(StartOutcome::Handled) };
        let now = self.process.now();
        let running = Fire {
            state: FireState::Running,
            reason: FireReason::default(),
            run: attempt.run.clone(),
            owner: self.process.name.clone(),
            updated_at: now,
            ..fire.clone()
        };
        if !self.process.wait(self.process.store.compare_and_set_fire(fire, &running))? {
            // Another process presumed this one dead and has adopted the fire.
            let end = RunEnd {
                run: &attempt.run,
                attempt: 1,
                state: RunState::Cancelled,
                note: "another process has adopted its fire",
                report: "",
                now,
                saved_state: None,
            };
            self.process.wait(self.process.store.end_run(&end))?;
            return Ok(StartOutcome::Handled);
        }
        if let Some(trigger) = revision.trigger(&fire.trigger) {
            let lag = now.since(starts_at(&fire.automation.name, trigger, fire.scheduled_at));
            self.process.stats.count_start(lag);
        }
        let text = format!("started by {}", plan.call.trigger);
        self.process.log.run(Level::Info, &fire.automation, &attempt.run, &text);
        self.run(spawned, running, Some(Arc::clone(revision)), plan, attempt);
        Ok(StartOutcome::Handled)
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

    /// A run that gets no thread or process is not started: its fire waits.
    fn without_process(&mut self, fire: &Fire, error: &io::Error) -> StartOutcome {
        let why = format!("the system gives it no process: {error}");
        self.failed_starts.failed(fire, &why);
        let text = format!("it waits: {why}");
        self.process.log.automation(Level::Error, &fire.automation, &text);
        StartOutcome::Blocked
    }
}
