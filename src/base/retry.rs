//! Exponential backoff with full jitter: a limited number of attempts within a limited time.

use super::clock::Stopwatch;
use std::time::Duration;

/// When an operation is retried.
#[derive(Clone, Copy, Debug)]
pub struct RetrySchedule {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Upper bound of the delay before the second attempt; it doubles with each further one.
    pub initial_backoff: Duration,
    /// Upper bound of every delay.
    pub max_backoff: Duration,
    /// No attempt starts later than this after the first.
    pub max_elapsed: Duration,
}

/// The retries of one operation.
#[derive(Debug)]
pub struct Retry {
    schedule: RetrySchedule,
    since: Stopwatch,
    attempts: u32,
}

impl RetrySchedule {
    /// Starts the first attempt.
    #[must_use]
    pub fn start(self) -> Retry {
        Retry { schedule: self, since: Stopwatch::start(), attempts: 1 }
    }
}

impl Retry {
    /// The delay before the next attempt, or `None` when there is none left.
    ///
    /// Full jitter: the delay is drawn between zero and the backoff, so that callers that failed at the same moment
    /// do not retry at the same moment.
    pub fn next_delay(&mut self) -> Option<Duration> {
        let doubled = self.schedule.initial_backoff * 2_u32.saturating_pow(self.attempts - 1);
        let backoff = doubled.min(self.schedule.max_backoff);
        let delay = backoff.mul_f64(fastrand::f64());
        let is_exhausted = self.attempts >= self.schedule.max_attempts;
        if is_exhausted || self.since.elapsed() + delay > self.schedule.max_elapsed {
            return None;
        }
        self.attempts += 1;
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_ends_after_its_attempts_within_its_backoff() {
        let schedule = RetrySchedule {
            max_attempts: 5,
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(1),
            max_elapsed: Duration::from_mins(1),
        };
        let mut retry = schedule.start();
        let delays: Vec<_> = std::iter::from_fn(|| retry.next_delay()).collect();
        assert_eq!(delays.len(), 4, "five attempts have four delays between them");
        for (delay, backoff) in delays.iter().zip([200, 400, 800, 1000]) {
            assert!(*delay <= Duration::from_millis(backoff), "{delay:?} is over {backoff} ms");
        }
    }
}
