//! What calls wait for: a pause, the next minute, the next day of quotas.

use super::{CallError, Client};
use crate::api::Spec;
use std::{sync::atomic::Ordering, time::Duration};

impl Client {
    /// Waits for the next day of quotas; the first one who does says so.
    pub(super) async fn wait_for_reset(&self, spec: &'static Spec) -> Result<(), CallError> {
        let wait = self.to_reset();
        if !self.0.is_waiting.swap(true, Ordering::Relaxed) {
            let text = humantime::format_duration(wait);
            let until = chrono::DateTime::from_timestamp(self.reset().next(self.clock().now_secs()), 0);
            let until = until.unwrap_or_default().with_timezone(&chrono::Local).format("%m-%d %H:%M");
            let name = spec.name;
            tracing::warn!(
                "{name}: the day's quota is used up; waiting {text} for the next day, until {until} here"
            );
        }
        let waited = self.pause(wait, spec).await;
        self.0.is_waiting.store(false, Ordering::Relaxed);
        waited
    }

    pub(super) async fn pause(&self, pause: Duration, spec: &'static Spec) -> Result<(), CallError> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.0.cancel.cancelled() => Err(CallError::Cancelled { endpoint: spec.name }),
        }
    }

    /// The time to the next minute, and a sixtieth of one more at the most so that not all come back at once.
    pub(super) fn to_next_minute(&self) -> Duration {
        let minute = i64::try_from(self.0.minute.as_millis()).unwrap_or(i64::MAX);
        let left = (minute - self.0.clock.now_ms().rem_euclid(minute)).unsigned_abs();
        Duration::from_millis(left + fastrand::u64(0..=minute.unsigned_abs() / 60))
    }

    /// The number of the platform's present minute.
    pub(super) fn minute_now(&self) -> i64 {
        self.0.clock.now_ms().div_euclid(i64::try_from(self.0.minute.as_millis()).unwrap_or(i64::MAX))
    }
}
