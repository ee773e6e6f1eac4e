//! Whether a due fire may start, decided from what is loaded, recorded and running. Must never know the store, the clock or
//! the log; the callers carry the decisions out.

use super::transition::{Admission, Places, RunningFire, StartTransition, is_backlog};
use crate::{
    base::EpochMs,
    run::{registry::Revision, schedule::due::starts_at},
    script::Overlap,
    store::{Fire, FireKind},
};
use std::time::Duration;

/// The handler that a fire calls; `None` once its trigger was removed.
pub(super) fn handler_of<'a>(revision: &'a Revision, fire: &Fire) -> Option<&'a str> {
    revision.trigger(&fire.trigger).map(|trigger| trigger.handler.as_str())
}

/// How long after its start a fire was claimed.
pub(super) fn claimed_after(revision: &Revision, fire: &Fire) -> Duration {
    let start = revision
        .trigger(&fire.trigger)
        .map(|trigger| starts_at(&fire.automation.name, trigger, fire.scheduled_at));
    fire.updated_at.since(start.unwrap_or(fire.scheduled_at))
}

/// What is known of the automation of a due fire: a revision `R` that is loaded, and an account `A` that it is served for.
#[derive(Clone, Debug)]
pub(super) struct DueState<R, A> {
    /// The revision, if one is loaded.
    pub revision: Option<R>,
    /// The fire's account, if it is served for that.
    pub account: Option<A>,
    /// Whether the revision has the fire's trigger.
    pub has_trigger: bool,
    /// Until when the automation is paused.
    pub paused_until: Option<EpochMs>,
}

/// What serves a due fire, or why it does not run, whatever else runs.
pub(super) fn served<R, A>(
    automation: DueState<R, A>,
    scheduled_at: EpochMs,
) -> Result<(R, A), &'static str> {
    let revision = automation.revision.ok_or("the automation was removed")?;
    let account = automation.account.ok_or("the automation is no longer served for this account")?;
    if !automation.has_trigger {
        return Err("its trigger was removed");
    }
    if automation.paused_until.is_some_and(|until| until > scheduled_at) {
        return Err("the automation is paused");
    }
    Ok((revision, account))
}

/// A fire, with the handler that it calls; `None` once its trigger was removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct FireCall<'a> {
    pub fire: &'a Fire,
    pub handler: Option<&'a str>,
}

impl<'a> FireCall<'a> {
    pub(super) fn of(revision: &'a Revision, fire: &'a Fire) -> Self {
        Self { fire, handler: handler_of(revision, fire) }
    }
}

/// How a running fire relates to a due one of its automation.
pub(super) fn relation(due: FireCall<'_>, other: FireCall<'_>) -> RunningFire {
    if (&other.fire.trigger, other.fire.scheduled_at) == (&due.fire.trigger, due.fire.scheduled_at) {
        return RunningFire::Same;
    }
    match other.handler {
        // The handler of a trigger that was removed is not known: it counts as the same.
        None => RunningFire::Other,
        Some(_) if other.handler == due.handler => RunningFire::Other,
        Some(_) => RunningFire::OtherHandler,
    }
}

/// A running fire, with how it relates to a due one.
#[derive(Clone, Copy, Debug)]
pub(super) struct RelatedFire<'a> {
    pub fire: &'a Fire,
    pub relation: RunningFire,
}

/// A run that takes longer than the time to the next fire of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun {
    /// How long it has been running.
    pub runs: Duration,
    /// After which time the next fire came.
    pub interval: Duration,
}

/// Whether the run of another fire has overrun the time to a due one, which therefore is skipped or waits.
pub(super) fn overrun(
    due: &Fire,
    RelatedFire { fire: running, relation }: RelatedFire<'_>,
    transition: StartTransition,
    now: EpochMs,
) -> Option<Overrun> {
    let is_held_up = matches!(transition, StartTransition::Skip | StartTransition::Wait);
    let (runs, interval) = (now.since(running.updated_at), due.scheduled_at.since(running.scheduled_at));
    (relation == RunningFire::Other && is_held_up && runs >= interval).then_some(Overrun { runs, interval })
}

/// What becomes of a fire that can't start yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It waits.
    Wait,
    /// It is closed as skipped.
    Skip,
}

/// Two fires of one handler that were both due.
#[derive(Clone, Copy, Debug)]
pub(super) struct FireBehind {
    /// What has fired the later one.
    pub kind: FireKind,
    /// What the automation does with fires that meet another one.
    pub overlap: Overlap,
    /// How long after its start the later one was claimed.
    pub claimed_after: Duration,
    /// How long after its start the earlier one was.
    pub first_claimed_after: Duration,
}

/// What becomes of a fire whose handler has an earlier one that has not started yet.
pub(super) fn behind_another(fire: FireBehind) -> Held {
    let may_wait = fire.kind == FireKind::FailureHook
        || fire.overlap != Overlap::Forbid
        || is_backlog(fire.claimed_after)
        || is_backlog(fire.first_claimed_after);
    if may_wait { Held::Wait } else { Held::Skip }
}

/// Whether a waiting fire is one of those that `max_waiting` bounds: what is caught up was decided by `catch_up`. How long
/// after its start it was claimed is not known of an automation that is not loaded.
pub(super) fn is_bounded(kind: FireKind, claimed_after: Option<Duration>) -> bool {
    kind == FireKind::FailureHook || claimed_after.is_some_and(|after| !is_backlog(after))
}

/// What becomes of a fire behind this many waiting ones of its automation, of which this many may wait if it is loaded.
pub(super) fn beyond_bound(waiting: usize, max_waiting: Option<usize>) -> Held {
    if max_waiting.is_some_and(|max| waiting >= max) { Held::Skip } else { Held::Wait }
}

/// What the limits of parallel runs say of a due fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Limited {
    /// It may start.
    Start,
    /// It waits for a run to end.
    Wait,
    /// It is closed as skipped, for this reason.
    Skip(String),
}

/// Applies the limits of parallel runs to a due fire; `setting` is what that of the daemon is called where it is set.
pub(super) fn limited(admission: Admission, places: Places, setting: &str) -> Limited {
    let Places { of_automation, max_of_automation, taken, max } = places;
    match admission {
        Admission::Start => Limited::Start,
        Admission::Wait => Limited::Wait,
        Admission::Skip => Limited::Skip(format!(
            "{of_automation} of its runs are running (max_parallel: {max_of_automation}), {taken} in all \
             ({setting} {max})"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AutomationId;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> EpochMs {
        EpochMs::default() + Duration::from_secs(seconds)
    }

    fn fire(trigger: &str, scheduled_at: u64) -> Fire {
        let (id, owner) = (AutomationId::new("店", "日报"), "店/7".to_owned());
        Fire::claimed(id, trigger, at(scheduled_at), owner, at(scheduled_at))
    }

    const fn call<'a>(fire: &'a Fire, handler: Option<&'a str>) -> FireCall<'a> {
        FireCall { fire, handler }
    }

    const SERVED: DueState<&str, &str> =
        DueState { revision: Some("日报"), account: Some("店"), has_trigger: true, paused_until: None };

    #[test]
    fn fire_of_a_served_automation_may_run() {
        assert_eq!(served(SERVED, at(60)), Ok(("日报", "店")));
    }

    #[test]
    fn fire_of_a_removed_automation_is_refused() {
        let removed = DueState { revision: None, account: None, has_trigger: false, ..SERVED };
        assert_eq!(served(removed, at(60)), Err("the automation was removed"));
    }

    #[test]
    fn fire_of_another_account_is_refused() {
        let other = DueState { account: None, ..SERVED };
        assert_eq!(served(other, at(60)), Err("the automation is no longer served for this account"));
    }

    #[test]
    fn fire_of_a_removed_trigger_is_refused() {
        let without = DueState { has_trigger: false, ..SERVED };
        assert_eq!(served(without, at(60)), Err("its trigger was removed"));
    }

    #[test]
    fn fire_within_a_pause_is_refused() {
        let paused = DueState { paused_until: Some(at(61)), ..SERVED };
        assert_eq!(served(paused, at(60)), Err("the automation is paused"));
    }

    #[test]
    fn fire_at_the_end_of_a_pause_may_run() {
        let paused = DueState { paused_until: Some(at(60)), ..SERVED };
        assert_eq!(served(paused, at(60)), Ok(("日报", "店")));
    }

    #[test]
    fn running_fire_of_the_same_instant_is_the_same() {
        let due = fire("every 1m", 60);
        assert_eq!(relation(call(&due, Some("run")), call(&due, None)), RunningFire::Same);
    }

    #[test]
    fn running_fire_of_another_instant_is_another() {
        let (due, other) = (fire("every 1m", 120), fire("every 1m", 60));
        assert_eq!(relation(call(&due, Some("run")), call(&other, Some("run"))), RunningFire::Other);
    }

    #[test]
    fn running_fire_of_another_trigger_and_the_same_handler_is_another() {
        let (due, other) = (fire("every 1m", 60), fire("every 30s", 60));
        assert_eq!(relation(call(&due, Some("run")), call(&other, Some("run"))), RunningFire::Other);
    }

    #[test]
    fn running_fire_of_another_handler_is_of_another_handler() {
        let (due, other) = (fire("every 1m", 60), fire("every 30s 周报", 60));
        assert_eq!(relation(call(&due, Some("run")), call(&other, Some("周报"))), RunningFire::OtherHandler);
    }

    #[test]
    fn running_fire_of_a_removed_trigger_counts_as_the_same_handler() {
        let (due, other) = (fire("every 1m", 60), fire("every 30s 周报", 60));
        assert_eq!(relation(call(&due, Some("run")), call(&other, None)), RunningFire::Other);
    }

    #[test]
    fn run_that_lasts_to_the_next_fire_has_overrun_it() {
        let (due, other) = (fire("every 1m", 120), fire("every 1m", 60));
        let seen = overrun(
            &due,
            RelatedFire { fire: &other, relation: RunningFire::Other },
            StartTransition::Skip,
            at(120),
        );
        assert_eq!(seen, Some(Overrun { runs: SECOND * 60, interval: SECOND * 60 }));
    }

    #[test]
    fn run_that_a_later_fire_waits_for_has_overrun_it() {
        let (due, other) = (fire("every 1m", 120), fire("every 1m", 60));
        let seen = overrun(
            &due,
            RelatedFire { fire: &other, relation: RunningFire::Other },
            StartTransition::Wait,
            at(180),
        );
        assert_eq!(seen, Some(Overrun { runs: SECOND * 120, interval: SECOND * 60 }));
    }

    #[test]
    fn run_that_began_late_has_not_overrun_the_next_fire() {
        let (due, other) = (fire("every 1m", 120), fire("every 1m", 60));
        let late = Fire { updated_at: at(90), ..other };
        assert_eq!(
            overrun(
                &due,
                RelatedFire { fire: &late, relation: RunningFire::Other },
                StartTransition::Skip,
                at(120)
            ),
            None
        );
    }

    #[test]
    fn run_that_is_replaced_has_not_overrun_the_next_fire() {
        let (due, other) = (fire("every 1m", 120), fire("every 1m", 60));
        assert_eq!(
            overrun(
                &due,
                RelatedFire { fire: &other, relation: RunningFire::Other },
                StartTransition::Replace,
                at(180)
            ),
            None
        );
    }

    #[test]
    fn run_of_another_handler_has_not_overrun_the_next_fire() {
        let (due, other) = (fire("every 1m", 120), fire("every 1m 周报", 60));
        let seen = overrun(
            &due,
            RelatedFire { fire: &other, relation: RunningFire::OtherHandler },
            StartTransition::Wait,
            at(180),
        );
        assert_eq!(seen, None);
    }

    const BEHIND: FireBehind = FireBehind {
        kind: FireKind::Trigger,
        overlap: Overlap::Forbid,
        claimed_after: Duration::ZERO,
        first_claimed_after: Duration::ZERO,
    };

    #[test]
    fn fire_behind_another_is_skipped() {
        assert_eq!(behind_another(BEHIND), Held::Skip);
    }

    #[test]
    fn failure_hook_behind_another_waits() {
        assert_eq!(behind_another(FireBehind { kind: FireKind::FailureHook, ..BEHIND }), Held::Wait);
    }

    #[test]
    fn fire_behind_another_waits_if_overlap_allows_it() {
        assert_eq!(behind_another(FireBehind { overlap: Overlap::Queue, ..BEHIND }), Held::Wait);
    }

    #[test]
    fn fire_of_a_backlog_behind_another_waits() {
        assert_eq!(behind_another(FireBehind { claimed_after: SECOND * 5, ..BEHIND }), Held::Wait);
    }

    #[test]
    fn fire_behind_one_of_a_backlog_waits() {
        assert_eq!(behind_another(FireBehind { first_claimed_after: SECOND * 5, ..BEHIND }), Held::Wait);
    }

    #[test]
    fn waiting_fire_in_time_is_bounded() {
        assert!(is_bounded(FireKind::Trigger, Some(SECOND)));
    }

    #[test]
    fn waiting_fire_of_a_backlog_is_not_bounded() {
        assert!(!is_bounded(FireKind::Trigger, Some(SECOND * 5)));
    }

    #[test]
    fn waiting_fire_of_an_unloaded_automation_is_not_bounded() {
        assert!(!is_bounded(FireKind::Trigger, None));
    }

    #[test]
    fn waiting_failure_hook_is_bounded() {
        assert!(is_bounded(FireKind::FailureHook, None));
    }

    #[test]
    fn fire_behind_fewer_than_may_wait_waits() {
        assert_eq!(beyond_bound(1, Some(2)), Held::Wait);
    }

    #[test]
    fn fire_behind_as_many_as_may_wait_is_skipped() {
        assert_eq!(beyond_bound(2, Some(2)), Held::Skip);
    }

    #[test]
    fn fire_of_an_unloaded_automation_waits_behind_any_number() {
        assert_eq!(beyond_bound(2_000, None), Held::Wait);
    }

    const PLACES: Places = Places { of_automation: 3, max_of_automation: 3, taken: 4, max: 10 };

    #[test]
    fn admitted_fire_is_not_limited() {
        assert_eq!(limited(Admission::Start, PLACES, "最多"), Limited::Start);
    }

    #[test]
    fn fire_without_a_place_waits() {
        assert_eq!(limited(Admission::Wait, PLACES, "最多"), Limited::Wait);
    }

    #[test]
    fn fire_beyond_its_share_is_skipped_with_the_counts() {
        let reason = "3 of its runs are running (max_parallel: 3), 4 in all (最多 10)";
        assert_eq!(limited(Admission::Skip, PLACES, "最多"), Limited::Skip(reason.to_owned()));
    }
}
