//! Leases: a key that one owner at a time holds, until an instant of the store's clock.

use super::{Cells, Statement, Store, StoreError, StoreTime, stored_enum::stored_enum};
use std::time::Duration;

/// How far the times of processes may differ. A lease that lasts longer than any that could be acquired now was written by
/// a clock that was ahead and was set back since, and does not hold until that clock reaches its end.
const MAX_LEAD: Duration = Duration::from_mins(1);

stored_enum! {
    /// What a lease is for.
    pub enum LeaseKind {
        /// The heartbeat of a daemon.
        Daemon = "daemon",
        /// A daemon serves a folder for an account.
        Serving = "serving",
        /// A run of an automation is being started.
        Start = "start",
        /// A token is being renewed.
        Token = "token",
        /// A token was renewed by force.
        ForcedRenewal = "forced_renewal",
        /// The write lock of a run; it has no expiry of its own.
        Write = "write",
        /// Nothing: whether a lease can be acquired is being checked.
        Check = "check",
    }
}

/// Which lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseKey {
    /// What it is for.
    pub kind: LeaseKind,
    /// Its name among those of its kind.
    pub name: String,
}

impl LeaseKey {
    /// The lease of this kind and name.
    #[must_use]
    pub fn new(kind: LeaseKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The statement with the kind and the name as its next two parameters.
    pub(super) fn given_to(&self, statement: Statement) -> Statement {
        statement.with(self.kind.as_str()).with(self.name.as_str())
    }
}

impl Store {
    /// Acquires or renews a lease for `ttl` from `now` on; `false` while another owner holds it. A lease is always acquired
    /// for the same `ttl`.
    pub async fn acquire_lease(
        &self,
        key: &LeaseKey,
        owner: &str,
        now: StoreTime,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_lease (kind, name, owner, expires_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (kind, name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
             WHERE mpscript_lease.expires_at <= $5 OR mpscript_lease.owner = excluded.owner
                 OR mpscript_lease.expires_at > $6",
        );
        let latest = now + ttl + MAX_LEAD;
        let statement = key.given_to(statement).with(owner).with(now + ttl).with(now).with(latest);
        Ok(self.execute(statement).await? == 1)
    }

    /// When a lease expires or did expire; `None` when it was never acquired or was released.
    pub async fn lease_expires_at(&self, key: &LeaseKey) -> Result<Option<StoreTime>, StoreError> {
        let statement = Statement::new("SELECT expires_at FROM mpscript_lease WHERE kind = $1 AND name = $2");
        let rows = self.query(key.given_to(statement)).await?;
        let expires_at = |row| Cells::new("mpscript_lease", "expires_at", &key.name, row).store_time();
        rows.first().map(expires_at).transpose()
    }

    /// The names of the leases of a kind that have not expired. One that can't be decoded is reported and left out: no process
    /// asks for such a name.
    pub async fn lease_names(&self, kind: LeaseKind, now: StoreTime) -> Result<Vec<String>, StoreError> {
        let statement = Statement::new(
            "SELECT name FROM mpscript_lease WHERE kind = $1 AND expires_at > $2 ORDER BY name",
        );
        let rows = self.query(statement.with(kind.as_str()).with(now)).await?;
        let name = |row| Cells::new("mpscript_lease", "name", kind.as_str(), row).text();
        let report = |error: &StoreError| tracing::warn!("a lease is left out: {error}");
        Ok(rows.iter().filter_map(|row| name(row).inspect_err(report).ok()).collect())
    }

    /// The owner that acquired a lease or a write lock last, unless it was released.
    pub async fn lease_owner(&self, key: &LeaseKey) -> Result<Option<String>, StoreError> {
        let statement = Statement::new("SELECT owner FROM mpscript_lease WHERE kind = $1 AND name = $2");
        let rows = self.query(key.given_to(statement)).await?;
        rows.first().map(|row| Cells::new("mpscript_lease", "owner", &key.name, row).text()).transpose()
    }

    /// Deletes the leases that expired before an instant, whatever they are for: one that has expired says no more than one
    /// that was never acquired. Write locks have no expiry.
    pub async fn purge_leases(&self, before: StoreTime) -> Result<u64, StoreError> {
        let statement = Statement::new("DELETE FROM mpscript_lease WHERE kind <> $1 AND expires_at < $2");
        self.execute(statement.with(LeaseKind::Write.as_str()).with(before)).await
    }

    /// Releases a lease, if this owner still holds it.
    pub async fn release_lease(&self, key: &LeaseKey, owner: &str) -> Result<(), StoreError> {
        let statement =
            Statement::new("DELETE FROM mpscript_lease WHERE kind = $1 AND name = $2 AND owner = $3");
        self.execute(key.given_to(statement).with(owner)).await.map(drop)
    }
}
