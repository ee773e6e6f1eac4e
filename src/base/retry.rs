//! When to try again: a few tries, doubling pauses with full jitter, and a bound in all.

use super::clock::Stopwatch;
use std::time::Duration;

/// The shape of a retry.
#[derive(Clone, Copy, Debug)]
pub struct RetrySchedule {
    /// Tries in all, the first included.
    pub tries: u32,
    /// The longest first pause.
    pub first: Duration,
    /// The longest pause of all.
    pub longest: Duration,
    /// No try starts later than this after the first.
    pub in_all: Duration,
}

/// One thing that is being tried.
#[derive(Debug)]
pub struct Retry {
    schedule: RetrySchedule,
    since: Stopwatch,
    tried: u32,
}

impl RetrySchedule {
    /// Starts on the first try.
    #[must_use]
    pub fn start(self) -> Retry {
        Retry { schedule: self, since: Stopwatch::start(), tried: 1 }
    }
}

impl Retry {
    /// Tries made so far, the one under way included.
    #[must_use]
    pub fn tried(&self) -> u32 {
        self.tried
    }

    /// How long to wait before the next try, or `None` when it is time to give up.
    ///
    /// The pause is drawn between nothing and the doubled bound, so that many callers who failed
    /// together do not come back together.
    pub fn next_pause(&mut self) -> Option<Duration> {
        let doubled = self.schedule.first * 2_u32.saturating_pow(self.tried - 1);
        let bound = doubled.min(self.schedule.longest);
        let pause = bound.mul_f64(fastrand::f64());
        if self.tried >= self.schedule.tries || self.since.elapsed() + pause > self.schedule.in_all {
            return None;
        }
        self.tried += 1;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_ends_after_its_tries_and_stays_under_its_bounds() {
        let schedule = RetrySchedule {
            tries: 5,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(1),
            in_all: Duration::from_mins(1),
        };
        let mut retry = schedule.start();
        let pauses: Vec<_> = std::iter::from_fn(|| retry.next_pause()).collect();
        assert_eq!(pauses.len(), 4, "five tries have four pauses between them");
        for (pause, bound) in pauses.iter().zip([200, 400, 800, 1000]) {
            assert!(*pause <= Duration::from_millis(bound), "{pause:?} is over {bound} ms");
        }
    }
}
