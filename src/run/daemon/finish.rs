//! The end of a run: its fire is closed or retried, and the success or failure is reported.

use super::{
    ended_fire::{
        AttemptEnd, FinishedRun, FireChange, FireEnd, LastAttempt, ReportedEnd, after_end, attempt_end,
        change, has_lost_journal, is_reported,
    },
    failed_starts::FailedStarts,
    fire_queue::{FireQueue, QueuedFire},
    log::Level,
    process::Process,
    running_set::Running,
    transition::{Completed, FireTransition},
};
use crate::{
    base::EpochMs,
    run::{record, registry::Revision, worker::RunOutcome},
    script::HandlerCall,
    store::{Fire, FireKind, FireReason, FireState, ReportedFailure, StoreError},
};
use std::{sync::Arc, time::Duration};

/// A fire that has failed, with what its failure is reported from.
pub(super) struct FailedFire<'a> {
    pub fire: &'a Fire,
    /// The revision whose `on_failure` is called, where this process knows it.
    pub revision: Option<&'a Arc<Revision>>,
    /// What was called.
    pub call: &'a HandlerCall,
}

/// The fire of a run of this process that has come to its end.
struct FinishedFire {
    fire: Fire,
    revision: Option<Arc<Revision>>,
    call: HandlerCall,
}

/// Closes a fire; `false` when another process has changed it since.
pub(super) fn close_fire(
    process: &Process,
    fire: &Fire,
    state: FireState,
    reason: &str,
) -> Result<bool, StoreError> {
    close_fire_and_insert(process, fire, Closing { state, reason }, None)
}

/// The state and the reason that a fire is closed with.
#[derive(Clone, Copy)]
struct Closing<'a> {
    state: FireState,
    reason: &'a str,
}

/// Closes a fire, and inserts another one in the same transaction.
fn close_fire_and_insert(
    process: &Process,
    fire: &Fire,
    closing: Closing<'_>,
    another: Option<&Fire>,
) -> Result<bool, StoreError> {
    let closed = closed(process, fire, closing);
    let is_ours = process.wait(process.store.compare_and_set_fire_and_insert(fire, &closed, another))?;
    if is_ours {
        report_closed(process, &closed, closing);
    }
    Ok(is_ours)
}

/// Closes fires that don't run, each with the reason, in one transaction. One that another process has changed since is
/// left to it.
pub(super) fn close_skipped(process: &Process, fires: &[(Fire, String)]) -> Result<(), StoreError> {
    let closing = |reason| Closing { state: FireState::Skipped, reason };
    let changes: Vec<_> =
        fires.iter().map(|(fire, reason)| (fire, closed(process, fire, closing(reason)))).collect();
    let are_ours = process.wait(process.store.compare_and_set_fires(&changes))?;
    let written = changes.iter().zip(are_ours).filter(|(_, is_ours)| *is_ours);
    for ((_, closed), _) in written {
        report_closed(process, closed, closing(closed.reason.note()));
    }
    Ok(())
}

/// The record of a fire once it is closed.
fn closed(process: &Process, fire: &Fire, Closing { state, reason }: Closing<'_>) -> Fire {
    Fire {
        state,
        reason: FireReason::from(reason),
        owner: process.name.clone(),
        updated_at: process.now(),
        ..fire.clone()
    }
}

/// Counts and logs a fire that was closed.
fn report_closed(process: &Process, closed: &Fire, Closing { state, reason }: Closing<'_>) {
    if closed.kind != FireKind::FailureHook {
        process.stats.count_fire(&closed.automation, state, closed.updated_at);
    }
    let level = if state == FireState::Done { Level::Info } else { Level::Warn };
    let colon = if reason.is_empty() { "" } else { ": " };
    let text = format!("{state}{colon}{reason}");
    process.log.run(level, &closed.automation, &closed.run, &text);
}

/// Records how a run of this process ended, in its fire.
pub(super) fn record_outcome(
    process: &Process,
    queue: &mut FireQueue,
    failed_starts: &mut FailedStarts,
    running: &Running,
    outcome: &RunOutcome,
) -> Result<(), StoreError> {
    let Running { fire, revision, call, stop, has_large_state, .. } = running;
    let log_end = |level, why: &str| process.log.run(level, &fire.automation, &fire.run, why);
    match outcome {
        RunOutcome::Ended(ended) if has_lost_journal(ended, *stop) => log_end(Level::Warn, &ended.why),
        RunOutcome::NotRecorded(why) | RunOutcome::NotStarted(why) => log_end(Level::Error, why),
        RunOutcome::Ended(_) | RunOutcome::Died(_) => {}
    }
    let end = attempt_end(outcome, *stop, || last_attempt(process, &fire.run))?;
    if let (RunOutcome::NotStarted(why), AttemptEnd::NotStarted(LastAttempt::Number(_))) = (outcome, end) {
        failed_starts.failed(fire, why);
    }
    let run = FinishedRun {
        stop: *stop,
        failures: fire.failures,
        retries: retries(revision.as_deref()),
        crashes: fire.crashes,
    };
    let transition = after_end(end, run);
    let timeout = revision.as_ref().map(|revision| revision.automation.timeout);
    let change = change(transition, fire, reported_end(process, outcome, timeout), process.now());
    let finished = FinishedFire { fire: fire.clone(), revision: revision.clone(), call: call.clone() };
    apply_change(process, queue, change, finished)?;
    if *has_large_state
        && matches!(transition, FireTransition::Complete(_))
        && let Err(error) = process.wait(record::forget_state(&process.store, &fire.run))
    {
        log_end(Level::Warn, &format!("its record keeps ctx.state: {error}"));
    }
    Ok(())
}

/// The number of a run's last attempt in the store.
fn last_attempt(process: &Process, run: &str) -> Result<LastAttempt, StoreError> {
    let record = process.wait(process.store.run(run))?;
    Ok(record.map_or(LastAttempt::Deleted, |record| LastAttempt::Number(record.attempt)))
}

/// What is reported of a run's end: a script may throw what a server has echoed, and the reason is recorded with the fire.
fn reported_end(process: &Process, outcome: &RunOutcome, timeout: Option<Duration>) -> ReportedEnd {
    let (why, message, changed) = match outcome {
        RunOutcome::Ended(ended) => (ended.why.as_str(), ended.message.as_str(), ended.changed),
        RunOutcome::NotRecorded(why) | RunOutcome::NotStarted(why) | RunOutcome::Died(why) => {
            (why.as_str(), why.as_str(), 0)
        }
    };
    let [why, message] = [why, message].map(|text| process.host.secrets.mask(text));
    ReportedEnd { why, message, changed, timeout }
}

/// Applies a change to the fire of a run that has come to its end.
fn apply_change(
    process: &Process,
    queue: &mut FireQueue,
    change: FireChange,
    finished: FinishedFire,
) -> Result<(), StoreError> {
    let FinishedFire { fire, revision, call } = finished;
    let failed = FailedFire { fire: &fire, revision: revision.as_ref(), call: &call };
    match change {
        FireChange::Complete(completed, note) => {
            complete_fire(process, &fire, revision.as_deref(), completed, &note)
        }
        FireChange::Close(state, reason) => close_fire(process, &fire, state, reason).map(drop),
        FireChange::Fail(end) => fail_fire(process, queue, &failed, &end),
        FireChange::PauseAndFail(end) => {
            process.wait(process.store.pause_automation(&fire.automation, Some(EpochMs::MAX)))?;
            fail_fire(process, queue, &failed, &end)
        }
        FireChange::Retry { counted, after, level, text } => {
            if process.wait(process.store.compare_and_set_fire(&fire, &counted))? {
                process.log.run(level, &fire.automation, &fire.run, &text);
                let not_before = counted.updated_at + after;
                queue.push_resume(QueuedFire { fire: *counted, revision, not_before });
            }
            Ok(())
        }
        FireChange::Resume { after } => {
            let not_before = process.now() + after;
            queue.push_resume(QueuedFire { fire, revision, not_before });
            Ok(())
        }
        FireChange::HandOver => {
            let text = "interrupted by the shutdown: the next process resumes it";
            process.log.run(Level::Info, &fire.automation, &fire.run, text);
            Ok(())
        }
        FireChange::Leave => Ok(()),
    }
}

/// Closes a fire whose run completed, and pings the automation's URL.
pub(super) fn complete_fire(
    process: &Process,
    fire: &Fire,
    revision: Option<&Revision>,
    completed: Completed,
    note: &str,
) -> Result<(), StoreError> {
    if close_fire(process, fire, completed.into(), note)?
        && let Some(url) = revision.and_then(|revision| revision.automation.ping.clone())
    {
        ping(process, url, fire);
    }
    Ok(())
}

/// Closes a fire that has failed, and queues the automation's `on_failure`.
pub(super) fn fail_fire(
    process: &Process,
    queue: &mut FireQueue,
    failed: &FailedFire<'_>,
    end: &FireEnd,
) -> Result<(), StoreError> {
    let FailedFire { fire, revision, call } = failed;
    let is_reported =
        |revision: &&Arc<Revision>| is_reported(fire.kind, revision.automation.has_failure_hook);
    let Some(revision) = revision.filter(is_reported) else {
        return close_fire(process, fire, end.state, &end.reason).map(drop);
    };
    let failure = ReportedFailure {
        message: end.message.clone(),
        state: end.state,
        run: fire.run.clone(),
        handler: call.handler.clone(),
        scheduled: call.scheduled.clone(),
    };
    let now = process.now();
    // Recorded with the failure: another process starts it if this one dies.
    let hook = Fire::failure_hook(fire, failure, process.name.clone(), now);
    let closing = Closing { state: end.state, reason: &end.reason };
    if close_fire_and_insert(process, fire, closing, Some(&hook))? {
        let revision = Some(Arc::clone(revision));
        queue.push_failure_hook(QueuedFire { fire: hook, revision, not_before: now });
    }
    Ok(())
}

/// Pings an automation's URL after a success.
fn ping(process: &Process, url: String, fire: &Fire) {
    let (log, automation, run) = (process.log.clone(), fire.automation.clone(), fire.run.clone());
    process.runtime.spawn(async move {
        if let Err(error) = crate::client::ping(&url).await {
            log.run(Level::Warn, &automation, &run, &format!("the ping failed: {error}"));
        }
    });
}

/// How many failures of a run are retried; none where the automation is not known.
pub(super) fn retries(revision: Option<&Revision>) -> i64 {
    revision.map_or(0, |revision| i64::from(revision.automation.retries))
}
