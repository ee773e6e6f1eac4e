//! Leases: a name that one owner at a time holds, until an instant.

use super::{Statement, Store, StoreError};

impl Store {
    /// Takes or prolongs a lease until `until` (milliseconds); `false` while somebody else holds it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_lease(
        &self,
        name: &str,
        owner: &str,
        now: i64,
        until: i64,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_lease (name, owner, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
             WHERE mpscript_lease.expires_at <= $4 OR mpscript_lease.owner = excluded.owner",
        );
        let taken = self.execute(statement.with(name).with(owner).with(until).with(now)).await?;
        Ok(taken == 1)
    }

    /// Until when somebody holds a lease, in milliseconds; 0 when nobody ever did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lease_until(&self, name: &str) -> Result<i64, StoreError> {
        let statement = Statement::new("SELECT expires_at FROM mpscript_lease WHERE name = $1");
        let rows = self.query(statement.with(name)).await?;
        Ok(rows.first().map(|row| row.integer(0)).unwrap_or_default())
    }

    /// Who holds leases whose names begin so, at an instant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lease_owners(&self, begins: &str, now: i64) -> Result<Vec<String>, StoreError> {
        let statement = Statement::new(
            "SELECT owner FROM mpscript_lease WHERE name LIKE $1 AND expires_at > $2 ORDER BY owner",
        );
        let rows = self.query(statement.with(format!("{begins}%").as_str()).with(now)).await?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }

    /// Forgets leases that ended before an instant, by the words that their names begin with: those of processes that are
    /// gone, which nobody takes any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_leases(&self, begins: &str, before: i64) -> Result<u64, StoreError> {
        let statement = Statement::new("DELETE FROM mpscript_lease WHERE name LIKE $1 AND expires_at < $2");
        self.execute(statement.with(format!("{begins}%").as_str()).with(before)).await
    }

    /// Gives a lease back, if it is still this owner's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn give_lease_back(&self, name: &str, owner: &str) -> Result<(), StoreError> {
        let statement = Statement::new("DELETE FROM mpscript_lease WHERE name = $1 AND owner = $2");
        self.execute(statement.with(name).with(owner)).await.map(drop)
    }
}
