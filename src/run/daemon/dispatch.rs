//! From triggers to fires: claims the fires that are due, then starts and resumes what waits.

use super::{
    due_fire::handler_of,
    finish::close_skipped,
    fire_queue::{FireId, QueuedFire},
    fire_runner::FireRunner,
    log::Level,
    recovery::resume,
    start::{StartOutcome, is_bounded, skip_behind_another, skip_beyond_bound, try_start},
    step::{MAX_STEP, POLL_INTERVAL, Progress, StepErrors},
    transition::ResumeCause,
    triggers::{DueTrigger, TriggerId, Triggers},
};
use crate::{
    base::{EpochMs, Stopwatch},
    run::schedule::{
        Schedule,
        due::{DueFire, due},
        trigger::Trigger,
    },
    script::ON_FAILURE,
    store::{AutomationId, Fire, FireKind, FireReason, FireState, StoreError},
};
use std::{collections::BTreeMap, mem};

/// The most fires that are recorded in one transaction.
const MAX_BATCH: usize = 100;

/// The fire of an instant that is due, claimed by this process, or missed.
fn fire_of(id: &TriggerId, due: &DueFire, owner: &str, now: EpochMs) -> Fire {
    let claimed = Fire::claimed(id.automation.clone(), &id.key, due.instant, owner.to_owned(), now);
    match &due.missed {
        Some(reason) => {
            Fire { state: FireState::Missed, reason: FireReason::Note(reason.clone()), ..claimed }
        }
        None => claimed,
    }
}

/// What becomes of a fire once it was to be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inserted {
    /// Another process was faster, and acts on it.
    Theirs,
    /// It is counted as missed.
    Missed,
    /// It is queued.
    Claimed,
}

/// What becomes of a fire that was to be inserted, and was by this process or not.
fn after_insert(due: &DueFire, is_inserted: bool) -> Inserted {
    match (is_inserted, &due.missed) {
        (false, _) => Inserted::Theirs,
        (true, Some(_)) => Inserted::Missed,
        (true, None) => Inserted::Claimed,
    }
}

/// What the log says of missed fires: one line for consecutive ones with the same reason.
fn missed_lines(schedule: &Schedule, missed: &[&DueFire]) -> Vec<String> {
    let line = |group: &[&DueFire]| {
        let [first, rest @ ..] = group else { return None };
        let reason = first.missed.as_deref().unwrap_or_default();
        let from = schedule.show(first.instant);
        Some(match rest.last() {
            None => format!("missed the fire of {from}: {reason}"),
            Some(last) => {
                let (count, to) = (group.len(), schedule.show(last.instant));
                format!("missed {count} fires from {from} to {to}: {reason}")
            }
        })
    };
    missed.chunk_by(|one, other| one.missed == other.missed).filter_map(line).collect()
}

/// Whose turn a queued fire has in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn<'a> {
    /// It is tried.
    Try,
    /// This earlier fire of its handler was tried, and has not started.
    Behind(&'a Fire),
    /// Its next try is later.
    Later,
}

/// Fires of one handler start in order: only the first of each is tried.
fn turn(first: Option<&Fire>, not_before: EpochMs, now: EpochMs) -> Turn<'_> {
    match first {
        Some(first) => Turn::Behind(first),
        None if not_before > now => Turn::Later,
        None => Turn::Try,
    }
}

/// What is done with a queued fire after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterTurn {
    /// It leaves the queue; the next fire of its handler may start as well.
    Remove,
    /// It stays, and is tried again after a time.
    Defer,
    /// It stays, and is tried at the next step.
    Keep,
}

/// What is done with a queued fire; the outcome is `None` when the store failed.
fn after_turn(turn: Turn<'_>, outcome: Option<StartOutcome>) -> AfterTurn {
    match (outcome, turn) {
        (Some(StartOutcome::Handled), _) => AfterTurn::Remove,
        (Some(StartOutcome::Blocked), Turn::Try) | (None, _) => AfterTurn::Defer,
        // One whose account is being connected is tried at each step: the waker comes when it is.
        (Some(StartOutcome::Blocked), Turn::Behind(_) | Turn::Later) | (Some(StartOutcome::Preparing), _) => {
            AfterTurn::Keep
        }
    }
}

/// A trigger with those of its fires that are due.
struct DueFires {
    id: TriggerId,
    trigger: Trigger,
    fires: Vec<DueFire>,
}

/// Records the fires that are due, and queues those that this process was the first to record. Those of several triggers
/// share a transaction: many automations may be due at the same instant.
pub(super) fn enqueue_due(runner: &mut FireRunner, triggers: &mut Triggers) -> Result<Progress, StoreError> {
    let now = runner.process().now();
    let since = Stopwatch::start();
    let (mut group, mut count) = (Vec::new(), 0);
    for DueTrigger { id, last, time } in triggers.due(now) {
        let Some(revision) = runner.loaded().get(&id.automation.name) else { continue };
        let Some(trigger) = revision.trigger(&id.key) else { continue };
        let fires = due(&id.automation.name, trigger, revision.automation.catch_up, last, time);
        count += fires.len();
        group.push(DueFires { id, trigger: trigger.clone(), fires });
        if count >= MAX_BATCH {
            enqueue_fires(runner, triggers, &mem::take(&mut group))?;
            count = 0;
            if since.elapsed() >= MAX_STEP {
                return Ok(Progress::Partial);
            }
        }
    }
    enqueue_fires(runner, triggers, &group)?;
    Ok(Progress::Whole)
}

fn enqueue_fires(
    runner: &mut FireRunner,
    triggers: &mut Triggers,
    group: &[DueFires],
) -> Result<(), StoreError> {
    let now = runner.process().now();
    let mut missed = vec![Vec::new(); group.len()];
    let fires = group.iter().enumerate();
    let fires: Vec<_> = fires.flat_map(|(of, due)| due.fires.iter().map(move |fire| (of, fire))).collect();
    for batch in fires.chunks(MAX_BATCH) {
        let owner = &runner.process().name;
        let records: Vec<Fire> =
            batch.iter().map(|(of, due)| fire_of(&group[*of].id, due, owner, now)).collect();
        let inserted = runner.process().wait(runner.process().store.insert_fires(&records))?;
        for (((of, due), record), is_inserted) in batch.iter().zip(records).zip(inserted) {
            let DueFires { id, trigger, .. } = &group[*of];
            triggers.advance(id.clone(), trigger, due.instant);
            match after_insert(due, is_inserted) {
                Inserted::Theirs => {}
                Inserted::Missed => {
                    runner.process().stats.count_fire(&id.automation, FireState::Missed, now);
                    missed[*of].push(*due);
                }
                Inserted::Claimed => runner.enqueue(record, now),
            }
        }
    }
    for (of, missed) in group.iter().zip(missed) {
        for line in missed_lines(&of.trigger.schedule, &missed) {
            runner.process().log.automation(Level::Warn, &of.id.automation, &line);
        }
    }
    Ok(())
}

/// Starts the claimed fires that may start, and closes those that are skipped.
pub(super) fn start_queued(runner: &mut FireRunner, errors: &mut StepErrors) -> Result<Progress, StoreError> {
    let progress = try_queued(runner, errors);
    let closed = close_all_skipped(runner);
    let progress = progress?;
    errors.absorb(closed)?;
    Ok(progress)
}

/// Records the skipped fires, together: where many automations overlap, each instant skips many. Those that the store does
/// not take are tried again.
fn close_all_skipped(runner: &mut FireRunner) -> Result<(), StoreError> {
    let skipped = runner.take_skipped();
    for (position, batch) in skipped.chunks(MAX_BATCH).enumerate() {
        if let Err(error) = close_skipped(runner.process(), batch) {
            let not_before = runner.process().now() + POLL_INTERVAL;
            for (fire, _) in skipped.iter().skip(position * MAX_BATCH) {
                runner.enqueue(fire.clone(), not_before);
            }
            return Err(error);
        }
    }
    Ok(())
}

fn try_queued(runner: &mut FireRunner, errors: &mut StepErrors) -> Result<Progress, StoreError> {
    let now = runner.process().now();
    let mut tried: BTreeMap<(AutomationId, String), Fire> = BTreeMap::new();
    let mut waiting = runner.queue().resumes_by_kind();
    let mut position = 0;
    let since = Stopwatch::start();
    while let Some(queued) = runner.queue().start_at(position).cloned() {
        if since.elapsed() >= MAX_STEP {
            return Ok(Progress::Partial);
        }
        let id = FireId::from(&queued.fire);
        let key = (queued.fire.automation.clone(), handler_name(runner, &queued.fire));
        let turn = turn(tried.get(&key), queued.not_before, now);
        let before = waiting.entry((queued.fire.automation.clone(), queued.fire.kind)).or_default();
        let outcome = take_turn(runner, &queued, turn);
        let outcome = match outcome {
            Ok(StartOutcome::Blocked) if is_bounded(runner, &queued.fire) => {
                *before += 1;
                Ok(skip_beyond_bound(runner, &queued.fire, *before - 1))
            }
            other => other,
        };
        match after_turn(turn, outcome.as_ref().ok().copied()) {
            AfterTurn::Remove => {
                runner.dequeue_start(&id);
                continue;
            }
            AfterTurn::Defer => runner.defer_start(&id, now + POLL_INTERVAL),
            AfterTurn::Keep => {}
        }
        errors.absorb(outcome)?;
        tried.entry(key).or_insert(queued.fire);
        position += 1;
    }
    Ok(Progress::Whole)
}

/// Tries a queued fire, if it has its turn.
fn take_turn(
    runner: &mut FireRunner,
    queued: &QueuedFire,
    turn: Turn<'_>,
) -> Result<StartOutcome, StoreError> {
    match turn {
        Turn::Behind(first) => Ok(skip_behind_another(runner, &queued.fire, first)),
        Turn::Try => try_start(runner, queued),
        Turn::Later => Ok(StartOutcome::Blocked),
    }
}

/// The handler that a queued fire calls; the failure hook has a place of its own.
fn handler_name(runner: &FireRunner, fire: &Fire) -> String {
    if fire.kind == FireKind::FailureHook {
        return ON_FAILURE.to_owned();
    }
    let revision = runner.loaded().revisions().get(&fire.automation.name);
    revision.and_then(|revision| handler_of(revision, fire)).unwrap_or_default().to_owned()
}

/// Resumes the runs whose delay is over.
pub(super) fn resume_queued(runner: &mut FireRunner, errors: &mut StepErrors) -> Result<(), StoreError> {
    let now = runner.process().now();
    let mut position = 0;
    while let Some(queued) = runner.queue().resume_at(position).cloned() {
        if queued.not_before > now {
            position += 1;
            continue;
        }
        let result = resume(runner, &queued.fire, queued.revision, ResumeCause::Queued);
        if result.is_ok() {
            runner.dequeue_resume(position);
        } else {
            runner.defer_resume(position, now + POLL_INTERVAL);
        }
        errors.absorb(result)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> EpochMs {
        EpochMs::default() + Duration::from_secs(seconds)
    }

    fn due_at(seconds: u64, missed: Option<&str>) -> DueFire {
        DueFire { instant: at(seconds), missed: missed.map(str::to_owned) }
    }

    fn fire_at(due: &DueFire) -> Fire {
        fire_of(&TriggerId::new(&AutomationId::new("店", "日报"), "every 1m"), due, "店/7", at(61))
    }

    #[test]
    fn due_instant_is_claimed() {
        let claimed =
            Fire::claimed(AutomationId::new("店", "日报"), "every 1m", at(60), "店/7".to_owned(), at(61));
        assert_eq!(fire_at(&due_at(60, None)), claimed);
    }

    #[test]
    fn missed_instant_is_recorded_with_its_reason() {
        let fire = fire_at(&due_at(60, Some("no daemon was running")));
        assert_eq!((fire.state, fire.reason.note()), (FireState::Missed, "no daemon was running"));
    }

    #[test]
    fn inserted_fire_is_queued() {
        assert_eq!(after_insert(&due_at(60, None), true), Inserted::Claimed);
    }

    #[test]
    fn inserted_missed_fire_is_counted() {
        assert_eq!(after_insert(&due_at(60, Some("过时")), true), Inserted::Missed);
    }

    #[test]
    fn fire_of_a_faster_process_is_left_to_it() {
        assert_eq!(after_insert(&due_at(60, None), false), Inserted::Theirs);
    }

    #[test]
    fn missed_fire_of_a_faster_process_is_not_counted() {
        assert_eq!(after_insert(&due_at(60, Some("过时")), false), Inserted::Theirs);
    }

    fn lines(missed: &[DueFire]) -> Vec<String> {
        let every = Schedule::every("1m").expect("it is an interval");
        missed_lines(&every, &missed.iter().collect::<Vec<_>>())
    }

    #[test]
    fn no_missed_fire_has_no_line() {
        assert_eq!(lines(&[]), Vec::<String>::new());
    }

    #[test]
    fn one_missed_fire_is_named() {
        let expected = "missed the fire of Thu 1970-01-01 00:01:00 +00:00: 过时";
        assert_eq!(lines(&[due_at(60, Some("过时"))]), [expected]);
    }

    #[test]
    fn missed_fires_with_one_reason_are_summed_up() {
        let expected =
            "missed 3 fires from Thu 1970-01-01 00:01:00 +00:00 to Thu 1970-01-01 00:03:00 +00:00: 过时";
        assert_eq!(lines(&[60, 120, 180].map(|at| due_at(at, Some("过时")))), [expected]);
    }

    #[test]
    fn missed_fires_with_two_reasons_have_two_lines() {
        let seen = lines(&[due_at(60, Some("过时")), due_at(120, Some("停用"))]);
        let expected = [
            "missed the fire of Thu 1970-01-01 00:01:00 +00:00: 过时",
            "missed the fire of Thu 1970-01-01 00:02:00 +00:00: 停用",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn first_fire_of_a_handler_is_tried_when_its_time_has_come() {
        assert_eq!(turn(None, at(60), at(60)), Turn::Try);
    }

    #[test]
    fn first_fire_of_a_handler_is_not_tried_before_its_time() {
        assert_eq!(turn(None, at(61), at(60)), Turn::Later);
    }

    #[test]
    fn second_fire_of_a_handler_is_behind_the_first() {
        let first = fire_at(&due_at(60, None));
        assert_eq!(turn(Some(&first), at(60), at(60)), Turn::Behind(&first));
    }

    #[test]
    fn started_fire_leaves_the_queue() {
        assert_eq!(after_turn(Turn::Try, Some(StartOutcome::Handled)), AfterTurn::Remove);
    }

    #[test]
    fn fire_skipped_behind_another_leaves_the_queue() {
        let first = fire_at(&due_at(60, None));
        assert_eq!(after_turn(Turn::Behind(&first), Some(StartOutcome::Handled)), AfterTurn::Remove);
    }

    #[test]
    fn blocked_fire_is_deferred() {
        assert_eq!(after_turn(Turn::Try, Some(StartOutcome::Blocked)), AfterTurn::Defer);
    }

    #[test]
    fn blocked_fire_that_was_not_tried_is_kept() {
        assert_eq!(after_turn(Turn::Later, Some(StartOutcome::Blocked)), AfterTurn::Keep);
    }

    #[test]
    fn blocked_fire_behind_another_is_kept() {
        let first = fire_at(&due_at(60, None));
        assert_eq!(after_turn(Turn::Behind(&first), Some(StartOutcome::Blocked)), AfterTurn::Keep);
    }

    #[test]
    fn fire_whose_account_is_being_connected_is_kept() {
        assert_eq!(after_turn(Turn::Try, Some(StartOutcome::Preparing)), AfterTurn::Keep);
    }

    #[test]
    fn fire_that_the_store_did_not_take_is_deferred() {
        let first = fire_at(&due_at(60, None));
        assert_eq!(after_turn(Turn::Behind(&first), None), AfterTurn::Defer);
    }
}
