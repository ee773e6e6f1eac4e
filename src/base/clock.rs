//! The one source of time. Tests, and the sandbox's control route, advance it.

use super::{EpochMs, lock};
use std::{
    fmt,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What monotonic time is counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Wall-clock and monotonic time, each plus an offset. Clones share the offsets.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<Offsets>>);

/// How far a clock is ahead of the machine's.
#[derive(Debug, Default)]
struct Offsets {
    wall: Duration,
    /// Only grows.
    monotonic: Duration,
}

impl Clock {
    /// The machine's clock, without an offset.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> EpochMs {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        EpochMs::default() + since_epoch.saturating_add(lock(&self.0).wall)
    }

    /// The current time as whole seconds since 1970-01-01 UTC, as the platform counts.
    #[must_use]
    pub fn now_secs(&self) -> i64 {
        self.now().as_secs()
    }

    /// The time since some instant of this process, by the monotonic clock: a corrected wall clock does not change it,
    /// only [`Clock::advance`] does.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        START.elapsed().saturating_add(lock(&self.0).monotonic)
    }

    /// Advances this clock and every clone of it. Saturates at the end of the range.
    pub fn advance(&self, by: Duration) {
        let mut offsets = lock(&self.0);
        offsets.wall = offsets.wall.saturating_add(by);
        offsets.monotonic = offsets.monotonic.saturating_add(by);
    }

    /// Sets the wall-clock time of this clock and every clone of it back to the machine's; monotonic time never goes back.
    pub fn reset(&self) {
        lock(&self.0).wall = Duration::ZERO;
    }
}

/// Measures elapsed time by the monotonic clock, so that an advanced or corrected wall clock does not falsify it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How far a clock is from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSkew {
    /// It is ahead.
    Ahead(Duration),
    /// It is behind.
    Behind(Duration),
}

impl ClockSkew {
    /// What clocks may differ by before it is reported: synchronized ones differ by less.
    const TOLERANCE: Duration = Duration::from_secs(3);

    /// How far the clock that shows `own` is from the one that shows `other`.
    #[must_use]
    pub fn between(own: EpochMs, other: EpochMs) -> Self {
        let size = own.distance(other);
        if own < other { Self::Behind(size) } else { Self::Ahead(size) }
    }

    /// Whether it is too small to be reported.
    #[must_use]
    pub fn is_tolerable(self) -> bool {
        let (Self::Ahead(size) | Self::Behind(size)) = self;
        size <= Self::TOLERANCE
    }

    /// Seconds; negative for a clock that is behind.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        match self {
            Self::Ahead(size) => size.as_secs_f64(),
            Self::Behind(size) => -size.as_secs_f64(),
        }
    }
}

/// In whole seconds, before the name of the other clock: `1h ahead of`.
impl fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, direction) = match self {
            Self::Ahead(size) => (size, "ahead of"),
            Self::Behind(size) => (size, "behind"),
        };
        let whole_seconds = Duration::from_secs(size.as_secs() + u64::from(size.subsec_millis() >= 500));
        write!(f, "{} {direction}", humantime::format_duration(whole_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_names_the_side_and_is_tolerable_up_to_three_seconds() {
        let table = [
            (10_000, 10_000, "0s ahead of", true),
            (13_000, 10_000, "3s ahead of", true),
            (13_001, 10_000, "3s ahead of", false),
            (10_000, 13_000, "3s behind", true),
            (10_000, 3_610_499, "1h behind", false),
        ];
        for (own, other, shown, is_tolerable) in table {
            let skew = ClockSkew::between(EpochMs::new(own), EpochMs::new(other));
            assert_eq!((skew.to_string().as_str(), skew.is_tolerable()), (shown, is_tolerable), "{skew:?}");
        }
    }
}
