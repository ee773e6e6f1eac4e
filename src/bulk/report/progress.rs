//! Where a running job shows how far it is, for whoever draws progress.

use super::{quota_estimate::Estimate, report::EndReport};
use crate::{base::Stopwatch, base::lock, bulk::journal::checkpoint::Decided};
use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What is known of a job so far. Every follower that was listed ends up in one of `matched`,
/// `unmatched`, `gone` and `unread`; every matched one in one of `changed`, `already`, `skipped`
/// and `failed`.
#[derive(Debug, Default)]
pub struct Counts {
    /// Openids that were listed.
    pub listed: AtomicU64,
    /// How many the platform says there are; 0 when it does not say.
    pub total: AtomicU64,
    /// Followers whose details came.
    pub fetched: AtomicU64,
    /// Followers that passed every step.
    pub matched: AtomicU64,
    /// Followers that did not.
    pub unmatched: AtomicU64,
    /// Listed people who no longer follow.
    pub gone: AtomicU64,
    /// Matched followers whose change was made.
    pub changed: AtomicU64,
    /// Matched followers that were so already.
    pub already: AtomicU64,
    /// Matched followers whose change was refused.
    pub failed: AtomicU64,
    /// A few of those whom a dry run would have changed.
    pub samples: Mutex<Vec<String>>,
}

impl Counts {
    /// Adds to one of the counts.
    pub fn add(count: &AtomicU64, by: usize) {
        count.fetch_add(by as u64, Ordering::Relaxed);
    }

    /// Goes on from what an earlier attempt has counted.
    pub fn restore(&self, decided: Decided, failed: usize) {
        for (count, by) in [
            (&self.fetched, decided.fetched),
            (&self.matched, decided.matched),
            (&self.unmatched, decided.unmatched),
            (&self.gone, decided.gone),
            (&self.already, decided.already),
            (&self.failed, failed as u64),
        ] {
            count.store(by, Ordering::Relaxed);
        }
    }

    /// The people who were decided over, for the journal.
    #[must_use]
    pub fn decided(&self) -> Decided {
        let [fetched, matched, unmatched, gone, already] =
            [&self.fetched, &self.matched, &self.unmatched, &self.gone, &self.already].map(Self::read);
        Decided { fetched, matched, unmatched, gone, already }
    }

    /// Reads one of the counts.
    #[must_use]
    pub fn read(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }
}

/// A job that is running.
#[derive(Debug)]
pub struct Job {
    /// What it does: `tag`, `count`.
    pub end: &'static str,
    /// What it does it to: a tag's name.
    pub target: Option<String>,
    /// The tag's number, where it was given by that.
    pub target_id: Option<i64>,
    /// How many are listed at the most.
    pub most: Option<usize>,
    /// How far it is.
    pub counts: Arc<Counts>,
    /// What it was reckoned to cost, once that is known.
    pub cost: OnceLock<Vec<Estimate>>,
    since: Stopwatch,
}

impl Job {
    /// A job that begins now.
    #[must_use]
    pub fn begin(
        end: &'static str,
        target: Option<String>,
        target_id: Option<i64>,
        most: Option<usize>,
    ) -> Arc<Self> {
        Arc::new(Self {
            end,
            target,
            target_id,
            most,
            counts: Arc::default(),
            cost: OnceLock::new(),
            since: Stopwatch::start(),
        })
    }

    /// How long it has run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

/// The job that is running, and the reports of those that ended.
#[derive(Debug, Default)]
pub struct Board {
    current: Mutex<Option<Arc<Job>>>,
    ended: Mutex<Vec<EndReport>>,
    /// What could not be taken back of another run, in words.
    set_aside: Mutex<Vec<String>>,
}

impl Board {
    /// A job begins.
    pub fn begin(&self, job: &Arc<Job>) {
        *lock(&self.current) = Some(Arc::clone(job));
    }

    /// The running job has ended.
    pub fn end(&self, report: EndReport) {
        *lock(&self.current) = None;
        lock(&self.ended).push(report);
    }

    /// Something of another run can't be taken back.
    pub fn set_aside(&self, what: String) {
        lock(&self.set_aside).push(what);
    }

    /// What can't be taken back of another run.
    #[must_use]
    pub fn what_is_set_aside(&self) -> Vec<String> {
        lock(&self.set_aside).clone()
    }

    /// The running job.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Job>> {
        lock(&self.current).clone()
    }

    /// The reports of the jobs that ended, in order.
    #[must_use]
    pub fn ended(&self) -> Vec<EndReport> {
        lock(&self.ended).clone()
    }
}
