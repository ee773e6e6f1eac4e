//! What a scan of the folder has found becomes known: to the store, to the log, and to the triggers that are waited for.

use super::{Armed, DAEMON_LEASE, Daemon, Level, RUNS_LAST_GOOD, RUNS_NOTHING, next_start, told};
use crate::{
    run::{registry::RegistryEvent, schedule::trigger::Trigger},
    store::{Fire, FireState, StoreError},
};
use std::{io, sync::Arc};

impl Daemon {
    /// Looks at the folder, and takes over what has changed.
    ///
    /// # Errors
    /// When the folder can't be listed, or the store fails.
    pub fn scan(&mut self) -> Result<(), ScanError> {
        self.changes.extend(self.registry.scan()?);
        if !self.is_known {
            let gone = self.gone_meanwhile()?;
            self.changes.extend(gone);
            self.is_known = true;
        }
        self.apply_changes()?;
        Ok(())
    }

    /// Makes known what a scan has found; what the store does not take now it takes at the next step.
    pub(super) fn apply_changes(&mut self) -> Result<(), StoreError> {
        let folder = self.registry.folder().display().to_string();
        let now = self.host.clock.now_ms();
        while let Some(change) = self.changes.front().cloned() {
            match &change {
                RegistryEvent::Live(name) => {
                    self.tell_namesake(name, &folder, now)?;
                    let source =
                        self.registry.revisions().get(name).map(|revision| revision.program.source());
                    let source = serde_json::to_string(&source).unwrap_or_default();
                    self.runtime.block_on(self.store.serve_automation(name, &folder, &source, now))?;
                    self.arm(name, now)?;
                    if let Some(at) = self.runtime.block_on(self.store.last_success(name))? {
                        self.stats.lock().last_success.insert(name.clone(), at);
                    }
                    self.say(Level::Info, name, "", "live");
                    self.try_account(name);
                }
                RegistryEvent::Stale(name, diagnostic) => {
                    self.tell_namesake(name, &folder, now)?;
                    let reason = told(diagnostic);
                    if !self.registry.revisions().contains_key(name) {
                        let record = self.runtime.block_on(self.store.automation(name))?.unwrap_or_default();
                        self.registry.revive(&record);
                    }
                    self.arm(name, now)?;
                    let goes_on = if self.registry.revisions().contains_key(name) {
                        RUNS_LAST_GOOD
                    } else {
                        RUNS_NOTHING
                    };
                    let stale = format!("{reason}; {goes_on}");
                    self.runtime.block_on(self.store.mark_stale(name, &folder, &stale, now))?;
                    self.say(Level::Error, name, "", &format!("STALE {stale}"));
                }
                RegistryEvent::Removed(name) => {
                    self.arm(name, now)?;
                    self.runtime.block_on(self.store.forget_good(name, &folder))?;
                    self.stats.lock().last_success.remove(name);
                    self.say(Level::Info, name, "", "gone: its triggers fire no more");
                }
            }
            self.changes.pop_front();
        }
        let mut stats = self.stats.lock();
        stats.live = self.registry.revisions().keys().cloned().collect();
        stats.stale = self.registry.stale().len();
        Ok(())
    }

    /// What was registry from the folder while another process did so, and is there no more, or says no more when it runs.
    fn gone_meanwhile(&mut self) -> Result<Vec<RegistryEvent>, StoreError> {
        let folder = self.registry.folder().display().to_string();
        let records = self.runtime.block_on(self.store.automations())?;
        let is_gone = |name: &String| {
            !self.registry.revisions().contains_key(name) && !self.registry.stale().contains_key(name)
        };
        let was_here =
            records.into_iter().filter(|record| record.folder == folder && !record.good.is_empty());
        let gone: Vec<String> = was_here.map(|record| record.name).filter(is_gone).collect();
        Ok(gone.into_iter().map(|name| self.registry.missing(name)).collect())
    }

    /// Two folders that share a store share what is kept of automations of one name.
    fn tell_namesake(&self, name: &str, folder: &str, now: i64) -> Result<(), StoreError> {
        let record = self.runtime.block_on(self.store.automation(name))?.unwrap_or_default();
        if record.folder.is_empty() || record.folder == folder {
            return Ok(());
        }
        let owners = self.runtime.block_on(self.store.lease_owners(DAEMON_LEASE, now))?;
        if owners.iter().any(|owner| *owner != self.node) {
            let text = format!(
                "{} has an automation of this name too, and another process may serve it: they share fires and \
                 ctx.state; give one another name, or another --store",
                record.folder
            );
            self.say(Level::Warn, name, "", &text);
        }
        Ok(())
    }

    /// Waits for the triggers that an automation has now, and no more for those that it had.
    fn arm(&mut self, name: &str, now: i64) -> Result<(), StoreError> {
        let revision = self.registry.revisions().get(name).map(Arc::clone);
        let triggers: &[Trigger] = revision.as_ref().map_or(&[], |revision| &revision.triggers);
        let gone: Vec<(String, String)> = self
            .armed
            .keys()
            .filter(|(of, key)| of == name && !triggers.iter().any(|trigger| trigger.key == *key))
            .cloned()
            .collect();
        for (of, key) in gone {
            self.note(name, &key, now, FireState::Disarmed, "its trigger is no more")?;
            self.armed.remove(&(of, key));
        }
        // Those that went while nobody was there are waited for no more either.
        if !self.armed.keys().any(|(of, _)| of == name) {
            for (key, _, state) in self.runtime.block_on(self.store.last_fires(name))? {
                if state != FireState::Disarmed && !triggers.iter().any(|trigger| trigger.key == key) {
                    self.note(name, &key, now, FireState::Disarmed, "its trigger is no more")?;
                }
            }
        }
        for trigger in triggers {
            let id = (name.to_owned(), trigger.key.clone());
            let last = match self.armed.get(&id) {
                Some(armed) => armed.last,
                None => match self.runtime.block_on(self.store.last_fire(name, &trigger.key))? {
                    Some((instant, state)) if state != FireState::Disarmed && instant <= now => instant,
                    // A clock was wrong once: no fire waits for that day to come.
                    Some((instant, _)) if instant > now => {
                        let at = trigger.schedule.show(instant);
                        self.say(
                            Level::Warn,
                            name,
                            "",
                            &format!("its last fire is told to be at {at}, which is to come"),
                        );
                        now
                    }
                    _ => {
                        self.note(name, &trigger.key, now, FireState::Armed, "its trigger is new")?;
                        now
                    }
                },
            };
            let next = next_start(name, trigger, last);
            self.armed.insert(id, Armed { last, next });
        }
        Ok(())
    }

    /// Writes a line into the account of a trigger's fires.
    fn note(
        &self,
        name: &str,
        key: &str,
        instant: i64,
        state: FireState,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let fire = Fire {
            automation: name.to_owned(),
            source: key.to_owned(),
            instant,
            state,
            reason: reason.to_owned(),
            run: String::new(),
            node: self.node.clone(),
            at: self.host.clock.now_ms(),
            ..Fire::default()
        };
        Ok(self.runtime.block_on(self.store.add_fires(&[fire]))?.contains(&true))
    }
}

/// Why the folder was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It can't be listed.
    #[error("the folder can't be listed: {0}")]
    Folder(#[from] io::Error),
    /// The store fails.
    #[error("{0}")]
    Store(#[from] StoreError),
}
