//! Fires whose time has come are claimed, and begin as soon as they may.

use super::{
    Begun, Daemon, Level, MAX_STEP, POLL_INTERVAL, Waiting, go_on_after, key, next_start,
    preparation::CONNECTS, recovery::Parked,
};
use crate::{
    base::Stopwatch,
    run::schedule::{due::due, trigger::Trigger},
    store::{Fire, FireState, StoreError},
};
use std::{collections::BTreeSet, sync::Arc};

/// So many fires are recorded together at the most.
const MAX_BATCH: usize = 100;

impl Daemon {
    /// Claims what has come.
    pub(super) fn fire_due(&mut self) -> Result<(), StoreError> {
        let now = self.host.clock.now_ms();
        let due_now: Vec<(String, String)> = self
            .armed
            .iter()
            .filter(|(_, armed)| armed.next.is_some_and(|next| next <= now))
            .map(|(id, _)| id.clone())
            .collect();
        let since = Stopwatch::start();
        for (name, key) in due_now {
            if since.elapsed() >= MAX_STEP {
                self.is_behind = true;
                return Ok(());
            }
            let Some(revision) = self.registry.revisions().get(&name).map(Arc::clone) else { continue };
            let Some(trigger) = revision.triggers.iter().find(|trigger| trigger.key == key) else { continue };
            let last = self.armed[&(name.clone(), key.clone())].last;
            let come: Vec<Fire> = due(&name, trigger, revision.automation.catch_up, last, now)
                .into_iter()
                .map(|one| Fire {
                    automation: name.clone(),
                    source: key.clone(),
                    instant: one.instant,
                    state: if one.missed.is_some() { FireState::Missed } else { FireState::Claimed },
                    reason: one.missed.unwrap_or_default(),
                    run: String::new(),
                    node: self.node.clone(),
                    at: now,
                    ..Fire::default()
                })
                .collect();
            let mut missed = Vec::new();
            for together in come.chunks(MAX_BATCH) {
                let are_ours = self.runtime.block_on(self.store.add_fires(together))?;
                if let (Some(armed), Some(latest)) =
                    (self.armed.get_mut(&(name.clone(), key.clone())), together.last())
                {
                    armed.last = latest.instant;
                    armed.next = next_start(&name, trigger, latest.instant);
                }
                for (fire, _) in together.iter().zip(are_ours).filter(|(_, is_ours)| *is_ours) {
                    if fire.state == FireState::Missed {
                        self.stats.ended(&name, FireState::Missed, now);
                        missed.push((fire.instant, fire.reason.as_str()));
                    } else {
                        self.queue.push(Waiting { fire: fire.clone(), revision: None, not_before: now });
                    }
                }
            }
            self.tell_missed(&name, trigger, &missed);
        }
        Ok(())
    }

    /// Says of fires that do not run why they do not: once for those that share a reason.
    fn tell_missed(&self, name: &str, trigger: &Trigger, missed: &[(i64, &str)]) {
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
    pub(super) fn go_on_waiting(&mut self) -> Result<(), StoreError> {
        let now = self.host.clock.now_ms();
        let mut done = Ok(());
        // Of each automation the first that waits is tried; those behind it wait for it.
        let mut tried = BTreeSet::new();
        let mut at = 0;
        let since = Stopwatch::start();
        while let Some(waiting) = self.queue.get(at).cloned() {
            if since.elapsed() >= MAX_STEP {
                self.is_behind = true;
                return done;
            }
            let is_first = tried.insert(waiting.fire.automation.clone());
            if is_first && waiting.not_before <= now {
                match self.begin(&waiting, now) {
                    Ok(Begun::Over) => {
                        // Somebody who hears of its failure may stand before it by now.
                        let begun = key(&waiting.fire);
                        self.queue.retain(|waiting| key(&waiting.fire) != begun);
                        // The next one of the same automation may begin as well.
                        tried.remove(&waiting.fire.automation);
                        continue;
                    }
                    Ok(Begun::Waits) => self.queue[at].not_before = now + POLL_INTERVAL,
                    Ok(Begun::Connects) => self.queue[at].not_before = now + CONNECTS,
                    Err(error) => {
                        let failed = key(&waiting.fire);
                        let of = self.queue.iter_mut().filter(|waiting| key(&waiting.fire) == failed);
                        of.for_each(|waiting| waiting.not_before = now + POLL_INTERVAL);
                        done = go_on_after(done, error)?;
                    }
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
            match self.go_on(&waiting.fire, waiting.revision, Parked::GoesOn) {
                Ok(()) => drop(self.retries.remove(at)),
                Err(error) => {
                    self.retries[at].not_before = now + POLL_INTERVAL;
                    done = go_on_after(done, error)?;
                }
            }
        }
        done
    }
}
