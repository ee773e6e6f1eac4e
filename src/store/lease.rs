//! Leases: a name that one owner at a time holds, until an instant of the caller's clock.

use super::{Cells, Statement, Store, StoreError};
use crate::base::EpochMs;
use std::time::Duration;

/// How far the clocks of processes may differ. A lease that lasts longer than any that could be acquired now was written
/// by a clock that was ahead, and does not hold until the right one reaches its end.
const MAX_SKEW: Duration = Duration::from_mins(1);

impl Store {
    /// Acquires or renews a lease for `ttl` from `now` on; `false` while another owner holds it. A lease is always acquired
    /// for the same `ttl`.
    pub async fn acquire_lease(
        &self,
        name: &str,
        owner: &str,
        now: EpochMs,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_lease (name, owner, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
             WHERE mpscript_lease.expires_at <= $4 OR mpscript_lease.owner = excluded.owner
                 OR mpscript_lease.expires_at > $5",
        );
        let latest = now + ttl + MAX_SKEW;
        let taken =
            self.execute(statement.with(name).with(owner).with(now + ttl).with(now).with(latest)).await?;
        Ok(taken == 1)
    }

    /// When a lease expires or did expire; `None` when it was never acquired or was released.
    pub async fn lease_expires_at(&self, name: &str) -> Result<Option<EpochMs>, StoreError> {
        let statement = Statement::new("SELECT expires_at FROM mpscript_lease WHERE name = $1");
        let rows = self.query(statement.with(name)).await?;
        let expires_at = |row| Cells::new("mpscript_lease", "expires_at", name, row).instant();
        rows.first().map(expires_at).transpose()
    }

    /// The owners of the leases whose names start with `prefix` and that have not expired.
    pub async fn lease_owners(&self, prefix: &str, now: EpochMs) -> Result<Vec<String>, StoreError> {
        let statement = Statement::new(
            "SELECT owner FROM mpscript_lease WHERE name LIKE $1 AND expires_at > $2 ORDER BY owner",
        );
        let rows = self.query(statement.with(format!("{prefix}%").as_str()).with(now)).await?;
        rows.iter().map(|row| Cells::new("mpscript_lease", "owner", prefix, row).text()).collect()
    }

    /// The owner that acquired a lease or a write lock last, unless it was released.
    pub async fn lease_owner(&self, name: &str) -> Result<Option<String>, StoreError> {
        let statement = Statement::new("SELECT owner FROM mpscript_lease WHERE name = $1");
        let rows = self.query(statement.with(name)).await?;
        rows.first().map(|row| Cells::new("mpscript_lease", "owner", name, row).text()).transpose()
    }

    /// Deletes the leases whose names start with `prefix` and that expired before an instant: their processes are dead,
    /// and no other process uses their names.
    pub async fn purge_leases(&self, prefix: &str, before: EpochMs) -> Result<u64, StoreError> {
        let statement = Statement::new("DELETE FROM mpscript_lease WHERE name LIKE $1 AND expires_at < $2");
        self.execute(statement.with(format!("{prefix}%").as_str()).with(before)).await
    }

    /// Releases a lease, if this owner still holds it.
    pub async fn release_lease(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        let statement = Statement::new("DELETE FROM mpscript_lease WHERE name = $1 AND owner = $2");
        self.execute(statement.with(name).with(owner)).await.map(drop)
    }
}
