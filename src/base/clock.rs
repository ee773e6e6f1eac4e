//! The one source of time. Tests, and the sandbox's control route, advance it.

use super::EpochMs;
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What monotonic time is counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Wall-clock and monotonic time, each plus an offset. Clones share the offsets.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Offsets>);

/// How far a clock is ahead of the machine's.
#[derive(Debug, Default)]
struct Offsets {
    wall_ms: AtomicI64,
    /// Only grows.
    monotonic_ms: AtomicU64,
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
        let since_epoch = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        EpochMs::new(since_epoch.saturating_add(self.0.wall_ms.load(Ordering::SeqCst)))
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
        START.elapsed() + Duration::from_millis(self.0.monotonic_ms.load(Ordering::SeqCst))
    }

    /// Advances this clock and every clone of it. Saturates at the end of the range.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        // The closures never give `None`, so the updates can't fail.
        let wall = |offset: i64| Some(offset.saturating_add(by));
        let _ = self.0.wall_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, wall);
        let monotonic = |offset: u64| Some(offset.saturating_add(by.unsigned_abs()));
        let _ = self.0.monotonic_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, monotonic);
    }

    /// Sets the wall-clock time of this clock and every clone of it back to the machine's; monotonic time never goes back.
    pub fn reset(&self) {
        self.0.wall_ms.store(0, Ordering::SeqCst);
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
