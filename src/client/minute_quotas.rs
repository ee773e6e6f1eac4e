//! Learns the per-minute quota of each path from the minutes that exceed it.
//!
//! Until the platform refuses a call with 45011 nothing is limited. Then the quota is what succeeded in that minute. It
//! is raised a little after each minute that used it up, until raising has failed [`MAX_PROBES`] times: another program
//! may have used part of the minute that it was learned from.

use crate::base::lock;
use std::{collections::HashMap, sync::Mutex};

/// Minutes that may exceed the quota before it is no longer raised.
pub const MAX_PROBES: u32 = 3;

/// Limits the calls of each path per minute, once the platform has refused one.
#[derive(Default)]
pub(super) struct MinuteQuotas(Mutex<HashMap<&'static str, Minute>>);

/// What a call came to, as far as the minute's quota is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MinuteOutcome {
    Succeeded,
    /// Refused for the minute's quota (45011).
    OverQuota,
    Failed,
}

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    sent: u64,
    succeeded: u64,
    running: u64,
    is_full: bool,
    quota: Option<u64>,
    probes: u32,
}

impl MinuteQuotas {
    /// Counts a call in this minute; `false` if it must wait for the next one.
    pub(super) fn take(&self, path: &'static str, minute: i64) -> bool {
        let mut minutes = lock(&self.0);
        let state = minutes.entry(path).or_default();
        state.roll(minute);
        if state.is_full || state.quota.is_some_and(|quota| state.sent >= quota) {
            return false;
        }
        state.sent += 1;
        state.running += 1;
        true
    }

    /// Ends a counted call.
    pub(super) fn end(&self, path: &'static str, minute: i64, outcome: MinuteOutcome) {
        let mut minutes = lock(&self.0);
        let state = minutes.entry(path).or_default();
        state.running = state.running.saturating_sub(1);
        state.succeeded += u64::from(outcome == MinuteOutcome::Succeeded);
        // The answer to a call of an earlier minute says nothing about this one.
        state.is_full |= outcome == MinuteOutcome::OverQuota && state.number == minute;
    }
}

impl Minute {
    /// Starts a new minute, unless it is still the same one.
    fn roll(&mut self, minute: i64) {
        if self.number == minute {
            return;
        }
        if self.is_full {
            self.probes += 1;
            if self.succeeded > 0 {
                // A twentieth less: calls in flight when the minute turns count for the next one.
                self.quota = Some((self.succeeded - self.succeeded / 20).max(1));
            }
        } else if let Some(quota) = self.quota
            && self.sent >= quota
            && self.probes < MAX_PROBES
        {
            self.quota = Some(quota + quota / 4 + 1);
        }
        let running = self.running;
        *self = Self {
            number: minute,
            sent: running,
            running,
            quota: self.quota,
            probes: self.probes,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minute_quota_is_learned_within_three_full_minutes() {
        const PATH: &str = "/cgi-bin/x";
        const QUOTA: u64 = 100;
        let minutes = MinuteQuotas::default();
        let (mut full, mut done) = (Vec::new(), 0);
        for minute in 1..30 {
            let mut served = 0;
            // Ten calls are in flight together.
            while minutes.take(PATH, minute) {
                let more = (0..9).filter(|_| minutes.take(PATH, minute)).count() as u64;
                for _ in 0..=more {
                    let is_done = served < QUOTA;
                    served += u64::from(is_done);
                    if !is_done && full.last() != Some(&minute) {
                        full.push(minute);
                    }
                    let outcome = if is_done { MinuteOutcome::Succeeded } else { MinuteOutcome::OverQuota };
                    minutes.end(PATH, minute, outcome);
                }
            }
            done += served;
        }
        assert!(full.len() <= 3, "{full:?}");
        assert!(done > 29 * QUOTA * 9 / 10, "{done} calls in 29 minutes");
    }
}
