//! The triggers that the daemon waits for, each with the instant up to which its fires are accounted for.

use super::clock_watch::ClockJump;
use crate::{
    base::EpochMs,
    run::schedule::{Schedule, due::starts_at, trigger::Trigger},
    store::AutomationId,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Names a trigger: its automation, with the account, and its key there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TriggerId {
    pub automation: AutomationId,
    pub key: String,
}

impl TriggerId {
    pub(super) fn new(automation: &AutomationId, key: &str) -> Self {
        Self { automation: automation.clone(), key: key.to_owned() }
    }
}

/// How far the fires of a trigger are accounted for.
struct TriggerCursor {
    /// The last instant whose fire is recorded.
    last: EpochMs,
    /// When the next fire starts, if there is one.
    next_start: Option<EpochMs>,
    /// How far its time is ahead of the clock's: that of an interval goes on when the clock is set back.
    ahead: Duration,
}

impl TriggerCursor {
    fn new(automation: &str, trigger: &Trigger, last: EpochMs, ahead: Duration) -> Self {
        let next = trigger.schedule.after(last);
        let next_start = next.map(|instant| starts_at(automation, trigger, instant));
        Self { last, next_start, ahead }
    }
}

/// The triggers that the daemon waits for. The next start of each always follows from its schedule and its last instant.
#[derive(Default)]
pub(super) struct Triggers {
    cursors: BTreeMap<TriggerId, TriggerCursor>,
    /// Their names, by those of their automations.
    by_name: BTreeMap<String, BTreeSet<TriggerId>>,
}

impl Triggers {
    /// When the next fire of all triggers starts.
    pub(super) fn next_start(&self) -> Option<EpochMs> {
        self.cursors.values().filter_map(|cursor| Some(cursor.next_start? - cursor.ahead)).min()
    }

    /// The triggers whose next fire is due, each with its time.
    pub(super) fn due(&self, now: EpochMs) -> Vec<(TriggerId, EpochMs)> {
        let due = self.cursors.iter().map(|(id, cursor)| (id, cursor, now + cursor.ahead));
        let due = due.filter(|(_, cursor, now)| cursor.next_start.is_some_and(|next| next <= *now));
        due.map(|(id, _, now)| (id.clone(), now)).collect()
    }

    /// The last instant that is accounted for; `None` for a trigger that is not waited for.
    pub(super) fn last(&self, id: &TriggerId) -> Option<EpochMs> {
        self.cursors.get(id).map(|cursor| cursor.last)
    }

    /// The fires up to `last` are accounted for; waits for the next one.
    pub(super) fn advance(&mut self, id: TriggerId, trigger: &Trigger, last: EpochMs) {
        let ahead = self.cursors.get(&id).map(|cursor| cursor.ahead).unwrap_or_default();
        let cursor = TriggerCursor::new(&id.automation.name, trigger, last, ahead);
        self.insert(id, cursor);
    }

    /// Waits for a trigger after a restart, by its last fire in the store, whose instant may be ahead of the clock: an
    /// interval continues from there, and a cron expression follows the clock.
    pub(super) fn resume(&mut self, id: TriggerId, trigger: &Trigger, last: EpochMs, now: EpochMs) {
        let cursor = match trigger.schedule {
            Schedule::Every(_) => TriggerCursor::new(&id.automation.name, trigger, last, last.since(now)),
            Schedule::Cron { .. } => {
                TriggerCursor::new(&id.automation.name, trigger, last.min(now), Duration::ZERO)
            }
        };
        self.insert(id, cursor);
    }

    fn insert(&mut self, id: TriggerId, cursor: TriggerCursor) {
        self.by_name.entry(id.automation.name.clone()).or_default().insert(id.clone());
        self.cursors.insert(id, cursor);
    }

    /// Adjusts a trigger to a jump of the clock: an interval keeps its distance by the time that passes, and a cron
    /// expression follows the clock.
    pub(super) fn follow_jump(&mut self, id: &TriggerId, trigger: &Trigger, jump: ClockJump, now: EpochMs) {
        let Some(cursor) = self.cursors.get_mut(id) else { return };
        match (&trigger.schedule, jump) {
            (Schedule::Every(_), ClockJump::Back(size)) => {
                cursor.ahead = cursor.ahead.saturating_add(size);
            }
            (Schedule::Every(_), ClockJump::Forward(size)) => {
                cursor.ahead = cursor.ahead.saturating_sub(size);
            }
            (Schedule::Cron { .. }, ClockJump::Back(_)) => {
                *cursor =
                    TriggerCursor::new(&id.automation.name, trigger, cursor.last.min(now), Duration::ZERO);
            }
            (Schedule::Cron { .. }, ClockJump::Forward(_)) => {}
        }
    }

    /// The triggers that are waited for.
    pub(super) fn ids(&self) -> Vec<TriggerId> {
        self.cursors.keys().cloned().collect()
    }

    /// Waits no longer for a trigger.
    pub(super) fn remove(&mut self, id: &TriggerId) {
        self.cursors.remove(id);
        if let Some(ids) = self.by_name.get_mut(&id.automation.name) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_name.remove(&id.automation.name);
            }
        }
    }

    /// The triggers of an automation that are waited for, for one of its accounts.
    pub(super) fn ids_of(&self, automation: &AutomationId) -> Vec<TriggerId> {
        let named = self.by_name.get(&automation.name).into_iter().flatten();
        named.filter(|id| id.automation == *automation).cloned().collect()
    }

    /// The accounts, each with this automation's name, that triggers are waited for.
    pub(super) fn automations_named(&self, name: &str) -> BTreeSet<AutomationId> {
        self.by_name.get(name).into_iter().flatten().map(|id| id.automation.clone()).collect()
    }
}
