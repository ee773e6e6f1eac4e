//! From a fire to its run: whether it may start, and what it is started with.

use super::{
    due_fire::{
        self, DueState, FireBehind, FireCall, Held, Limited, Overrun, RelatedFire, behind_another,
        beyond_bound, claimed_after, limited, overrun, relation, served,
    },
    ended_fire::FireEnd,
    finish::{FailedFire, close_fire},
    fire_queue::QueuedFire,
    fire_runner::FireRunner,
    log::Level,
    preparation::PreparedRun,
    process::Process,
    transition::{Admission, REPLACED, StartTransition, StopReason, admit, on_due},
};
use crate::{
    base::Diagnostic,
    run::{
        automation_state,
        record::RunOptions,
        registry::Revision,
        schedule::due::starts_at,
        worker::{self, HandlerRun},
    },
    script::{CallTrigger, HANDLER, HandlerCall, ON_FAILURE, Overlap, Parameter, UnknownCallTrigger},
    store::{
        AutomationId, Fire, FireReason, FireState, LeaseKey, LeaseKind, ReportedFailure, RunEnd, RunState,
        StoreError,
    },
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

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

/// Starts a fire, or closes it with the reason why it does not run.
pub(super) fn try_start(runner: &mut FireRunner, queued: &QueuedFire) -> Result<StartOutcome, StoreError> {
    let fire = &queued.fire;
    if let FireReason::Failure(failure) = &fire.reason {
        return start_failure_hook(runner, queued, failure);
    }
    let revision = runner.loaded().get(&fire.automation.name);
    let account = runner.accounts().find(&fire.automation).map(|account| account.name.clone());
    let has_trigger = revision.as_ref().is_some_and(|revision| revision.trigger(&fire.trigger).is_some());
    // What is not served here has no need of the store.
    let paused_until = if has_trigger && account.is_some() {
        let record = runner.process().wait(runner.process().store.automation(&fire.automation))?;
        record.and_then(|record| record.paused_until)
    } else {
        None
    };
    let state = DueState { revision, account, has_trigger, paused_until };
    let (revision, account) = match served(state, fire.scheduled_at) {
        Ok(served) => served,
        Err(reason) => return Ok(skip(runner, fire, reason)),
    };
    let account = account.as_deref();
    if revision.automation.overlap == Overlap::Parallel {
        if let Some(outcome) = apply_limits(runner, fire, revision.automation.max_parallel) {
            return Ok(outcome);
        }
        if runner.yields(fire) {
            return Ok(StartOutcome::Blocked);
        }
        if !runner.prepare(fire, account) {
            return Ok(StartOutcome::Preparing);
        }
        return start(runner, fire, &revision);
    }
    // A fire that waits or is skipped needs no account.
    if let Some(outcome) = apply_overlap_policy(runner, fire, &revision)? {
        return Ok(outcome);
    }
    if runner.has_no_place() {
        return Ok(StartOutcome::Blocked);
    }
    if !runner.prepare(fire, account) {
        return Ok(StartOutcome::Preparing);
    }
    // No other process may start a run of the automation between the look at what is running and the start.
    let (store, name) = (runner.process().store.clone(), runner.process().name.clone());
    let automation = format!("{} {}", fire.automation.account, fire.automation.name);
    let lease = LeaseKey::new(LeaseKind::Start, automation);
    if !runner.process().acquire(&lease)? {
        return Ok(StartOutcome::Blocked);
    }
    let outcome = match apply_overlap_policy(runner, fire, &revision) {
        Ok(None) => start(runner, fire, &revision),
        Ok(Some(outcome)) => Ok(outcome),
        Err(error) => Err(error),
    };
    runner.process().wait(store.release_lease(&lease, &name))?;
    outcome
}

/// Applies `overlap` to a due fire; `None` when it may start.
fn apply_overlap_policy(
    runner: &mut FireRunner,
    fire: &Fire,
    revision: &Revision,
) -> Result<Option<StartOutcome>, StoreError> {
    let overlap = revision.automation.overlap;
    let due = FireCall::of(revision, fire);
    let others = runner.process().wait(runner.process().store.running_fires(&fire.automation))?;
    let related = others
        .iter()
        .map(|other| RelatedFire { fire: other, relation: relation(due, FireCall::of(revision, other)) });
    let Some(related) = related.min_by_key(|related| related.relation) else {
        return Ok(None);
    };
    let (other, transition) =
        (related.fire, on_due(overlap, related.relation, claimed_after(revision, fire)));
    if let Some(times) = overrun(fire, related, transition, runner.process().now()) {
        log_overrun(runner, other, times, transition);
    }
    match transition {
        StartTransition::Start => Ok(None),
        StartTransition::Started => Ok(Some(StartOutcome::Handled)),
        StartTransition::Skip => {
            Ok(Some(skip(runner, fire, &format!("run {} was still running", other.run))))
        }
        StartTransition::Wait => Ok(Some(StartOutcome::Blocked)),
        StartTransition::Replace => {
            replace(runner, other)?;
            Ok(Some(StartOutcome::Blocked))
        }
    }
}

/// Logs once of each run that it takes longer than the time to the next fire of its handler: if that is the rule,
/// most fires of it do not run.
fn log_overrun(runner: &mut FireRunner, other: &Fire, times: Overrun, transition: StartTransition) {
    if !runner.note_overrun(other) {
        return;
    }
    let seconds = |span: Duration| humantime::format_duration(Duration::from_secs(span.as_secs()));
    let (runs, interval) = (seconds(times.runs), seconds(times.interval));
    let fate = if transition == StartTransition::Skip { "is skipped" } else { "waits" };
    let text =
        format!("it has been running for {runs}, and the next fire came after {interval}: that {fate}");
    runner.process().log.run(Level::Warn, &other.automation, &other.run, &text);
}

/// Closes a fire whose handler has an earlier one that has not started yet, unless it may wait as well.
pub(super) fn skip_behind_another(runner: &mut FireRunner, fire: &Fire, first: &Fire) -> StartOutcome {
    let Some(revision) = runner.loaded().revisions().get(&fire.automation.name) else {
        return StartOutcome::Blocked;
    };
    let behind = FireBehind {
        kind: fire.kind,
        overlap: revision.automation.overlap,
        claimed_after: claimed_after(revision, fire),
        first_claimed_after: claimed_after(revision, first),
    };
    if behind_another(behind) == Held::Wait {
        return StartOutcome::Blocked;
    }
    let at = revision.trigger(&first.trigger).map(|trigger| trigger.schedule.show(first.scheduled_at));
    let reason = format!("the fire of {} had not started yet", at.unwrap_or_default());
    skip(runner, fire, &reason)
}

/// Applies the limits of parallel runs to a due fire; `None` when it may start.
fn apply_limits(runner: &mut FireRunner, fire: &Fire, max: usize) -> Option<StartOutcome> {
    let places = runner.places_of(&fire.automation, max);
    match limited(admit(places), places, runner.max_parallel()) {
        Limited::Start => None,
        Limited::Wait => runner.has_no_place().then_some(StartOutcome::Blocked),
        Limited::Skip(reason) => Some(skip(runner, fire, &reason)),
    }
}

/// Whether a waiting fire is one of those that `max_waiting` bounds.
pub(super) fn is_bounded(runner: &FireRunner, fire: &Fire) -> bool {
    let revision = runner.loaded().revisions().get(&fire.automation.name);
    due_fire::is_bounded(fire.kind, revision.map(|revision| claimed_after(revision, fire)))
}

/// Closes a fire behind as many others of its automation as may wait.
pub(super) fn skip_beyond_bound(runner: &mut FireRunner, fire: &Fire, waiting: usize) -> StartOutcome {
    let revision = runner.loaded().revisions().get(&fire.automation.name);
    let max = revision.map(|revision| revision.automation.max_waiting);
    match beyond_bound(waiting, max) {
        Held::Wait => StartOutcome::Blocked,
        Held::Skip => {
            let max = max.unwrap_or_default();
            skip(runner, fire, &format!("{waiting} of its fires wait already (max_waiting: {max})"))
        }
    }
}

/// Closes a fire that does not run, at the end of the step.
fn skip(runner: &mut FireRunner, fire: &Fire, reason: &str) -> StartOutcome {
    runner.skip(fire.clone(), reason.to_owned());
    StartOutcome::Handled
}

/// Stops the run of a fire in favour of a later one, wherever it runs.
fn replace(runner: &mut FireRunner, other: &Fire) -> Result<(), StoreError> {
    if runner.stop(&other.run, StopReason::Replaced) {
        return Ok(());
    }
    if runner.queue().resumes(&other.run) {
        close_fire(runner.process(), other, FireState::Stopped, REPLACED)?;
        runner.dequeue_resume_of(&other.run);
        return Ok(());
    }
    runner.process().wait(runner.process().store.request_stop(&other.run))
}

/// Starts the run of a fire.
fn start(runner: &mut FireRunner, fire: &Fire, revision: &Arc<Revision>) -> Result<StartOutcome, StoreError> {
    let trigger = revision.trigger(&fire.trigger);
    let handler = trigger.map_or(HANDLER, |trigger| &trigger.handler);
    let scheduled = trigger.map(|trigger| trigger.schedule.rfc3339(fire.scheduled_at)).unwrap_or_default();
    let started_by = call_trigger(fire)?;
    let call = HandlerCall::new(&fire.automation.name, handler, started_by, fire.scheduled_at, scheduled);
    launch(runner, fire, revision, call)
}

/// Starts the `on_failure` of an automation.
fn start_failure_hook(
    runner: &mut FireRunner,
    queued: &QueuedFire,
    failure: &ReportedFailure,
) -> Result<StartOutcome, StoreError> {
    let fire = &queued.fire;
    let present = || runner.loaded().get(&fire.automation.name);
    let revision = queued.revision.clone().or_else(present);
    let Some(revision) = revision.filter(|revision| revision.automation.has_failure_hook) else {
        return Ok(skip(runner, fire, "the automation has no on_failure any more"));
    };
    let places = runner.places_of_hooks(&fire.automation, revision.automation.max_parallel);
    if runner.has_no_place() || admit(places) != Admission::Start {
        return Ok(StartOutcome::Blocked);
    }
    let account = runner.accounts().find(&fire.automation).and_then(|account| account.name.clone());
    if !runner.prepare(fire, account.as_deref()) {
        return Ok(StartOutcome::Preparing);
    }
    let call = HandlerCall {
        error: Some(json!(failure)),
        ..HandlerCall::new(
            &fire.automation.name,
            ON_FAILURE,
            call_trigger(fire)?,
            fire.scheduled_at,
            failure.scheduled.clone(),
        )
    };
    launch(runner, fire, &revision, call)
}

/// Gives a call the automation's parameters and its saved state; the inner error is why it has none.
fn complete_call(
    runner: &FireRunner,
    revision: &Revision,
    automation: &AutomationId,
    call: &mut HandlerCall,
) -> Result<Result<(), Diagnostic>, StoreError> {
    call.params = match Parameter::values(&revision.automation.params, &BTreeMap::new()) {
        Ok(params) => params,
        Err(diagnostic) => return Ok(Err(diagnostic)),
    };
    call.state = match runner.process().wait(automation_state(&runner.process().store, automation)) {
        Ok(state) => state,
        // Trying again would not help, and an empty state in its place would be saved.
        Err(error @ StoreError::Decode { .. }) => {
            return Ok(Err(Diagnostic::new(error.to_string()).hint(error.hint())));
        }
        Err(error) => return Err(error),
    };
    Ok(Ok(()))
}

/// Closes a fire whose run can't be started.
fn fail_start(
    runner: &mut FireRunner,
    fire: &Fire,
    revision: &Arc<Revision>,
    call: &HandlerCall,
    why: &Diagnostic,
) -> Result<StartOutcome, StoreError> {
    let end = FireEnd::failed(FireState::Failed, &why.one_line());
    let failed = FailedFire { fire, revision: Some(revision), call };
    runner.fail(&failed, &end).map(|()| StartOutcome::Handled)
}

/// Records and starts the run of a fire.
fn launch(
    runner: &mut FireRunner,
    fire: &Fire,
    revision: &Arc<Revision>,
    mut call: HandlerCall,
) -> Result<StartOutcome, StoreError> {
    let automation = &revision.automation;
    if let Err(diagnostic) = complete_call(runner, revision, &fire.automation, &mut call)? {
        return fail_start(runner, fire, revision, &call, &diagnostic);
    }
    let spawned = match runner.process().runner.spawn() {
        Ok(spawned) => spawned,
        Err(error) => {
            let why = runner.note_no_process(fire, &error);
            let text = format!("it waits: {why}");
            runner.process().log.automation(Level::Error, &fire.automation, &text);
            return Ok(StartOutcome::Blocked);
        }
    };
    let account = runner.accounts().find(&fire.automation).and_then(|account| account.name.clone());
    let PreparedRun { connected, cancel, run, .. } = runner.take_prepared(fire, account.as_deref());
    let mut connected = match connected {
        Ok(connected) => connected,
        Err(diagnostic) => return fail_start(runner, fire, revision, &call, &diagnostic),
    };
    if connected.key() != fire.automation.account {
        let reason = format!("its account is {} now: the next scan notices it", connected.key());
        return Ok(skip(runner, fire, &reason));
    }
    connected.options = RunOptions {
        roots: vec![runner.loaded().folder().to_owned()],
        max_changes: automation.limits.changes,
        max_errors: automation.limits.errors,
        call: Some(call.clone()),
        ..connected.options
    };
    connected.config.files.allow(&connected.options.roots);
    let plan = HandlerRun { program: Arc::clone(&revision.program), call, connected, cancel, run };
    let Process { host, store, .. } = runner.process();
    let attempt = runner.process().wait(worker::begin(host, store, &plan, &spawned.owner))?;
    let Some(attempt) = attempt else { return Ok(StartOutcome::Handled) };
    let now = runner.process().now();
    let running = Fire {
        state: FireState::Running,
        reason: FireReason::default(),
        run: attempt.run.clone(),
        owner: runner.process().name.clone(),
        updated_at: now,
        ..fire.clone()
    };
    if !runner.process().wait(runner.process().store.compare_and_set_fire(fire, &running))? {
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
        runner.process().wait(runner.process().store.end_run(&end))?;
        return Ok(StartOutcome::Handled);
    }
    if let Some(trigger) = revision.trigger(&fire.trigger) {
        let lag = now.since(starts_at(&fire.automation.name, trigger, fire.scheduled_at));
        runner.process().stats.count_start(lag);
    }
    let text = format!("started by {}", plan.call.trigger);
    runner.process().log.run(Level::Info, &fire.automation, &attempt.run, &text);
    runner.run(spawned, running, Some(Arc::clone(revision)), plan, attempt);
    Ok(StartOutcome::Handled)
}
