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

/// A trigger whose next fire is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DueTrigger {
    /// The trigger.
    pub id: TriggerId,
    /// The last instant whose fire is recorded.
    pub last: EpochMs,
    /// The time that it follows, which is not the clock's after that was set back.
    pub time: EpochMs,
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

    /// The triggers whose next fire is due.
    pub(super) fn due(&self, now: EpochMs) -> Vec<DueTrigger> {
        let due = |(id, cursor): (&TriggerId, &TriggerCursor)| {
            let time = now + cursor.ahead;
            let is_due = cursor.next_start.is_some_and(|next| next <= time);
            is_due.then(|| DueTrigger { id: id.clone(), last: cursor.last, time })
        };
        self.cursors.iter().filter_map(due).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Timing, TriggerSpec};

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(minutes: u64) -> EpochMs {
        EpochMs::default() + Duration::from_mins(minutes)
    }

    fn trigger(timing: Timing) -> Trigger {
        let spec =
            TriggerSpec { timing, zone: None, jitter: Duration::ZERO, handler: "run".to_owned(), span: None };
        Trigger::read(&spec, chrono_tz::UTC).expect("it can be parsed")
    }

    fn every_ten_minutes() -> Trigger {
        trigger(Timing::Every("10m".to_owned()))
    }

    /// At every tenth minute.
    fn cron() -> Trigger {
        trigger(Timing::Cron("*/10 * * * *".to_owned()))
    }

    fn id() -> TriggerId {
        TriggerId::new(&AutomationId::new("店", "日报"), "every 10m")
    }

    /// A trigger whose fires are accounted for up to the twentieth minute.
    fn waiting_for(trigger: &Trigger) -> Triggers {
        let mut triggers = Triggers::default();
        triggers.advance(id(), trigger, at(20));
        triggers
    }

    /// What is accounted for, and when the next fire starts.
    fn seen(triggers: &Triggers) -> (Option<EpochMs>, Option<EpochMs>) {
        (triggers.last(&id()), triggers.next_start())
    }

    #[test]
    fn advanced_trigger_waits_for_the_next_instant() {
        assert_eq!(seen(&waiting_for(&every_ten_minutes())), (Some(at(20)), Some(at(30))));
    }

    #[test]
    fn trigger_is_not_due_before_its_next_instant() {
        assert_eq!(waiting_for(&cron()).due(at(29)), []);
    }

    #[test]
    fn trigger_is_due_at_its_next_instant() {
        let due = DueTrigger { id: id(), last: at(20), time: at(30) };
        assert_eq!(waiting_for(&cron()).due(at(30)), [due]);
    }

    #[test]
    fn interval_resumed_from_the_past_continues_there() {
        let mut triggers = Triggers::default();
        triggers.resume(id(), &every_ten_minutes(), at(20), at(25));
        assert_eq!(seen(&triggers), (Some(at(20)), Some(at(30))));
    }

    #[test]
    fn interval_resumed_from_the_future_continues_with_the_time_that_passes() {
        let mut triggers = Triggers::default();
        triggers.resume(id(), &every_ten_minutes(), at(50), at(20));
        assert_eq!(seen(&triggers), (Some(at(50)), Some(at(30))));
    }

    #[test]
    fn interval_resumed_from_the_future_is_due_by_its_own_time() {
        let mut triggers = Triggers::default();
        triggers.resume(id(), &every_ten_minutes(), at(50), at(20));
        let due = DueTrigger { id: id(), last: at(50), time: at(60) };
        assert_eq!(triggers.due(at(30)), [due]);
    }

    #[test]
    fn cron_resumed_from_the_future_follows_the_clock() {
        let mut triggers = Triggers::default();
        triggers.resume(id(), &cron(), at(50), at(20));
        assert_eq!(seen(&triggers), (Some(at(20)), Some(at(30))));
    }

    #[test]
    fn interval_goes_on_when_the_clock_is_set_back() {
        let (trigger, mut triggers) = (every_ten_minutes(), waiting_for(&every_ten_minutes()));
        triggers.follow_jump(&id(), &trigger, ClockJump::Back(MINUTE * 15), at(10));
        assert_eq!(seen(&triggers), (Some(at(20)), Some(at(15))));
    }

    #[test]
    fn interval_returns_to_the_clock_when_that_is_set_forward_again() {
        let (trigger, mut triggers) = (every_ten_minutes(), waiting_for(&every_ten_minutes()));
        triggers.follow_jump(&id(), &trigger, ClockJump::Back(MINUTE * 15), at(10));
        triggers.follow_jump(&id(), &trigger, ClockJump::Forward(MINUTE * 20), at(30));
        assert_eq!(seen(&triggers), (Some(at(20)), Some(at(30))));
    }

    #[test]
    fn advanced_interval_keeps_its_distance_from_the_clock() {
        let (trigger, mut triggers) = (every_ten_minutes(), waiting_for(&every_ten_minutes()));
        triggers.follow_jump(&id(), &trigger, ClockJump::Back(MINUTE * 15), at(10));
        triggers.advance(id(), &trigger, at(30));
        assert_eq!(seen(&triggers), (Some(at(30)), Some(at(25))));
    }

    #[test]
    fn cron_follows_the_clock_when_it_is_set_back() {
        let (trigger, mut triggers) = (cron(), waiting_for(&cron()));
        triggers.follow_jump(&id(), &trigger, ClockJump::Back(MINUTE * 15), at(5));
        assert_eq!(seen(&triggers), (Some(at(5)), Some(at(10))));
    }

    #[test]
    fn cron_stays_when_the_clock_is_set_forward() {
        let (trigger, mut triggers) = (cron(), waiting_for(&cron()));
        triggers.follow_jump(&id(), &trigger, ClockJump::Forward(MINUTE * 60), at(80));
        assert_eq!(seen(&triggers), (Some(at(20)), Some(at(30))));
    }

    #[test]
    fn jump_does_not_concern_a_trigger_that_is_not_waited_for() {
        let mut triggers = Triggers::default();
        triggers.follow_jump(&id(), &cron(), ClockJump::Back(MINUTE), at(5));
        assert_eq!(triggers.ids(), []);
    }

    #[test]
    fn removed_trigger_is_not_waited_for() {
        let mut triggers = waiting_for(&cron());
        triggers.remove(&id());
        assert_eq!((seen(&triggers), triggers.ids_of(&id().automation)), ((None, None), Vec::new()));
    }

    #[test]
    fn automation_without_triggers_is_not_named() {
        let mut triggers = waiting_for(&cron());
        triggers.remove(&id());
        assert_eq!(triggers.automations_named("日报"), BTreeSet::new());
    }

    #[test]
    fn trigger_of_one_account_is_not_that_of_another() {
        assert_eq!(waiting_for(&cron()).ids_of(&AutomationId::new("别店", "日报")), []);
    }
}
