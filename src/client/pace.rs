//! How many calls are under way, and how many a minute: what the platform says is heeded, and tried again.
//!
//! Calls under way together begin at the cap, halve when the platform is busy (45011, -1 and its like, no answer
//! in time), and grow back as calls succeed. A minute's quota (45011) is learned from the first minute that was too
//! full; it is raised a little while raising has not failed [`MOST_WAVES`] times, since somebody else may have
//! used the minute up.

use crate::base::lock;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Minutes that may be too full before a learned quota is not raised any more.
pub const MOST_WAVES: u32 = 3;

/// Bounds how many calls are under way together.
pub(super) struct Pace {
    permits: Semaphore,
    cap: usize,
    state: Mutex<State>,
}

struct State {
    allowed: usize,
    /// Permits that are to be kept back as they come in.
    owed: usize,
    succeeded: usize,
    /// Grows with each halving: calls that began before it have had their say.
    era: u64,
}

/// A place among the calls under way.
pub(super) struct Place<'a> {
    permit: SemaphorePermit<'a>,
    era: u64,
}

/// What a call's end says of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// It keeps up.
    Light,
    /// It does not.
    Heavy,
    /// Nothing: the call was refused for its own sake, say.
    Unknown,
}

impl Pace {
    pub(super) fn new(cap: usize) -> Self {
        let cap = cap.max(1);
        let state = State { allowed: cap, owed: 0, succeeded: 0, era: 0 };
        Self { permits: Semaphore::new(cap), cap, state: Mutex::new(state) }
    }

    /// Waits for a place. The semaphore is never closed.
    pub(super) async fn place(&self) -> Option<Place<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        Some(Place { permit, era: self.state().era })
    }

    /// Gives a place back.
    pub(super) fn leave(&self, place: Place, load: Load) {
        let mut state = self.state();
        match load {
            Load::Heavy if place.era == state.era => {
                let allowed = (state.allowed / 2).max(1);
                state.owed += state.allowed - allowed;
                state.allowed = allowed;
                state.succeeded = 0;
                state.era += 1;
            }
            Load::Light if state.allowed < self.cap => {
                state.succeeded += 1;
                if state.succeeded >= state.allowed {
                    let more = state.allowed.div_ceil(4).min(self.cap - state.allowed);
                    state.allowed += more;
                    state.succeeded = 0;
                    let forgiven = more.min(state.owed);
                    state.owed -= forgiven;
                    self.permits.add_permits(more - forgiven);
                }
            }
            _ => {}
        }
        if state.owed > 0 {
            state.owed -= 1;
            place.permit.forget();
        }
        // Those that nobody holds are kept back at once.
        state.owed -= self.permits.forget_permits(state.owed);
    }

    /// How many calls may be under way now.
    pub(super) fn allowed(&self) -> usize {
        self.state().allowed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Bounds the calls of each path a minute, once the platform has refused one.
#[derive(Default)]
pub(super) struct Minutes(Mutex<HashMap<&'static str, Minute>>);

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    sent: u64,
    succeeded: u64,
    running: u64,
    is_full: bool,
    most: Option<u64>,
    waves: u32,
}

impl Minutes {
    /// Counts a call of this minute, or says that it must wait for the next one.
    pub(super) fn take(&self, path: &'static str, minute: i64) -> bool {
        let mut minutes = lock(&self.0);
        let state = minutes.entry(path).or_default();
        state.roll(minute);
        if state.is_full || state.most.is_some_and(|most| state.sent >= most) {
            return false;
        }
        state.sent += 1;
        state.running += 1;
        true
    }

    /// A counted call has ended: whether it was done, and whether the minute was full.
    pub(super) fn end(&self, path: &'static str, minute: i64, is_done: bool, is_full: bool) {
        let mut minutes = lock(&self.0);
        let state = minutes.entry(path).or_default();
        state.running = state.running.saturating_sub(1);
        state.succeeded += u64::from(is_done);
        // An answer to a call of the minute before says nothing of this one.
        state.is_full |= is_full && state.number == minute;
    }
}

impl Minute {
    fn roll(&mut self, minute: i64) {
        if self.number == minute {
            return;
        }
        if self.is_full {
            self.waves += 1;
            if self.succeeded > 0 {
                // A twentieth less: calls on their way at the minute's turn count for the next one.
                self.most = Some((self.succeeded - self.succeeded / 20).max(1));
            }
        } else if let Some(most) = self.most
            && self.sent >= most
            && self.waves < MOST_WAVES
        {
            self.most = Some(most + most / 4 + 1);
        }
        let running = self.running;
        *self = Self {
            number: minute,
            sent: running,
            running,
            most: self.most,
            waves: self.waves,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_under_way_halve_once_for_those_that_began_together_and_grow_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pace = Pace::new(32);
        let take = || runtime.block_on(pace.place()).unwrap();
        let together: Vec<Place> = (0..32).map(|_| take()).collect();
        for one in together {
            pace.leave(one, Load::Heavy);
        }
        assert_eq!((pace.allowed(), pace.permits.available_permits()), (16, 16));
        for load in [Load::Heavy, Load::Heavy, Load::Unknown] {
            let one = take();
            pace.leave(one, load);
        }
        assert_eq!((pace.allowed(), pace.permits.available_permits()), (4, 4));
        let mut calls = 0;
        while pace.allowed() < 32 {
            let one = take();
            pace.leave(one, Load::Light);
            calls += 1;
        }
        assert_eq!(pace.permits.available_permits(), 32);
        assert!(calls < 200, "{calls} calls to grow back");
        for _ in 0..20 {
            let one = take();
            pace.leave(one, Load::Heavy);
        }
        assert_eq!((pace.allowed(), pace.permits.available_permits()), (1, 1), "one always goes on");
    }

    #[test]
    fn a_minute_s_quota_is_learned_and_runs_into_three_full_minutes_at_the_most() {
        const PATH: &str = "/cgi-bin/x";
        const QUOTA: u64 = 100;
        let minutes = Minutes::default();
        let (mut full, mut done) = (Vec::new(), 0);
        for minute in 1..30 {
            let mut served = 0;
            // Ten calls are on their way together.
            while minutes.take(PATH, minute) {
                let more = (0..9).filter(|_| minutes.take(PATH, minute)).count() as u64;
                for _ in 0..=more {
                    let is_done = served < QUOTA;
                    served += u64::from(is_done);
                    if !is_done && full.last() != Some(&minute) {
                        full.push(minute);
                    }
                    minutes.end(PATH, minute, is_done, !is_done);
                }
            }
            done += served;
        }
        assert!(full.len() <= 3, "{full:?}");
        assert!(done > 29 * QUOTA * 9 / 10, "{done} calls in 29 minutes");
    }
}
