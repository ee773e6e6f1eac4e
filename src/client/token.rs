//! The account's access token: fetched once however many calls, processes and machines wait for it,
//! renewed before its end, replaced when the platform says that it is no longer good.
//!
//! With a store, token, end and number are one record, and whoever holds a short lease renews it; the
//! others watch the token, not the lease. Without one, or when it fails, the same is done in memory.
//!
//! The bound on token calls when the platform refuses every token: a call renews at most twice, and a
//! renewal asks at most twice (for the present token, and then, if that is the refused one, for a new
//! one by force), so a single call costs five token calls at the most with the first fetch. Calls that
//! fail together share a renewal; all processes together renew at most [`RENEWALS_A_MINUTE`] times a
//! minute, and by force so often a day as the mode allows.

use super::{
    CallError, Client, TokenMode,
    budget::{Budget, FORCE_SPACING, RENEWALS_A_MINUTE},
};
use crate::{
    api::token::{Get, Stable, Token},
    base::{Secret, Stopwatch, lock},
    store::{Store, StoreError, TokenRecord},
};
use std::{
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;

/// Renewals that a call may ask for before it gives up.
pub(super) const RENEWALS_A_CALL: u32 = 2;

/// Milliseconds before its end from which a token is fetched anew. The platform hands out a new one
/// from five minutes before, and lets both work until then.
const MARGIN: i64 = 290_000;

/// In its last milliseconds a token is not used any more: it may end on its way.
const SAFETY: i64 = 5_000;

/// How long somebody may renew without a sign of life before another does it, in milliseconds.
pub const LEASE: i64 = 8_000;

/// How often those who wait look for a new token.
const LOOK: Duration = Duration::from_millis(50);

/// How long they wait at the most: a holder that lives may itself wait for three minutes' quotas.
const LONGEST_WAIT: Duration = Duration::from_mins(6);

/// A fetch that failed for the configuration's sake is not tried again for so long.
const SAME_FAILURE: Duration = Duration::from_secs(3);

/// After a store failed, the next look at it.
const STORE_AGAIN: Duration = Duration::from_secs(30);

/// The longest life of a token that is believed, in seconds; the platform's is 7,200.
const LONGEST_LIFE: i64 = 86_400;

/// After a renewal ahead of time that failed, the next one.
const NEXT_TRY: Duration = Duration::from_secs(30);

/// A token in memory.
#[derive(Clone)]
struct Held {
    token: Secret,
    /// When a new one is fetched, in milliseconds.
    renew_at: i64,
    expires_at: i64,
    generation: i64,
}

impl Held {
    fn of(record: &TokenRecord) -> Self {
        let life = record.expires_at - record.renewed_at;
        Self {
            token: record.token.clone(),
            renew_at: record.expires_at - MARGIN.min(life / 2),
            expires_at: record.expires_at,
            generation: record.generation,
        }
    }

    fn is_usable(&self, now: i64) -> bool {
        now < self.expires_at - SAFETY.min((self.expires_at - self.renew_at) / 2)
    }
}

/// What a token is wanted for.
#[derive(Clone, Copy)]
enum Wish<'a> {
    /// The present one is good for some minutes more; nobody waits.
    Soon,
    /// There is none that is good.
    Now,
    /// The platform did not take this one.
    Instead(&'a Secret),
}

impl Wish<'_> {
    fn is_met_by(self, held: &Held, now: i64) -> bool {
        held.is_usable(now)
            && match self {
                Self::Soon => now < held.renew_at,
                Self::Now => true,
                Self::Instead(refused) => held.token != *refused,
            }
    }
}

/// Keeps the token.
pub(super) struct TokenKeeper {
    mode: TokenMode,
    store: Option<Store>,
    /// Whose token it is, in the store.
    account: String,
    /// Who we are, in the store.
    owner: String,
    /// The same for leases: two clients of one process are two.
    holder: String,
    held: StdMutex<Option<Held>>,
    gate: Mutex<Gate>,
    /// Fetches that ended, so that those who waited for a failed one share its error.
    ended: AtomicU64,
    budget: Budget,
    has_warned: AtomicBool,
}

/// What only one task at a time does, and what it remembers.
#[derive(Default)]
struct Gate {
    failure: Option<(u64, Stopwatch, CallError)>,
    /// When the store failed.
    store_failed: Option<Stopwatch>,
    /// When the platform would not give another token than the held one, which it refused.
    stuck: Option<Stopwatch>,
    /// When a renewal ahead of time failed.
    failed_soon: Option<Stopwatch>,
}

impl TokenKeeper {
    pub(super) fn new(mode: TokenMode, store: Option<Store>, account: String, owner: String) -> Self {
        let budget = Budget::new(&mode, store.clone(), &account);
        Self {
            budget,
            mode,
            store,
            account,
            holder: format!("{owner} {}", fastrand::u64(..)),
            owner,
            held: StdMutex::default(),
            gate: Mutex::default(),
            ended: AtomicU64::default(),
            has_warned: AtomicBool::default(),
        }
    }

    /// A token that is good as far as is known.
    pub(super) async fn current(&self, client: &Client) -> Result<Secret, CallError> {
        let now = client.clock().now_ms();
        match self.held() {
            Some(held) if now < held.renew_at => return Ok(held.token),
            // The old one is served while one task fetches the new one.
            Some(held) if held.is_usable(now) => {
                if let Ok(mut gate) = self.gate.try_lock()
                    && gate.failed_soon.is_none_or(|since| since.elapsed() >= NEXT_TRY)
                {
                    match self.obtain(client, &mut gate, Wish::Soon).await {
                        Ok(Some(token)) => return Ok(token),
                        Ok(None) => {}
                        Err(_) => gate.failed_soon = Some(Stopwatch::start()),
                    }
                }
                return Ok(held.token);
            }
            _ => {}
        }
        let ended = self.ended.load(Ordering::SeqCst);
        let mut gate = self.gate.lock().await;
        if let Some(held) = self.held()
            && Wish::Now.is_met_by(&held, client.clock().now_ms())
        {
            return Ok(held.token);
        }
        Self::share_failure(&gate, ended)?;
        let token = self.obtain(client, &mut gate, Wish::Now).await?;
        token.ok_or_else(|| CallError::NoToken { reason: "there is none to be had".to_owned() })
    }

    /// A token other than `refused`, which the platform did not take. When somebody has renewed
    /// it meanwhile, theirs is given.
    pub(super) async fn renew(&self, client: &Client, refused: &Secret) -> Result<Option<Secret>, CallError> {
        let ended = self.ended.load(Ordering::SeqCst);
        let mut gate = self.gate.lock().await;
        if let Some(held) = self.held()
            && Wish::Instead(refused).is_met_by(&held, client.clock().now_ms())
        {
            return Ok(Some(held.token));
        }
        Self::share_failure(&gate, ended)?;
        self.obtain(client, &mut gate, Wish::Instead(refused)).await
    }

    /// The record of the present token, if it is known here or in the store.
    pub(super) async fn record(&self) -> Result<Option<TokenRecord>, StoreError> {
        match &self.store {
            Some(store) => store.token(&self.account, self.mode.as_str()).await,
            None => Ok(None),
        }
    }

    /// Forced renewals of today, all processes together.
    pub(super) async fn forced_today(&self, client: &Client) -> Result<i64, StoreError> {
        self.budget.forced_today(client.clock().now_secs()).await
    }

    /// Whose token it is, in the store.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// How many seconds the token in memory is good for.
    pub(super) fn life(&self, client: &Client) -> i64 {
        let left = self.held().map_or(0, |held| held.expires_at - client.clock().now_ms());
        left.max(0).div_euclid(1_000)
    }

    pub(super) fn mode(&self) -> &TokenMode {
        &self.mode
    }

    fn held(&self) -> Option<Held> {
        lock(&self.held).clone()
    }

    fn hold(&self, held: Held) -> Secret {
        let token = held.token.clone();
        *lock(&self.held) = Some(held);
        token
    }

    /// The error of a fetch that ended after `ended` was read, since the caller waited for it, or of one a
    /// moment ago that no second one would mend.
    fn share_failure(gate: &Gate, ended: u64) -> Result<(), CallError> {
        match &gate.failure {
            Some((at, since, error))
                if *at > ended || (error.is_configuration() && since.elapsed() < SAME_FAILURE) =>
            {
                Err(error.clone())
            }
            _ => Ok(()),
        }
    }

    /// Looks into the store, and renews there if nobody else does.
    async fn obtain(
        &self,
        client: &Client,
        gate: &mut Gate,
        wish: Wish<'_>,
    ) -> Result<Option<Secret>, CallError> {
        let store = self.store.as_ref().filter(|_| {
            // One that has just failed would only be waited for again.
            gate.store_failed.is_none_or(|since| since.elapsed() >= STORE_AGAIN)
        });
        let Some(store) = store else { return self.renew_alone(client, gate, wish, None).await };
        match self.obtain_from(store, client, gate, wish).await {
            Ok(result) => result,
            Err(error) => {
                gate.store_failed = Some(Stopwatch::start());
                if !self.has_warned.swap(true, Ordering::SeqCst) {
                    tracing::warn!("{error}; the token is kept in memory");
                }
                self.renew_alone(client, gate, wish, None).await
            }
        }
    }

    /// The outer error is the store's, and then nothing was fetched.
    async fn obtain_from(
        &self,
        store: &Store,
        client: &Client,
        gate: &mut Gate,
        wish: Wish<'_>,
    ) -> Result<Result<Option<Secret>, CallError>, StoreError> {
        let lease = format!("token {} {}", self.mode.as_str(), self.account);
        let waiting = Stopwatch::start();
        loop {
            if let Ok(token) = self.look(store, client, wish).await? {
                return Ok(Ok(Some(token)));
            }
            let now = client.clock().now_ms();
            if store.acquire_lease(&lease, &self.holder, now, now + LEASE).await? {
                // It may have been renewed between the look and the lease.
                let known = match self.look(store, client, wish).await {
                    Ok(Err(known)) => known,
                    looked => {
                        store.release_lease(&lease, &self.holder).await?;
                        return looked.map(|token| Ok(token.ok()));
                    }
                };
                let result = {
                    let renewal = self.renew_alone(client, gate, wish, known.as_ref());
                    tokio::pin!(renewal);
                    loop {
                        let beat = Duration::from_millis(LEASE.unsigned_abs() / 3);
                        tokio::select! {
                            result = &mut renewal => break result,
                            () = tokio::time::sleep(beat) => {
                                let now = client.clock().now_ms();
                                // A store that fails now is found out when the token is saved.
                                let _ = store.acquire_lease(&lease, &self.holder, now, now + LEASE).await;
                            }
                        }
                    }
                };
                let _ = store.release_lease(&lease, &self.holder).await;
                return Ok(result);
            }
            if matches!(wish, Wish::Soon) {
                return Ok(Ok(None));
            }
            if waiting.elapsed() > LONGEST_WAIT {
                let reason = "another process renews it and does not come to an end".to_owned();
                return Ok(Err(CallError::NoToken { reason }));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = client.cancel().cancelled() => {
                    return Ok(Err(CallError::Cancelled { endpoint: "token" }));
                }
            }
        }
    }

    /// The store's token if it meets the wish, or else what is known of it.
    async fn look(
        &self,
        store: &Store,
        client: &Client,
        wish: Wish<'_>,
    ) -> Result<Result<Secret, Option<TokenRecord>>, StoreError> {
        let record = store.token(&self.account, self.mode.as_str()).await?;
        if let Some(record) = &record {
            client.learn(&record.token);
            let held = Held::of(record);
            if wish.is_met_by(&held, client.clock().now_ms()) {
                return Ok(Ok(self.hold(held)));
            }
        }
        Ok(Err(record))
    }

    /// Fetches a token, in the mode's own way. `known` is what the store holds.
    async fn renew_alone(
        &self,
        client: &Client,
        gate: &mut Gate,
        wish: Wish<'_>,
        known: Option<&TokenRecord>,
    ) -> Result<Option<Secret>, CallError> {
        let Wish::Instead(refused) = wish else {
            if !self.budget.may_renew(client.clock().now_secs()).await {
                let reason = format!("{RENEWALS_A_MINUTE} were fetched within a minute, and none was good");
                return Err(CallError::NoToken { reason });
            }
            return self.fetch(client, gate, known, false, None).await.map(Some);
        };
        let is_stuck = gate.stuck.is_some_and(|since| since.elapsed() < FORCE_SPACING);
        if is_stuck || !self.budget.may_renew(client.clock().now_secs()).await {
            return Ok(None);
        }
        let token = match &self.mode {
            TokenMode::Stable => {
                // Another program may have made a new one already; asking does not void anything.
                let token = self.fetch(client, gate, known, false, None).await?;
                if token == *refused && self.budget.may_force(client.clock()).await {
                    self.fetch(client, gate, known, true, None).await?
                } else {
                    token
                }
            }
            TokenMode::Classic | TokenMode::External(_) if !self.budget.may_force(client.clock()).await => {
                return Ok(None);
            }
            TokenMode::Classic | TokenMode::External(_) => {
                self.fetch(client, gate, known, true, Some(refused)).await?
            }
        };
        gate.stuck = (token == *refused).then(Stopwatch::start);
        Ok((token != *refused).then_some(token))
    }

    async fn fetch(
        &self,
        client: &Client,
        gate: &mut Gate,
        known: Option<&TokenRecord>,
        force: bool,
        stale: Option<&Secret>,
    ) -> Result<Secret, CallError> {
        // Boxed: a call needs a token, and fetching one is a call.
        let result: Result<Token, CallError> = match &self.mode {
            TokenMode::Stable => {
                Box::pin(client.call(&Stable { force_refresh: force.then_some(true) })).await
            }
            TokenMode::Classic => Box::pin(client.call(&Get {})).await,
            TokenMode::External(external) => tokio::select! {
                given = external.fetch(client.appid(), stale) => match (given, stale) {
                    // There is no other one now.
                    (Ok(None), Some(stale)) => return Ok(stale.clone()),
                    (Ok(None), None) => Err(CallError::NoToken { reason: "there is none now".to_owned() }),
                    (Ok(Some(token)), _) => Ok(token),
                    (Err(error), _) => Err(error),
                },
                () = client.cancel().cancelled() => Err(CallError::Cancelled { endpoint: "token" }),
            },
        };
        let result = result.and_then(|answer| match answer.expires_in {
            ..=0 => Err(CallError::NoToken { reason: "the one that was given has ended already".to_owned() }),
            seconds => Ok(Token { expires_in: seconds.min(LONGEST_LIFE), ..answer }),
        });
        let ended = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        match result {
            Ok(answer) => {
                gate.failure = None;
                gate.failed_soon = None;
                Ok(self.keep(client, known, answer).await)
            }
            Err(error) => {
                gate.failure = Some((ended, Stopwatch::start(), error.clone()));
                Err(error)
            }
        }
    }

    /// Keeps a token that was fetched, in memory and in the store.
    async fn keep(&self, client: &Client, known: Option<&TokenRecord>, answer: Token) -> Secret {
        let now = client.clock().now_ms();
        let before = known.map_or(0, |known| known.generation);
        let generation = before.max(self.held().map_or(0, |held| held.generation)) + 1;
        let record = TokenRecord {
            token: answer.access_token.0,
            expires_at: now + answer.expires_in.saturating_mul(1_000),
            generation,
            renewed_by: self.owner.clone(),
            renewed_at: now,
        };
        client.learn(&record.token);
        if let Some(store) = &self.store {
            match store.save_token(&self.account, self.mode.as_str(), &record).await {
                // Somebody was faster: theirs is everybody's.
                Ok(false) => {
                    if let Ok(Ok(token)) = self.look(store, client, Wish::Now).await {
                        return token;
                    }
                }
                Err(error) if !self.has_warned.swap(true, Ordering::SeqCst) => {
                    tracing::warn!("{error}; the token is kept in memory");
                }
                Ok(true) | Err(_) => {}
            }
        }
        self.hold(Held::of(&record))
    }
}
