//! This process as one of those that share a store: its heartbeat, and what every part of the daemon works with.

use super::{
    log::{DaemonLog, Log},
    stats::DaemonStats,
};
use crate::{
    base::EpochMs,
    bulk::HEARTBEAT_TTL,
    host::Host,
    run::runner::{InProcess, Runner, Waker},
    store::{Store, StoreError},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::runtime::Runtime;

/// The prefix of the leases that are the heartbeats of daemons; the process's name follows.
pub(super) const DAEMON_LEASE: &str = "node ";

/// The prefix of the leases that say that a folder is served for an account; see [`serving_lease`].
pub(super) const SERVING_LEASE: &str = "serves ";

/// The lease that says that a folder is served for an account: of several processes that do, one holds it.
#[must_use]
pub fn serving_lease(account: &str, folder: &str) -> String {
    format!("{SERVING_LEASE}{account} {folder}")
}

/// This process, and what every part of its daemon works with.
pub(super) struct Process {
    pub host: Host,
    pub runtime: Arc<Runtime>,
    pub store: Store,
    pub log: DaemonLog,
    pub stats: Arc<DaemonStats>,
    /// Wakes the thread that waits between two steps.
    pub waker: Waker,
    /// Executes the runs.
    pub runner: Arc<dyn Runner>,
    /// Names the daemon among all that share the store.
    pub name: String,
}

impl Process {
    pub(super) fn new(host: &Host, runtime: &Arc<Runtime>, store: &Store, log: Arc<dyn Log>) -> Self {
        // Tests run several daemons in one process.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self {
            name: format!("{} {} {number}", host.process, host.start_id),
            host: host.clone(),
            runtime: Arc::clone(runtime),
            store: store.clone(),
            log: DaemonLog::new(log, host.clock.clone()),
            stats: Arc::default(),
            waker: Arc::new(|| {}),
            runner: Arc::new(InProcess::new(host, runtime)),
        }
    }

    /// The time.
    pub(super) fn now(&self) -> EpochMs {
        self.host.clock.now()
    }

    /// Waits for a call to the store.
    pub(super) fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// Records a heartbeat.
    pub(super) fn heartbeat(&self, now: EpochMs) -> Result<(), StoreError> {
        let lease = daemon_lease(&self.name);
        self.wait(self.store.acquire_lease(&lease, &self.name, now, HEARTBEAT_TTL)).map(drop)
    }

    /// Ends the heartbeat, so that other processes adopt at once what this one leaves.
    pub(super) fn release(&self) -> Result<(), StoreError> {
        self.wait(self.store.release_lease(&daemon_lease(&self.name), &self.name))
    }

    /// Whether a process has a heartbeat that has not expired.
    pub(super) fn is_alive(&self, process: &str, now: EpochMs) -> Result<bool, StoreError> {
        if process == self.name {
            return Ok(true);
        }
        let expires_at = self.wait(self.store.lease_expires_at(&daemon_lease(process)))?;
        Ok(expires_at.is_some_and(|expires_at| expires_at > now))
    }

    /// The other daemons on this store.
    pub(super) fn peers(&self, now: EpochMs) -> Result<Vec<String>, StoreError> {
        let mut names = self.wait(self.store.lease_owners(DAEMON_LEASE, now))?;
        names.retain(|name| *name != self.name);
        Ok(names)
    }

    /// Records that this process serves a folder for an account. Returns the process that holds the lease already, if another one does.
    pub(super) fn announce(
        &self,
        account: &str,
        folder: &str,
        now: EpochMs,
    ) -> Result<Option<String>, StoreError> {
        let lease = serving_lease(account, folder);
        if self.wait(self.store.acquire_lease(&lease, &self.name, now, HEARTBEAT_TTL))? {
            return Ok(None);
        }
        self.wait(self.store.lease_owner(&lease))
    }

    /// No longer serves a folder for an account.
    pub(super) fn renounce(&self, account: &str, folder: &str) -> Result<(), StoreError> {
        self.wait(self.store.release_lease(&serving_lease(account, folder), &self.name))
    }

    /// Whether another process serves a folder for an account.
    pub(super) fn has_peer(&self, account: &str, folder: &str, now: EpochMs) -> Result<bool, StoreError> {
        let lease = serving_lease(account, folder);
        let expires_at = self.wait(self.store.lease_expires_at(&lease))?;
        let owner = self.wait(self.store.lease_owner(&lease))?;
        Ok(expires_at.is_some_and(|at| at > now) && owner.is_some_and(|owner| owner != self.name))
    }
}

fn daemon_lease(process: &str) -> String {
    format!("{DAEMON_LEASE}{process}")
}
