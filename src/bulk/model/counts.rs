//! The counters of a running job.

use serde::{Deserialize, Serialize};
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

/// What is known of a job so far. Every follower that was listed ends up in one of `matched`,
/// `unmatched`, `unsubscribed` and `unread`; every matched one in one of `changed`, `already`, `skipped`
/// and `failed`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Openids that were listed.
    pub listed: AtomicU64,
    /// How many the platform says there are; 0 when it does not say.
    pub total: AtomicU64,
    /// How many the platform counts and did not list; known once the list has ended.
    pub missing: AtomicU64,
    /// Followers whose details came.
    pub fetched: AtomicU64,
    /// Followers that passed every stage.
    pub matched: AtomicU64,
    /// Followers that did not.
    pub unmatched: AtomicU64,
    /// Listed openids that have unsubscribed.
    pub unsubscribed: AtomicU64,
    /// Matched followers whose change was made.
    pub changed: AtomicU64,
    /// Matched followers that were already in the desired state.
    pub already: AtomicU64,
    /// Matched followers whose change was refused.
    pub failed: AtomicU64,
    /// A few of the openids that a dry run would have changed.
    pub samples: Mutex<Vec<String>>,
}

impl Counters {
    /// Adds to one of the counters.
    pub fn add(count: &AtomicU64, by: usize) {
        count.fetch_add(by as u64, Ordering::Relaxed);
    }

    /// Resumes from what an earlier attempt has counted.
    pub fn restore(&self, snapshot: CountsSnapshot, failed: usize) {
        for (count, by) in [
            (&self.fetched, snapshot.fetched),
            (&self.matched, snapshot.matched),
            (&self.unmatched, snapshot.unmatched),
            (&self.unsubscribed, snapshot.unsubscribed),
            (&self.already, snapshot.already),
            (&self.failed, failed as u64),
        ] {
            count.store(by, Ordering::Relaxed);
        }
    }

    /// The counters that a checkpoint holds.
    #[must_use]
    pub fn snapshot(&self) -> CountsSnapshot {
        let [fetched, matched, unmatched, unsubscribed, already] =
            [&self.fetched, &self.matched, &self.unmatched, &self.unsubscribed, &self.already]
                .map(Self::read);
        CountsSnapshot { fetched, matched, unmatched, unsubscribed, already }
    }

    /// Reads one of the counters.
    #[must_use]
    pub fn read(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }
}

/// The counters of the followers that are decided, as a checkpoint holds them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountsSnapshot {
    /// Followers whose details came.
    pub fetched: u64,
    /// Followers that passed every stage.
    pub matched: u64,
    /// Followers that did not.
    pub unmatched: u64,
    /// Listed openids that have unsubscribed.
    #[serde(alias = "gone")]
    pub unsubscribed: u64,
    /// Matched followers that were already in the desired state.
    pub already: u64,
}
