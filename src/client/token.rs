//! The account's access token: fetched once however many calls wait for it, renewed before its
//! end, replaced when the platform says that it is no longer good.
//!
//! The bound on token calls when the platform refuses every token: a call renews at most twice,
//! and a renewal asks at most twice (for the present token, and then, if that is the refused one,
//! for a new one by force), so a single call costs five token calls at the most with the first
//! fetch. Calls that fail together share a renewal, and a process renews at most
//! [`RENEWALS_A_MINUTE`] times a minute.

use super::{CallError, Client};
use crate::{
    api::token::{Stable, Token},
    base::{Secret, Stopwatch},
};
use std::{
    collections::VecDeque,
    sync::{
        Mutex as StdMutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;

/// Renewals that a call may ask for before it gives up.
pub(super) const RENEWALS_A_CALL: u32 = 2;

/// Renewals that a process makes within a minute.
const RENEWALS_A_MINUTE: usize = 12;

/// Seconds before its end from which a token is fetched anew. The platform hands out a new stable
/// token from five minutes before, and lets both work until then.
const MARGIN: i64 = 290;

/// Within this time of a forced renewal the platform answers with the present token.
const FORCE_SPACING: Duration = Duration::from_secs(30);

/// A token in memory.
#[derive(Clone)]
struct Held {
    token: Secret,
    /// When a new one is fetched, in seconds.
    renew_at: i64,
}

/// Keeps the token.
#[derive(Default)]
pub(super) struct TokenKeeper {
    state: Mutex<State>,
    /// Fetches that ended, so that those who waited for a failed one share its error.
    ended: AtomicU64,
    renewed: StdMutex<VecDeque<Stopwatch>>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failure: Option<(u64, CallError)>,
    /// When the platform would not give another token than the held one, which it refused.
    stuck: Option<Stopwatch>,
}

impl TokenKeeper {
    /// A token that is good as far as is known.
    pub(super) async fn current(&self, client: &Client) -> Result<Secret, CallError> {
        let ended = self.ended.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        match &state.held {
            Some(held) if client.clock().now() < held.renew_at => return Ok(held.token.clone()),
            _ => {}
        }
        Self::share_failure(&state, ended)?;
        self.fetch(client, &mut state, false).await
    }

    /// A token other than `refused`, which the platform did not take. When somebody has renewed
    /// it meanwhile, theirs is given.
    pub(super) async fn renew(&self, client: &Client, refused: &Secret) -> Result<Option<Secret>, CallError> {
        let ended = self.ended.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        if let Some(held) = &state.held
            && held.token != *refused
        {
            return Ok(Some(held.token.clone()));
        }
        Self::share_failure(&state, ended)?;
        let stuck = state.stuck.is_some_and(|since| since.elapsed() < FORCE_SPACING);
        if stuck || !self.may_renew() {
            return Ok(None);
        }
        // Another program may have made a new one already; asking does not void anything.
        let mut token = self.fetch(client, &mut state, false).await?;
        if token == *refused {
            token = self.fetch(client, &mut state, true).await?;
        }
        state.stuck = (token == *refused).then(Stopwatch::start);
        Ok((token != *refused).then_some(token))
    }

    /// The error of a fetch that ended after `ended` was read: the caller waited for it.
    fn share_failure(state: &State, ended: u64) -> Result<(), CallError> {
        match &state.failure {
            Some((at, error)) if *at > ended => Err(error.clone()),
            _ => Ok(()),
        }
    }

    async fn fetch(&self, client: &Client, state: &mut State, force: bool) -> Result<Secret, CallError> {
        let request = Stable { force_refresh: force.then_some(true) };
        // Boxed: a call needs a token, and fetching one is a call.
        let result: Result<Token, CallError> = Box::pin(client.call(&request)).await;
        let ended = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        match result {
            Ok(answer) => {
                let lasts = answer.expires_in - MARGIN.min(answer.expires_in / 2);
                let token = answer.access_token.0;
                state.held = Some(Held { token: token.clone(), renew_at: client.clock().now() + lasts });
                state.failure = None;
                Ok(token)
            }
            Err(error) => {
                state.failure = Some((ended, error.clone()));
                Err(error)
            }
        }
    }

    /// Takes one renewal out of the minute's budget.
    fn may_renew(&self) -> bool {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        while renewed.front().is_some_and(|at| at.elapsed() > Duration::from_mins(1)) {
            renewed.pop_front();
        }
        if renewed.len() >= RENEWALS_A_MINUTE {
            return false;
        }
        renewed.push_back(Stopwatch::start());
        true
    }
}
