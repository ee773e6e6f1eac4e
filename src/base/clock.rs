//! The one source of time. Tests, and the sandbox's control route, advance it.

use super::EpochMs;
use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What monotonic time is counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Wall-clock time plus an offset. Clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
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
        EpochMs::new(since_epoch.saturating_add(self.offset_ms.load(Ordering::SeqCst)))
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
        let offset = self.offset_ms.load(Ordering::SeqCst).max(0).unsigned_abs();
        START.elapsed() + Duration::from_millis(offset)
    }

    /// Advances this clock and every clone of it. Saturates at the end of the range.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let advanced = |offset: i64| Some(offset.saturating_add(by));
        // The closure never gives `None`, so the update can't fail.
        let _ = self.offset_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, advanced);
    }

    /// Sets this clock and every clone of it back to the machine's time.
    pub fn reset(&self) {
        self.offset_ms.store(0, Ordering::SeqCst);
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
