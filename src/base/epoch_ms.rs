//! A point in time: milliseconds since the Unix epoch.

use chrono::{DateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// Milliseconds since 1970-01-01 UTC. Arithmetic saturates: an instant beyond the range is the last (or first) one, as a
/// lease that never expires is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EpochMs(i64);

impl EpochMs {
    /// The earliest instant.
    pub const MIN: Self = Self(i64::MIN);

    /// The latest instant: the end of what doesn't end by itself.
    pub const MAX: Self = Self(i64::MAX);

    /// From milliseconds since the epoch, as a database column has them.
    #[must_use]
    pub const fn new(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch, for a database column or a wire format.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The time since an earlier instant; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time between two instants, whichever is the earlier one.
    #[must_use]
    pub fn distance(self, other: Self) -> Duration {
        self.since(other).max(other.since(self))
    }

    /// The date and time in UTC, for display and for calendars; the epoch if the calendar doesn't reach this instant.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    /// How many whole periods have passed since the epoch: the number of the current minute, day or the like.
    #[must_use]
    pub fn period(self, length: Duration) -> i64 {
        self.0.div_euclid(millis(length).max(1))
    }

    /// When a period begins: the reverse of [`EpochMs::period`].
    #[must_use]
    pub fn period_start(number: i64, length: Duration) -> Self {
        Self(number.saturating_mul(millis(length)))
    }

    /// The time until the current period ends.
    #[must_use]
    pub fn until_next_period(self, length: Duration) -> Duration {
        let length = millis(length).max(1);
        Duration::from_millis((length - self.0.rem_euclid(length)).unsigned_abs())
    }
}

/// A duration in milliseconds, saturating.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<Zone: TimeZone> From<DateTime<Zone>> for EpochMs {
    fn from(time: DateTime<Zone>) -> Self {
        Self(time.timestamp_millis())
    }
}

impl Add<Duration> for EpochMs {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for EpochMs {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl fmt::Display for EpochMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_the_ends_of_the_range() {
        let second = Duration::from_secs(1);
        assert_eq!(EpochMs::new(5) + second, EpochMs::new(1_005));
        assert_eq!(EpochMs::new(i64::MAX) + second, EpochMs::new(i64::MAX));
        assert_eq!(EpochMs::MIN - second, EpochMs::MIN);
        assert_eq!(EpochMs::new(7).since(EpochMs::new(5)), Duration::from_millis(2));
        assert_eq!(EpochMs::new(5).since(EpochMs::new(7)), Duration::ZERO);
    }

    #[test]
    fn distance_is_the_same_in_both_directions() {
        let (five, seven) = (EpochMs::new(5), EpochMs::new(7));
        assert_eq!([five.distance(seven), seven.distance(five)], [Duration::from_millis(2); 2]);
    }

    #[test]
    fn date_survives_its_epoch_milliseconds() {
        let instant = EpochMs::new(1_795_914_277_250);
        assert_eq!(EpochMs::from(instant.to_utc()), instant);
        assert_eq!(EpochMs::MAX.to_utc(), DateTime::<Utc>::default());
    }

    #[test]
    fn periods_are_counted_from_the_epoch_also_before_it() {
        let minute = Duration::from_mins(1);
        assert_eq!((EpochMs::new(59_999).period(minute), EpochMs::new(-1).period(minute)), (0, -1));
        assert_eq!(
            [-1, 0, 2].map(|number| EpochMs::period_start(number, minute).get()),
            [-60_000, 0, 120_000]
        );
        assert_eq!(EpochMs::period_start(i64::MAX, minute), EpochMs::MAX);
        assert_eq!(EpochMs::new(59_999).until_next_period(minute), Duration::from_millis(1));
        assert_eq!(EpochMs::new(60_000).until_next_period(minute), minute);
    }
}
