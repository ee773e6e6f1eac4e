//! An instant of a store's clock, and a reading of that clock.

use crate::base::{ClockSkew, EpochMs};
use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// An instant of the clock that the processes of a store share. Heartbeats and the ends of leases are such instants, so that
/// none of them depends on the clock of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreTime(EpochMs);

impl StoreTime {
    /// From what that clock shows.
    #[must_use]
    pub const fn new(shown: EpochMs) -> Self {
        Self(shown)
    }

    /// What that clock shows.
    #[must_use]
    pub const fn shown(self) -> EpochMs {
        self.0
    }

    /// The time since an earlier instant; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.since(earlier.0)
    }
}

impl Add<Duration> for StoreTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl Sub<Duration> for StoreTime {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

/// What the server's clock showed, and when.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub server: EpochMs,
    /// When its answer was there, by the monotonic clock. Counted from then on, the time is never ahead of the server's, even
    /// if this process was suspended on the way: no other process is presumed dead too early.
    pub at: Duration,
    /// What the machine's clock showed then.
    pub wall: EpochMs,
    /// How far the machine's clock was from it, as it was measured last.
    pub skew: Option<ClockSkew>,
}

/// How long a reading of the server's clock is continued by the monotonic clock: the server's may be set meanwhile.
const MAX_AGE: Duration = Duration::from_secs(2);

impl Reading {
    /// Whether it can be continued. The monotonic clock stands still while the machine is suspended, which its clock shows.
    pub(super) fn is_recent(&self, monotonic: Duration, wall: EpochMs) -> bool {
        monotonic.saturating_sub(self.at) < MAX_AGE && wall.since(self.wall) < 2 * MAX_AGE
    }

    /// The time when the monotonic clock shows this.
    pub(super) fn continued_to(&self, now: Duration) -> StoreTime {
        StoreTime(self.server + now.saturating_sub(self.at))
    }
}
