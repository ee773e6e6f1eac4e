//! What processes have left that are gone, and runs that are gone on with.

use super::{
    DEFAULT_TIMEOUT, Daemon, Level, POLL_INTERVAL, Waiting, key, node_lease,
    preparation::{CONNECTS, Prepared},
    told,
};
use crate::{
    base::Diagnostic,
    run::{
        record::{self, RunOptions},
        registry::Revision,
        worker::HandlerRun,
    },
    script::{Origin, Program, Source},
    store::{Fire, FireState, RunRecord, RunState, RunTexts, StoreError},
};
use std::{collections::HashSet, sync::Arc, time::Duration};

impl Daemon {
    /// Takes over what processes have left that are gone.
    pub(super) fn take_over(&mut self, now: i64) -> Result<(), StoreError> {
        let waiting = self.queue.iter().chain(&self.retries).map(|waiting| key(&waiting.fire));
        let here: HashSet<(String, String, i64)> = waiting.collect();
        for fire in self.runtime.block_on(self.store.open_fires())? {
            if here.contains(&key(&fire)) || self.running.contains_key(&fire.run) {
                continue;
            }
            // Its own that are nowhere here are those that the store did not take in time.
            let lease = node_lease(&fire.node);
            if fire.node != self.node && self.runtime.block_on(self.store.lease_until(&lease))? > now {
                continue;
            }
            if !self.is_of_here(&fire.automation)? {
                continue;
            }
            if fire.state == FireState::Claimed {
                let to = Fire { node: self.node.clone(), at: now, ..fire.clone() };
                if self.runtime.block_on(self.store.change_fire(&fire, &to))? {
                    self.say(Level::Info, &fire.automation, "", "taken over before it has begun");
                    self.queue.push(Waiting { fire: to, revision: None, not_before: now });
                }
                continue;
            }
            self.go_on(&fire, None, Parked::Stays)?;
        }
        Ok(())
    }

    /// Whether an automation is registry here, or was last: several folders may share a store.
    fn is_of_here(&self, automation: &str) -> Result<bool, StoreError> {
        if self.registry.revisions().contains_key(automation) {
            return Ok(true);
        }
        let record = self.runtime.block_on(self.store.automation(automation))?.unwrap_or_default();
        Ok(record.folder == self.registry.folder().display().to_string())
    }

    /// Goes on with the run of a fire, from its journal.
    pub(super) fn go_on(
        &mut self,
        fire: &Fire,
        revision: Option<Arc<Revision>>,
        parked: Parked,
    ) -> Result<(), StoreError> {
        let Some(record) = self.runtime.block_on(self.store.run(&fire.run))? else {
            return self.close(fire, FireState::Failed, "the record of its run is gone").map(drop);
        };
        let state = record::observed_state(&self.host, &record);
        let (mut failures, mut deaths) = (fire.failures, fire.deaths);
        match state {
            RunState::Running => return Ok(()),
            RunState::Done | RunState::DoneWithFailures => {
                let revision = revision.as_ref().or_else(|| self.registry.revisions().get(&fire.automation));
                let closed =
                    if state == RunState::Done { FireState::Done } else { FireState::DoneWithFailures };
                return self.succeed(fire, revision, closed, &record.note);
            }
            RunState::Parked if parked == Parked::Stays => {
                return self.fail_unseen(fire, &record, FireState::Parked);
            }
            // Whether it was counted is told by when the fire was written last.
            RunState::Error if fire.at < record.ended_at => failures += 1,
            // What ends its process does so soon; whoever has run for long was only beside it.
            RunState::Interrupted if parked == Parked::Stays => {
                deaths = if record.beat_at - fire.at < CRASH_WINDOW { deaths + 1 } else { 0 };
            }
            RunState::Parked
            | RunState::Error
            | RunState::Interrupted
            | RunState::Cancelled
            | RunState::Paused => {}
        }
        let present = revision.as_ref().or_else(|| self.registry.revisions().get(&fire.automation));
        let retries = present.map_or(0, |revision| revision.automation.retries);
        if failures > i64::from(retries) {
            return self.fail_unseen(fire, &record, FireState::Failed);
        }
        if deaths > MAX_CRASHES {
            return self.fail_deadly(fire, &record);
        }
        if let Some(by) = self.runtime.block_on(self.store.undone_by(&record.id))? {
            return self.close(fire, FireState::Stopped, &format!("run {by} has taken it back")).map(drop);
        }
        let now = self.host.clock.now_ms();
        let to = Fire { node: self.node.clone(), at: now, failures, deaths, ..fire.clone() };
        if !self.runtime.block_on(self.store.change_fire(fire, &to))? {
            return Ok(());
        }
        let revision = revision.or_else(|| self.registry.revisions().get(&fire.automation).cloned());
        let later =
            |wait: i64| Waiting { fire: to.clone(), revision: revision.clone(), not_before: now + wait };
        let texts = self.runtime.block_on(self.store.run_texts(&record.id))?;
        let options: RunOptions = serde_json::from_str(&texts.options).unwrap_or_default();
        if !self.is_prepared(&to, options.account.as_deref()) {
            self.retries.push(later(CONNECTS));
            return Ok(());
        }
        let prepared = self.take_prepared(&to, options.account.as_deref());
        let plan = match plan_of(&texts, prepared) {
            Ok(plan) => plan,
            Err(NoPlan::Record(diagnostic)) => {
                return self.close(&to, FireState::Failed, &told(&diagnostic)).map(drop);
            }
            // What is half done is not given up for want of an account that may be there again soon.
            Err(NoPlan::Account(diagnostic)) => {
                let timeout =
                    revision.as_ref().map_or(DEFAULT_TIMEOUT, |revision| revision.automation.timeout);
                if now - fire.instant > i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX) {
                    return self.fail_unseen(&to, &record, FireState::Failed);
                }
                let after = humantime::format_duration(Duration::from_millis(ACCOUNT_RETRY.unsigned_abs()));
                let text = format!("can't go on: {}; once more in {after}", told(&diagnostic));
                self.say(Level::Error, &fire.automation, &fire.run, &text);
                self.retries.push(later(ACCOUNT_RETRY));
                return Ok(());
            }
        };
        match self.runtime.block_on(record::resume(&self.host, &self.store, &record, None)) {
            Ok(None) => {}
            Ok(Some(attempt)) => {
                let text = format!("goes on, attempt {}", attempt.attempt);
                self.say(Level::Info, &fire.automation, &fire.run, &text);
                self.run(to, revision, plan, attempt, now);
            }
            Err(error) => self.go_on_later(later(POLL_INTERVAL), &error),
        }
        Ok(())
    }

    /// The fire is this process's by now, and the store fails: it is not left to be found by chance.
    fn go_on_later(&mut self, waiting: Waiting, error: &StoreError) {
        let text = format!("can't go on yet: {error}");
        self.say(Level::Error, &waiting.fire.automation, &waiting.fire.run, &text);
        self.retries.push(waiting);
    }

    /// Ends a fire whose run ends its process, as it seems: it would do so again and again.
    fn fail_deadly(&mut self, fire: &Fire, record: &RunRecord) -> Result<(), StoreError> {
        let name = &fire.automation;
        let note = format!(
            "its process has ended {} times while it was under way; the automation is paused: mpscript unpause {name}",
            fire.deaths + 1
        );
        self.runtime.block_on(self.store.pause_automation(name, i64::MAX))?;
        self.fail_unseen(fire, &RunRecord { note, ..record.clone() }, FireState::Failed)
    }

    /// Ends a fire whose run has failed while nobody was there to see it.
    fn fail_unseen(&mut self, fire: &Fire, record: &RunRecord, state: FireState) -> Result<(), StoreError> {
        let texts = self.runtime.block_on(self.store.run_texts(&record.id))?;
        let options: RunOptions = serde_json::from_str(&texts.options).unwrap_or_default();
        let revision = self.registry.revisions().get(&fire.automation).cloned();
        let call = options.call.unwrap_or_default();
        self.fail(fire, revision.as_ref(), &call, state, (&record.note, &record.note))
    }
}

/// A recorded run with the source and everything else that it began with.
fn plan_of(texts: &RunTexts, prepared: Prepared) -> Result<HandlerRun, NoPlan> {
    let read = |error: serde_json::Error| {
        NoPlan::Record(Diagnostic::new(format!("its record can't be read: {error}")))
    };
    let source: Source = serde_json::from_str(&texts.source).map_err(read)?;
    let options: RunOptions = serde_json::from_str(&texts.options).map_err(read)?;
    if let Some(resume_blocker) = options.resume_blocker() {
        return Err(NoPlan::Record(Diagnostic::new(format!("the run {resume_blocker}"))));
    }
    let call = options.call.clone().unwrap_or_default();
    let program =
        Program::load(&Origin::Stored(source)).map_err(|trouble| NoPlan::Record(trouble.diagnostic))?;
    let Prepared { connected, cancel, run, .. } = prepared;
    let mut connected = connected.map_err(NoPlan::Account)?;
    if let Err(no_client) = &connected.config.client {
        return Err(NoPlan::Account(no_client.0.clone()));
    }
    connected.options = options;
    Ok(HandlerRun { program: Arc::new(program), call, connected, cancel, run })
}

/// What becomes of a run that is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parked {
    /// It waits for a person.
    Stays,
    /// The store that has parked it may be well again.
    GoesOn,
}

/// Why a recorded run can't be gone on with.
enum NoPlan {
    /// Its record can't be read.
    Record(Diagnostic),
    /// Its account can't be called now.
    Account(Diagnostic),
}

/// A process that has ended so soon after a run was begun or gone on with may have ended by it, in milliseconds.
const CRASH_WINDOW: i64 = 60_000;

/// A run that was under way so often when its process ended is given up.
const MAX_CRASHES: i64 = 4;

/// A run whose account can't be called is tried again after so long, in milliseconds.
const ACCOUNT_RETRY: i64 = 60_000;
