//! What the store and the configuration have of an automation that a scan has found something of: all that its plan is made
//! from, read before anything is decided. Must never change what it reads.

use super::{
    accounts::{ServedAccount, ServedAccounts},
    loaded::LoadedAutomations,
    process::Process,
    triggers::{TriggerId, Triggers},
};
use crate::{
    base::{Diagnostic, EpochMs},
    run::registry::{RegistryEvent, Revision},
    store::{AutomationId, AutomationRecord, LastFire, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Why an event can't be planned.
#[derive(Debug)]
pub(super) enum PlanError {
    /// The store does not answer: the event is planned again at the next step.
    Store(StoreError),
    /// What is recorded or configured of the automation can't be read: it is stale, and the others are loaded.
    Refused(Diagnostic),
}

impl From<StoreError> for PlanError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Decode { .. } => Self::Refused(Diagnostic::new(error.to_string()).hint(error.hint())),
            error => Self::Store(error),
        }
    }
}

/// What is known of an automation for one of its accounts.
#[derive(Clone, Debug)]
pub(super) struct AccountFacts {
    /// The account.
    pub account: ServedAccount,
    /// What is recorded of the automation for it, or was before its account was known.
    pub recorded: AutomationRecord,
    /// Whether another process serves the folder of that record for the account, which is not this process's.
    pub has_peer: bool,
    /// When the automation last completed, if it ever did.
    pub last_success: Option<EpochMs>,
}

/// What is known of the automation of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct EventFacts {
    /// The accounts that it is served for from now on; the account of the command for one that has no revision and is stale.
    pub accounts: Vec<AccountFacts>,
    /// The records of it that were written by processes which served this folder and found their accounts as this one does.
    pub records: Vec<AutomationRecord>,
    /// The last recorded fires of its triggers, by account. Of triggers that are waited for they may be left out.
    pub fires: BTreeMap<AutomationId, Vec<LastFire>>,
}

impl EventFacts {
    /// The last recorded fire of a trigger.
    pub(super) fn last_fire(&self, id: &TriggerId) -> Option<&LastFire> {
        self.last_fires(&id.automation).iter().find(|fire| fire.trigger == id.key)
    }

    /// The last recorded fires of an automation's triggers, for one of its accounts.
    pub(super) fn last_fires(&self, automation: &AutomationId) -> &[LastFire] {
        self.fires.get(automation).map_or(&[], Vec::as_slice)
    }

    /// The record whose last good revision is restored, of a stale automation without a revision: the one served last.
    pub(super) fn last_good(&self) -> Option<&AutomationRecord> {
        let good = self.records.iter().filter(|record| !record.last_good_source.is_empty());
        good.max_by_key(|record| record.served_at)
    }

    /// What the automation of this name was served as, by this process or by one before it, and is no longer: its accounts
    /// are those of the facts.
    pub(super) fn dropped(&self, name: &str, triggers: &Triggers) -> BTreeSet<AutomationId> {
        let served = self.records.iter().filter(|record| !record.last_good_source.is_empty());
        let mut dropped: BTreeSet<AutomationId> = served.map(|record| record.id.clone()).collect();
        dropped.extend(triggers.automations_named(name));
        dropped.retain(|id| {
            // What has no account yet is adopted by the accounts that it is served for now.
            let is_adopted = id.account.is_empty() && !self.accounts.is_empty();
            !is_adopted && !self.accounts.iter().any(|facts| facts.account.is_of(id))
        });
        dropped
    }
}

/// The revision of its automation that runs after an event.
pub(super) fn revision_after<'a>(
    event: &'a RegistryEvent,
    loaded: &'a LoadedAutomations,
) -> Option<&'a Arc<Revision>> {
    match event {
        RegistryEvent::Live(revision) => Some(revision),
        RegistryEvent::Stale(name, _) => loaded.revisions().get(name),
        RegistryEvent::Restored { revision, .. } => revision.as_ref().ok(),
        RegistryEvent::Removed(_) => None,
    }
}

/// Reads what events are planned from.
pub(super) struct FactsReader<'a> {
    process: &'a Process,
    loaded: &'a LoadedAutomations,
    accounts: &'a mut ServedAccounts,
    triggers: &'a Triggers,
}

impl<'a> FactsReader<'a> {
    pub(super) const fn new(
        process: &'a Process,
        loaded: &'a LoadedAutomations,
        accounts: &'a mut ServedAccounts,
        triggers: &'a Triggers,
    ) -> Self {
        Self { process, loaded, accounts, triggers }
    }

    /// Reads what an event is planned from.
    pub(super) fn read(&mut self, event: &RegistryEvent) -> Result<EventFacts, PlanError> {
        let (name, mut facts) = (event.name(), EventFacts::default());
        let revision = revision_after(event, self.loaded);
        let needs_records = match event {
            RegistryEvent::Live(_) | RegistryEvent::Removed(_) => true,
            RegistryEvent::Stale(..) => revision.is_none(),
            RegistryEvent::Restored { .. } => false,
        };
        if needs_records {
            facts.records = self.records_of(name)?;
        }
        if matches!(event, RegistryEvent::Stale(..)) && revision.is_none() && facts.last_good().is_some() {
            return Ok(facts);
        }
        let accounts = match (event, revision) {
            (_, Some(revision)) => self.accounts.of_declaration(&revision.automation),
            (RegistryEvent::Removed(_), None) => Ok(Vec::new()),
            // Nothing says which accounts it is for.
            (_, None) => self.accounts.of_command().map(|account| vec![account]),
        };
        for account in accounts.map_err(PlanError::Refused)? {
            let id = account.id(name);
            let recorded = self.recorded(&id)?;
            let is_elsewhere = !recorded.folder.is_empty() && recorded.folder != self.loaded.stored_folder();
            let has_peer = is_elsewhere && self.process.has_peer(&id.account, &recorded.folder)?;
            let last_success = match event {
                RegistryEvent::Live(_) => self.process.wait(self.process.store.last_success(&recorded.id))?,
                RegistryEvent::Stale(..) | RegistryEvent::Restored { .. } | RegistryEvent::Removed(_) => None,
            };
            self.read_fires(&id, &recorded.id, revision, &mut facts)?;
            facts.accounts.push(AccountFacts { account, recorded, has_peer, last_success });
        }
        if matches!(event, RegistryEvent::Live(_) | RegistryEvent::Removed(_)) {
            for id in facts.dropped(name, self.triggers) {
                self.read_fires(&id, &id, None, &mut facts)?;
            }
        }
        Ok(facts)
    }

    /// Reads the last fires of an automation from where they are recorded: of all its triggers, or of those of its
    /// revision that are not waited for yet where others are.
    fn read_fires(
        &self,
        id: &AutomationId,
        recorded: &AutomationId,
        revision: Option<&Arc<Revision>>,
        facts: &mut EventFacts,
    ) -> Result<(), StoreError> {
        if facts.fires.contains_key(id) {
            return Ok(());
        }
        let store = &self.process.store;
        let fires = if self.triggers.ids_of(id).is_empty() {
            self.process.wait(store.last_fires(recorded))?
        } else {
            let triggers = revision.map_or(&[][..], |revision| &revision.triggers);
            let mut fires = Vec::new();
            for trigger in triggers {
                if self.triggers.last(&TriggerId::new(id, &trigger.key)).is_none() {
                    fires.extend(self.process.wait(store.last_fire(recorded, &trigger.key))?);
                }
            }
            fires
        };
        facts.fires.insert(id.clone(), fires);
        Ok(())
    }

    /// The records of an automation that was served from this folder by a process that found its account as this one
    /// does.
    fn records_of(&mut self, name: &str) -> Result<Vec<AutomationRecord>, PlanError> {
        let folder = self.loaded.stored_folder();
        let mut ours = Vec::new();
        for record in self.process.wait(self.process.store.automations_named(name))? {
            match record {
                Ok(record) if record.folder == folder => {
                    if self.accounts.is_ours(&record)? {
                        ours.push(record);
                    }
                }
                Err(unreadable) if unreadable.folder == folder => return Err(unreadable.error.into()),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(ours)
    }

    /// The automations that were served from the folder before this process started, with those of which that can't be
    /// decoded: each is then looked for in the folder, and refused.
    pub(super) fn served_before(&mut self) -> Result<Vec<String>, StoreError> {
        let folder = self.loaded.stored_folder();
        let mut names = BTreeSet::new();
        for record in self.process.wait(self.process.store.automations())? {
            match record {
                Ok(record) if record.folder == folder && !record.last_good_source.is_empty() => {
                    if self.accounts.is_ours(&record).unwrap_or(true) {
                        names.insert(record.id.name);
                    }
                }
                Err(unreadable) if unreadable.folder == folder => {
                    names.insert(unreadable.id.name);
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(names.into_iter().collect())
    }

    /// What is recorded of an automation for an account, or was before its account was known.
    fn recorded(&self, id: &AutomationId) -> Result<AutomationRecord, StoreError> {
        let store = &self.process.store;
        if let Some(record) = self.process.wait(store.automation(id))? {
            return Ok(record);
        }
        let unassigned = self.process.wait(store.automation(&AutomationId::new("", &id.name)))?;
        let unassigned = unassigned.filter(|record| record.folder == self.loaded.stored_folder());
        Ok(unassigned.unwrap_or_else(|| AutomationRecord::never_served(id.clone())))
    }
}
