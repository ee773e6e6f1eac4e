//! Calls over time: how many ended in each second since the first, how many of them failed, and how long they took.

use crate::base::{Stopwatch, lock};
use std::{
    sync::{Mutex, OnceLock},
    time::Duration,
};

/// Limit of buckets: a longer run has longer buckets.
const MAX_BUCKETS: usize = 600;

/// The initial length of a bucket, in milliseconds.
const INITIAL_BUCKET_MS: u64 = 1_000;

/// The calls that ended in one bucket of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Calls that were sent and have ended.
    pub calls: u64,
    /// Those of them that ended without an answer, or with an errcode.
    pub failed: u64,
    /// Their total duration, in milliseconds.
    pub total_ms: u64,
    /// The longest duration, in milliseconds.
    pub max_ms: u64,
}

impl Bucket {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.total_ms += other.total_ms;
        self.max_ms = self.max_ms.max(other.max_ms);
    }
}

/// The calls so far, in buckets of equal length since the start of the first call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The length of a bucket, in milliseconds.
    pub bucket_ms: u64,
    /// The buckets up to the last in which a call ended.
    pub buckets: Vec<Bucket>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { bucket_ms: INITIAL_BUCKET_MS, buckets: Vec::new() }
    }
}

impl Timeline {
    /// Adds a call that ended `at_ms` after the first one started.
    fn add(&mut self, at_ms: u64, call: Bucket) {
        let at = loop {
            match usize::try_from(at_ms / self.bucket_ms) {
                Ok(at) if at < MAX_BUCKETS => break at,
                _ => self.halve(),
            }
        };
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, Bucket::default());
        }
        if let Some(bucket) = self.buckets.get_mut(at) {
            bucket.add(call);
        }
    }

    /// Merges every two neighbouring buckets.
    fn halve(&mut self) {
        let merge = |pair: &[Bucket]| {
            pair.iter().fold(Bucket::default(), |mut sum, bucket| {
                sum.add(*bucket);
                sum
            })
        };
        self.buckets = self.buckets.chunks(2).map(merge).collect();
        self.bucket_ms = self.bucket_ms.saturating_mul(2);
    }
}

/// Records when calls end.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    since: OnceLock<Stopwatch>,
    timeline: Mutex<Timeline>,
}

impl Recorder {
    /// Records the start of a call; the timeline starts with the first.
    pub(super) fn begin(&self) {
        self.since.get_or_init(Stopwatch::start);
    }

    /// Records the end of a call.
    pub(super) fn end(&self, took: Duration, has_failed: bool) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let took = ms(took);
        let call = Bucket { calls: 1, failed: u64::from(has_failed), total_ms: took, max_ms: took };
        let at = self.since.get_or_init(Stopwatch::start).elapsed();
        lock(&self.timeline).add(ms(at), call);
    }

    /// The timeline so far.
    pub(super) fn snapshot(&self) -> Timeline {
        lock(&self.timeline).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(ms: u64) -> Bucket {
        Bucket { calls: 1, failed: 0, total_ms: ms, max_ms: ms }
    }

    #[test]
    fn calls_of_a_second_share_a_bucket() {
        let mut timeline = Timeline::default();
        timeline.add(0, call(20));
        timeline.add(999, Bucket { failed: 1, ..call(30) });
        timeline.add(2_500, call(5));
        let first = Bucket { calls: 2, failed: 1, total_ms: 50, max_ms: 30 };
        assert_eq!(timeline, Timeline { bucket_ms: 1_000, buckets: vec![first, Bucket::default(), call(5)] });
    }

    #[test]
    fn neighbouring_buckets_are_merged_when_too_many() {
        let mut timeline = Timeline::default();
        for second in 0..600 {
            timeline.add(second * 1_000, call(second));
        }
        assert_eq!((timeline.bucket_ms, timeline.buckets.len()), (1_000, 600));
        timeline.add(600_000, call(7));
        assert_eq!((timeline.bucket_ms, timeline.buckets.len()), (2_000, 301));
        assert_eq!(timeline.buckets[299], Bucket { calls: 2, failed: 0, total_ms: 598 + 599, max_ms: 599 });
        assert_eq!(timeline.buckets[300], call(7));
    }

    #[test]
    fn long_run_keeps_every_call_in_few_buckets() {
        let mut timeline = Timeline::default();
        // Nothing for a night, and then some more.
        for at in [0, 1_500, 36_000_000, 36_000_001, 100_000_000, u64::MAX] {
            timeline.add(at, call(10));
            assert!(timeline.buckets.len() <= MAX_BUCKETS, "{}", timeline.buckets.len());
        }
        let sum = |of: fn(&Bucket) -> u64| timeline.buckets.iter().map(of).sum::<u64>();
        assert_eq!((sum(|bucket| bucket.calls), sum(|bucket| bucket.total_ms)), (6, 60));
    }
}
