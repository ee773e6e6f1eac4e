//! Daily quotas (45009) and the minute limit (45011).

use super::{
    api_error::ApiError,
    options::{AccountKind, Options},
    switches::{MINUTE_SECONDS, QUOTA_RESET_HOUR, Switches, TAGS_QUOTA},
};
use crate::api::{Spec, errcode};
use std::collections::{BTreeSet, HashMap};

/// The daily limit where the platform publishes none.
const DEFAULT_DAILY_LIMIT: u64 = 100_000;

/// Beijing time, in seconds ahead of UTC.
const BEIJING: i64 = 8 * 3600;

/// Calls of each path in the current day and minute.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    day: HashMap<&'static str, (i64, u64)>,
    minute: HashMap<&'static str, (i64, u64)>,
    /// Minutes in which calls were refused (45011).
    full: BTreeSet<i64>,
}

impl Usage {
    /// Counts a call, or rejects it.
    pub(crate) fn take(
        &mut self,
        spec: &Spec,
        now: i64,
        options: &Options,
        switches: &Switches,
    ) -> Result<(), ApiError> {
        let day = day_of(now, switches);
        let used = current(&mut self.day, spec.path, day);
        if *used >= daily_limit(spec, options, switches) {
            return Err(ApiError::gateway(errcode::DAILY_QUOTA));
        }
        let in_minute = current(&mut self.minute, spec.path, minute_of(now, switches));
        if options.minute_limit.is_some_and(|limit| *in_minute >= limit) {
            self.full.insert(minute_of(now, switches));
            return Err(ApiError::gateway(errcode::MINUTE_QUOTA));
        }
        *used += 1;
        *in_minute += 1;
        Ok(())
    }

    /// The day's limit of a path, and how much of it is used.
    pub(crate) fn limit_and_used(
        &self,
        spec: &Spec,
        now: i64,
        options: &Options,
        switches: &Switches,
    ) -> (u64, u64) {
        let used =
            self.day.get(spec.path).filter(|(day, _)| *day == day_of(now, switches)).map(|(_, used)| *used);
        (daily_limit(spec, options, switches), used.unwrap_or_default())
    }

    /// The number of minutes in which calls were rejected.
    pub(crate) fn full_minutes(&self) -> usize {
        self.full.len()
    }

    /// Clears the day's counts of all paths.
    pub(crate) fn clear_day(&mut self) {
        self.day.clear();
    }
}

/// The number of the minute of quotas.
fn minute_of(now: i64, switches: &Switches) -> i64 {
    now.div_euclid(switches.number(MINUTE_SECONDS).unwrap_or(60).max(1))
}

/// The number of the day in Beijing time, which starts at the hour of the quota reset.
fn day_of(now: i64, switches: &Switches) -> i64 {
    let reset: i64 = switches.number(QUOTA_RESET_HOUR).unwrap_or_default();
    (now + BEIJING - reset * 3600).div_euclid(24 * 3600)
}

/// The count of the current period, zero if the last one was earlier.
fn current<'a>(
    counts: &'a mut HashMap<&'static str, (i64, u64)>,
    path: &'static str,
    period: i64,
) -> &'a mut u64 {
    let entry = counts.entry(path).or_insert((period, 0));
    if entry.0 != period {
        *entry = (period, 0);
    }
    &mut entry.1
}

fn daily_limit(spec: &Spec, options: &Options, switches: &Switches) -> u64 {
    if let Some(limit) = options.quotas.get(spec.path) {
        return *limit;
    }
    let is_test = options.account_kind == AccountKind::Test;
    let published = if is_test { spec.daily.test.or(spec.daily.real) } else { spec.daily.real };
    let limit = match published {
        Some(limit) => limit,
        None if spec.path.contains("/tag") => switches.number(TAGS_QUOTA).unwrap_or(DEFAULT_DAILY_LIMIT),
        None => DEFAULT_DAILY_LIMIT,
    };
    if is_test { limit } else { limit.saturating_mul(growth(options.followers)) }
}

/// The platform raises quotas at 100,000, a million and ten million followers; it does not say by
/// how much, so the factors are the sandbox's own.
const fn growth(followers: u32) -> u64 {
    match followers {
        0..=100_000 => 1,
        100_001..=1_000_000 => 2,
        1_000_001..=10_000_000 => 5,
        _ => 10,
    }
}
