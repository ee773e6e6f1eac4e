//! Reload: what scans of the folder find goes to the store, to the log and to the triggers that are waited for.
//!
//! A batch of events is planned first, which only reads; then everything that it changes is written in one transaction,
//! and only then applied. A batch that the store does not take is planned again at the next step.

use super::{
    fire_runner::FireRunner,
    folder_health::{FirstLook, FolderHealth},
    log::Level,
    reload_facts::PlanError,
    reload_plan::{Effect, Present, ReloadPlan, plan, plan_refused},
    scans::{FolderScans, Found},
    step::{MAX_STEP, Progress},
    triggers::Triggers,
};
use crate::{
    base::{Diagnostic, EpochMs, Stopwatch},
    run::{registry::RegistryEvent, runner::Waker},
    store::StoreError,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Findings of scans that are taken at once; the scan waits for the store with the rest.
const MAX_EVENTS: usize = 256;

/// Takes what scans of the folder find into the daemon.
pub(super) struct Reloader {
    scans: FolderScans,
    /// What scans have found and the store has not taken yet.
    events: VecDeque<RegistryEvent>,
    /// What can't be taken because of what is recorded or configured of its automation, by the automation's name, and why.
    /// It is tried again at each scan.
    refused: BTreeMap<String, (RegistryEvent, Diagnostic)>,
    folder_health: FolderHealth,
}

impl Reloader {
    pub(super) fn new(scans: FolderScans) -> Self {
        Self {
            scans,
            events: VecDeque::new(),
            refused: BTreeMap::new(),
            folder_health: FolderHealth::default(),
        }
    }

    /// Calls this when a scan has found something.
    pub(super) fn set_waker(&mut self, waker: Waker) {
        self.scans.set_waker(waker);
    }

    /// Calls this before each scan.
    pub(super) fn set_hook(&mut self, hook: impl FnMut() + Send + 'static) {
        self.scans.set_hook(Box::new(hook));
    }

    /// Whether the first look at the folder is done: before, every known automation may look deleted.
    pub(super) fn has_looked(&self) -> bool {
        self.folder_health.first_look == FirstLook::Done
    }

    /// Has the folder scanned. The steps that follow load what is found.
    pub(super) fn begin_scan(&mut self, runner: &mut FireRunner) {
        if self.has_looked() {
            self.reload_changed_accounts(runner);
            self.retry_refused();
        }
        if let Err(error) = self.scans.begin() {
            let text = format!("the folder can't be scanned now: the system gives no thread: {error}");
            runner.process().log.daemon(Level::Error, &text);
        }
    }

    /// Whether a scan goes on, or something that it has found is not loaded yet.
    pub(super) fn is_scanning(&self) -> bool {
        let is_comparing = matches!(self.folder_health.first_look, FirstLook::Comparing | FirstLook::Loading);
        is_comparing || !self.scans.is_idle() || !self.events.is_empty()
    }

    /// Loads the automations again whose accounts the configuration finds otherwise than before.
    fn reload_changed_accounts(&mut self, runner: &mut FireRunner) {
        for revision in runner.refresh_accounts() {
            if self.events.iter().all(|event| event.name() != revision.name) {
                self.events.push_back(RegistryEvent::Live(revision));
            }
        }
    }

    /// Has what was refused planned again: the row or the configuration may have been mended.
    fn retry_refused(&mut self) {
        for (name, (event, _)) in &self.refused {
            if self.events.iter().all(|event| event.name() != name) {
                self.events.push_back(event.clone());
            }
        }
    }

    /// Takes what scans have found, and loads it. Events that the store does not take are applied at the next step.
    pub(super) fn load_found(
        &mut self,
        runner: &mut FireRunner,
        triggers: &mut Triggers,
    ) -> Result<Progress, StoreError> {
        while self.events.len() < MAX_EVENTS
            && let Some(found) = self.scans.receive()
        {
            match found {
                Found::Event(event) => self.events.push_back(*event),
                Found::Scanned(scanned) => {
                    log_entry(runner, self.folder_health.observe_scan(scanned));
                }
                Found::Done => {}
            }
        }
        log_entry(runner, self.folder_health.observe_stall(self.scans.stalled()));
        self.apply_events(runner, triggers)?;
        match self.folder_health.first_look {
            FirstLook::Comparing => {
                let served = runner.facts_reader(triggers).served_before()?;
                self.scans.mark_missing(served);
                self.folder_health.first_look = FirstLook::Loading;
            }
            FirstLook::Loading if self.scans.is_idle() && self.events.is_empty() => {
                self.folder_health.first_look = FirstLook::Done;
            }
            FirstLook::Reading | FirstLook::Loading | FirstLook::Done => {}
        }
        let served = runner.loaded().revisions().len();
        runner.process().stats.lock().scan_error = self.folder_health.error(served);
        Ok(if self.events.is_empty() { Progress::Whole } else { Progress::Partial })
    }

    /// Loads what waits to be loaded.
    fn apply_events(&mut self, runner: &mut FireRunner, triggers: &mut Triggers) -> Result<(), StoreError> {
        if self.events.is_empty() {
            return Ok(());
        }
        let (now, since) = (runner.process().now(), Stopwatch::start());
        let mut whole = ReloadPlan::default();
        let (mut names, mut refused) = (BTreeSet::new(), BTreeMap::new());
        while let Some(event) = self.events.get(names.len()).cloned() {
            // An event is planned on what the one before it has changed of its automation.
            if since.elapsed() >= MAX_STEP || !names.insert(event.name().to_owned()) {
                break;
            }
            let facts = runner.facts_reader(triggers).read(&event);
            let present = Present {
                loaded: runner.loaded(),
                triggers,
                owner: &runner.process().name,
                now,
                setting_names: runner.process().host.setting_names,
            };
            match facts {
                Ok(facts) => whole.extend(plan(&event, &facts, present)),
                Err(PlanError::Store(error)) => return Err(error),
                Err(PlanError::Refused(diagnostic)) => {
                    let before = self.refused.get(event.name()).map(|(_, diagnostic)| diagnostic);
                    if before != Some(&diagnostic) {
                        whole.extend(plan_refused(&event, &diagnostic, present));
                    }
                    refused.insert(event.name().to_owned(), (event, diagnostic));
                }
            }
        }
        let (folder, store) = (runner.loaded().stored_folder(), &runner.process().store);
        runner.process().wait(store.record_scan(&folder, &whole.changes, &whole.markers, now))?;
        self.events.drain(..names.len());
        self.refused.retain(|name, _| !names.contains(name));
        self.refused.extend(refused);
        whole.effects.into_iter().for_each(|effect| self.apply(runner, triggers, effect, now));
        for (account, automations) in whole.named {
            runner.check_account(&account, automations);
        }
        let mut stats = runner.process().stats.lock();
        stats.live = runner.accounts().ids().collect();
        stats.stale = runner.loaded().count_stale();
        Ok(())
    }

    fn apply(&mut self, runner: &mut FireRunner, triggers: &mut Triggers, effect: Effect, now: EpochMs) {
        match effect {
            Effect::Load(revision) => runner.load(revision),
            Effect::MarkStale(name) => runner.mark_stale(&name),
            Effect::Unload(name) => runner.unload(&name),
            Effect::Restore(record) => self.scans.restore(record),
            Effect::Serve(name, accounts) => runner.serve(&name, accounts),
            Effect::Advance(id, last) => {
                let revision = runner.loaded().get(&id.automation.name);
                if let Some(trigger) = revision.as_ref().and_then(|revision| revision.trigger(&id.key)) {
                    triggers.advance(id, trigger, last);
                }
            }
            Effect::Resume(id, last) => {
                let revision = runner.loaded().get(&id.automation.name);
                if let Some(trigger) = revision.as_ref().and_then(|revision| revision.trigger(&id.key)) {
                    triggers.resume(id, trigger, last, now);
                }
            }
            Effect::Forget(id) => triggers.remove(&id),
            Effect::LastSuccess(id, at) => {
                let mut stats = runner.process().stats.lock();
                match at {
                    Some(at) => stats.last_success.insert(id, at),
                    None => stats.last_success.remove(&id),
                };
            }
            Effect::Log(level, id, text) => runner.process().log.automation(level, &id, &text),
        }
    }
}

fn log_entry(runner: &FireRunner, entry: Option<(Level, String)>) {
    if let Some((level, text)) = entry {
        runner.process().log.daemon(level, &text);
    }
}
