//! What a batch of a scan's events changes: planned from what is loaded and what the store has, which are only read.

use super::{
    accounts::{ServedAccount, ServedAccounts},
    loaded::{LoadedAutomations, RUNS_LAST_GOOD, RUNS_NOTHING},
    log::Level,
    process::Process,
    triggers::{TriggerId, Triggers},
};
use crate::{
    base::{Diagnostic, EpochMs, Setting},
    run::{
        account_choice::ServedAs,
        registry::{RegistryEvent, Revision},
        schedule::trigger::Trigger,
    },
    store::{AutomationId, AutomationRecord, Fire, FireReason, FireState, ScanChange, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a batch of events changes.
#[derive(Default)]
pub(super) struct ReloadPlan {
    pub changes: Vec<ScanChange>,
    /// The markers of added and removed triggers.
    pub markers: Vec<Fire>,
    pub effects: Vec<Effect>,
    /// The accounts that loaded automations name: each is looked up.
    pub named: BTreeMap<String, Vec<AutomationId>>,
}

impl ReloadPlan {
    /// Adds what another event changes.
    pub(super) fn extend(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.markers.extend(other.markers);
        self.effects.extend(other.effects);
        for (account, automations) in other.named {
            self.named.entry(account).or_default().extend(automations);
        }
    }
}

/// Why an event can't be planned.
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

/// What a batch changes in this process once it is written.
pub(super) enum Effect {
    /// A revision runs.
    Load(Arc<Revision>),
    /// A file can't be used.
    MarkStale(String),
    /// An automation runs no more.
    Unload(String),
    /// The last good revision of a stale automation is looked for.
    Restore(AutomationRecord),
    /// An automation is served for these accounts.
    Serve(String, Vec<ServedAccount>),
    /// The fires of a trigger are accounted for up to this instant.
    Advance(TriggerId, EpochMs),
    /// A trigger is waited for from now on, whose fires are accounted for up to this instant in the store.
    Resume(TriggerId, EpochMs),
    /// A trigger is not waited for any longer.
    Forget(TriggerId),
    /// An automation completed last at this instant, if it ever did.
    LastSuccess(AutomationId, Option<EpochMs>),
    /// A message about an automation.
    Log(Level, AutomationId, String),
}

/// What a batch of events changes, found out from what is loaded and what the store has.
pub(super) struct Planner<'a> {
    pub process: &'a Process,
    pub loaded: &'a LoadedAutomations,
    pub accounts: &'a mut ServedAccounts,
    pub triggers: &'a Triggers,
}

impl Planner<'_> {
    /// What an event changes.
    pub(super) fn plan(&mut self, event: &RegistryEvent, now: EpochMs) -> Result<ReloadPlan, PlanError> {
        let mut plan = ReloadPlan::default();
        match event {
            RegistryEvent::Live(revision) => self.plan_live(revision, now, &mut plan)?,
            RegistryEvent::Stale(name, diagnostic) => self.plan_stale(name, diagnostic, now, &mut plan)?,
            RegistryEvent::Restored { name, diagnostic, revision } => {
                self.plan_restored(name, diagnostic, revision, now, &mut plan)?;
            }
            RegistryEvent::Removed(name) => self.plan_removed(name, now, &mut plan)?,
        }
        Ok(plan)
    }

    /// What an event changes that can't be planned: nothing is written of its automation. What was loaded of it before stays
    /// loaded, unless its file was removed.
    pub(super) fn plan_refused(&self, event: &RegistryEvent, why: &Diagnostic) -> ReloadPlan {
        let (mut plan, name) = (ReloadPlan::default(), event.name());
        let is_removed = matches!(event, RegistryEvent::Removed(_));
        if is_removed {
            let served = self.triggers.automations_named(name);
            let triggers = served.iter().flat_map(|id| self.triggers.ids_of(id));
            plan.effects.extend(triggers.map(Effect::Forget));
            plan.effects.push(Effect::Unload(name.to_owned()));
            plan.effects.push(Effect::Serve(name.to_owned(), Vec::new()));
        }
        plan.effects.push(Effect::MarkStale(name.to_owned()));
        let is_running = !is_removed && self.loaded.get(name).is_some();
        let runs = if is_running { RUNS_LAST_GOOD } else { RUNS_NOTHING };
        let text = format!("STALE: {}; {runs}", why.one_line());
        plan.effects.push(Effect::Log(Level::Error, AutomationId::new("", name), text));
        plan
    }

    /// An automation runs in a new revision.
    fn plan_live(
        &mut self,
        revision: &Arc<Revision>,
        now: EpochMs,
        plan: &mut ReloadPlan,
    ) -> Result<(), PlanError> {
        let name = revision.name.as_str();
        plan.effects.push(Effect::Load(Arc::clone(revision)));
        let source = serde_json::to_string(&revision.program.source())
            .expect("a source is texts by name, which are always JSON");
        let accounts = self.accounts.of_declaration(&revision.automation).map_err(PlanError::Refused)?;
        plan.effects.push(Effect::Serve(name.to_owned(), accounts.clone()));
        for account in &accounts {
            let id = account.id(name);
            let recorded = self.recorded(&id)?;
            self.warn_shared_name(&id, &recorded, plan)?;
            let served_as = served_as(account);
            plan.changes.push(ScanChange::Served { id: id.clone(), source: source.clone(), served_as });
            let last_success = self.process.wait(self.process.store.last_success(&recorded.id))?;
            self.plan_triggers(&id, &recorded.id, &revision.triggers, now, plan)?;
            plan.effects.push(Effect::LastSuccess(id, last_success));
        }
        self.plan_dropped_accounts(name, &accounts, now, plan)?;
        plan.effects.push(Effect::Log(Level::Info, AutomationId::new("", name), "live".to_owned()));
        for account in &accounts {
            if let Some(named) = &account.name {
                plan.named.entry(named.clone()).or_default().push(account.id(name));
            }
        }
        Ok(())
    }

    /// The file of an automation can't be used; its last good revision keeps running, if there is one. One that only the store
    /// has is restored first.
    fn plan_stale(
        &mut self,
        name: &str,
        diagnostic: &Diagnostic,
        now: EpochMs,
        plan: &mut ReloadPlan,
    ) -> Result<(), PlanError> {
        let revision = self.loaded.get(name);
        if revision.is_none() {
            let recorded = self.records_of(name)?.into_iter();
            let good = recorded.filter(|record| !record.last_good_source.is_empty());
            if let Some(record) = good.max_by_key(|record| record.served_at) {
                plan.effects.push(Effect::Restore(record));
                return Ok(());
            }
        }
        self.plan_last_good(name, diagnostic, revision.as_ref(), now, plan)
    }

    /// The last good revision of a stale automation was looked for.
    fn plan_restored(
        &mut self,
        name: &str,
        diagnostic: &Diagnostic,
        revision: &Result<Arc<Revision>, Option<Diagnostic>>,
        now: EpochMs,
        plan: &mut ReloadPlan,
    ) -> Result<(), PlanError> {
        if let Err(Some(error)) = revision {
            let text = format!("its last good version can't be restored: {}", error.one_line());
            plan.effects.push(Effect::Log(Level::Error, AutomationId::new("", name), text));
        }
        plan.effects.extend(revision.iter().map(Arc::clone).map(Effect::Load));
        self.plan_last_good(name, diagnostic, revision.as_ref().ok(), now, plan)
    }

    /// The file of an automation can't be used, and this revision of it runs, or none.
    fn plan_last_good(
        &mut self,
        name: &str,
        diagnostic: &Diagnostic,
        revision: Option<&Arc<Revision>>,
        now: EpochMs,
        plan: &mut ReloadPlan,
    ) -> Result<(), PlanError> {
        plan.effects.push(Effect::MarkStale(name.to_owned()));
        let (accounts, runs) = match revision {
            Some(revision) => {
                let accounts = self.accounts.of_declaration(&revision.automation);
                (accounts.map_err(PlanError::Refused)?, RUNS_LAST_GOOD)
            }
            None => (Vec::new(), RUNS_NOTHING),
        };
        let load_error = diagnostic.one_line();
        let triggers: &[Trigger] = revision.map_or(&[], |revision| &revision.triggers);
        plan.effects.push(Effect::Serve(name.to_owned(), accounts.clone()));
        // Without a revision nothing says which accounts it is for.
        let marked = if accounts.is_empty() {
            vec![self.accounts.of_command().map_err(PlanError::Refused)?]
        } else {
            accounts
        };
        for account in marked {
            let id = account.id(name);
            let recorded = self.recorded(&id)?;
            self.warn_shared_name(&id, &recorded, plan)?;
            self.plan_triggers(&id, &recorded.id, triggers, now, plan)?;
            let served_as = served_as(&account);
            let (has_last_good, load_error) = (revision.is_some(), load_error.clone());
            plan.changes.push(ScanChange::Stale { id, has_last_good, load_error, served_as });
        }
        let text = format!("STALE: {load_error}; {runs}");
        plan.effects.push(Effect::Log(Level::Error, AutomationId::new("", name), text));
        Ok(())
    }

    /// The file of an automation was removed.
    fn plan_removed(&mut self, name: &str, now: EpochMs, plan: &mut ReloadPlan) -> Result<(), PlanError> {
        self.plan_dropped_accounts(name, &[], now, plan)?;
        plan.effects.push(Effect::Unload(name.to_owned()));
        plan.effects.push(Effect::Serve(name.to_owned(), Vec::new()));
        let text = "removed: its triggers do not fire any more".to_owned();
        plan.effects.push(Effect::Log(Level::Info, AutomationId::new("", name), text));
        Ok(())
    }

    /// Ends what was served of an automation for other accounts than these, by this process or by one before it.
    fn plan_dropped_accounts(
        &mut self,
        name: &str,
        accounts: &[ServedAccount],
        now: EpochMs,
        plan: &mut ReloadPlan,
    ) -> Result<(), PlanError> {
        let recorded =
            self.records_of(name)?.into_iter().filter(|record| !record.last_good_source.is_empty());
        let mut dropped: BTreeSet<AutomationId> = recorded.map(|record| record.id).collect();
        dropped.extend(self.triggers.automations_named(name));
        // What has no account yet is adopted by the accounts that it is served for now.
        dropped.retain(|id| {
            let is_adopted = id.account.is_empty() && !accounts.is_empty();
            !is_adopted && !accounts.iter().any(|account| account.is_of(id))
        });
        for id in dropped {
            self.plan_triggers(&id, &id, &[], now, plan)?;
            plan.changes.push(ScanChange::Removed { id: id.clone() });
            plan.effects.push(Effect::LastSuccess(id, None));
        }
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

    /// Warns of an automation whose name one of another folder has: they share a record.
    fn warn_shared_name(
        &self,
        id: &AutomationId,
        record: &AutomationRecord,
        plan: &mut ReloadPlan,
    ) -> Result<(), StoreError> {
        if record.folder.is_empty() || record.folder == self.loaded.stored_folder() {
            return Ok(());
        }
        if self.process.has_peer(&id.account, &record.folder)? {
            let text = format!(
                "{} has an automation of this name too, and another process serves it for this account: they share \
                 fires and ctx.state; rename one of them, or give it another {}",
                record.folder,
                self.process.host.setting_names.of(Setting::Store)
            );
            plan.effects.push(Effect::Log(Level::Warn, id.clone(), text));
        }
        Ok(())
    }

    /// Waits for the triggers that an automation has now, and no longer for those that it had. `recorded` is where the
    /// store has its fires so far.
    fn plan_triggers(
        &self,
        id: &AutomationId,
        recorded: &AutomationId,
        triggers: &[Trigger],
        now: EpochMs,
        plan: &mut ReloadPlan,
    ) -> Result<(), StoreError> {
        let is_present = |key: &str| triggers.iter().any(|trigger| trigger.key == key);
        let registered = self.triggers.ids_of(id);
        for gone in registered.iter().filter(|id| !is_present(&id.key)) {
            plan.markers.push(self.marker(gone, now, FireState::Disarmed, "its trigger was removed"));
            plan.effects.push(Effect::Forget(gone.clone()));
        }
        // Triggers that were removed while no daemon was running.
        if registered.is_empty() {
            for last in self.process.wait(self.process.store.last_fires(recorded))? {
                if last.state != FireState::Disarmed && !is_present(&last.trigger) {
                    let gone = TriggerId::new(id, &last.trigger);
                    plan.markers.push(self.marker(
                        &gone,
                        now,
                        FireState::Disarmed,
                        "its trigger was removed",
                    ));
                }
            }
        }
        for trigger in triggers {
            let trigger_id = TriggerId::new(id, &trigger.key);
            let effect = if let Some(last) = self.triggers.last(&trigger_id) {
                Effect::Advance(trigger_id, last)
            } else {
                let last = self.last_recorded(&trigger_id, recorded, trigger, now, plan)?;
                Effect::Resume(trigger_id, last)
            };
            plan.effects.push(effect);
        }
        Ok(())
    }

    /// The instant up to which the fires of a trigger are accounted for in the store.
    fn last_recorded(
        &self,
        id: &TriggerId,
        recorded: &AutomationId,
        trigger: &Trigger,
        now: EpochMs,
        plan: &mut ReloadPlan,
    ) -> Result<EpochMs, StoreError> {
        match self.process.wait(self.process.store.last_fire(recorded, &id.key))? {
            Some(last) if last.state != FireState::Disarmed && last.scheduled_at <= now => {
                Ok(last.scheduled_at)
            }
            // The clock was wrong when it was recorded, or is now.
            Some(last) if last.scheduled_at > now => {
                let at = trigger.schedule.show(last.scheduled_at);
                let text = format!("its last recorded fire, of {at}, is in the future: is the clock right?");
                plan.effects.push(Effect::Log(Level::Warn, id.automation.clone(), text));
                Ok(last.scheduled_at)
            }
            _ => {
                plan.markers.push(self.marker(id, now, FireState::Armed, "its trigger is new"));
                Ok(now)
            }
        }
    }

    /// What is recorded among the fires of a trigger when it was added or removed.
    fn marker(&self, id: &TriggerId, instant: EpochMs, state: FireState, reason: &str) -> Fire {
        let owner = self.process.name.clone();
        let claimed = Fire::claimed(id.automation.clone(), &id.key, instant, owner, self.process.now());
        Fire { state, reason: FireReason::from(reason), ..claimed }
    }
}

/// How an account is found, as its automations' records keep it.
fn served_as(account: &ServedAccount) -> String {
    let served_as = ServedAs { declared: account.name.clone(), choice: account.choice.clone() };
    serde_json::to_string(&served_as).expect("it is texts, which are always JSON")
}
