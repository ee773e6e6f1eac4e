//! What a batch of a scan's events changes: decided from what is loaded and what was read of their automations. Must never
//! know the store, the configuration or the clock.
//!
//! One file because each decision stands above the tables that test it, and all are read together.

use super::{
    accounts::ServedAccount,
    loaded::{LoadedAutomations, RUNS_LAST_GOOD, RUNS_NOTHING},
    log::Level,
    reload_facts::{AccountFacts, EventFacts, revision_after},
    triggers::{TriggerId, Triggers},
};
use crate::{
    base::{Diagnostic, EpochMs, Setting, SettingNames},
    run::{
        account_choice::ServedAs,
        registry::{RegistryEvent, Revision},
        schedule::trigger::Trigger,
    },
    store::{AutomationId, AutomationRecord, Fire, FireReason, FireState, ScanChange},
};
use std::{collections::BTreeMap, sync::Arc};

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

/// What a plan depends on beside the event and what was read for it.
#[derive(Clone, Copy)]
pub(super) struct Present<'a> {
    /// What is loaded.
    pub loaded: &'a LoadedAutomations,
    /// What is waited for.
    pub triggers: &'a Triggers,
    /// The name of this process.
    pub owner: &'a str,
    /// The time.
    pub now: EpochMs,
    /// What settings are called in messages.
    pub setting_names: SettingNames,
}

/// What an event changes.
pub(super) fn plan(event: &RegistryEvent, facts: &EventFacts, present: Present<'_>) -> ReloadPlan {
    let mut planner = Planner { facts, present, plan: ReloadPlan::default() };
    let name = event.name();
    match (event, revision_after(event, present.loaded)) {
        (RegistryEvent::Live(revision), _) => planner.plan_live(revision),
        (RegistryEvent::Removed(_), _) => planner.plan_removed(name),
        (RegistryEvent::Stale(_, diagnostic), revision) => match facts.last_good() {
            // One that only the store has is restored first.
            Some(record) if revision.is_none() => {
                planner.plan.effects.push(Effect::Restore(record.clone()));
            }
            Some(_) | None => planner.plan_last_good(name, diagnostic, revision),
        },
        (RegistryEvent::Restored { diagnostic, revision: restored, .. }, revision) => {
            if let Err(Some(error)) = restored {
                let text = format!("its last good version can't be restored: {}", error.one_line());
                planner.log(Level::Error, AutomationId::new("", name), text);
            }
            planner.plan.effects.extend(revision.map(Arc::clone).map(Effect::Load));
            planner.plan_last_good(name, diagnostic, revision);
        }
    }
    planner.plan
}

/// What an event changes that can't be planned: nothing is written of its automation. What was loaded of it before stays
/// loaded, unless its file was removed.
pub(super) fn plan_refused(event: &RegistryEvent, why: &Diagnostic, present: Present<'_>) -> ReloadPlan {
    let (mut plan, name) = (ReloadPlan::default(), event.name());
    let is_removed = matches!(event, RegistryEvent::Removed(_));
    if is_removed {
        let served = present.triggers.automations_named(name);
        let triggers = served.iter().flat_map(|id| present.triggers.ids_of(id));
        plan.effects.extend(triggers.map(Effect::Forget));
        plan.effects.push(Effect::Unload(name.to_owned()));
        plan.effects.push(Effect::Serve(name.to_owned(), Vec::new()));
    }
    plan.effects.push(Effect::MarkStale(name.to_owned()));
    let is_running = !is_removed && present.loaded.get(name).is_some();
    let runs = if is_running { RUNS_LAST_GOOD } else { RUNS_NOTHING };
    let text = format!("STALE: {}; {runs}", why.one_line());
    plan.effects.push(Effect::Log(Level::Error, AutomationId::new("", name), text));
    plan
}

/// The plan of one event while it is made.
struct Planner<'a> {
    facts: &'a EventFacts,
    present: Present<'a>,
    plan: ReloadPlan,
}

impl Planner<'_> {
    /// An automation runs in a new revision.
    fn plan_live(&mut self, revision: &Arc<Revision>) {
        let name = revision.name.as_str();
        self.plan.effects.push(Effect::Load(Arc::clone(revision)));
        let source = serde_json::to_string(&revision.program.source())
            .expect("a source is texts by name, which are always JSON");
        let accounts: Vec<ServedAccount> =
            self.facts.accounts.iter().map(|facts| facts.account.clone()).collect();
        self.plan.effects.push(Effect::Serve(name.to_owned(), accounts.clone()));
        for facts in &self.facts.accounts {
            let id = facts.account.id(name);
            self.warn_shared_name(&id, facts);
            let served_as = served_as(&facts.account);
            let source = source.clone();
            self.plan.changes.push(ScanChange::Served { id: id.clone(), source, served_as });
            self.plan_triggers(&id, &revision.triggers);
            self.plan.effects.push(Effect::LastSuccess(id, facts.last_success));
        }
        self.plan_dropped_accounts(name);
        self.log(Level::Info, AutomationId::new("", name), "live".to_owned());
        for account in &accounts {
            if let Some(named) = &account.name {
                self.plan.named.entry(named.clone()).or_default().push(account.id(name));
            }
        }
    }

    /// The file of an automation can't be used, and this revision of it runs, or none.
    fn plan_last_good(&mut self, name: &str, diagnostic: &Diagnostic, revision: Option<&Arc<Revision>>) {
        self.plan.effects.push(Effect::MarkStale(name.to_owned()));
        let served = self.facts.accounts.iter().filter(|_| revision.is_some());
        let served = served.map(|facts| facts.account.clone()).collect();
        self.plan.effects.push(Effect::Serve(name.to_owned(), served));
        let load_error = diagnostic.one_line();
        let triggers: &[Trigger] = revision.map_or(&[], |revision| &revision.triggers);
        for facts in &self.facts.accounts {
            let id = facts.account.id(name);
            self.warn_shared_name(&id, facts);
            self.plan_triggers(&id, triggers);
            self.plan.changes.push(ScanChange::Stale {
                id,
                has_last_good: revision.is_some(),
                load_error: load_error.clone(),
                served_as: served_as(&facts.account),
            });
        }
        let runs = if revision.is_some() { RUNS_LAST_GOOD } else { RUNS_NOTHING };
        let text = format!("STALE: {load_error}; {runs}");
        self.log(Level::Error, AutomationId::new("", name), text);
    }

    /// The file of an automation was removed.
    fn plan_removed(&mut self, name: &str) {
        self.plan_dropped_accounts(name);
        self.plan.effects.push(Effect::Unload(name.to_owned()));
        self.plan.effects.push(Effect::Serve(name.to_owned(), Vec::new()));
        let text = "removed: its triggers do not fire any more".to_owned();
        self.log(Level::Info, AutomationId::new("", name), text);
    }

    /// Ends what was served of an automation for accounts that it is not served for any longer.
    fn plan_dropped_accounts(&mut self, name: &str) {
        for id in self.facts.dropped(name, self.present.triggers) {
            self.plan_triggers(&id, &[]);
            self.plan.changes.push(ScanChange::Removed { id: id.clone() });
            self.plan.effects.push(Effect::LastSuccess(id, None));
        }
    }

    /// Warns of an automation whose name one of another folder has: they share a record.
    fn warn_shared_name(&mut self, id: &AutomationId, facts: &AccountFacts) {
        if facts.has_peer {
            let text = format!(
                "{} has an automation of this name too, and another process serves it for this account: they share \
                 fires and ctx.state; rename one of them, or change {} of one of them",
                facts.recorded.folder,
                self.present.setting_names.of(Setting::Store)
            );
            self.log(Level::Warn, id.clone(), text);
        }
    }

    /// Waits for the triggers that an automation has now, and no longer for those that it had.
    fn plan_triggers(&mut self, id: &AutomationId, triggers: &[Trigger]) {
        let is_present = |key: &str| triggers.iter().any(|trigger| trigger.key == key);
        let registered = self.present.triggers.ids_of(id);
        for gone in registered.iter().filter(|id| !is_present(&id.key)) {
            self.mark(gone, FireState::Disarmed, "its trigger was removed");
            self.plan.effects.push(Effect::Forget(gone.clone()));
        }
        // Triggers that were removed while no daemon was running.
        if registered.is_empty() {
            for last in self.facts.last_fires(id) {
                if last.state != FireState::Disarmed && !is_present(&last.trigger) {
                    let gone = TriggerId::new(id, &last.trigger);
                    self.mark(&gone, FireState::Disarmed, "its trigger was removed");
                }
            }
        }
        for trigger in triggers {
            let trigger_id = TriggerId::new(id, &trigger.key);
            let effect = if let Some(last) = self.present.triggers.last(&trigger_id) {
                Effect::Advance(trigger_id, last)
            } else {
                let last = self.plan_new_trigger(&trigger_id, trigger);
                Effect::Resume(trigger_id, last)
            };
            self.plan.effects.push(effect);
        }
    }

    /// The instant up to which the fires of a trigger are accounted for that is not waited for yet.
    fn plan_new_trigger(&mut self, id: &TriggerId, trigger: &Trigger) -> EpochMs {
        let now = self.present.now;
        match self.facts.last_fire(id) {
            Some(last) if last.state != FireState::Disarmed && last.scheduled_at <= now => last.scheduled_at,
            // The clock was wrong when it was recorded, or is now.
            Some(last) if last.scheduled_at > now => {
                let (instant, at) = (last.scheduled_at, trigger.schedule.show(last.scheduled_at));
                let text = format!("its last recorded fire, of {at}, is in the future: is the clock right?");
                self.log(Level::Warn, id.automation.clone(), text);
                instant
            }
            _ => {
                self.mark(id, FireState::Armed, "its trigger is new");
                now
            }
        }
    }

    /// Records among the fires of a trigger that it was added or removed.
    fn mark(&mut self, id: &TriggerId, state: FireState, reason: &str) {
        let Present { owner, now, .. } = self.present;
        let claimed = Fire::claimed(id.automation.clone(), &id.key, now, owner.to_owned(), now);
        self.plan.markers.push(Fire { state, reason: FireReason::from(reason), ..claimed });
    }

    fn log(&mut self, level: Level, id: AutomationId, text: String) {
        self.plan.effects.push(Effect::Log(level, id, text));
    }
}

/// How an account is found, as its automations' records keep it.
fn served_as(account: &ServedAccount) -> String {
    let served_as = ServedAs { declared: account.name.clone(), choice: account.choice.clone() };
    serde_json::to_string(&served_as).expect("it is texts, which are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::account_key,
        run::{account_choice::AccountChoice, registry},
        script::{Origin, Program},
        store::LastFire,
    };
    use std::{path::PathBuf, time::Duration};

    const NAME: &str = "日报";

    fn at(minutes: u64) -> EpochMs {
        EpochMs::default() + Duration::from_mins(minutes)
    }

    /// A revision that fires every ten minutes.
    fn revision() -> Arc<Revision> {
        let text = "const automation = #{ on: [ #{ every: \"10m\" } ] };\nfn run() { }".to_owned();
        let origin = Origin::Text { name: NAME.to_owned(), text, folder: PathBuf::from(".") };
        let Ok(program) = Program::load(&origin) else { panic!("it can be parsed") };
        let read = registry::read(&program, chrono_tz::UTC).expect("it is an automation");
        let (automation, triggers) = read.expect("it has a declaration");
        Arc::new(Revision { name: NAME.to_owned(), program: Arc::new(program), automation, triggers })
    }

    fn account(name: Option<&str>, appid: &str) -> ServedAccount {
        let name = name.map(str::to_owned);
        let choice = AccountChoice { account: name.clone(), base_urls: Vec::new() };
        ServedAccount { name, key: account_key(appid, &[]), choice }
    }

    fn shop() -> ServedAccount {
        account(None, "wx01")
    }

    fn shop_id() -> AutomationId {
        shop().id(NAME)
    }

    fn trigger_id() -> TriggerId {
        TriggerId::new(&shop_id(), "every 10m")
    }

    /// A record of what was served of the automation.
    fn served(id: AutomationId, served_at: EpochMs) -> AutomationRecord {
        AutomationRecord {
            folder: "/店".to_owned(),
            last_good_source: "旧".to_owned(),
            served_at,
            ..AutomationRecord::never_served(id)
        }
    }

    /// What is read of an automation that is served for an account, and was not before.
    fn facts_of(account: ServedAccount) -> EventFacts {
        let recorded = AutomationRecord::never_served(account.id(NAME));
        let facts = AccountFacts { account, recorded, has_peer: false, last_success: None };
        EventFacts { accounts: vec![facts], ..EventFacts::default() }
    }

    fn facts() -> EventFacts {
        facts_of(shop())
    }

    fn with_last_fire(state: FireState, scheduled_at: EpochMs) -> EventFacts {
        let last = LastFire { trigger: "every 10m".to_owned(), scheduled_at, state };
        EventFacts { fires: BTreeMap::from([(shop_id(), vec![last])]), ..facts() }
    }

    /// The triggers of a process that waits for the automation's.
    fn waiting() -> Triggers {
        let mut triggers = Triggers::default();
        triggers.advance(trigger_id(), &revision().triggers[0], at(20));
        triggers
    }

    /// What a plan changes, in words; `店` is the account.
    fn in_words(plan: &ReloadPlan) -> Vec<String> {
        let account = |id: &AutomationId| match id.account.as_str() {
            "" => "–".to_owned(),
            account if account == shop_id().account => "店".to_owned(),
            account => account.chars().take(4).collect(),
        };
        let change = |change: &ScanChange| match change {
            ScanChange::Served { id, .. } => format!("served {}", account(id)),
            ScanChange::Stale { id, has_last_good, .. } => {
                format!("stale {}{}", account(id), if *has_last_good { ", last good" } else { "" })
            }
            ScanChange::Removed { id } => format!("removed {}", account(id)),
        };
        let marker = |fire: &Fire| {
            let (id, reason) = (account(&fire.automation), fire.reason.note());
            format!("{} {id} {}: {reason}", fire.state, fire.trigger)
        };
        let minute = |instant: &EpochMs| instant.period(Duration::from_mins(1));
        let effect = |effect: &Effect| match effect {
            Effect::Load(_) => "load".to_owned(),
            Effect::MarkStale(_) => "mark stale".to_owned(),
            Effect::Unload(_) => "unload".to_owned(),
            Effect::Restore(record) => format!("restore {}", account(&record.id)),
            Effect::Serve(_, accounts) => format!("serve {}", accounts.len()),
            Effect::Advance(id, last) => format!("advance {} {}", account(&id.automation), minute(last)),
            Effect::Resume(id, last) => format!("resume {} {}", account(&id.automation), minute(last)),
            Effect::Forget(id) => format!("forget {} {}", account(&id.automation), id.key),
            Effect::LastSuccess(id, at) => {
                format!("last success {} {:?}", account(id), at.as_ref().map(minute))
            }
            Effect::Log(_, _, text) => text.clone(),
        };
        let changes = plan.changes.iter().map(change);
        changes.chain(plan.markers.iter().map(marker)).chain(plan.effects.iter().map(effect)).collect()
    }

    /// What an event changes in a process that has loaded this and waits for that, at the thirtieth minute.
    fn planned(
        event: &RegistryEvent,
        facts: &EventFacts,
        loaded: Option<Arc<Revision>>,
        triggers: &Triggers,
    ) -> Vec<String> {
        let mut automations = LoadedAutomations::new("/店".as_ref());
        if let Some(revision) = loaded {
            automations.load(revision);
        }
        in_words(&plan(
            event,
            facts,
            Present {
                loaded: &automations,
                triggers,
                owner: "店/7",
                now: at(30),
                setting_names: SettingNames(|_| "--store"),
            },
        ))
    }

    fn live(facts: &EventFacts, triggers: &Triggers) -> Vec<String> {
        planned(&RegistryEvent::Live(revision()), facts, None, triggers)
    }

    fn stale() -> RegistryEvent {
        RegistryEvent::Stale(NAME.to_owned(), Diagnostic::new("坏了"))
    }

    fn removed() -> RegistryEvent {
        RegistryEvent::Removed(NAME.to_owned())
    }

    fn restored(revision: Result<Arc<Revision>, Option<Diagnostic>>) -> RegistryEvent {
        RegistryEvent::Restored { name: NAME.to_owned(), diagnostic: Diagnostic::new("坏了"), revision }
    }

    #[test]
    fn new_automation_is_armed_and_fires_from_now_on() {
        let expected = [
            "served 店",
            "armed 店 every 10m: its trigger is new",
            "load",
            "serve 1",
            "resume 店 30",
            "last success 店 None",
            "live",
        ];
        assert_eq!(live(&facts(), &Triggers::default()), expected);
    }

    #[test]
    fn automation_of_an_earlier_process_continues_after_its_last_fire() {
        let facts = with_last_fire(FireState::Done, at(20));
        let expected = ["served 店", "load", "serve 1", "resume 店 20", "last success 店 None", "live"];
        assert_eq!(live(&facts, &Triggers::default()), expected);
    }

    #[test]
    fn trigger_that_was_removed_before_is_armed_again() {
        let facts = with_last_fire(FireState::Disarmed, at(20));
        let expected = [
            "served 店",
            "armed 店 every 10m: its trigger is new",
            "load",
            "serve 1",
            "resume 店 30",
            "last success 店 None",
            "live",
        ];
        assert_eq!(live(&facts, &Triggers::default()), expected);
    }

    #[test]
    fn trigger_whose_last_fire_is_in_the_future_continues_there_with_a_warning() {
        let facts = with_last_fire(FireState::Done, at(40));
        let expected = [
            "served 店",
            "load",
            "serve 1",
            "its last recorded fire, of Thu 1970-01-01 00:40:00 +00:00, is in the future: is the clock right?",
            "resume 店 40",
            "last success 店 None",
            "live",
        ];
        assert_eq!(live(&facts, &Triggers::default()), expected);
    }

    #[test]
    fn trigger_that_is_waited_for_goes_on() {
        let expected = ["served 店", "load", "serve 1", "advance 店 20", "last success 店 None", "live"];
        assert_eq!(live(&facts(), &waiting()), expected);
    }

    #[test]
    fn trigger_that_a_new_revision_lacks_is_disarmed_and_forgotten() {
        let mut triggers = waiting();
        let gone = TriggerId::new(&shop_id(), "every 5m");
        triggers.advance(gone, &revision().triggers[0], at(20));
        let expected = [
            "served 店",
            "disarmed 店 every 5m: its trigger was removed",
            "load",
            "serve 1",
            "forget 店 every 5m",
            "advance 店 20",
            "last success 店 None",
            "live",
        ];
        assert_eq!(live(&facts(), &triggers), expected);
    }

    #[test]
    fn trigger_that_was_removed_while_no_daemon_was_running_is_disarmed() {
        let mut facts = with_last_fire(FireState::Done, at(20));
        let gone = LastFire { trigger: "every 5m".to_owned(), scheduled_at: at(25), state: FireState::Done };
        facts.fires.entry(shop_id()).or_default().push(gone);
        let expected = [
            "served 店",
            "disarmed 店 every 5m: its trigger was removed",
            "load",
            "serve 1",
            "resume 店 20",
            "last success 店 None",
            "live",
        ];
        assert_eq!(live(&facts, &Triggers::default()), expected);
    }

    #[test]
    fn last_success_of_an_earlier_process_is_continued() {
        let mut facts = with_last_fire(FireState::Done, at(20));
        facts.accounts[0].last_success = Some(at(21));
        let expected = ["served 店", "load", "serve 1", "resume 店 20", "last success 店 Some(21)", "live"];
        assert_eq!(live(&facts, &Triggers::default()), expected);
    }

    #[test]
    fn automation_that_another_folder_has_too_is_warned_of() {
        let mut facts = with_last_fire(FireState::Done, at(20));
        facts.accounts[0].recorded.folder = "/别店".to_owned();
        facts.accounts[0].has_peer = true;
        let warning = "/别店 has an automation of this name too, and another process serves it for this account: they \
                       share fires and ctx.state; rename one of them, or change --store of one of them";
        let expected =
            ["served 店", "load", "serve 1", warning, "resume 店 20", "last success 店 None", "live"];
        assert_eq!(live(&facts, &Triggers::default()), expected);
    }

    #[test]
    fn account_that_a_new_revision_does_not_name_is_dropped() {
        let mut facts = facts();
        facts.records = vec![served(account(None, "wx02").id(NAME), at(10)), served(shop_id(), at(10))];
        let expected = [
            "served 店",
            "removed wx02",
            "load",
            "serve 1",
            "advance 店 20",
            "last success 店 None",
            "last success wx02 None",
            "live",
        ];
        assert_eq!(live(&facts, &waiting()), expected);
    }

    #[test]
    fn record_without_an_account_is_adopted_by_the_account_that_is_served() {
        let mut facts = facts();
        facts.records = vec![served(AutomationId::new("", NAME), at(10))];
        let expected = ["served 店", "load", "serve 1", "advance 店 20", "last success 店 None", "live"];
        assert_eq!(live(&facts, &waiting()), expected);
    }

    #[test]
    fn account_that_a_live_automation_names_is_looked_up() {
        let facts = facts_of(account(Some("别店"), "wx02"));
        let (loaded, triggers) = (LoadedAutomations::new("/店".as_ref()), Triggers::default());
        let present = Present {
            loaded: &loaded,
            triggers: &triggers,
            owner: "店/7",
            now: at(30),
            setting_names: SettingNames(|_| "--store"),
        };
        let named = plan(&RegistryEvent::Live(revision()), &facts, present).named;
        let id = account(Some("别店"), "wx02").id(NAME);
        assert_eq!(named, BTreeMap::from([("别店".to_owned(), vec![id])]));
    }

    #[test]
    fn stale_automation_that_is_loaded_keeps_its_revision() {
        let expected = [
            "stale 店, last good",
            "mark stale",
            "serve 1",
            "advance 店 20",
            "STALE: 坏了; the last good version keeps running",
        ];
        assert_eq!(planned(&stale(), &facts(), Some(revision()), &waiting()), expected);
    }

    #[test]
    fn stale_automation_that_only_the_store_has_is_restored_first() {
        let records = vec![served(account(None, "wx02").id(NAME), at(10)), served(shop_id(), at(20))];
        let facts = EventFacts { records, ..EventFacts::default() };
        assert_eq!(planned(&stale(), &facts, None, &Triggers::default()), ["restore 店"]);
    }

    #[test]
    fn stale_automation_that_was_never_good_does_not_run() {
        let expected = ["stale 店", "mark stale", "serve 0", "STALE: 坏了; it does not run"];
        assert_eq!(planned(&stale(), &facts(), None, &Triggers::default()), expected);
    }

    #[test]
    fn restored_revision_is_loaded_and_continues() {
        let facts = with_last_fire(FireState::Done, at(20));
        let expected = [
            "stale 店, last good",
            "load",
            "mark stale",
            "serve 1",
            "resume 店 20",
            "STALE: 坏了; the last good version keeps running",
        ];
        assert_eq!(planned(&restored(Ok(revision())), &facts, None, &Triggers::default()), expected);
    }

    #[test]
    fn failed_restore_is_logged() {
        let event = restored(Err(Some(Diagnostic::new("读不懂"))));
        let expected = [
            "stale 店",
            "its last good version can't be restored: 读不懂",
            "mark stale",
            "serve 0",
            "STALE: 坏了; it does not run",
        ];
        assert_eq!(planned(&event, &facts(), None, &Triggers::default()), expected);
    }

    #[test]
    fn removed_automation_is_disarmed_and_unloaded() {
        let expected = [
            "removed 店",
            "disarmed 店 every 10m: its trigger was removed",
            "forget 店 every 10m",
            "last success 店 None",
            "unload",
            "serve 0",
            "removed: its triggers do not fire any more",
        ];
        let seen = planned(&removed(), &EventFacts::default(), Some(revision()), &waiting());
        assert_eq!(seen, expected);
    }

    #[test]
    fn automation_removed_while_no_daemon_was_running_is_disarmed() {
        let facts = EventFacts {
            accounts: Vec::new(),
            records: vec![served(shop_id(), at(10))],
            ..with_last_fire(FireState::Done, at(20))
        };
        let expected = [
            "removed 店",
            "disarmed 店 every 10m: its trigger was removed",
            "last success 店 None",
            "unload",
            "serve 0",
            "removed: its triggers do not fire any more",
        ];
        assert_eq!(planned(&removed(), &facts, None, &Triggers::default()), expected);
    }

    fn refused(event: &RegistryEvent, loaded: Option<Arc<Revision>>) -> Vec<String> {
        let mut automations = LoadedAutomations::new("/店".as_ref());
        if let Some(revision) = loaded {
            automations.load(revision);
        }
        let triggers = waiting();
        let present = Present {
            loaded: &automations,
            triggers: &triggers,
            owner: "店/7",
            now: at(30),
            setting_names: SettingNames(|_| "--store"),
        };
        in_words(&plan_refused(event, &Diagnostic::new("读不懂"), present))
    }

    #[test]
    fn refused_event_keeps_what_is_loaded() {
        let expected = ["mark stale", "STALE: 读不懂; the last good version keeps running"];
        assert_eq!(refused(&RegistryEvent::Live(revision()), Some(revision())), expected);
    }

    #[test]
    fn refused_event_of_what_is_not_loaded_runs_nothing() {
        let expected = ["mark stale", "STALE: 读不懂; it does not run"];
        assert_eq!(refused(&RegistryEvent::Live(revision()), None), expected);
    }

    #[test]
    fn refused_removal_unloads_all_the_same() {
        let expected =
            ["forget 店 every 10m", "unload", "serve 0", "mark stale", "STALE: 读不懂; it does not run"];
        assert_eq!(refused(&removed(), Some(revision())), expected);
    }
}
