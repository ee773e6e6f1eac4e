//! From triggers to fires: claims the fires that are due, then starts and resumes what waits.

use super::{
    fire_queue::{FireId, QueuedFire},
    log::Level,
    recovery::resume,
    start::{FireRunner, StartOutcome, handler_of},
    step::{MAX_STEP, POLL_INTERVAL, Progress, StepErrors},
    transition::ResumeCause,
    triggers::{TriggerId, Triggers},
};
use crate::{
    base::{EpochMs, Stopwatch},
    run::{
        registry::Revision,
        schedule::{
            due::{DueFire, due},
            trigger::Trigger,
        },
    },
    script::ON_FAILURE,
    store::{AutomationId, Fire, FireKind, FireReason, FireState, StoreError},
};
use std::collections::BTreeMap;

/// The most fires that are recorded in one transaction.
const MAX_BATCH: usize = 100;

/// Records the fires that are due, and queues those that this process was the first to record.
pub(super) fn enqueue_due(runner: &mut FireRunner, triggers: &mut Triggers) -> Result<Progress, StoreError> {
    let now = runner.process.now();
    let since = Stopwatch::start();
    for (id, time) in triggers.due(now) {
        if since.elapsed() >= MAX_STEP {
            return Ok(Progress::Partial);
        }
        let Some(revision) = runner.loaded.get(&id.automation.name) else {
            continue;
        };
        let Some(trigger) = revision.trigger(&id.key) else { continue };
        let Some(last) = triggers.last(&id) else { continue };
        enqueue_fires_of(runner, triggers, &id, &revision, trigger, last, time)?;
    }
    Ok(Progress::Whole)
}

fn enqueue_fires_of(
    runner: &mut FireRunner,
    triggers: &mut Triggers,
    id: &TriggerId,
    revision: &Revision,
    trigger: &Trigger,
    last: EpochMs,
    time: EpochMs,
) -> Result<(), StoreError> {
    let now = runner.process.now();
    let due = due(&id.automation.name, trigger, revision.automation.catch_up, last, time);
    let mut missed = Vec::new();
    for batch in due.chunks(MAX_BATCH) {
        let fires: Vec<Fire> = batch.iter().map(|due| fire_of(runner, id, due, now)).collect();
        let inserted = runner.process.wait(runner.process.store.insert_fires(&fires))?;
        if let Some(latest) = batch.last() {
            triggers.advance(id.clone(), trigger, latest.instant);
        }
        let ours = batch.iter().zip(fires).zip(inserted).filter(|(_, inserted)| *inserted);
        for ((due, fire), _) in ours {
            if due.missed.is_some() {
                runner.process.stats.count_fire(&id.automation, FireState::Missed, now);
                missed.push(due);
            } else {
                runner.queue.push_start(QueuedFire { fire, revision: None, not_before: now });
            }
        }
    }
    log_missed(runner, &id.automation, trigger, &missed);
    Ok(())
}

fn fire_of(runner: &FireRunner, id: &TriggerId, due: &DueFire, now: EpochMs) -> Fire {
    let owner = runner.process.name.clone();
    let claimed = Fire::claimed(id.automation.clone(), &id.key, due.instant, owner, now);
    match &due.missed {
        Some(reason) => {
            Fire { state: FireState::Missed, reason: FireReason::Note(reason.clone()), ..claimed }
        }
        None => claimed,
    }
}

/// Logs missed fires: one line for consecutive ones with the same reason.
fn log_missed(runner: &FireRunner, automation: &AutomationId, trigger: &Trigger, missed: &[&DueFire]) {
    for group in missed.chunk_by(|one, other| one.missed == other.missed) {
        let [first, rest @ ..] = group else { continue };
        let reason = first.missed.as_deref().unwrap_or_default();
        let from = trigger.schedule.show(first.instant);
        let text = match rest.last() {
            None => format!("missed the fire of {from}: {reason}"),
            Some(last) => {
                let (count, to) = (group.len(), trigger.schedule.show(last.instant));
                format!("missed {count} fires from {from} to {to}: {reason}")
            }
        };
        runner.process.log.automation(Level::Warn, automation, &text);
    }
}

/// Starts the claimed fires that may start.
pub(super) fn start_queued(runner: &mut FireRunner, errors: &mut StepErrors) -> Result<Progress, StoreError> {
    let now = runner.process.now();
    // Fires of one handler start in order: only the first of each is tried.
    let mut tried: BTreeMap<(AutomationId, String), Fire> = BTreeMap::new();
    let mut waiting = runner.queue.resumes_by_kind();
    let mut position = 0;
    let since = Stopwatch::start();
    while let Some(queued) = runner.queue.start_at(position).cloned() {
        if since.elapsed() >= MAX_STEP {
            return Ok(Progress::Partial);
        }
        let id = FireId::from(&queued.fire);
        let key = (queued.fire.automation.clone(), handler_name(runner, &queued.fire));
        let outcome = match tried.get(&key) {
            Some(first) => runner.skip_behind_another(&queued.fire, first),
            None if queued.not_before > now => Ok(StartOutcome::Blocked),
            None => runner.try_start(&queued),
        };
        let is_tried = queued.not_before <= now && !tried.contains_key(&key);
        let before = waiting.entry((queued.fire.automation.clone(), queued.fire.kind)).or_default();
        let outcome = match outcome {
            Ok(StartOutcome::Blocked) if runner.is_bounded(&queued.fire) => {
                *before += 1;
                runner.skip_beyond_bound(&queued.fire, *before - 1)
            }
            other => other,
        };
        match outcome {
            Ok(StartOutcome::Handled) => {
                runner.queue.remove_start(&id);
                // The next fire of the handler may start as well.
                continue;
            }
            Ok(StartOutcome::Blocked) if is_tried => runner.queue.defer_start(&id, now + POLL_INTERVAL),
            // It is tried at each step: the waker comes when its account is connected.
            Ok(StartOutcome::Preparing | StartOutcome::Blocked) => {}
            Err(error) => {
                runner.queue.defer_start(&id, now + POLL_INTERVAL);
                errors.absorb::<()>(Err(error))?;
            }
        }
        tried.entry(key).or_insert(queued.fire);
        position += 1;
    }
    Ok(Progress::Whole)
}

/// The handler that a queued fire calls; the failure hook has a place of its own.
fn handler_name(runner: &FireRunner, fire: &Fire) -> String {
    if fire.kind == FireKind::FailureHook {
        return ON_FAILURE.to_owned();
    }
    let revision = runner.loaded.revisions().get(&fire.automation.name);
    revision.and_then(|revision| handler_of(revision, fire)).unwrap_or_default().to_owned()
}

/// Resumes the runs whose delay is over.
pub(super) fn resume_queued(runner: &mut FireRunner, errors: &mut StepErrors) -> Result<(), StoreError> {
    let now = runner.process.now();
    let mut position = 0;
    while let Some(queued) = runner.queue.resume_at(position).cloned() {
        if queued.not_before > now {
            position += 1;
            continue;
        }
        let result = resume(runner, &queued.fire, queued.revision, ResumeCause::Queued);
        if result.is_ok() {
            runner.queue.remove_resume_at(position);
        } else {
            runner.queue.defer_resume_at(position, now + POLL_INTERVAL);
        }
        errors.absorb(result)?;
    }
    Ok(())
}
