//! The triggers that the daemon waits for, each with the instant up to which its fires are accounted for.

use crate::{
    base::EpochMs,
    run::schedule::{due::starts_at, trigger::Trigger},
};
use std::collections::BTreeMap;

/// Names a trigger: its automation and its key there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TriggerId {
    pub automation: String,
    pub key: String,
}

impl TriggerId {
    pub(super) fn new(automation: &str, key: &str) -> Self {
        Self { automation: automation.to_owned(), key: key.to_owned() }
    }
}

/// How far the fires of a trigger are accounted for.
struct TriggerCursor {
    /// The last instant whose fire is recorded.
    last: EpochMs,
    /// When the next fire starts, if there is one.
    next_start: Option<EpochMs>,
}

/// The triggers that the daemon waits for. The next start of each always follows from its schedule and its last instant.
#[derive(Default)]
pub(super) struct Triggers(BTreeMap<TriggerId, TriggerCursor>);

impl Triggers {
    /// When the next fire of all triggers starts.
    pub(super) fn next_start(&self) -> Option<EpochMs> {
        self.0.values().filter_map(|cursor| cursor.next_start).min()
    }

    /// The triggers whose next fire is due.
    pub(super) fn due(&self, now: EpochMs) -> Vec<TriggerId> {
        let is_due = |cursor: &TriggerCursor| cursor.next_start.is_some_and(|next| next <= now);
        self.0.iter().filter(|(_, cursor)| is_due(cursor)).map(|(id, _)| id.clone()).collect()
    }

    /// The last instant that is accounted for; `None` for a trigger that is not waited for.
    pub(super) fn last(&self, id: &TriggerId) -> Option<EpochMs> {
        self.0.get(id).map(|cursor| cursor.last)
    }

    /// The fires up to `last` are accounted for; waits for the next one.
    pub(super) fn advance(&mut self, id: TriggerId, trigger: &Trigger, last: EpochMs) {
        let next = trigger.schedule.after(last);
        let next_start = next.map(|instant| starts_at(&id.automation, trigger, instant));
        self.0.insert(id, TriggerCursor { last, next_start });
    }

    /// Waits no longer for a trigger.
    pub(super) fn remove(&mut self, id: &TriggerId) {
        self.0.remove(id);
    }

    /// The triggers of an automation that are waited for.
    pub(super) fn ids_of(&self, automation: &str) -> Vec<TriggerId> {
        self.0.keys().filter(|id| id.automation == automation).cloned().collect()
    }
}
