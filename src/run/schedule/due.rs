//! Which instants of a trigger have come, and what becomes of those that nobody was there for. Pure: it knows neither
//! stores nor runs.

use super::trigger::Trigger;
use crate::{
    base::with_thousands,
    script::{CatchUp, CatchUpPolicy},
};
/// A fire that starts_at so late is one that was missed: nobody was there, or the machine slept.
const LATE: i64 = 60_000;

/// So many missed instants are told one by one; those before them in one line.
const MOST: usize = 1_000;

/// So many instants are gone through before it is only said that there were more.
const MOST_COUNTED: usize = 200_000;

/// An instant that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueFire {
    /// The instant that was scheduled, in milliseconds.
    pub instant: i64,
    /// Why it does not run, if it does not.
    pub missed: Option<String>,
}

/// The instants of a trigger after `last` whose time to begin has come, in order.
#[must_use]
pub fn due(automation: &str, trigger: &Trigger, catch_up: CatchUp, last: i64, now: i64) -> Vec<DueFire> {
    let mut instants = Vec::new();
    let mut at = last;
    while let Some(next) = trigger.schedule.after(at).filter(|next| *next <= now) {
        if starts_at(automation, trigger, next) > now || instants.len() == MOST_COUNTED {
            break;
        }
        instants.push(next);
        at = next;
    }
    let is_late = |instant: i64| is_late(starts_at(automation, trigger, instant), now);
    let is_on_time = instants.last().is_some_and(|instant| !is_late(*instant));
    let latest_late = instants.iter().rev().find(|instant| is_late(**instant)).copied();
    let within = i64::try_from(catch_up.within.as_millis()).unwrap_or(i64::MAX);
    let last_of_all = instants.last().copied();
    let judge = |instant: i64| {
        if !is_late(instant) {
            // Several at once, after a moment in which nobody looked: catching up is about them, too.
            let is_one_of_several = Some(instant) != last_of_all && catch_up.policy != CatchUpPolicy::All;
            return is_one_of_several.then(|| "several came at once, and the latest runs".to_owned());
        }
        let is_old = now - instant > within;
        match catch_up.policy {
            CatchUpPolicy::None => Some("nobody was there, and it is not caught up".to_owned()),
            _ if is_old => {
                let within = humantime::format_duration(catch_up.within);
                Some(format!("nobody was there, and it is longer ago than {within}"))
            }
            CatchUpPolicy::Latest if is_on_time || Some(instant) != latest_late => {
                Some("nobody was there, and a later one is caught up".to_owned())
            }
            CatchUpPolicy::Latest | CatchUpPolicy::All => None,
        }
    };
    let mut all: Vec<DueFire> =
        instants.iter().map(|instant| DueFire { instant: *instant, missed: judge(*instant) }).collect();
    let missed = all.iter().take_while(|due| due.missed.is_some()).count();
    if missed > MOST {
        let before = missed - MOST;
        let counted = with_thousands(before as u64);
        if let Some(DueFire { missed: Some(reason), .. }) = all.get_mut(before) {
            reason.push_str(&format!("; so are {counted} before it"));
        }
        all.drain(..before);
    }
    all
}

/// Whether a fire that was to begin then is one that was missed.
#[must_use]
pub fn is_late(starts_at: i64, now: i64) -> bool {
    now - starts_at > LATE
}

/// When a fire starts_at: at its instant, or a little later where its trigger says so.
#[must_use]
pub fn starts_at(automation: &str, trigger: &Trigger, instant: i64) -> i64 {
    let delay = trigger.delay(automation, instant);
    instant + i64::try_from(delay.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Timing, TriggerSpec};
    use std::time::Duration;

    fn trigger(jitter: Duration) -> Trigger {
        let timing = Timing::Every("1m".to_owned());
        let text = TriggerSpec { timing, zone: None, jitter, handler: "run".to_owned(), place: None };
        Trigger::read(&text, chrono_tz::UTC).expect("it can be read")
    }

    fn seen(policy: CatchUpPolicy, within: &str, now: i64) -> Vec<(i64, bool)> {
        let within = humantime::parse_duration(within).expect("it is a length of time");
        let due = due("a", &trigger(Duration::ZERO), CatchUp { policy, within }, 0, now * 1_000);
        due.into_iter().map(|due| (due.instant / 60_000, due.missed.is_none())).collect()
    }

    #[test]
    fn what_was_missed_follows_catch_up() {
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
    fn the_latest_of_the_missed_runs_where_none_is_on_time() {
        let timing = Timing::Every("1h".to_owned());
        let text = TriggerSpec {
            timing,
            zone: None,
            jitter: Duration::ZERO,
            handler: "run".to_owned(),
            place: None,
        };
        let hourly = Trigger::read(&text, chrono_tz::UTC).expect("it can be read");
        let hours = |count: i64| count * 3_600_000;
        let seen = due("a", &hourly, CatchUp::default(), 0, hours(5) + 120_000);
        let runs: Vec<i64> = seen.iter().filter(|due| due.missed.is_none()).map(|due| due.instant).collect();
        assert_eq!((seen.len(), runs), (5, vec![hours(5)]));
        let seen = due("a", &hourly, CatchUp::default(), 0, hours(5) + 1_000);
        assert_eq!(seen.iter().filter(|due| due.missed.is_none()).count(), 1);
    }

    #[test]
    fn a_long_time_is_summed_up() {
        let all = due("a", &trigger(Duration::ZERO), CatchUp::default(), 0, 3_000 * 60_000);
        assert_eq!(all.len(), 1_001);
        assert!(
            all[0].missed.as_deref().unwrap_or_default().ends_with("so are 1,999 before it"),
            "{:?}",
            all[0]
        );
    }

    #[test]
    fn jitter_is_the_same_for_the_same_fire() {
        let trigger = trigger(Duration::from_secs(10));
        let delays: Vec<Duration> = (0..50).map(|at| trigger.delay("a", at * 60_000)).collect();
        assert!(delays.iter().all(|delay| *delay < Duration::from_secs(10)));
        assert!(delays.iter().collect::<std::collections::BTreeSet<_>>().len() > 40);
        assert_eq!(trigger.delay("a", 60_000), delays[1]);
        let starts_at = starts_at("a", &trigger, 60_000);
        assert_eq!(due("a", &trigger, CatchUp::default(), 0, starts_at - 1), []);
        assert_eq!(due("a", &trigger, CatchUp::default(), 0, starts_at).len(), 1);
    }
}
