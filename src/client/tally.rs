//! How many calls were made, by method and path. Every try that was sent counts: the platform
//! counts it too.

use crate::api::Spec;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counts of calls.
#[derive(Debug, Default)]
pub struct Tally {
    sent: Mutex<Counts>,
    under_way: Mutex<Counts>,
}

/// Counts by method and path.
type Counts = BTreeMap<(&'static str, &'static str), u64>;

/// A call under way; it is no more when this is dropped.
pub(super) struct UnderWay<'a> {
    tally: &'a Tally,
    spec: &'static Spec,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut counts = self.tally.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&(self.spec.method.as_str(), self.spec.path)) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Tally {
    /// One more call of an endpoint, which is under way.
    pub(super) fn count(&self, spec: &'static Spec) -> UnderWay<'_> {
        let key = (spec.method.as_str(), spec.path);
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        UnderWay { tally: self, spec }
    }

    /// Calls of an endpoint so far, and those that are under way.
    #[must_use]
    pub fn of(&self, spec: &Spec) -> (u64, u64) {
        let key = (spec.method.as_str(), spec.path);
        let read = |counts: &Mutex<Counts>| {
            counts.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied().unwrap_or_default()
        };
        (read(&self.sent), read(&self.under_way))
    }

    /// A call that was counted has not been sent.
    pub fn take_back(&self, spec: &'static Spec) {
        let mut counts = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&(spec.method.as_str(), spec.path)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The counts so far, keyed `"METHOD path"`.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, u64> {
        let counts = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = counts.iter().filter(|(_, count)| **count > 0);
        sent.map(|((method, path), count)| (format!("{method} {path}"), *count)).collect()
    }
}
