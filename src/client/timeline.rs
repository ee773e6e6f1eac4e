//! Calls over time: how many ended in each second since the first, how many of them failed, and how long they took.

use crate::base::{Stopwatch, lock};
use std::{
    sync::{Mutex, OnceLock},
    time::Duration,
};

/// Limit of buckets: a longer run has longer buckets.
const MAX_BUCKETS: usize = 600;

/// The initial length of a bucket.
const INITIAL_BUCKET: Duration = Duration::from_secs(1);

/// The calls that ended in one bucket of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Calls that were sent and have ended.
    pub calls: u64,
    /// Those of them that ended without an answer, or with an errcode.
    pub failed: u64,
    /// Their total duration.
    pub total: Duration,
    /// The longest duration.
    pub max: Duration,
}

impl Bucket {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.total = self.total.saturating_add(other.total);
        self.max = self.max.max(other.max);
    }
}

/// The calls so far, in buckets of equal length since the start of the first call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The length of a bucket.
    pub bucket_length: Duration,
    /// The buckets up to the last in which a call ended.
    pub buckets: Vec<Bucket>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { bucket_length: INITIAL_BUCKET, buckets: Vec::new() }
    }
}

impl Timeline {
    /// Adds a call that ended this long after the first one started.
    fn add(&mut self, after: Duration, call: Bucket) {
        let at = loop {
            match usize::try_from(after.as_millis() / self.bucket_length.as_millis()) {
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
        self.bucket_length = self.bucket_length.saturating_mul(2);
    }
}

/// Records when calls end.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    since: OnceLock<Stopwatch>,
    timeline: Mutex<Timeline>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// With an answer.
    Done,
    /// With an errcode or without an answer.
    Failed,
}

impl Recorder {
    /// Records the start of a call; the timeline starts with the first.
    pub(super) fn begin(&self) {
        self.since.get_or_init(Stopwatch::start);
    }

    /// Records the end of a call.
    pub(super) fn end(&self, took: Duration, end: CallEnd) {
        let failed = u64::from(end == CallEnd::Failed);
        let call = Bucket { calls: 1, failed, total: took, max: took };
        let at = self.since.get_or_init(Stopwatch::start).elapsed();
        lock(&self.timeline).add(at, call);
    }

    /// The timeline so far.
    pub(super) fn snapshot(&self) -> Timeline {
        lock(&self.timeline).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn call(ms: u64) -> Bucket {
        Bucket { calls: 1, failed: 0, total: millis(ms), max: millis(ms) }
    }

    #[test]
    fn calls_of_a_second_share_a_bucket() {
        let mut timeline = Timeline::default();
        timeline.add(Duration::ZERO, call(20));
        timeline.add(millis(999), Bucket { failed: 1, ..call(30) });
        timeline.add(millis(2_500), call(5));
        let first = Bucket { calls: 2, failed: 1, total: millis(50), max: millis(30) };
        let buckets = vec![first, Bucket::default(), call(5)];
        assert_eq!(timeline, Timeline { bucket_length: Duration::from_secs(1), buckets });
    }

    #[test]
    fn neighbouring_buckets_are_merged_when_too_many() {
        let mut timeline = Timeline::default();
        for second in 0..600 {
            timeline.add(Duration::from_secs(second), call(second));
        }
        assert_eq!((timeline.bucket_length, timeline.buckets.len()), (Duration::from_secs(1), 600));
        timeline.add(Duration::from_mins(10), call(7));
        assert_eq!((timeline.bucket_length, timeline.buckets.len()), (Duration::from_secs(2), 301));
        let merged = Bucket { calls: 2, failed: 0, total: millis(598 + 599), max: millis(599) };
        assert_eq!(timeline.buckets[299], merged);
        assert_eq!(timeline.buckets[300], call(7));
    }

    #[test]
    fn long_run_keeps_every_call_in_few_buckets() {
        let mut timeline = Timeline::default();
        // Nothing for a night, and then some more.
        for at in [0, 1_500, 36_000_000, 36_000_001, 100_000_000, u64::MAX] {
            timeline.add(millis(at), call(10));
            assert!(timeline.buckets.len() <= MAX_BUCKETS, "{}", timeline.buckets.len());
        }
        let calls: u64 = timeline.buckets.iter().map(|bucket| bucket.calls).sum();
        let total: Duration = timeline.buckets.iter().map(|bucket| bucket.total).sum();
        assert_eq!((calls, total), (6, millis(60)));
    }
}
