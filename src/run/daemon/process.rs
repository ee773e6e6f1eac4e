//! This process as one of those that share a store: its heartbeat, and what every part of the daemon works with.

use super::{
    log::{DaemonLog, Log},
    stats::DaemonStats,
};
use crate::{
    base::{EpochMs, ProcessId, UnknownProcess},
    bulk::HEARTBEAT_TTL,
    host::Host,
    run::runner::{InProcess, Runner, Waker},
    store::{LeaseKey, LeaseKind, Store, StoreError, StoreTime},
};
use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::runtime::Runtime;

/// The lease that says that a folder is served for an account: of several processes that do, one holds it.
#[must_use]
pub fn serving_lease(account: &str, folder: &str) -> LeaseKey {
    LeaseKey::new(LeaseKind::Serving, format!("{account} {folder}"))
}

/// The leases of all processes that serve a folder for an account.
pub(super) struct ServingLeases(Vec<String>);

impl ServingLeases {
    /// Whether one of them is for this account.
    pub(super) fn includes(&self, account: &str) -> bool {
        self.0.iter().any(|name| name.strip_prefix(account).is_some_and(|folder| folder.starts_with(' ')))
    }
}

/// A daemon among all that share a store. Tests run several in one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DaemonId {
    pub process: ProcessId,
    /// Its number among those of the process.
    pub number: u64,
}

impl fmt::Display for DaemonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.process, self.number)
    }
}

impl FromStr for DaemonId {
    type Err = UnknownProcess;

    fn from_str(text: &str) -> Result<Self, UnknownProcess> {
        let unknown = || UnknownProcess { found: text.to_owned() };
        let (process, number) = text.rsplit_once(' ').ok_or_else(unknown)?;
        let id = Self {
            process: process.parse().map_err(|_| unknown())?,
            number: number.parse().map_err(|_| unknown())?,
        };
        Some(id).filter(|id| id.to_string() == text).ok_or_else(unknown)
    }
}

/// The owner of a daemon's lease, for a person: its machine and its process.
pub(super) fn shown_owner(owner: &str) -> String {
    match owner.parse::<DaemonId>() {
        Ok(daemon) => daemon.process.name(),
        Err(UnknownProcess { found }) => format!("an unknown process, `{found}`,"),
    }
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
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self {
            name: DaemonId { process: host.process.clone(), number }.to_string(),
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

    /// The time by the store's clock, which heartbeats and leases follow.
    pub(super) fn store_time(&self) -> Result<StoreTime, StoreError> {
        self.wait(self.store.time(&self.host.clock))
    }

    /// Waits for a call to the store.
    pub(super) fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// Records a heartbeat.
    pub(super) fn heartbeat(&self) -> Result<(), StoreError> {
        self.acquire(&daemon_lease(&self.name)).map(drop)
    }

    /// Ends the heartbeat, so that other processes adopt at once what this one leaves.
    pub(super) fn release(&self) -> Result<(), StoreError> {
        self.wait(self.store.release_lease(&daemon_lease(&self.name), &self.name))
    }

    /// Acquires or renews a lease of this daemon; `false` while another one holds it.
    pub(super) fn acquire(&self, lease: &LeaseKey) -> Result<bool, StoreError> {
        let now = self.store_time()?;
        self.wait(self.store.acquire_lease(lease, &self.name, now, HEARTBEAT_TTL))
    }

    /// Whether a process has a heartbeat that has not expired.
    pub(super) fn is_alive(&self, process: &str) -> Result<bool, StoreError> {
        if process == self.name {
            return Ok(true);
        }
        let now = self.store_time()?;
        let expires_at = self.wait(self.store.lease_expires_at(&daemon_lease(process)))?;
        Ok(expires_at.is_some_and(|expires_at| expires_at > now))
    }

    /// Records that this process serves a folder for an account. Returns the process that holds the lease already, if another one does.
    pub(super) fn announce(&self, account: &str, folder: &str) -> Result<Option<String>, StoreError> {
        let lease = serving_lease(account, folder);
        if self.acquire(&lease)? {
            return Ok(None);
        }
        self.wait(self.store.lease_owner(&lease))
    }

    /// No longer serves a folder for an account.
    pub(super) fn renounce(&self, account: &str, folder: &str) -> Result<(), StoreError> {
        self.wait(self.store.release_lease(&serving_lease(account, folder), &self.name))
    }

    /// The accounts that any process serves a folder for.
    pub(super) fn served_accounts(&self) -> Result<ServingLeases, StoreError> {
        let now = self.store_time()?;
        self.wait(self.store.lease_names(LeaseKind::Serving, now)).map(ServingLeases)
    }

    /// Whether another process serves a folder for an account.
    pub(super) fn has_peer(&self, account: &str, folder: &str) -> Result<bool, StoreError> {
        let lease = serving_lease(account, folder);
        let now = self.store_time()?;
        let expires_at = self.wait(self.store.lease_expires_at(&lease))?;
        let owner = self.wait(self.store.lease_owner(&lease))?;
        Ok(expires_at.is_some_and(|at| at > now) && owner.is_some_and(|owner| owner != self.name))
    }
}

/// The lease that is the heartbeat of a daemon.
fn daemon_lease(process: &str) -> LeaseKey {
    LeaseKey::new(LeaseKind::Daemon, process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemon_is_read_from_the_text_that_it_is_written_as() {
        for text in ["shop/7 boot.4026531836.165044 0", "shop/7  12"] {
            assert_eq!(text.parse::<DaemonId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn text_that_names_no_daemon_is_an_error_that_names_it() {
        for text in [
            "",
            "gone",
            "shop/7 boot.4026531836.165044",
            "shop/7 0",
            "shop/7 boot.1.2 x",
            "shop/7 boot.1.2 +1",
        ] {
            assert_eq!(text.parse::<DaemonId>(), Err(UnknownProcess { found: text.to_owned() }));
        }
    }

    #[test]
    fn owner_is_shown_by_its_machine_and_process() {
        let table = [
            ("shop/7 boot.4026531836.165044 3", "shop/7"),
            ("shop floor/7 boot.4026531836.165044 3", "shop floor/7"),
            ("gone", "an unknown process, `gone`,"),
        ];
        for (owner, shown) in table {
            assert_eq!(shown_owner(owner), shown, "{owner}");
        }
    }
}
