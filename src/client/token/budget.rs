//! Limits how often tokens are fetched and forcibly renewed: over all processes of an account with a store, over this
//! process without one or when it fails.

use super::mode::TokenMode;
use crate::{
    api::quota,
    base::{Clock, EpochMs, Stopwatch, lock},
    store::{LeaseKey, LeaseKind, Store, StoreError},
};
use std::{collections::VecDeque, sync::Mutex, time::Duration};

/// Limit of token fetches a minute by all processes of an account.
pub(crate) const MAX_RENEWALS_A_MINUTE: i64 = 12;

/// Minimum time between two forced renewals of the stable token: within it the platform answers with the current one.
pub(crate) const FORCED_RENEWAL_SPACING: Duration = Duration::from_secs(30);

/// What the keys in the store begin with that fetches and forced renewals are counted under.
const FETCH: &str = "renew";
const FORCE: &str = "force";

/// The minute that fetches are counted in.
fn minute(now: EpochMs) -> i64 {
    now.period(Duration::from_mins(1))
}

/// Deletes the budgets of all accounts that nothing was taken from since an instant.
///
/// # Errors
/// When the store fails.
pub async fn purge_budgets(store: &Store, before: EpochMs) -> Result<(), StoreError> {
    store.purge_budgets(FETCH, minute(before)).await?;
    store.purge_budgets(FORCE, quota::day(before.as_secs())).await
}

/// The token budget of one account.
pub(crate) struct Budget {
    store: Option<Store>,
    /// The keys in the store that fetches and forced renewals are counted under.
    fetch: String,
    force: String,
    is_stable: bool,
    max_forced_a_day: i64,
    /// The fetches of the last minute, and the forced renewals of a day, where no store counts them.
    fetched: Mutex<VecDeque<Stopwatch>>,
    forced: Mutex<(i64, i64)>,
}

impl Budget {
    pub(crate) fn new(mode: &TokenMode, store: Option<Store>, account: &str) -> Self {
        Self {
            store,
            fetch: format!("{FETCH} {} {account}", mode.as_str()),
            force: format!("{FORCE} {} {account}", mode.as_str()),
            is_stable: matches!(mode, TokenMode::Stable),
            max_forced_a_day: mode.max_forced_a_day(),
            fetched: Mutex::default(),
            forced: Mutex::default(),
        }
    }

    /// Takes one fetch from the minute's budget; `false` if it is used up.
    pub(crate) async fn take_fetch(&self, clock: &Clock) -> bool {
        if let Some(store) = &self.store {
            match self.take_fetch_in(store, clock).await {
                Ok(taken) => return taken,
                Err(error) => warn_of_store(&error),
            }
        }
        let mut fetched = lock(&self.fetched);
        while fetched.front().is_some_and(|at| at.elapsed() > Duration::from_mins(1)) {
            fetched.pop_front();
        }
        if i64::try_from(fetched.len()).is_ok_and(|count| count >= MAX_RENEWALS_A_MINUTE) {
            return false;
        }
        fetched.push_back(Stopwatch::start());
        true
    }

    async fn take_fetch_in(&self, store: &Store, clock: &Clock) -> Result<bool, StoreError> {
        // By the store's clock, so that all machines count in one minute.
        let minute = minute(store.time(clock).await?.shown());
        store.take_from_budget(&self.fetch, minute, MAX_RENEWALS_A_MINUTE).await
    }

    /// Takes one forced renewal from the day's budget; `false` if it is used up, or for the stable token if the last one was
    /// less than thirty seconds ago.
    pub(crate) async fn take_forced(&self, clock: &Clock) -> bool {
        let today = quota::day(clock.now_secs());
        let taken = match &self.store {
            Some(store) => {
                let taken = self.take_forced_in(store, clock, today).await;
                taken.inspect_err(warn_of_store).ok()
            }
            None => None,
        };
        let taken = taken.unwrap_or_else(|| {
            let mut forced = lock(&self.forced);
            if forced.0 != today {
                *forced = (today, 0);
            }
            forced.1 += 1;
            forced.1 <= self.max_forced_a_day
        });
        if !taken {
            tracing::warn!(
                "the platform refuses the token, and it can't be replaced by force now: that is had {} times a day, \
                 and for a stable token thirty seconds apart",
                self.max_forced_a_day
            );
        }
        taken
    }

    async fn take_forced_in(&self, store: &Store, clock: &Clock, today: i64) -> Result<bool, StoreError> {
        if self.is_stable {
            // A lease can be prolonged by its owner, so each renewal is an owner of its own.
            let owner: String = std::iter::repeat_with(fastrand::alphanumeric).take(16).collect();
            let lease = LeaseKey::new(LeaseKind::ForcedRenewal, self.force.as_str());
            let now = store.time(clock).await?;
            if !store.acquire_lease(&lease, &owner, now, FORCED_RENEWAL_SPACING).await? {
                return Ok(false);
            }
        }
        store.take_from_budget(&self.force, today, self.max_forced_a_day).await
    }

    /// Forced renewals of today, all processes together.
    pub(crate) async fn forced_today(&self, now: i64) -> Result<i64, StoreError> {
        match &self.store {
            Some(store) => store.used_of_budget(&self.force, quota::day(now)).await,
            None => Ok(lock(&self.forced).1),
        }
    }
}

fn warn_of_store(error: &StoreError) {
    tracing::warn!("{error}; the fetches of tokens of this process alone are bounded until it works");
}
