//! What is left of the daily quotas.

use super::{CallError, Client};
use crate::{
    api::{Spec, quota},
    store::StoreError,
};

/// What is left of an endpoint's calls today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Calls that are left.
    pub left: u64,
    /// Calls a day.
    pub daily: u64,
}

impl Client {
    /// What is left of an endpoint's calls today, without asking the platform: its published quota minus the counted
    /// calls. Accounts with many followers may have more. `None` where no quota is published.
    ///
    /// # Errors
    /// When the counted calls can't be read: what is left is not known then.
    pub async fn remaining(&self, spec: &Spec) -> Result<Option<Remaining>, StoreError> {
        let (used, is_exhausted) = match self.ledger() {
            Some(ledger) => ledger.used(spec.path).await?,
            None => (0, false),
        };
        let Some(daily) = spec.daily.real.or_else(|| is_exhausted.then_some(0)) else { return Ok(None) };
        let left = if is_exhausted { 0 } else { daily.saturating_sub(used.unsigned_abs()) };
        Ok(Some(Remaining { left, daily }))
    }

    /// Asks the platform what is left, which is one call; `None` where it does not answer that.
    ///
    /// # Errors
    /// Only when the call is cancelled.
    pub async fn ask_remaining(&self, spec: &Spec) -> Result<Option<Remaining>, CallError> {
        match self.call(&quota::Get { cgi_path: spec.path.to_owned() }).await {
            Ok(answer) => Ok(Some(Remaining {
                left: u64::try_from(answer.quota.remain).unwrap_or_default(),
                daily: u64::try_from(answer.quota.daily_limit).unwrap_or_default(),
            })),
            Err(error @ CallError::Cancelled { .. }) => Err(error),
            // Some paths have no answer, and some accounts may not ask.
            Err(_) => Ok(None),
        }
    }
}
