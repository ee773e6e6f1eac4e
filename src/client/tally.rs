//! How many calls were made, by method and path. Every try that was sent counts: the platform
//! counts it too.

use crate::api::Spec;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counts of calls.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Tally {
    /// One more call of an endpoint.
    pub fn count(&self, spec: &'static Spec) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((spec.method.as_str(), spec.path)).or_default() += 1;
    }

    /// A call that was counted has not been sent.
    pub fn take_back(&self, spec: &'static Spec) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&(spec.method.as_str(), spec.path)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The counts so far, keyed `"METHOD path"`.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = counts.iter().filter(|(_, count)| **count > 0);
        sent.map(|((method, path), count)| (format!("{method} {path}"), *count)).collect()
    }
}
