//! How often tokens may be fetched and replaced by force: by all processes of an account together where there is a
//! store, by this one where there is none or it fails.

use super::TokenMode;
use crate::{
    api::quota,
    base::{Clock, Stopwatch, lock},
    store::{Store, StoreError},
};
use std::{collections::VecDeque, sync::Mutex, time::Duration};

/// Fetches that all processes of an account make within a minute.
pub const RENEWALS_A_MINUTE: i64 = 12;

/// Within this time of a forced renewal the platform answers with the present token.
pub(super) const FORCE_SPACING: Duration = Duration::from_secs(30);

/// The budgets of one account's tokens.
pub(super) struct Budget {
    store: Option<Store>,
    /// What fetches and forced renewals are counted by.
    fetch: String,
    force: String,
    is_stable: bool,
    forced_a_day: i64,
    /// The same, where no store counts them.
    fetched: Mutex<VecDeque<Stopwatch>>,
    forced: Mutex<(i64, i64)>,
}

impl Budget {
    pub(super) fn new(mode: &TokenMode, store: Option<Store>, account: &str) -> Self {
        Self {
            store,
            fetch: format!("renew {} {account}", mode.as_str()),
            force: format!("force {} {account}", mode.as_str()),
            is_stable: matches!(mode, TokenMode::Stable),
            forced_a_day: mode.forced_a_day(),
            fetched: Mutex::default(),
            forced: Mutex::default(),
        }
    }

    /// Takes one fetch out of the minute's budget. `now` is in Unix seconds.
    pub(super) async fn may_renew(&self, now: i64) -> bool {
        if let Some(store) = &self.store
            && let Ok(may) = store.take_from_budget(&self.fetch, now.div_euclid(60), RENEWALS_A_MINUTE).await
        {
            return may;
        }
        let mut fetched = lock(&self.fetched);
        while fetched.front().is_some_and(|at| at.elapsed() > Duration::from_mins(1)) {
            fetched.pop_front();
        }
        if i64::try_from(fetched.len()).is_ok_and(|count| count >= RENEWALS_A_MINUTE) {
            return false;
        }
        fetched.push_back(Stopwatch::start());
        true
    }

    /// Takes one forced renewal out of the day's budget; for the stable token also thirty seconds after the one
    /// before at the earliest.
    pub(super) async fn may_force(&self, clock: &Clock) -> bool {
        let today = quota::day(clock.now_secs());
        let may = match &self.store {
            Some(store) => self.may_force_by(store, clock, today).await.ok(),
            None => None,
        };
        let may = may.unwrap_or_else(|| {
            let mut forced = lock(&self.forced);
            if forced.0 != today {
                *forced = (today, 0);
            }
            forced.1 += 1;
            forced.1 <= self.forced_a_day
        });
        if !may {
            tracing::warn!(
                "the platform refuses the token, and it can't be replaced by force now: that is had {} times a day, \
                 and for a stable token thirty seconds apart",
                self.forced_a_day
            );
        }
        may
    }

    async fn may_force_by(&self, store: &Store, clock: &Clock, today: i64) -> Result<bool, StoreError> {
        if self.is_stable {
            let now = clock.now_ms();
            let until = now + i64::try_from(FORCE_SPACING.as_millis()).unwrap_or(i64::MAX);
            // Nobody's second one is its owner's: the name is new each time.
            let nobody: String = std::iter::repeat_with(fastrand::alphanumeric).take(16).collect();
            if !store.acquire_lease(&self.force, &nobody, now, until).await? {
                return Ok(false);
            }
        }
        store.take_from_budget(&self.force, today, self.forced_a_day).await
    }

    /// Forced renewals of today, all processes together.
    pub(super) async fn forced_today(&self, now: i64) -> Result<i64, StoreError> {
        match &self.store {
            Some(store) => store.used_of_budget(&self.force, quota::day(now)).await,
            None => Ok(lock(&self.forced).1),
        }
    }
}
