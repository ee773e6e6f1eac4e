//! Which instants of a trigger are due, and which of those that were missed run. Pure: it knows neither stores nor runs.

use super::trigger::Trigger;
use crate::{
    base::{EpochMs, with_thousands},
    script::{CatchUp, CatchUpPolicy},
};
use std::time::Duration;

/// A fire that starts later than this after its time was missed: no daemon was running, or the machine slept.
const MISSED_AFTER: Duration = Duration::from_mins(1);

/// The most missed instants that are listed one by one; earlier ones are summed up.
const MAX_LISTED: usize = 1_000;

/// The most instants that are counted.
const MAX_COUNTED: usize = 20_000;

/// An instant that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueFire {
    /// The scheduled instant.
    pub instant: EpochMs,
    /// Why it was missed, if it was; it does not run then.
    pub missed: Option<String>,
}

/// The instants of a trigger after `last` whose start has come, in order.
#[must_use]
pub fn due(
    automation: &str,
    trigger: &Trigger,
    catch_up: CatchUp,
    last: EpochMs,
    now: EpochMs,
) -> Vec<DueFire> {
    let mut instants = Vec::new();
    let first = search_start(trigger, catch_up, last, now);
    let mut at = first;
    while let Some(next) = trigger.schedule.after(at).filter(|next| *next <= now) {
        if starts_at(automation, trigger, next) > now || instants.len() == MAX_COUNTED {
            break;
        }
        instants.push(next);
        at = next;
    }
    let is_late = |instant: EpochMs| is_late(starts_at(automation, trigger, instant), now);
    let is_on_time = instants.last().is_some_and(|instant| !is_late(*instant));
    let latest_late = instants.iter().rev().find(|instant| is_late(**instant)).copied();
    let latest = instants.last().copied();
    let missed = |instant: EpochMs| {
        if !is_late(instant) {
            // Several fires can be due at once and in time, when a step took long. `catch_up` applies to them too.
            let is_superseded = Some(instant) != latest && catch_up.policy != CatchUpPolicy::All;
            return is_superseded.then(|| "several were due at once, and only the latest runs".to_owned());
        }
        let is_expired = now.since(instant) > catch_up.within;
        match catch_up.policy {
            CatchUpPolicy::None => Some("no daemon was running (catch_up: none)".to_owned()),
            _ if is_expired => {
                let within = humantime::format_duration(catch_up.within);
                Some(format!("no daemon was running, and it is older than {within} (catch_up.within)"))
            }
            CatchUpPolicy::Latest if is_on_time || Some(instant) != latest_late => {
                Some("no daemon was running, and a later fire is caught up (catch_up: latest)".to_owned())
            }
            CatchUpPolicy::Latest | CatchUpPolicy::All => None,
        }
    };
    let mut all: Vec<DueFire> =
        instants.iter().map(|instant| DueFire { instant: *instant, missed: missed(*instant) }).collect();
    let count = all.iter().take_while(|due| due.missed.is_some()).count();
    let unlisted = count.saturating_sub(MAX_LISTED);
    let before_it = match unlisted {
        _ if first > last => Some(format!("all fires after {}", trigger.schedule.show(last))),
        0 => None,
        _ => Some(format!("{} fires before it", with_thousands(unlisted as u64))),
    };
    if let (Some(before_it), Some(DueFire { missed: Some(reason), .. })) = (before_it, all.get_mut(unlisted))
    {
        reason.push_str(&format!("; {before_it} were missed as well"));
    }
    all.drain(..unlisted);
    all
}

/// After which instant those that are due are searched for: `last`, or a later one if there are too many to count and
/// enough of them to list. After a jump of the clock by a year there are millions, and nothing fires while they are counted.
fn search_start(trigger: &Trigger, catch_up: CatchUp, last: EpochMs, now: EpochMs) -> EpochMs {
    let has_more = |after: EpochMs, before: EpochMs, count: usize| {
        let next = |at: &EpochMs| trigger.schedule.after(*at).filter(|next| *next < before);
        std::iter::successors(next(&after), next).nth(count).is_some()
    };
    if !has_more(last, now, MAX_COUNTED) {
        return last;
    }
    let may_run = match catch_up.policy {
        CatchUpPolicy::All => catch_up.within,
        CatchUpPolicy::None | CatchUpPolicy::Latest => MISSED_AFTER,
    };
    let missed_before = now - may_run;
    let mut span = MISSED_AFTER;
    loop {
        let start = missed_before - span;
        if start <= last {
            return last;
        }
        if has_more(start, missed_before, MAX_LISTED) {
            return start;
        }
        span = span.saturating_mul(2);
    }
}

/// Whether a fire that was to start then is missed now.
#[must_use]
pub fn is_late(start: EpochMs, now: EpochMs) -> bool {
    now.since(start) > MISSED_AFTER
}

/// When a fire starts: at its instant, delayed by the trigger's jitter.
#[must_use]
pub fn starts_at(automation: &str, trigger: &Trigger, instant: EpochMs) -> EpochMs {
    instant + trigger.delay(automation, instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Timing, TriggerSpec};

    const MINUTE: Duration = Duration::from_mins(1);

    fn after(minutes: u64) -> EpochMs {
        EpochMs::default() + Duration::from_mins(minutes)
    }

    fn trigger(jitter: Duration) -> Trigger {
        let timing = Timing::Every("1m".to_owned());
        let text = TriggerSpec { timing, zone: None, jitter, handler: "run".to_owned(), span: None };
        Trigger::read(&text, chrono_tz::UTC).expect("it can be parsed")
    }

    fn seen(policy: CatchUpPolicy, within: &str, now: u64) -> Vec<(i64, bool)> {
        let within = humantime::parse_duration(within).expect("it is a duration");
        let now = EpochMs::default() + Duration::from_secs(now);
        let due = due("a", &trigger(Duration::ZERO), CatchUp { policy, within }, EpochMs::default(), now);
        due.into_iter().map(|due| (due.instant.period(MINUTE), due.missed.is_none())).collect()
    }

    #[test]
    fn missed_fires_follow_catch_up() {
        use CatchUpPolicy::{All, Latest, None};
        assert_eq!(seen(Latest, "1h", 59), []);
        assert_eq!(seen(None, "1h", 61), [(1, true)]);
        // Ten minutes later: nine are late, the tenth is on time.
        let only = |runs: &[i64]| (1..=10).map(|at| (at, runs.contains(&at))).collect::<Vec<_>>();
        assert_eq!(seen(None, "1h", 601), only(&[10]));
        assert_eq!(seen(Latest, "1h", 601), only(&[10]));
        assert_eq!(seen(All, "1h", 601), only(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
        assert_eq!(seen(All, "4m", 601), only(&[7, 8, 9, 10]));
    }

    #[test]
    fn latest_missed_fire_runs_if_none_is_on_time() {
        let timing = Timing::Every("1h".to_owned());
        let text =
            TriggerSpec { timing, zone: None, jitter: Duration::ZERO, handler: "run".to_owned(), span: None };
        let hourly = Trigger::read(&text, chrono_tz::UTC).expect("it can be parsed");
        let seen = due("a", &hourly, CatchUp::default(), after(0), after(5 * 60 + 2));
        let runs: Vec<EpochMs> =
            seen.iter().filter(|due| due.missed.is_none()).map(|due| due.instant).collect();
        assert_eq!((seen.len(), runs), (5, vec![after(5 * 60)]));
        let seen = due("a", &hourly, CatchUp::default(), after(0), after(5 * 60) + Duration::from_secs(1));
        assert_eq!(seen.iter().filter(|due| due.missed.is_none()).count(), 1);
    }

    #[test]
    fn many_missed_fires_are_summed_up() {
        let all = due("a", &trigger(Duration::ZERO), CatchUp::default(), after(0), after(3_000));
        assert_eq!(all.len(), 1_001);
        assert!(
            all[0]
                .missed
                .as_deref()
                .unwrap_or_default()
                .ends_with("; 1,999 fires before it were missed as well"),
            "{:?}",
            all[0]
        );
    }

    #[test]
    fn fires_missed_in_a_year_are_found_without_counting_them() {
        let timing = Timing::Every("1s".to_owned());
        let text =
            TriggerSpec { timing, zone: None, jitter: Duration::ZERO, handler: "run".to_owned(), span: None };
        let secondly = Trigger::read(&text, chrono_tz::UTC).expect("it can be parsed");
        let year = 365 * 24 * 60;
        let seen = due("a", &secondly, CatchUp::default(), after(0), after(year));
        let runs: Vec<EpochMs> =
            seen.iter().filter(|due| due.missed.is_none()).map(|due| due.instant).collect();
        assert_eq!((seen.last().map(|due| due.instant), runs), (Some(after(year)), vec![after(year)]));
        assert!(seen.len() <= MAX_LISTED + 60, "{}", seen.len());
        assert_eq!(
            seen[0].missed.as_deref(),
            Some(
                "no daemon was running, and a later fire is caught up (catch_up: latest); \
                 all fires after Thu 1970-01-01 00:00:00 +00:00 were missed as well"
            )
        );
    }

    #[test]
    fn all_fires_within_the_limit_run_after_a_year() {
        let within = Duration::from_hours(2);
        let catch_up = CatchUp { policy: CatchUpPolicy::All, within };
        let seen = due("a", &trigger(Duration::ZERO), catch_up, after(0), after(365 * 24 * 60));
        assert_eq!(seen.iter().filter(|due| due.missed.is_none()).count(), 121);
        assert_eq!(seen.len(), MAX_LISTED + 121);
    }

    #[test]
    fn jitter_of_a_fire_is_constant() {
        let trigger = trigger(Duration::from_secs(10));
        let delays: Vec<Duration> = (0..50).map(|at| trigger.delay("a", after(at))).collect();
        assert!(delays.iter().all(|delay| *delay < Duration::from_secs(10)));
        assert!(delays.iter().collect::<std::collections::BTreeSet<_>>().len() > 40);
        assert_eq!(trigger.delay("a", after(1)), delays[1]);
        let starts_at = starts_at("a", &trigger, after(1));
        assert_eq!(
            due("a", &trigger, CatchUp::default(), after(0), starts_at - Duration::from_millis(1)),
            []
        );
        assert_eq!(due("a", &trigger, CatchUp::default(), after(0), starts_at).len(), 1);
    }
}
