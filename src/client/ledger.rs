//! The ledger of calls: counted in memory as they are made, written to the store once a second and at the end, so that
//! no call waits for the disk.

use crate::{
    api::quota::Reset,
    base::{Clock, lock},
    store::{Spent, Store, StoreError},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How often counts are written.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Counts calls of one account, by endpoint and day. Clones share the counts.
#[derive(Clone)]
pub struct Ledger(Arc<LedgerInner>);

struct LedgerInner {
    store: Store,
    account: String,
    clock: Clock,
    reset: Reset,
    pending: Mutex<HashMap<(i64, &'static str), i64>>,
    /// Held while writing, since counts that could not be written are merged back.
    writing: tokio::sync::Mutex<()>,
    writes: AtomicU64,
    has_writer: AtomicBool,
    has_warned: AtomicBool,
}

impl Ledger {
    /// A ledger of an account in a store.
    #[must_use]
    pub fn new(store: Store, account: String, clock: Clock, reset: Reset) -> Self {
        Self(Arc::new(LedgerInner {
            store,
            account,
            clock,
            reset,
            pending: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            writes: AtomicU64::default(),
            has_writer: AtomicBool::default(),
            has_warned: AtomicBool::default(),
        }))
    }

    /// Adds calls of an endpoint to today; a negative number removes calls that were counted and not sent.
    pub fn count(&self, endpoint: &'static str, calls: i64) {
        let day = self.0.reset.day(self.0.clock.now_secs());
        let mut pending = lock(&self.0.pending);
        *pending.entry((day, endpoint)).or_default() += calls;
    }

    /// Starts the task that writes once a second, on the current runtime. Further calls do nothing.
    pub fn start_writer(&self) {
        if self.0.has_writer.swap(true, Ordering::SeqCst) {
            return;
        }
        let ledger = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WRITE_INTERVAL).await;
                let Some(inner) = Weak::upgrade(&ledger) else { return };
                // On failure it has warned, and kept the counts.
                let _ = Self(inner).write().await;
            }
        });
    }

    /// Writes the unwritten counts. They are kept for the next time if the store fails.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write(&self) -> Result<(), StoreError> {
        let inner = &self.0;
        let _guard = inner.writing.lock().await;
        let mut counts: Vec<((i64, &'static str), i64)> = {
            let mut pending = lock(&inner.pending);
            pending.drain().filter(|(_, calls)| *calls != 0).collect()
        };
        if counts.is_empty() {
            return Ok(());
        }
        // A fixed order, so that two processes never deadlock on each other's rows.
        counts.sort_unstable();
        let rows: Vec<Spent> = counts
            .iter()
            .map(|((day, endpoint), calls)| Spent {
                endpoint: (*endpoint).to_owned(),
                day: *day,
                calls: *calls,
            })
            .collect();
        inner.writes.fetch_add(1, Ordering::SeqCst);
        let written = inner.store.add_to_ledger(&inner.account, &rows).await;
        if let Err(error) = &written {
            self.warn(error);
            let mut pending = lock(&inner.pending);
            for (key, calls) in counts {
                *pending.entry(key).or_default() += calls;
            }
        }
        written
    }

    /// Counted calls that are not written yet.
    #[must_use]
    pub fn unwritten(&self) -> i64 {
        lock(&self.0.pending).values().sum()
    }

    /// Records that the platform has refused an endpoint for its daily quota.
    pub async fn mark_exhausted(&self, endpoint: &str) {
        let day = self.0.reset.day(self.0.clock.now_secs());
        if let Err(error) = self.0.store.mark_exhausted(&self.0.account, endpoint, day).await {
            self.warn(&error);
        }
    }

    /// Records that the account's quotas were cleared.
    pub async fn unmark_all(&self) {
        let day = self.0.reset.day(self.0.clock.now_secs());
        if let Err(error) = self.0.store.clear_exhausted(&self.0.account, day).await {
            self.warn(&error);
        }
    }

    /// Calls of an endpoint today by all processes, and whether the platform has refused it for its daily quota.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn used(&self, endpoint: &'static str) -> Result<(i64, bool), StoreError> {
        let inner = &self.0;
        let day = inner.reset.day(inner.clock.now_secs());
        let known = inner.store.usage_of(&inner.account, endpoint, day).await?;
        let pending = lock(&inner.pending);
        let unwritten = pending.get(&(day, endpoint)).copied().unwrap_or_default();
        Ok(known.map_or((unwritten, false), |usage| (usage.used + unwritten, usage.is_exhausted)))
    }

    /// Number of writes to the store.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::SeqCst)
    }

    fn warn(&self, error: &StoreError) {
        if !self.0.has_warned.swap(true, Ordering::SeqCst) {
            tracing::warn!("{error}; calls are counted in memory until it takes them");
        }
    }
}
