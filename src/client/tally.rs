//! How many calls were made, by method and path, and when. Every try that was sent counts: the platform
//! counts it too.

use super::timeline::{Recorder, Timeline};
use crate::{api::Spec, base::Stopwatch, base::lock};
use std::{collections::BTreeMap, sync::Mutex, time::Duration};

/// Counts of calls.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<BTreeMap<(&'static str, &'static str), Count>>,
    recorder: Recorder,
}

/// Calls of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    sent: u64,
    under_way: u64,
}

impl Tally {
    /// One more call of an endpoint begins.
    pub(super) fn begin(&self, spec: &'static Spec) -> Counted<'_> {
        self.recorder.begin();
        self.change(spec, |count| {
            count.sent += 1;
            count.under_way += 1;
        });
        Counted { tally: self, spec, watch: Stopwatch::start(), ended: None, was_sent: true }
    }

    fn change(&self, spec: &'static Spec, change: impl FnOnce(&mut Count)) {
        let mut counts = lock(&self.counts);
        change(counts.entry((spec.method.as_str(), spec.path)).or_default());
    }

    /// Calls of an endpoint so far, and those that are under way.
    #[must_use]
    pub fn of(&self, spec: &Spec) -> (u64, u64) {
        let counts = lock(&self.counts);
        let count = counts.get(&(spec.method.as_str(), spec.path)).copied().unwrap_or_default();
        (count.sent, count.under_way)
    }

    /// The counts so far, keyed `"METHOD path"`.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, u64> {
        let counts = lock(&self.counts);
        let sent = counts.iter().filter(|(_, count)| count.sent > 0);
        sent.map(|((method, path), count)| (format!("{method} {path}"), count.sent)).collect()
    }

    pub(super) fn timeline(&self) -> Timeline {
        self.recorder.snapshot()
    }
}

/// A call that was counted and is under way. One that nobody waits for any more ends when it is dropped: it counts,
/// with the time until then, and has not failed.
pub(super) struct Counted<'a> {
    tally: &'a Tally,
    spec: &'static Spec,
    watch: Stopwatch,
    /// What it took, and whether it failed.
    ended: Option<(Duration, bool)>,
    was_sent: bool,
}

impl Counted<'_> {
    /// It has not been sent: it is no call.
    pub(super) fn take_back(&mut self) {
        if std::mem::take(&mut self.was_sent) {
            self.tally.change(self.spec, |count| count.sent = count.sent.saturating_sub(1));
        }
    }

    /// It has come to something.
    pub(super) fn end(&mut self, is_done: bool) {
        self.ended = Some((self.elapsed(), !is_done));
    }

    /// The time since it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.tally.change(self.spec, |count| count.under_way = count.under_way.saturating_sub(1));
        if self.was_sent {
            let (took, has_failed) = self.ended.unwrap_or((self.elapsed(), false));
            self.tally.recorder.end(took, has_failed);
        }
    }
}
