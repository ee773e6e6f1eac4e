//! The end of a run: its fire is closed or retried, and the success or failure is reported.

use super::{
    failed_starts::FailedStarts,
    fire_queue::{FireQueue, QueuedFire},
    log::Level,
    process::Process,
    running_set::RunningSet,
    transition::{Completed, EndedRun, FireTransition, after_death, after_failed_start, after_run},
};
use crate::{
    base::EpochMs,
    run::{record, registry::Revision, runner::RunFinished, worker::RunOutcome},
    script::HandlerCall,
    store::{Fire, FireKind, FireReason, FireState, ReportedFailure, StoreError},
};
use std::{sync::Arc, time::Duration};

/// How a fire ended.
pub(super) struct FireEnd {
    pub state: FireState,
    /// On one line, for the fire's record and the log.
    pub reason: String,
    /// As `on_failure` is given it.
    pub message: String,
}

impl FireEnd {
    /// A failure whose reason is its message.
    pub(super) fn failed(state: FireState, reason: &str) -> Self {
        Self { state, reason: reason.to_owned(), message: reason.to_owned() }
    }
}

/// Why a fire is closed whose run can't be found.
pub(super) const RUN_DELETED: &str = "the record of its run was deleted";

/// Closes a fire; `false` when another process has changed it since.
pub(super) fn close_fire(
    process: &Process,
    fire: &Fire,
    state: FireState,
    reason: &str,
) -> Result<bool, StoreError> {
    close_fire_and_insert(process, fire, state, reason, None)
}

/// Closes a fire and inserts another one in the same transaction.
fn close_fire_and_insert(
    process: &Process,
    fire: &Fire,
    state: FireState,
    reason: &str,
    another: Option<&Fire>,
) -> Result<bool, StoreError> {
    let closed = Fire {
        state,
        reason: FireReason::from(reason),
        owner: process.name.clone(),
        updated_at: process.now(),
        ..fire.clone()
    };
    let is_ours = process.wait(process.store.compare_and_set_fire_and_insert(fire, &closed, another))?;
    if is_ours {
        if fire.kind != FireKind::FailureHook {
            process.stats.count_fire(&fire.automation, state, closed.updated_at);
        }
        let level = if state == FireState::Done { Level::Info } else { Level::Warn };
        let colon = if reason.is_empty() { "" } else { ": " };
        let text = format!("{state}{colon}{reason}");
        process.log.run(level, &fire.automation, &fire.run, &text);
    }
    Ok(is_ours)
}

/// Records how a run of this process ended, in its fire.
pub(super) fn record_outcome(
    process: &Process,
    queue: &mut FireQueue,
    running: &RunningSet,
    failed_starts: &mut FailedStarts,
    finished: &RunFinished,
) -> Result<(), StoreError> {
    let RunFinished { run, outcome } = finished;
    let Some(running) = running.get(run) else { return Ok(()) };
    let (fire, revision, call) = (running.fire.clone(), running.revision.clone(), running.call.clone());
    let (stop, log) = (running.stop, process.log.clone());
    let transition = match outcome {
        RunOutcome::Ended(ended) => {
            let lost_in_attempt = if ended.lost_journal && stop.is_none() {
                log.run(Level::Warn, &fire.automation, run, &ended.why);
                let Some(attempt) = last_attempt(process, run)? else {
                    return close_fire(process, &fire, FireState::Failed, RUN_DELETED).map(drop);
                };
                Some(attempt)
            } else {
                None
            };
            after_run(EndedRun {
                state: ended.state,
                stop,
                lost_in_attempt,
                failures: fire.failures,
                retries: retries(revision.as_deref()),
            })
        }
        // Without a recorded end the run is resumed when its heartbeat has expired.
        RunOutcome::NotRecorded(why) => {
            log.run(Level::Error, &fire.automation, run, why);
            FireTransition::Leave
        }
        RunOutcome::NotStarted(why) => {
            log.run(Level::Error, &fire.automation, run, why);
            let Some(attempt) = last_attempt(process, run)? else {
                return close_fire(process, &fire, FireState::Failed, RUN_DELETED).map(drop);
            };
            failed_starts.failed(&fire, why);
            after_failed_start(stop, attempt)
        }
        RunOutcome::Died(_) => after_death(stop, fire.crashes),
    };
    let forgets_state = running.has_large_state && matches!(transition, FireTransition::Complete(_));
    let automation = fire.automation.clone();
    carry_out(process, queue, transition, fire, revision, &call, outcome)?;
    if forgets_state && let Err(error) = process.wait(record::forget_state(&process.store, run)) {
        log.run(Level::Warn, &automation, run, &format!("its record keeps ctx.state: {error}"));
    }
    Ok(())
}

/// The number of a run's last attempt: a process that has fenced one may have made others. `None` when its record
/// was deleted.
fn last_attempt(process: &Process, run: &str) -> Result<Option<i64>, StoreError> {
    Ok(process.wait(process.store.run(run))?.map(|record| record.attempt))
}

/// Carries out what becomes of the fire of a run that has ended.
fn carry_out(
    process: &Process,
    queue: &mut FireQueue,
    transition: FireTransition,
    fire: Fire,
    revision: Option<Arc<Revision>>,
    call: &HandlerCall,
    outcome: &RunOutcome,
) -> Result<(), StoreError> {
    let (why, message, changed) = match outcome {
        RunOutcome::Ended(ended) => (ended.why.as_str(), ended.message.as_str(), ended.changed),
        RunOutcome::NotRecorded(why) | RunOutcome::NotStarted(why) | RunOutcome::Died(why) => {
            (why.as_str(), why.as_str(), 0)
        }
    };
    // A script may throw what a server has echoed, and the reason is recorded with the fire.
    let [why, message] = [why, message].map(|text| process.host.secrets.mask(text));
    match transition {
        FireTransition::Complete(completed) => {
            let note = if changed > 0 { format!("{changed} changed") } else { String::new() };
            complete_fire(process, &fire, revision.as_deref(), completed, &note)
        }
        FireTransition::Stop(reason) => close_fire(process, &fire, FireState::Stopped, reason).map(drop),
        FireTransition::TimeOut => {
            let timeout = revision.as_ref().map(|revision| revision.automation.timeout);
            let timeout = timeout.map(|timeout| humantime::format_duration(timeout).to_string());
            let reason = format!("it took longer than {}", timeout.unwrap_or_default());
            let end = FireEnd::failed(FireState::TimedOut, &reason);
            fail_fire(process, queue, &fire, revision.as_ref(), call, &end)
        }
        FireTransition::Fail(given_up) => {
            let end = FireEnd { state: given_up.into(), reason: why, message };
            fail_fire(process, queue, &fire, revision.as_ref(), call, &end)
        }
        FireTransition::Retry { failures, after } => {
            retry(process, queue, &fire, revision, failures, after, &why)
        }
        FireTransition::Resume { after } => {
            let not_before = process.now() + after;
            queue.push_resume(QueuedFire { fire, revision, not_before });
            Ok(())
        }
        FireTransition::RetryCrashed { crashes, after } => {
            retry_crashed(process, queue, &fire, revision, crashes, after, &why)
        }
        FireTransition::FailCrashLoop { crashes } => {
            fail_crash_loop(process, queue, &fire, revision.as_ref(), call, crashes)
        }
        FireTransition::HandOver => {
            let text = "interrupted by the shutdown: the next process resumes it";
            process.log.run(Level::Info, &fire.automation, &fire.run, text);
            Ok(())
        }
        FireTransition::Leave => Ok(()),
    }
}

/// Counts a failure of a run, and resumes it after a delay.
fn retry(
    process: &Process,
    queue: &mut FireQueue,
    fire: &Fire,
    revision: Option<Arc<Revision>>,
    failures: i64,
    after: Duration,
    why: &str,
) -> Result<(), StoreError> {
    let now = process.now();
    let counted = Fire { failures, updated_at: now, ..fire.clone() };
    if !process.wait(process.store.compare_and_set_fire(fire, &counted))? {
        return Ok(());
    }
    let text = format!("failed: {why}; retried in {}", humantime::format_duration(after));
    process.log.run(Level::Warn, &fire.automation, &fire.run, &text);
    let not_before = now + after;
    queue.push_resume(QueuedFire { fire: counted, revision, not_before });
    Ok(())
}

/// Counts the death of a run's process, and resumes the run after a delay.
fn retry_crashed(
    process: &Process,
    queue: &mut FireQueue,
    fire: &Fire,
    revision: Option<Arc<Revision>>,
    crashes: i64,
    after: Duration,
    why: &str,
) -> Result<(), StoreError> {
    let now = process.now();
    let counted = Fire { crashes, updated_at: now, ..fire.clone() };
    if process.wait(process.store.compare_and_set_fire(fire, &counted))? {
        let text = format!("{why}; resumed in {}", humantime::format_duration(after));
        process.log.run(Level::Error, &fire.automation, &fire.run, &text);
        queue.push_resume(QueuedFire { fire: counted, revision, not_before: now + after });
    }
    Ok(())
}

/// Closes the fire of a run whose process dies again and again, and pauses the automation.
fn fail_crash_loop(
    process: &Process,
    queue: &mut FireQueue,
    fire: &Fire,
    revision: Option<&Arc<Revision>>,
    call: &HandlerCall,
    crashes: i64,
) -> Result<(), StoreError> {
    let name = &fire.automation.name;
    let note = format!(
        "its process has died {crashes} times while it was running; the automation is paused: mpscript unpause {name}"
    );
    process.wait(process.store.pause_automation(&fire.automation, Some(EpochMs::MAX)))?;
    fail_fire(process, queue, fire, revision, call, &FireEnd::failed(FireState::Failed, &note))
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
    fire: &Fire,
    revision: Option<&Arc<Revision>>,
    call: &HandlerCall,
    end: &FireEnd,
) -> Result<(), StoreError> {
    let revision = revision.filter(|revision| revision.automation.has_failure_hook);
    // The failure of an `on_failure` is not reported to another one.
    let Some(revision) = revision.filter(|_| fire.kind != FireKind::FailureHook) else {
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
    if close_fire_and_insert(process, fire, end.state, &end.reason, Some(&hook))? {
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
