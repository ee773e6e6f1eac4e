//! The one source of time. A test, or the sandbox's control route, turns it forward.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Wall-clock time, plus what it was turned forward by. Clones share the turning.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis())
            .unwrap_or(i64::MAX)
            .saturating_add(self.ahead_ms.load(Ordering::SeqCst))
    }

    /// Whole seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Turns this clock, and every clone of it, forward, at the most to the end of what it can tell.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let turn = |ahead: i64| Some(ahead.saturating_add(by));
        // It always turns, so there is no failure to look at.
        let _ = self.ahead_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, turn);
    }

    /// Turns this clock back to the machine's time.
    pub fn reset(&self) {
        self.ahead_ms.store(0, Ordering::SeqCst);
    }
}

/// Time spent on something, which a turned or corrected clock must not falsify.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts counting.
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
