//! The account's access token: fetched once however many calls, processes and machines wait for it, renewed before it
//! expires, replaced when the platform refuses it.
//!
//! With a store, token, expiry and generation are one record, and the process that holds a short lease renews it; the
//! others poll the record, not the lease. Without a store, or when it fails, the same happens in memory.
//!
//! The bound on token calls when the platform refuses every token: a call renews at most twice, and a renewal fetches at
//! most twice (the current token first, and if that is the refused one, a new one by force), so a single call costs five
//! token calls at most including the first fetch. Calls that fail together share a renewal; all processes together renew
//! at most [`MAX_RENEWALS_A_MINUTE`] times a minute, and by force as often a day as the mode allows.
//!
//! One file because reading, renewing and waiting for another's renewal are one state machine over one record.

use super::{
    budget::{Budget, FORCED_RENEWAL_SPACING, MAX_RENEWALS_A_MINUTE},
    mode::TokenMode,
};
use crate::{
    api::token::{Get, Stable, Token},
    base::{Clock, EpochMs, Secret, Stopwatch, lock},
    client::{CallError, sender::Sender},
    store::{LeaseKey, LeaseKind, Store, StoreError, TokenRecord},
};
use std::{
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;

/// How long before its expiry a token is renewed. The platform issues a new one from five minutes before, and accepts
/// both until then.
const RENEW_AHEAD: Duration = Duration::from_secs(290);

/// A token this close to its expiry is not used any more: it may expire on its way.
const EXPIRY_MARGIN: Duration = Duration::from_secs(5);

/// The lease of a renewal. Another process takes over when its holder has not prolonged it for this long.
pub const LEASE_TTL: Duration = Duration::from_secs(8);

/// How often the processes that wait for a renewal poll the store.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long they wait: the holder itself may wait out three minutes' quotas.
const MAX_WAIT: Duration = Duration::from_mins(6);

/// How long a fetch that failed because of the configuration is not repeated.
const FAILURE_TTL: Duration = Duration::from_secs(3);

/// How long a store that failed is not asked again.
const STORE_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// How long after a failed renewal ahead of time the next one is tried.
const EARLY_RENEWAL_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Limit in seconds of the validity that an answer may claim; the platform's is 7,200.
const MAX_TOKEN_TTL: i64 = 86_400;

/// A token in memory.
#[derive(Clone)]
struct CachedToken {
    token: Secret,
    generation: i64,
    /// How long before its expiry it is renewed.
    renew_ahead: Duration,
    /// Its expiry by the wall clock, which all processes share and which goes on while the machine sleeps.
    expires_at: EpochMs,
    /// Its expiry by this process's monotonic clock, which can't be set back.
    ends_at: Duration,
}

impl CachedToken {
    fn new(record: &TokenRecord, clock: &Clock) -> Self {
        let lifetime = record.expires_at.since(record.renewed_at);
        // A clock that was set back since promises more than the platform did.
        let left = record.expires_at.since(clock.now()).min(lifetime);
        Self {
            token: record.token.clone(),
            generation: record.generation,
            renew_ahead: RENEW_AHEAD.min(lifetime / 2),
            expires_at: record.expires_at,
            ends_at: clock.monotonic() + left,
        }
    }

    /// Whether it was made from this record.
    fn is_of(&self, record: &TokenRecord) -> bool {
        self.generation == record.generation && self.token == record.token
    }

    /// How long it is valid, by the clock that ends it first.
    fn left(&self, clock: &Clock) -> Duration {
        self.expires_at.since(clock.now()).min(self.ends_at.saturating_sub(clock.monotonic()))
    }

    fn is_usable(&self, clock: &Clock) -> bool {
        self.left(clock) > EXPIRY_MARGIN.min(self.renew_ahead / 2)
    }

    /// Whether it expires so soon that it is renewed.
    fn is_expiring(&self, clock: &Clock) -> bool {
        self.left(clock) <= self.renew_ahead
    }
}

/// Why a token is renewed.
#[derive(Clone, Copy)]
enum RenewReason<'a> {
    /// It expires in a few minutes. No call waits for the renewal.
    Expiring,
    /// There is none that is valid.
    Missing,
    /// The platform refused this one.
    Refused(&'a Secret),
}

impl RenewReason<'_> {
    /// Whether `cached` makes the renewal unnecessary.
    fn is_met_by(self, cached: &CachedToken, clock: &Clock) -> bool {
        cached.is_usable(clock)
            && match self {
                Self::Expiring => !cached.is_expiring(clock),
                Self::Missing => true,
                Self::Refused(refused) => cached.token != *refused,
            }
    }
}

/// What a fetch from the source may give.
#[derive(Clone, Copy)]
enum FetchMode<'a> {
    /// The current token.
    Current,
    /// A new token instead of this one, which is invalid from then on.
    Replace(&'a Secret),
}

/// The token of one account.
pub(crate) struct TokenCache {
    mode: TokenMode,
    store: Option<Store>,
    /// The account's key in the store.
    account: String,
    /// This process, as the store records who renewed a token.
    owner: String,
    /// This cache as the holder of a lease: a process may have several.
    holder: String,
    cached: StdMutex<Option<CachedToken>>,
    renewal: Mutex<RenewalState>,
    /// Number of fetches that have ended, so that calls that waited for a failed fetch share its error.
    fetches: AtomicU64,
    budget: Budget,
    has_warned: AtomicBool,
}

/// What the renewing task remembers. Its lock is what makes renewals of this process one after another.
#[derive(Default)]
struct RenewalState {
    /// The last failed fetch: its number, when, and why.
    failure: Option<(u64, Stopwatch, CallError)>,
    /// When the store failed.
    store_failed: Option<Stopwatch>,
    /// When the platform gave the refused token again, even by force.
    stuck: Option<Stopwatch>,
    /// When a renewal ahead of time failed.
    early_failed: Option<Stopwatch>,
}

impl TokenCache {
    pub(crate) fn new(mode: TokenMode, store: Option<Store>, account: String, owner: String) -> Self {
        let budget = Budget::new(&mode, store.clone(), &account);
        Self {
            budget,
            mode,
            store,
            account,
            holder: format!("{owner} {}", fastrand::u64(..)),
            owner,
            cached: StdMutex::default(),
            renewal: Mutex::default(),
            fetches: AtomicU64::default(),
            has_warned: AtomicBool::default(),
        }
    }

    /// A token that is valid as far as is known.
    pub(crate) async fn current(&self, sender: &Sender) -> Result<Secret, CallError> {
        match self.cached() {
            Some(cached) if !cached.is_expiring(&sender.clock) => return Ok(cached.token),
            // One task renews; the others use the old token meanwhile.
            Some(cached) if cached.is_usable(&sender.clock) => {
                if let Ok(mut state) = self.renewal.try_lock()
                    && state.early_failed.is_none_or(|since| since.elapsed() >= EARLY_RENEWAL_RETRY_INTERVAL)
                {
                    match self.obtain(sender, &mut state, RenewReason::Expiring).await {
                        Ok(Some(token)) => return Ok(token),
                        Ok(None) => {}
                        Err(_) => state.early_failed = Some(Stopwatch::start()),
                    }
                }
                return Ok(cached.token);
            }
            _ => {}
        }
        let token = self.renew_once(sender, RenewReason::Missing).await?;
        token.ok_or_else(|| CallError::NoToken {
            reason: "the platform gave none that has not been refused already".to_owned(),
        })
    }

    /// A token other than `refused`, which the platform did not accept. `None` when there is no other.
    pub(crate) async fn renew(&self, sender: &Sender, refused: &Secret) -> Result<Option<Secret>, CallError> {
        self.renew_once(sender, RenewReason::Refused(refused)).await
    }

    /// Renews, unless another task has done so while this one waited for the lock.
    async fn renew_once(
        &self,
        sender: &Sender,
        reason: RenewReason<'_>,
    ) -> Result<Option<Secret>, CallError> {
        let fetches = self.fetches.load(Ordering::SeqCst);
        let mut state = self.renewal.lock().await;
        if let Some(cached) = self.cached()
            && reason.is_met_by(&cached, &sender.clock)
        {
            return Ok(Some(cached.token));
        }
        state.share_failure(fetches)?;
        self.obtain(sender, &mut state, reason).await
    }

    /// The store's record of the token.
    pub(crate) async fn record(&self) -> Result<Option<TokenRecord>, StoreError> {
        match &self.store {
            Some(store) => store.token(&self.account, self.mode.as_str()).await,
            None => Ok(None),
        }
    }

    /// Forced renewals of today by all processes.
    pub(crate) async fn forced_today(&self, sender: &Sender) -> Result<i64, StoreError> {
        self.budget.forced_today(sender.clock.now_secs()).await
    }

    /// For how many more seconds the cached token is valid.
    pub(crate) fn seconds_left(&self, sender: &Sender) -> i64 {
        let left = self.cached().map_or(Duration::ZERO, |cached| cached.left(&sender.clock));
        i64::try_from(left.as_secs()).unwrap_or(i64::MAX)
    }

    pub(crate) fn mode(&self) -> &TokenMode {
        &self.mode
    }

    fn cached(&self) -> Option<CachedToken> {
        lock(&self.cached).clone()
    }

    fn cache(&self, cached: CachedToken) -> Secret {
        let token = cached.token.clone();
        *lock(&self.cached) = Some(cached);
        token
    }

    /// Takes the token from the store, or renews it there if no other process does.
    async fn obtain(
        &self,
        sender: &Sender,
        state: &mut RenewalState,
        reason: RenewReason<'_>,
    ) -> Result<Option<Secret>, CallError> {
        let store = self.store.as_ref().filter(|_| {
            // A store that has just failed would only time out again.
            state.store_failed.is_none_or(|since| since.elapsed() >= STORE_RETRY_INTERVAL)
        });
        let Some(store) = store else { return self.renew_alone(sender, state, reason, None).await };
        match self.obtain_from(store, sender, state, reason).await {
            Ok(result) => result,
            Err(error) => {
                state.store_failed = Some(Stopwatch::start());
                if !self.has_warned.swap(true, Ordering::SeqCst) {
                    tracing::warn!("{error}; the token is kept in memory");
                }
                self.renew_alone(sender, state, reason, None).await
            }
        }
    }

    /// The outer error is the store's, and then nothing was fetched.
    async fn obtain_from(
        &self,
        store: &Store,
        sender: &Sender,
        state: &mut RenewalState,
        reason: RenewReason<'_>,
    ) -> Result<Result<Option<Secret>, CallError>, StoreError> {
        let lease = LeaseKey::new(LeaseKind::Token, format!("{} {}", self.mode.as_str(), self.account));
        let waiting = Stopwatch::start();
        loop {
            if let Ok(token) = self.load(store, sender, reason).await? {
                return Ok(Ok(Some(token)));
            }
            if self.acquire_lease(store, sender, &lease).await? {
                // Another process may have renewed it between the load and the lease.
                let known = match self.load(store, sender, reason).await {
                    Ok(Err(known)) => known,
                    loaded => {
                        store.release_lease(&lease, &self.holder).await?;
                        return loaded.map(|token| Ok(token.ok()));
                    }
                };
                let result = {
                    let renewal = self.renew_alone(sender, state, reason, known.as_ref());
                    tokio::pin!(renewal);
                    loop {
                        tokio::select! {
                            result = &mut renewal => break result,
                            () = tokio::time::sleep(LEASE_TTL / 3) => {
                                // If the store fails now, saving the token will show it.
                                let _ = self.acquire_lease(store, sender, &lease).await;
                            }
                        }
                    }
                };
                let _ = store.release_lease(&lease, &self.holder).await;
                return Ok(result);
            }
            if matches!(reason, RenewReason::Expiring) {
                return Ok(Ok(None));
            }
            if waiting.elapsed() > MAX_WAIT {
                let reason = "another process renews it and does not come to an end".to_owned();
                return Ok(Err(CallError::NoToken { reason }));
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = sender.cancel.cancelled() => {
                    return Ok(Err(CallError::Cancelled { endpoint: "token" }));
                }
            }
        }
    }

    /// Takes the lease of the renewal, or prolongs it.
    async fn acquire_lease(
        &self,
        store: &Store,
        sender: &Sender,
        lease: &LeaseKey,
    ) -> Result<bool, StoreError> {
        let now = store.time(&sender.clock).await?;
        store.acquire_lease(lease, &self.holder, now, LEASE_TTL).await
    }

    /// The store's token if it makes the renewal unnecessary, otherwise its record.
    async fn load(
        &self,
        store: &Store,
        sender: &Sender,
        reason: RenewReason<'_>,
    ) -> Result<Result<Secret, Option<TokenRecord>>, StoreError> {
        let record = store.token(&self.account, self.mode.as_str()).await?;
        if let Some(record) = &record {
            sender.redactor.learn_token(&record.token);
            // The known token keeps its monotonic expiry: computed again, it would grow each time the clock is set back.
            let cached = self.cached().filter(|cached| cached.is_of(record));
            let cached = cached.unwrap_or_else(|| CachedToken::new(record, &sender.clock));
            if reason.is_met_by(&cached, &sender.clock) {
                return Ok(Ok(self.cache(cached)));
            }
        }
        Ok(Err(record))
    }

    /// Fetches a token in the mode's own way. `known` is the store's record.
    async fn renew_alone(
        &self,
        sender: &Sender,
        state: &mut RenewalState,
        reason: RenewReason<'_>,
        known: Option<&TokenRecord>,
    ) -> Result<Option<Secret>, CallError> {
        let RenewReason::Refused(refused) = reason else {
            if !self.budget.take_fetch(&sender.clock).await {
                let reason =
                    format!("{MAX_RENEWALS_A_MINUTE} were fetched within a minute, and none was good");
                return Err(CallError::NoToken { reason });
            }
            return self.fetch(sender, state, known, FetchMode::Current).await.map(Some);
        };
        let is_stuck = state.stuck.is_some_and(|since| since.elapsed() < FORCED_RENEWAL_SPACING);
        if is_stuck || !self.budget.take_fetch(&sender.clock).await {
            return Ok(None);
        }
        let token = match &self.mode {
            TokenMode::Stable => {
                // Another program may have renewed it already, and fetching the current one invalidates nothing.
                let token = self.fetch(sender, state, known, FetchMode::Current).await?;
                if token == *refused && self.budget.take_forced(&sender.clock).await {
                    self.fetch(sender, state, known, FetchMode::Replace(refused)).await?
                } else {
                    token
                }
            }
            TokenMode::Classic | TokenMode::External(_) if !self.budget.take_forced(&sender.clock).await => {
                return Ok(None);
            }
            TokenMode::Classic | TokenMode::External(_) => {
                self.fetch(sender, state, known, FetchMode::Replace(refused)).await?
            }
        };
        state.stuck = (token == *refused).then(Stopwatch::start);
        Ok((token != *refused).then_some(token))
    }

    async fn fetch(
        &self,
        sender: &Sender,
        state: &mut RenewalState,
        known: Option<&TokenRecord>,
        mode: FetchMode<'_>,
    ) -> Result<Secret, CallError> {
        let result: Result<Token, CallError> = match &self.mode {
            TokenMode::Stable => {
                let force_refresh = matches!(mode, FetchMode::Replace(_)).then_some(true);
                sender.call(&Stable { force_refresh }).await
            }
            TokenMode::Classic => sender.call(&Get {}).await,
            TokenMode::External(external) => {
                let refused = match mode {
                    FetchMode::Current => None,
                    FetchMode::Replace(refused) => Some(refused),
                };
                tokio::select! {
                    given = external.fetch(&sender.account.appid, refused, &sender.redactor) => match (given, refused) {
                        // The source has no other token now.
                        (Ok(None), Some(refused)) => return Ok(refused.clone()),
                        (Ok(None), None) => Err(CallError::NoToken { reason: "there is none now".to_owned() }),
                        (Ok(Some(token)), _) => Ok(token),
                        (Err(error), _) => Err(error),
                    },
                    () = sender.cancel.cancelled() => Err(CallError::Cancelled { endpoint: "token" }),
                }
            }
        };
        let result = result.and_then(|answer| match answer.expires_in {
            ..=0 => Err(CallError::NoToken { reason: "the one that was given has ended already".to_owned() }),
            seconds => Ok(Token { expires_in: seconds.min(MAX_TOKEN_TTL), ..answer }),
        });
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        match result {
            Ok(answer) => {
                state.failure = None;
                state.early_failed = None;
                Ok(self.save(sender, known, answer).await)
            }
            Err(error) => {
                state.failure = Some((number, Stopwatch::start(), error.clone()));
                Err(error)
            }
        }
    }

    /// Saves a fetched token in memory and in the store.
    async fn save(&self, sender: &Sender, known: Option<&TokenRecord>, answer: Token) -> Secret {
        let now = sender.clock.now();
        let before = known.map_or(0, |known| known.generation);
        let generation = before.max(self.cached().map_or(0, |cached| cached.generation)) + 1;
        let lifetime = Duration::from_secs(answer.expires_in.unsigned_abs());
        let record = TokenRecord {
            token: answer.access_token.0,
            expires_at: now + lifetime,
            generation,
            renewed_by: self.owner.clone(),
            renewed_at: now,
        };
        sender.redactor.learn_token(&record.token);
        if let Some(store) = &self.store {
            match store.save_token(&self.account, self.mode.as_str(), &record).await {
                // Another process was faster: its token is used by all.
                Ok(false) => {
                    if let Ok(Ok(token)) = self.load(store, sender, RenewReason::Missing).await {
                        return token;
                    }
                }
                Err(error) if !self.has_warned.swap(true, Ordering::SeqCst) => {
                    tracing::warn!("{error}; the token is kept in memory");
                }
                Ok(true) | Err(_) => {}
            }
        }
        self.cache(CachedToken::new(&record, &sender.clock))
    }
}

impl RenewalState {
    /// Fails with the error of a fetch that ended after `fetches` was read, since the caller waited for that one, or of
    /// a recent one that a repetition would not correct.
    fn share_failure(&self, fetches: u64) -> Result<(), CallError> {
        match &self.failure {
            Some((number, since, error))
                if *number > fetches || (error.is_configuration() && since.elapsed() < FAILURE_TTL) =>
            {
                Err(error.clone())
            }
            _ => Ok(()),
        }
    }
}
