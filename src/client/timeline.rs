//! When calls were made: how many ended in each second since the first one, how many of them failed, and how long
//! they took.

use super::Client;
use crate::base::{Stopwatch, lock};
use std::{
    sync::{Mutex, OnceLock},
    time::Duration,
};

/// Slots at the most: a longer run has longer slots.
const MOST_SLOTS: usize = 600;

/// How long a slot is at first, in milliseconds.
const SLOT_MS: u64 = 1_000;

/// The calls that ended in one slot of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Calls that were sent and have ended.
    pub calls: u64,
    /// Of them, those that came to anything but an answer without an errcode.
    pub failed: u64,
    /// What they took together, in milliseconds.
    pub total_ms: u64,
    /// What the slowest took, in milliseconds.
    pub max_ms: u64,
}

impl Slot {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.total_ms += other.total_ms;
        self.max_ms = self.max_ms.max(other.max_ms);
    }
}

/// The calls so far: slots of the same length, from the start of the first call on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// How long each slot is, in milliseconds.
    pub slot_ms: u64,
    /// The slots up to the last one in which a call ended.
    pub slots: Vec<Slot>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { slot_ms: SLOT_MS, slots: Vec::new() }
    }
}

impl Timeline {
    /// A call ended so many milliseconds after the first one began.
    fn add(&mut self, at_ms: u64, call: Slot) {
        let at = loop {
            match usize::try_from(at_ms / self.slot_ms) {
                Ok(at) if at < MOST_SLOTS => break at,
                _ => self.halve(),
            }
        };
        if at >= self.slots.len() {
            self.slots.resize(at + 1, Slot::default());
        }
        if let Some(slot) = self.slots.get_mut(at) {
            slot.add(call);
        }
    }

    /// Every two neighbours become one.
    fn halve(&mut self) {
        let merge = |pair: &[Slot]| {
            pair.iter().fold(Slot::default(), |mut sum, slot| {
                sum.add(*slot);
                sum
            })
        };
        self.slots = self.slots.chunks(2).map(merge).collect();
        self.slot_ms = self.slot_ms.saturating_mul(2);
    }
}

/// Takes down when calls end.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    since: OnceLock<Stopwatch>,
    timeline: Mutex<Timeline>,
}

impl Recorder {
    /// A call begins; the first one is where the timeline begins.
    pub(super) fn begin(&self) {
        self.since.get_or_init(Stopwatch::start);
    }

    /// A call has ended.
    pub(super) fn end(&self, took: Duration, has_failed: bool) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let took = ms(took);
        let call = Slot { calls: 1, failed: u64::from(has_failed), total_ms: took, max_ms: took };
        let at = self.since.get_or_init(Stopwatch::start).elapsed();
        lock(&self.timeline).add(ms(at), call);
    }

    /// What was taken down so far.
    pub(super) fn snapshot(&self) -> Timeline {
        lock(&self.timeline).clone()
    }
}

impl Client {
    /// When the calls so far were made; those under way are not in it yet.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        self.tally().timeline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(ms: u64) -> Slot {
        Slot { calls: 1, failed: 0, total_ms: ms, max_ms: ms }
    }

    #[test]
    fn calls_of_a_second_share_a_slot() {
        let mut timeline = Timeline::default();
        timeline.add(0, call(20));
        timeline.add(999, Slot { failed: 1, ..call(30) });
        timeline.add(2_500, call(5));
        let first = Slot { calls: 2, failed: 1, total_ms: 50, max_ms: 30 };
        assert_eq!(timeline, Timeline { slot_ms: 1_000, slots: vec![first, Slot::default(), call(5)] });
    }

    #[test]
    fn neighbours_are_merged_when_there_are_too_many() {
        let mut timeline = Timeline::default();
        for second in 0..600 {
            timeline.add(second * 1_000, call(second));
        }
        assert_eq!((timeline.slot_ms, timeline.slots.len()), (1_000, 600));
        timeline.add(600_000, call(7));
        assert_eq!((timeline.slot_ms, timeline.slots.len()), (2_000, 301));
        assert_eq!(timeline.slots[299], Slot { calls: 2, failed: 0, total_ms: 598 + 599, max_ms: 599 });
        assert_eq!(timeline.slots[300], call(7));
    }

    #[test]
    fn a_run_of_any_length_keeps_every_call_in_few_slots() {
        let mut timeline = Timeline::default();
        // Nothing for a night, and then some more.
        for at in [0, 1_500, 36_000_000, 36_000_001, 100_000_000, u64::MAX] {
            timeline.add(at, call(10));
            assert!(timeline.slots.len() <= MOST_SLOTS, "{}", timeline.slots.len());
        }
        let sum = |of: fn(&Slot) -> u64| timeline.slots.iter().map(of).sum::<u64>();
        assert_eq!((sum(|slot| slot.calls), sum(|slot| slot.total_ms)), (6, 60));
    }
}
