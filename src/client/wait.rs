//! What calls wait for: a backoff, the next minute, the daily reset.

use super::CallError;
use crate::{
    api::{Spec, quota},
    base::{Cancel, Clock},
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// The waits of one client's calls. Cancellation ends each of them.
pub(super) struct Waits {
    minute: Duration,
    reset: quota::Reset,
    clock: Clock,
    cancel: Cancel,
    is_waiting_for_reset: AtomicBool,
}

impl Waits {
    pub(super) fn new(minute: Duration, reset: quota::Reset, clock: Clock, cancel: Cancel) -> Self {
        let minute = minute.max(Duration::from_millis(1));
        Self { minute, reset, clock, cancel, is_waiting_for_reset: AtomicBool::default() }
    }

    pub(super) async fn pause(&self, pause: Duration, spec: &'static Spec) -> Result<(), CallError> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.cancel.cancelled() => Err(CallError::Cancelled { endpoint: spec.name }),
        }
    }

    /// The length of a minute of the platform's quotas.
    pub(super) fn minute_length(&self) -> Duration {
        self.minute
    }

    /// The number of the platform's current minute.
    pub(super) fn minute(&self) -> i64 {
        self.clock.now().period(self.minute)
    }

    /// Waits for the next minute, and up to a sixtieth of one longer, so that waiting calls do not resume all at once.
    pub(super) async fn for_next_minute(&self, spec: &'static Spec) -> Result<(), CallError> {
        let left = self.clock.now().until_next_period(self.minute);
        let max_jitter = u64::try_from(self.minute.as_millis() / 60).unwrap_or(u64::MAX);
        self.pause(left + Duration::from_millis(fastrand::u64(0..=max_jitter)), spec).await
    }

    pub(super) fn reset(&self) -> quota::Reset {
        self.reset
    }

    /// The time until the daily quotas reset; a second longer, so that the platform's day has begun too.
    pub(super) fn until_reset(&self) -> Duration {
        let now = self.clock.now_secs();
        Duration::from_secs(self.reset.next(now).abs_diff(now) + 1)
    }

    /// Whether a call waits for the daily reset.
    pub(super) fn is_waiting_for_reset(&self) -> bool {
        self.is_waiting_for_reset.load(Ordering::Relaxed)
    }

    /// Waits for the daily reset. The first call that does so logs it.
    pub(super) async fn for_reset(&self, spec: &'static Spec) -> Result<(), CallError> {
        let wait = self.until_reset();
        if !self.is_waiting_for_reset.swap(true, Ordering::Relaxed) {
            let text = humantime::format_duration(wait);
            let until = chrono::DateTime::from_timestamp(self.reset.next(self.clock.now_secs()), 0);
            let until = until.unwrap_or_default().with_timezone(&chrono::Local).format("%m-%d %H:%M");
            let name = spec.name;
            tracing::warn!(
                "{name}: the day's quota is used up; waiting {text} for the next day, until {until} here"
            );
        }
        let waited = self.pause(wait, spec).await;
        self.is_waiting_for_reset.store(false, Ordering::Relaxed);
        waited
    }
}
