//! Reload: what a scan of the folder finds goes to the store, to the log and to the triggers that are waited for.

use super::{Daemon, RUNS_LAST_GOOD, RUNS_NOTHING, log::Level, triggers::TriggerId};
use crate::{
    base::{Diagnostic, EpochMs},
    run::{registry::RegistryEvent, schedule::trigger::Trigger},
    store::{Fire, FireState, StoreError},
};
use std::{io, sync::Arc};

impl Daemon {
    /// Scans the folder and loads what has changed.
    pub fn scan(&mut self) -> Result<(), ScanError> {
        self.events.extend(self.registry.scan()?);
        if !self.has_scanned {
            let removed = self.removed_while_down()?;
            self.events.extend(removed);
            self.has_scanned = true;
        }
        self.apply_events()?;
        Ok(())
    }

    /// Applies what a scan has found. An event that the store does not take is applied at the next step.
    pub(super) fn apply_events(&mut self) -> Result<(), StoreError> {
        let folder = self.registry.folder().display().to_string();
        while let Some(event) = self.events.front().cloned() {
            match &event {
                RegistryEvent::Live(name) => self.apply_live(name, &folder)?,
                RegistryEvent::Stale(name, diagnostic) => self.apply_stale(name, &folder, diagnostic)?,
                RegistryEvent::Removed(name) => self.apply_removed(name, &folder)?,
            }
            self.events.pop_front();
        }
        let mut stats = self.process.stats.lock();
        stats.live = self.registry.revisions().keys().cloned().collect();
        stats.stale = self.registry.stale().len();
        Ok(())
    }

    /// An automation runs in a new revision.
    fn apply_live(&mut self, name: &str, folder: &str) -> Result<(), StoreError> {
        let now = self.process.now();
        // A later event of the queue has removed it already.
        let Some(revision) = self.registry.revisions().get(name).map(Arc::clone) else { return Ok(()) };
        self.warn_shared_name(name, folder, now)?;
        let source = serde_json::to_string(&revision.program.source())
            .expect("a source is texts by name, which are always JSON");
        let store = &self.process.store;
        self.process.wait(store.serve_automation(name, folder, &source, now))?;
        let last_success = self.process.wait(store.last_success(name))?;
        self.register_triggers(name, now)?;
        if let Some(at) = last_success {
            self.process.stats.lock().last_success.insert(name.to_owned(), at);
        }
        self.process.log.automation(Level::Info, name, "live");
        if let Some(account) = &revision.automation.account {
            self.preparations.check_account(&self.process, name, account);
        }
        Ok(())
    }

    /// The file of an automation can't be used; its last good revision keeps running, if there is one.
    fn apply_stale(&mut self, name: &str, folder: &str, diagnostic: &Diagnostic) -> Result<(), StoreError> {
        let now = self.process.now();
        self.warn_shared_name(name, folder, now)?;
        if !self.registry.revisions().contains_key(name) {
            let record = self.process.wait(self.process.store.automation(name))?.unwrap_or_default();
            if let Err(error) = self.registry.restore_last_good(&record) {
                let text = format!("its last good version can't be restored: {}", error.one_line());
                self.process.log.automation(Level::Error, name, &text);
            }
        }
        self.register_triggers(name, now)?;
        let runs = if self.registry.revisions().contains_key(name) { RUNS_LAST_GOOD } else { RUNS_NOTHING };
        let stale = format!("{}; {runs}", diagnostic.one_line());
        self.process.wait(self.process.store.mark_stale(name, folder, &stale, now))?;
        self.process.log.automation(Level::Error, name, &format!("STALE: {stale}"));
        Ok(())
    }

    /// The file of an automation was removed.
    fn apply_removed(&mut self, name: &str, folder: &str) -> Result<(), StoreError> {
        self.register_triggers(name, self.process.now())?;
        self.process.wait(self.process.store.drop_last_good_source(name, folder))?;
        self.process.stats.lock().last_success.remove(name);
        self.process.log.automation(Level::Info, name, "removed: its triggers do not fire any more");
        Ok(())
    }

    /// Automations that were served from the folder before this process started, and are not there any more.
    fn removed_while_down(&mut self) -> Result<Vec<RegistryEvent>, StoreError> {
        let folder = self.registry.folder().display().to_string();
        let records = self.process.wait(self.process.store.automations())?;
        let is_known = |name: &String| {
            self.registry.revisions().contains_key(name) || self.registry.stale().contains_key(name)
        };
        let served = records
            .into_iter()
            .filter(|record| record.folder == folder && !record.last_good_source.is_empty());
        let missing: Vec<String> = served.map(|record| record.name).filter(|name| !is_known(name)).collect();
        Ok(missing.into_iter().map(|name| self.registry.mark_missing(name)).collect())
    }

    /// Warns of an automation whose name one of another folder has: they share a record.
    fn warn_shared_name(&self, name: &str, folder: &str, now: EpochMs) -> Result<(), StoreError> {
        let record = self.process.wait(self.process.store.automation(name))?.unwrap_or_default();
        if record.folder.is_empty() || record.folder == folder {
            return Ok(());
        }
        if !self.process.peers(now)?.is_empty() {
            let text = format!(
                "{} has an automation of this name too, and another process may serve it: they share fires and \
                 ctx.state; rename one of them, or give it another --store",
                record.folder
            );
            self.process.log.automation(Level::Warn, name, &text);
        }
        Ok(())
    }

    /// Waits for the triggers that an automation has now, and no longer for those that it had.
    fn register_triggers(&mut self, name: &str, now: EpochMs) -> Result<(), StoreError> {
        let revision = self.registry.revisions().get(name).map(Arc::clone);
        let triggers: &[Trigger] = revision.as_ref().map_or(&[], |revision| &revision.triggers);
        let is_present = |key: &str| triggers.iter().any(|trigger| trigger.key == key);
        let registered = self.triggers.ids_of(name);
        for id in registered.iter().filter(|id| !is_present(&id.key)) {
            self.record_marker(id, now, FireState::Disarmed, "its trigger was removed")?;
            self.triggers.remove(id);
        }
        // Triggers that were removed while no daemon was running.
        if self.triggers.ids_of(name).is_empty() {
            for last in self.process.wait(self.process.store.last_fires(name))? {
                if last.state != FireState::Disarmed && !is_present(&last.trigger) {
                    let id = TriggerId::new(name, &last.trigger);
                    self.record_marker(&id, now, FireState::Disarmed, "its trigger was removed")?;
                }
            }
        }
        for trigger in triggers {
            let id = TriggerId::new(name, &trigger.key);
            match self.triggers.last(&id) {
                Some(last) => self.triggers.advance(id, trigger, last),
                None => {
                    let last = self.last_recorded(&id, trigger, now)?;
                    self.triggers.resume(id, trigger, last, now);
                }
            }
        }
        Ok(())
    }

    /// The instant up to which the fires of a trigger are accounted for in the store.
    fn last_recorded(&self, id: &TriggerId, trigger: &Trigger, now: EpochMs) -> Result<EpochMs, StoreError> {
        match self.process.wait(self.process.store.last_fire(&id.automation, &id.key))? {
            Some(last) if last.state != FireState::Disarmed && last.scheduled_at <= now => {
                Ok(last.scheduled_at)
            }
            // The clock was wrong when it was recorded, or is now.
            Some(last) if last.scheduled_at > now => {
                let at = trigger.schedule.show(last.scheduled_at);
                let text = format!("its last recorded fire, of {at}, is in the future: is the clock right?");
                self.process.log.automation(Level::Warn, &id.automation, &text);
                Ok(last.scheduled_at)
            }
            _ => {
                self.record_marker(id, now, FireState::Armed, "its trigger is new")?;
                Ok(now)
            }
        }
    }

    /// Records among the fires of a trigger that it was added or removed.
    fn record_marker(
        &self,
        id: &TriggerId,
        instant: EpochMs,
        state: FireState,
        reason: &str,
    ) -> Result<(), StoreError> {
        let marker = Fire {
            automation: id.automation.clone(),
            trigger: id.key.clone(),
            scheduled_at: instant,
            state,
            reason: reason.to_owned(),
            owner: self.process.name.clone(),
            updated_at: self.process.now(),
            ..Fire::default()
        };
        self.process.wait(self.process.store.insert_fires(&[marker])).map(drop)
    }
}

/// Why the folder was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It can't be listed.
    #[error("the folder can't be listed: {0}")]
    Folder(#[from] io::Error),
    /// The store fails.
    #[error("{0}")]
    Store(#[from] StoreError),
}
