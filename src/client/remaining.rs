//! What is left of the day's quotas, and the wait for the next day.

use super::{CallError, Client};
use crate::api::{Spec, quota};
use std::time::Duration;

/// What is left of an endpoint's calls today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Calls that are left.
    pub left: u64,
    /// Calls a day.
    pub daily: u64,
}

impl Client {
    /// What is left of an endpoint's calls today, as far as is known without a call: what the platform publishes less
    /// what is counted. Accounts with many followers may have more.
    pub async fn remaining(&self, spec: &Spec) -> Option<Remaining> {
        let (used, is_spent) = match self.ledger() {
            // A count that can't be read is none.
            Some(ledger) => ledger.used(spec.path).await.unwrap_or_default(),
            None => (0, false),
        };
        let daily = spec.daily.real.or_else(|| is_spent.then_some(0))?;
        let left = if is_spent { 0 } else { daily.saturating_sub(used.unsigned_abs()) };
        Some(Remaining { left, daily })
    }

    /// The same as the platform says, by a call; `None` where it does not say.
    ///
    /// # Errors
    /// When the call is cancelled.
    pub async fn ask_remaining(&self, spec: &Spec) -> Result<Option<Remaining>, CallError> {
        match self.call(&quota::Get { cgi_path: spec.path.to_owned() }).await {
            Ok(answer) => Ok(Some(Remaining {
                left: u64::try_from(answer.quota.remain).unwrap_or_default(),
                daily: u64::try_from(answer.quota.daily_limit).unwrap_or_default(),
            })),
            Err(error @ CallError::Cancelled { .. }) => Err(error),
            // Some paths can't be asked for, and some accounts can't ask.
            Err(_) => Ok(None),
        }
    }

    /// How long it is to the next day of quotas, a moment more so that it has begun there too.
    #[must_use]
    pub fn to_reset(&self) -> Duration {
        let now = self.clock().now_secs();
        Duration::from_secs(self.reset().next(now).abs_diff(now) + 1)
    }
}
