//! Adapts the number of concurrent calls to the platform's load.
//!
//! Additive increase, multiplicative decrease (AIMD): concurrency starts at the cap, halves when the platform is
//! overloaded (45011, -1 and its like, no answer in time), and grows back as calls succeed.

use crate::base::lock;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Limits concurrent calls by AIMD.
pub(super) struct AdaptiveLimiter {
    permits: Semaphore,
    cap: usize,
    state: Mutex<State>,
}

struct State {
    allowed: usize,
    /// Permits to remove as calls release them, after a decrease while all were in use.
    deficit: usize,
    /// Successes since the last change of `allowed`.
    succeeded: usize,
    /// Grows with each decrease. Calls that started before the decrease cause no second one.
    generation: u64,
}

/// The right to make one call.
pub(super) struct Permit<'a> {
    permit: SemaphorePermit<'a>,
    generation: u64,
}

/// What a finished call says of the platform's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// It keeps up.
    Success,
    /// It is overloaded.
    Overload,
    /// Nothing: the request itself was refused, for example.
    Neutral,
}

impl AdaptiveLimiter {
    pub(super) fn new(cap: usize) -> Self {
        let cap = cap.max(1);
        let state = State { allowed: cap, deficit: 0, succeeded: 0, generation: 0 };
        Self { permits: Semaphore::new(cap), cap, state: Mutex::new(state) }
    }

    /// Waits for a permit. `None` never happens: the semaphore is never closed.
    pub(super) async fn acquire(&self) -> Option<Permit<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        Some(Permit { permit, generation: self.state().generation })
    }

    /// Returns a permit and adapts the limit.
    pub(super) fn release(&self, permit: Permit<'_>, signal: Signal) {
        let mut state = self.state();
        match signal {
            Signal::Overload if permit.generation == state.generation => {
                let allowed = (state.allowed / 2).max(1);
                state.deficit += state.allowed - allowed;
                state.allowed = allowed;
                state.succeeded = 0;
                state.generation += 1;
            }
            Signal::Success if state.allowed < self.cap => {
                state.succeeded += 1;
                if state.succeeded >= state.allowed {
                    let more = state.allowed.div_ceil(4).min(self.cap - state.allowed);
                    state.allowed += more;
                    state.succeeded = 0;
                    let cancelled = more.min(state.deficit);
                    state.deficit -= cancelled;
                    self.permits.add_permits(more - cancelled);
                }
            }
            _ => {}
        }
        if state.deficit > 0 {
            state.deficit -= 1;
            permit.permit.forget();
        }
        // Unused permits are removed at once.
        state.deficit -= self.permits.forget_permits(state.deficit);
    }

    /// The current limit of concurrent calls.
    pub(super) fn allowed(&self) -> usize {
        self.state().allowed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrency_halves_once_per_wave_and_grows_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let limiter = AdaptiveLimiter::new(32);
        let take = || runtime.block_on(limiter.acquire()).unwrap();
        let together: Vec<Permit<'_>> = (0..32).map(|_| take()).collect();
        for one in together {
            limiter.release(one, Signal::Overload);
        }
        assert_eq!((limiter.allowed(), limiter.permits.available_permits()), (16, 16));
        for signal in [Signal::Overload, Signal::Overload, Signal::Neutral] {
            let one = take();
            limiter.release(one, signal);
        }
        assert_eq!((limiter.allowed(), limiter.permits.available_permits()), (4, 4));
        let mut calls = 0;
        while limiter.allowed() < 32 {
            let one = take();
            limiter.release(one, Signal::Success);
            calls += 1;
        }
        assert_eq!(limiter.permits.available_permits(), 32);
        assert!(calls < 200, "{calls} calls to grow back");
        for _ in 0..20 {
            let one = take();
            limiter.release(one, Signal::Overload);
        }
        assert_eq!(
            (limiter.allowed(), limiter.permits.available_permits()),
            (1, 1),
            "one call is always allowed"
        );
    }
}
