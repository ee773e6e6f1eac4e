//! From triggers to fires: claims the fires that are due, then starts and resumes what waits.

use super::{
    Daemon, MAX_STEP, POLL_INTERVAL,
    fire_queue::{FireId, QueuedFire},
    log::Level,
    start::{StartOutcome, handler_of},
    step_errors::StepErrors,
    transition::ResumeCause,
    triggers::TriggerId,
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
    store::{AutomationId, Fire, FireKind, FireState, StoreError},
};
use std::collections::BTreeMap;

/// The most fires that are recorded in one transaction.
const MAX_BATCH: usize = 100;

impl Daemon {
    /// Records the fires that are due, and queues those that this process was the first to record.
    pub(super) fn enqueue_due(&mut self) -> Result<(), StoreError> {
        let now = self.process.now();
        let since = Stopwatch::start();
        for (id, time) in self.triggers.due(now) {
            if since.elapsed() >= MAX_STEP {
                self.has_backlog = true;
                return Ok(());
            }
            let Some(revision) = self.loaded.get(&id.automation.name) else {
                continue;
            };
            let Some(trigger) = revision.trigger(&id.key) else { continue };
            let Some(last) = self.triggers.last(&id) else { continue };
            self.enqueue_fires_of(&id, &revision, trigger, last, time)?;
        }
        Ok(())
    }

    fn enqueue_fires_of(
        &mut self,
        id: &TriggerId,
        revision: &Revision,
        trigger: &Trigger,
        last: EpochMs,
        time: EpochMs,
    ) -> Result<(), StoreError> {
        let now = self.process.now();
        let due = due(&id.automation.name, trigger, revision.automation.catch_up, last, time);
        let mut missed = Vec::new();
        for batch in due.chunks(MAX_BATCH) {
            let fires: Vec<Fire> = batch.iter().map(|due| self.fire_of(id, due, now)).collect();
            let inserted = self.process.wait(self.process.store.insert_fires(&fires))?;
            if let Some(latest) = batch.last() {
                self.triggers.advance(id.clone(), trigger, latest.instant);
            }
            let ours = batch.iter().zip(fires).zip(inserted).filter(|(_, inserted)| *inserted);
            for ((due, fire), _) in ours {
                if due.missed.is_some() {
                    self.process.stats.count_fire(&id.automation, FireState::Missed, now);
                    missed.push(due);
                } else {
                    self.queue.push_start(QueuedFire { fire, revision: None, not_before: now });
                }
            }
        }
        self.log_missed(&id.automation, trigger, &missed);
        Ok(())
    }

    fn fire_of(&self, id: &TriggerId, due: &DueFire, now: EpochMs) -> Fire {
        let owner = self.process.name.clone();
        let claimed = Fire::claimed(id.automation.clone(), &id.key, due.instant, owner, now);
        match &due.missed {
            Some(reason) => Fire { state: FireState::Missed, reason: reason.clone(), ..claimed },
            None => claimed,
        }
    }

    /// Logs missed fires: one line for consecutive ones with the same reason.
    fn log_missed(&self, automation: &AutomationId, trigger: &Trigger, missed: &[&DueFire]) {
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
            self.process.log.automation(Level::Warn, automation, &text);
        }
    }

    /// Starts the claimed fires that may start.
    pub(super) fn start_queued(&mut self, errors: &mut StepErrors) -> Result<(), StoreError> {
        let now = self.process.now();
        // Fires of one handler start in order: only the first of each is tried.
        let mut tried: BTreeMap<(AutomationId, String), Fire> = BTreeMap::new();
        let mut waiting = self.queue.resumes_by_kind();
        let mut position = 0;
        let since = Stopwatch::start();
        while let Some(queued) = self.queue.start_at(position).cloned() {
            if since.elapsed() >= MAX_STEP {
                self.has_backlog = true;
                return Ok(());
            }
            let id = FireId::from(&queued.fire);
            let key = (queued.fire.automation.clone(), self.handler_name(&queued.fire));
            let outcome = match tried.get(&key) {
                Some(first) => self.skip_behind_another(&queued.fire, first),
                None if queued.not_before > now => Ok(StartOutcome::Blocked),
                None => self.try_start(&queued, now),
            };
            let is_tried = queued.not_before <= now && !tried.contains_key(&key);
            let before = waiting.entry((queued.fire.automation.clone(), queued.fire.kind)).or_default();
            let outcome = match outcome {
                Ok(StartOutcome::Blocked) if self.is_bounded(&queued.fire) => {
                    *before += 1;
                    self.skip_beyond_bound(&queued.fire, *before - 1)
                }
                other => other,
            };
            match outcome {
                Ok(StartOutcome::Handled) => {
                    self.queue.remove_start(&id);
                    // The next fire of the handler may start as well.
                    continue;
                }
                Ok(StartOutcome::Blocked) if is_tried => self.queue.defer_start(&id, now + POLL_INTERVAL),
                // It is tried at each step: the waker comes when its account is connected.
                Ok(StartOutcome::Preparing | StartOutcome::Blocked) => {}
                Err(error) => {
                    self.queue.defer_start(&id, now + POLL_INTERVAL);
                    errors.absorb(Err(error))?;
                }
            }
            tried.entry(key).or_insert(queued.fire);
            position += 1;
        }
        Ok(())
    }

    /// The handler that a queued fire calls; the failure hook has a place of its own.
    fn handler_name(&self, fire: &Fire) -> String {
        if fire.kind == FireKind::FailureHook {
            return ON_FAILURE.to_owned();
        }
        let revision = self.loaded.revisions().get(&fire.automation.name);
        revision.and_then(|revision| handler_of(revision, fire)).unwrap_or_default().to_owned()
    }

    /// Resumes the runs whose delay is over.
    pub(super) fn resume_queued(&mut self, errors: &mut StepErrors) -> Result<(), StoreError> {
        let now = self.process.now();
        let mut position = 0;
        while let Some(queued) = self.queue.resume_at(position).cloned() {
            if queued.not_before > now {
                position += 1;
                continue;
            }
            let result = self.resume(&queued.fire, queued.revision, ResumeCause::Queued);
            if result.is_ok() {
                self.queue.remove_resume_at(position);
            } else {
                self.queue.defer_resume_at(position, now + POLL_INTERVAL);
            }
            errors.absorb(result)?;
        }
        Ok(())
    }
}
