//! From a fire to its run: whether it may begin, and what it starts_at with.

use super::{
    Begun, DEFAULT_TIMEOUT, Daemon, HEARTBEAT_TTL, Level, Running, Stopped, Waiting, preparation::Prepared,
    told,
};
use crate::{
    bulk::Attempt,
    run::{
        automation_state,
        record::RunOptions,
        registry::Revision,
        schedule::due::starts_at,
        worker::{self, HandlerRun},
    },
    script::{HANDLER, HandlerCall, ON_FAILURE, Overlap, Parameter},
    store::{FAILURE_OF, Fire, FireState, RunEnd, RunState, StoreError},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// A fire that was claimed so long after it should have begun is one for which nobody was there, in milliseconds.
const DOWNTIME_THRESHOLD: i64 = 5_000;

impl Daemon {
    /// Begins with a fire, or says why it does not.
    pub(super) fn begin(&mut self, waiting: &Waiting, now: i64) -> Result<Begun, StoreError> {
        let fire = &waiting.fire;
        if fire.source.starts_with(FAILURE_OF) {
            return self.let_hear(waiting);
        }
        let Some(revision) = self.registry.revisions().get(&fire.automation).cloned() else {
            return self.close(fire, FireState::Skipped, "the automation is gone").map(|_| Begun::Over);
        };
        if !revision.triggers.iter().any(|trigger| trigger.key == fire.source) {
            return self.close(fire, FireState::Skipped, "its trigger is no more").map(|_| Begun::Over);
        }
        let record = self.runtime.block_on(self.store.automation(&fire.automation))?.unwrap_or_default();
        if record.paused_until > fire.instant {
            return self.close(fire, FireState::Skipped, "it is paused").map(|_| Begun::Over);
        }
        let (overlap, account) = (revision.automation.overlap, revision.automation.account.clone());
        if overlap == Overlap::Parallel {
            if !self.is_prepared(fire, account.as_deref()) {
                return Ok(Begun::Connects);
            }
            return self.start(fire, &revision).map(|()| Begun::Over);
        }
        // Whoever must wait, or does not run at all, needs nothing to hold.
        if let Some(begun) = self.meets(fire, &revision)? {
            return Ok(begun);
        }
        if !self.is_prepared(fire, account.as_deref()) {
            return Ok(Begun::Connects);
        }
        // Nobody else may begin with the same automation between the look and the start.
        let lease = format!("begin {}", fire.automation);
        if !self.runtime.block_on(self.store.take_lease(&lease, &self.node, now, now + HEARTBEAT_TTL))? {
            return Ok(Begun::Waits);
        }
        let begun = match self.meets(fire, &revision) {
            Ok(None) => self.start(fire, &revision).map(|()| Begun::Over),
            Ok(Some(begun)) => Ok(begun),
            Err(error) => Err(error),
        };
        self.runtime.block_on(self.store.give_lease_back(&lease, &self.node))?;
        begun
    }

    /// What becomes of a fire of an automation whose runs do not overlap, while one is under way.
    fn meets(&mut self, fire: &Fire, revision: &Arc<Revision>) -> Result<Option<Begun>, StoreError> {
        let other = self.runtime.block_on(self.store.fire_under_way(&fire.automation))?;
        let Some(other) = other else { return Ok(None) };
        // It has begun itself, and the store's answer was lost: it is found again by whoever takes over.
        if (&other.source, other.instant) == (&fire.source, fire.instant) {
            return Ok(Some(Begun::Over));
        }
        let trigger = revision.triggers.iter().find(|trigger| trigger.key == fire.source);
        let starts_at =
            trigger.map_or(fire.instant, |trigger| starts_at(&fire.automation, trigger, fire.instant));
        match revision.automation.overlap {
            // What is caught up comes one after another.
            Overlap::Forbid if fire.at - starts_at < DOWNTIME_THRESHOLD => {
                let reason = format!("run {} was still under way", other.run);
                return self.close(fire, FireState::Skipped, &reason).map(|_| Some(Begun::Over));
            }
            Overlap::Replace => self.replace(&other)?,
            Overlap::Forbid | Overlap::Queue | Overlap::Parallel => {}
        }
        Ok(Some(Begun::Waits))
    }

    /// Ends the run of a fire for the sake of a later one.
    fn replace(&mut self, other: &Fire) -> Result<(), StoreError> {
        if let Some(running) = self.running.get_mut(&other.run) {
            running.stopped.get_or_insert(Stopped::Replaced);
            running.cancel.cancel();
            return Ok(());
        }
        if let Some(at) = self.retries.iter().position(|waiting| waiting.fire.run == other.run) {
            self.close(other, FireState::Stopped, "a later fire has replaced it")?;
            self.retries.remove(at);
            return Ok(());
        }
        self.runtime.block_on(self.store.ask_to_stop(&other.run))
    }

    /// Makes the run of a fire.
    fn start(&mut self, fire: &Fire, revision: &Arc<Revision>) -> Result<(), StoreError> {
        let trigger = revision.triggers.iter().find(|trigger| trigger.key == fire.source);
        let given = BTreeMap::new();
        let (params, missing) = match Parameter::values(&revision.automation.params, &given) {
            Ok(params) => (params, None),
            Err(diagnostic) => (Map::default(), Some(told(&diagnostic))),
        };
        let call = HandlerCall {
            automation: fire.automation.clone(),
            handler: trigger.map_or(HANDLER, |trigger| &trigger.handler).to_owned(),
            trigger: fire.source.clone(),
            scheduled_ms: fire.instant,
            scheduled: trigger.map(|trigger| trigger.schedule.rfc3339(fire.instant)).unwrap_or_default(),
            params,
            state: self.runtime.block_on(automation_state(&self.store, &fire.automation))?,
            error: None,
        };
        if let Some(reason) = missing {
            return self.fail(fire, Some(revision), &call, FireState::Failed, (&reason, &reason));
        }
        self.launch(fire, revision, call)
    }

    /// Lets an automation hear of a failure.
    fn let_hear(&mut self, waiting: &Waiting) -> Result<Begun, StoreError> {
        let fire = &waiting.fire;
        let present = || self.registry.revisions().get(&fire.automation).cloned();
        let revision = waiting.revision.clone().or_else(present);
        let Some(revision) = revision.filter(|revision| revision.automation.has_failure_hook) else {
            let reason = "nobody wants to hear of it any more";
            return self.close(fire, FireState::Skipped, reason).map(|_| Begun::Over);
        };
        if !self.is_prepared(fire, revision.automation.account.as_deref()) {
            return Ok(Begun::Connects);
        }
        let error: Value = serde_json::from_str(&fire.reason).unwrap_or_default();
        let call = HandlerCall {
            automation: fire.automation.clone(),
            handler: ON_FAILURE.to_owned(),
            trigger: fire.source.clone(),
            scheduled_ms: fire.instant,
            scheduled: error["scheduled"].as_str().unwrap_or_default().to_owned(),
            params: Parameter::values(&revision.automation.params, &BTreeMap::new()).unwrap_or_default(),
            state: self.runtime.block_on(automation_state(&self.store, &fire.automation))?,
            error: Some(error),
        };
        self.launch(fire, &revision, call).map(|()| Begun::Over)
    }

    /// Records a run and starts it, for a fire or to hear of a failure.
    pub(super) fn launch(
        &mut self,
        fire: &Fire,
        revision: &Arc<Revision>,
        call: HandlerCall,
    ) -> Result<(), StoreError> {
        let automation = &revision.automation;
        let Prepared { connected, cancel, run, .. } = self.take_prepared(fire, automation.account.as_deref());
        let mut connected = match connected {
            Ok(connected) => connected,
            Err(diagnostic) => {
                let reason = told(&diagnostic);
                return self.fail(fire, Some(revision), &call, FireState::Failed, (&reason, &reason));
            }
        };
        connected.options = RunOptions {
            max_changes: automation.limits.changes,
            max_errors: automation.limits.errors,
            call: Some(call.clone()),
            ..connected.options
        };
        let plan = HandlerRun { program: Arc::clone(&revision.program), call, connected, cancel, run };
        let Some(attempt) = self.runtime.block_on(worker::begin(&self.host, &self.store, &plan))? else {
            return Ok(());
        };
        let now = self.host.clock.now_ms();
        let running = Fire {
            state: FireState::Running,
            reason: String::new(),
            run: attempt.run.clone(),
            node: self.node.clone(),
            at: now,
            ..fire.clone()
        };
        if !self.runtime.block_on(self.store.change_fire(fire, &running))? {
            // Somebody has taken it for dead and has it now.
            let note = "another process has its fire";
            let end = RunEnd {
                run: &attempt.run,
                attempt: 1,
                state: RunState::Cancelled,
                note,
                now,
                ..RunEnd::default()
            };
            self.runtime.block_on(self.store.end_run(&end))?;
            return Ok(());
        }
        let trigger = revision.triggers.iter().find(|trigger| trigger.key == fire.source);
        if let Some(trigger) = trigger {
            self.stats.begun(now - starts_at(&fire.automation, trigger, fire.instant));
        }
        self.say(Level::Info, &revision.name, &attempt.run, &format!("started by {}", plan.call.trigger));
        self.run(running, Some(Arc::clone(revision)), plan, attempt, now);
        Ok(())
    }

    pub(super) fn run(
        &mut self,
        fire: Fire,
        revision: Option<Arc<Revision>>,
        plan: HandlerRun,
        attempt: Attempt,
        now: i64,
    ) {
        let timeout = revision.as_ref().map_or(DEFAULT_TIMEOUT, |revision| revision.automation.timeout);
        let deadline = now.saturating_add(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        let cancel = plan.cancel.clone();
        let (run, automation) = (attempt.run.clone(), plan.call.automation.clone());
        let _ = plan.run.set(run.clone());
        match worker::start(&self.runtime, plan, attempt, &self.ended.0, &self.wake) {
            Ok(thread) => {
                let running = Running { fire, revision, cancel, deadline, stopped: None, thread };
                self.running.insert(run, running);
            }
            // Its record is silent from now on, and somebody takes it over.
            Err(error) => self.say(Level::Error, &automation, &run, &format!("no thread for it: {error}")),
        }
    }
}
