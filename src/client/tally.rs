//! Counts calls by method and path, and records when they were made. Every attempt that was sent counts, as it does
//! for the platform.

use super::timeline::{CallEnd, Recorder, Timeline};
use crate::{api::Spec, base::Stopwatch, base::lock};
use std::{collections::BTreeMap, sync::Mutex, time::Duration};

/// Counts of calls.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<(&'static str, &'static str), Count>>,
    recorder: Recorder,
}

/// Calls of one endpoint.
#[derive(Clone, Copy, Debug)]
struct Count {
    spec: &'static Spec,
    sent: u64,
    in_flight: u64,
}

/// Calls of one endpoint that were sent.
#[derive(Clone, Copy, Debug)]
pub struct SentCalls {
    /// The endpoint.
    pub spec: &'static Spec,
    /// How many.
    pub count: u64,
}

impl Tally {
    /// Starts a call of an endpoint.
    pub(super) fn begin(&self, spec: &'static Spec) -> CallGuard<'_> {
        self.recorder.begin();
        self.change(spec, |count| {
            count.sent += 1;
            count.in_flight += 1;
        });
        CallGuard { tally: self, spec, watch: Stopwatch::start(), ended: None, was_sent: true }
    }

    fn change(&self, spec: &'static Spec, change: impl FnOnce(&mut Count)) {
        let mut counts = lock(&self.counts);
        let new = Count { spec, sent: 0, in_flight: 0 };
        change(counts.entry((spec.method.as_str(), spec.path)).or_insert(new));
    }

    /// Calls of an endpoint so far, and how many of them are in flight.
    #[must_use]
    pub fn of(&self, spec: &Spec) -> (u64, u64) {
        let counts = lock(&self.counts);
        counts.get(&(spec.method.as_str(), spec.path)).map_or((0, 0), |count| (count.sent, count.in_flight))
    }

    /// The calls so far.
    #[must_use]
    pub fn snapshot(&self) -> Vec<SentCalls> {
        let counts = lock(&self.counts);
        let sent = counts.values().filter(|count| count.sent > 0);
        sent.map(|count| SentCalls { spec: count.spec, count: count.sent }).collect()
    }

    /// The calls since an earlier snapshot.
    #[must_use]
    pub fn since(&self, before: &[SentCalls]) -> Vec<SentCalls> {
        let earlier = |spec: &Spec| {
            let of_it =
                before.iter().find(|sent| sent.spec.method == spec.method && sent.spec.path == spec.path);
            of_it.map_or(0, |sent| sent.count)
        };
        let since =
            |sent: SentCalls| SentCalls { count: sent.count.saturating_sub(earlier(sent.spec)), ..sent };
        self.snapshot().into_iter().map(since).filter(|sent| sent.count > 0).collect()
    }

    pub(super) fn timeline(&self) -> Timeline {
        self.recorder.snapshot()
    }
}

/// A call in flight. If it is dropped before its end, it stays counted and did not fail; it lasted until then.
pub(super) struct CallGuard<'a> {
    tally: &'a Tally,
    spec: &'static Spec,
    watch: Stopwatch,
    /// Its duration and its end.
    ended: Option<(Duration, CallEnd)>,
    was_sent: bool,
}

impl CallGuard<'_> {
    /// Removes the call from the counts: it was not sent.
    pub(super) fn uncount(&mut self) {
        if std::mem::take(&mut self.was_sent) {
            self.tally.change(self.spec, |count| count.sent = count.sent.saturating_sub(1));
        }
    }

    /// Ends the call.
    pub(super) fn end(&mut self, end: CallEnd) {
        self.ended = Some((self.elapsed(), end));
    }

    /// The time since its start.
    pub(super) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.tally.change(self.spec, |count| count.in_flight = count.in_flight.saturating_sub(1));
        if self.was_sent {
            let (took, end) = self.ended.unwrap_or((self.elapsed(), CallEnd::Done));
            self.tally.recorder.end(took, end);
        }
    }
}
