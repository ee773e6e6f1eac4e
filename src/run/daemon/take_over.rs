//! What processes have left that are gone, and runs that are gone on with.

use super::{Daemon, Level, Waiting, node_lease, told};
use crate::{
    base::{Cancel, Diagnostic},
    run::{
        record::{self, Options},
        served::Version,
        worker::Plan,
    },
    script::{Origin, Program, Source},
    store::{Fire, RunRecord, RunTexts, StoreError},
};
use std::sync::Arc;

impl Daemon {
    /// Takes over what processes have left that are gone.
    pub(super) fn take_over(&mut self, now: i64) -> Result<(), StoreError> {
        for fire in self.runtime.block_on(self.store.open_fires())? {
            let is_here = self.queue.iter().chain(&self.retries).any(|waiting| is_same(&waiting.fire, &fire))
                || self.running.contains_key(&fire.run);
            if is_here {
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
            if fire.state == "claimed" {
                let to = Fire { node: self.node.clone(), at: now, ..fire.clone() };
                if self.runtime.block_on(self.store.change_fire(&fire, &to))? {
                    self.say(Level::Info, &fire.automation, "", "taken over before it has begun");
                    self.queue.push(Waiting { fire: to, version: None, not_before: now });
                }
                continue;
            }
            self.go_on(&fire, None)?;
        }
        Ok(())
    }

    /// Whether an automation is served here, or was last: several folders may share a store.
    fn is_of_here(&self, automation: &str) -> Result<bool, StoreError> {
        if self.served.versions().contains_key(automation) {
            return Ok(true);
        }
        let record = self.runtime.block_on(self.store.automation(automation))?.unwrap_or_default();
        Ok(record.folder == self.served.folder().display().to_string())
    }

    /// Goes on with the run of a fire, from its journal.
    pub(super) fn go_on(&mut self, fire: &Fire, version: Option<Arc<Version>>) -> Result<(), StoreError> {
        let Some(record) = self.runtime.block_on(self.store.run(&fire.run))? else {
            return self.close(fire, "failed", "the record of its run is gone").map(drop);
        };
        let state = record::state(&self.host, &record);
        match state.as_str() {
            "running" => return Ok(()),
            "done" | "done_with_failures" | "parked" => {
                return self.close(fire, &state, &record.note).map(drop);
            }
            "error" => {
                let version = version.as_ref().or_else(|| self.served.versions().get(&fire.automation));
                let retries = version.map_or(0, |version| version.automation.retries);
                if record.attempt > i64::from(retries) {
                    return self.close(fire, "failed", &record.note).map(drop);
                }
            }
            _ => {}
        }
        let now = self.host.clock.now_ms();
        let to = Fire { node: self.node.clone(), at: now, ..fire.clone() };
        if !self.runtime.block_on(self.store.change_fire(fire, &to))? {
            return Ok(());
        }
        match self.prepare(&record)? {
            Err(diagnostic) => self.close(&to, "failed", &told(&diagnostic)).map(drop),
            Ok(plan) => {
                let taken = self.runtime.block_on(record::take(&self.host, &self.store, &record, None))?;
                let Some(attempt) = taken else { return Ok(()) };
                let text = format!("goes on, attempt {}", attempt.attempt);
                self.say(Level::Info, &fire.automation, &fire.run, &text);
                let version = version.or_else(|| self.served.versions().get(&fire.automation).cloned());
                self.run(Some(to), version, plan, attempt, now);
                Ok(())
            }
        }
    }

    /// A recorded run with the source and everything else that it began with.
    fn prepare(&self, record: &RunRecord) -> Result<Result<Plan, Diagnostic>, StoreError> {
        let texts = self.runtime.block_on(self.store.run_texts(&record.id))?;
        Ok(self.plan_of(&texts))
    }

    fn plan_of(&self, texts: &RunTexts) -> Result<Plan, Diagnostic> {
        let read = |error: serde_json::Error| Diagnostic::new(format!("its record can't be read: {error}"));
        let source: Source = serde_json::from_str(&texts.source).map_err(read)?;
        let options: Options = serde_json::from_str(&texts.options).map_err(read)?;
        let call = options.call.clone().unwrap_or_default();
        let program = Program::load(&Origin::Stored(source)).map_err(|trouble| trouble.diagnostic)?;
        let (cancel, run) = (Cancel::default(), Arc::default());
        let mut connected = self.connected(options.account.as_deref(), &call.automation, &cancel, &run)?;
        connected.options = options;
        Ok(Plan { program: Arc::new(program), call, connected, cancel, run })
    }
}

fn is_same(one: &Fire, other: &Fire) -> bool {
    (&one.automation, &one.source, one.instant) == (&other.automation, &other.source, other.instant)
}
