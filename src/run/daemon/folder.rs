//! What a scan of the folder has found becomes known: to the store, to the log, and to the triggers that are waited for.

use super::{Armed, Daemon, Level, next_begin, told};
use crate::{
    base::Cancel,
    run::{served::Change, trigger::Trigger},
    store::{Fire, StoreError},
};
use std::{io, sync::Arc};

impl Daemon {
    /// Looks at the folder, and takes over what has changed.
    ///
    /// # Errors
    /// When the folder can't be listed, or the store fails.
    pub fn scan(&mut self) -> Result<(), ScanError> {
        self.changes.extend(self.served.scan()?);
        self.is_known = true;
        self.apply_changes()?;
        Ok(())
    }

    /// Makes known what a scan has found; what the store does not take now it takes at the next step.
    pub(super) fn apply_changes(&mut self) -> Result<(), StoreError> {
        let folder = self.served.folder().display().to_string();
        let now = self.host.clock.now_ms();
        while let Some(change) = self.changes.front().cloned() {
            match &change {
                Change::Live(name) => {
                    self.runtime.block_on(self.store.serve_automation(name, &folder, "", now))?;
                    self.arm(name, now)?;
                    if let Some(at) = self.runtime.block_on(self.store.last_success(name))? {
                        self.figures.lock().last_success.insert(name.clone(), at);
                    }
                    self.say(Level::Info, name, "", "live");
                    self.try_account(name);
                }
                Change::Stale(name, diagnostic) => {
                    let reason = told(diagnostic);
                    self.runtime.block_on(self.store.serve_automation(name, &folder, &reason, now))?;
                    let goes_on = if self.served.versions().contains_key(name) {
                        "the version before goes on"
                    } else {
                        "it does not run"
                    };
                    self.say(Level::Error, name, "", &format!("STALE {reason}; {goes_on}"));
                }
                Change::Gone(name) => {
                    self.arm(name, now)?;
                    self.say(Level::Info, name, "", "gone: its triggers fire no more");
                }
            }
            self.changes.pop_front();
        }
        let mut figures = self.figures.lock();
        figures.live = self.served.versions().keys().cloned().collect();
        figures.stale = self.served.stale().len();
        Ok(())
    }

    /// An account that can't be called is told when the automation comes, not when it first fires.
    fn try_account(&self, name: &str) {
        let Some(account) =
            self.served.versions().get(name).and_then(|version| version.automation.account.as_deref())
        else {
            return;
        };
        if let Err(diagnostic) = self.connected(Some(account), name, &Cancel::default(), &Arc::default()) {
            self.say(Level::Error, name, "", &format!("its account can't be called: {}", told(&diagnostic)));
        }
    }

    /// Waits for the triggers that an automation has now, and no more for those that it had.
    fn arm(&mut self, name: &str, now: i64) -> Result<(), StoreError> {
        let version = self.served.versions().get(name).map(Arc::clone);
        let triggers: &[Trigger] = version.as_ref().map_or(&[], |version| &version.triggers);
        let gone: Vec<(String, String)> = self
            .armed
            .keys()
            .filter(|(of, key)| of == name && !triggers.iter().any(|trigger| trigger.key == *key))
            .cloned()
            .collect();
        for (of, key) in gone {
            self.note(name, &key, now, "disarmed", "its trigger is no more")?;
            self.armed.remove(&(of, key));
        }
        for trigger in triggers {
            let id = (name.to_owned(), trigger.key.clone());
            let last = match self.armed.get(&id) {
                Some(armed) => armed.last,
                None => match self.runtime.block_on(self.store.last_fire(name, &trigger.key))? {
                    Some((instant, state)) if state != "disarmed" && instant <= now => instant,
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
                        self.note(name, &trigger.key, now, "armed", "its trigger is new")?;
                        now
                    }
                },
            };
            let next = next_begin(name, trigger, last);
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
        state: &str,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let fire = Fire {
            automation: name.to_owned(),
            source: key.to_owned(),
            instant,
            state: state.to_owned(),
            reason: reason.to_owned(),
            run: String::new(),
            node: self.node.clone(),
            at: self.host.clock.now_ms(),
        };
        self.runtime.block_on(self.store.add_fire(&fire))
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
