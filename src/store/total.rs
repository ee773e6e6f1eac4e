//! How many people a listing had when it was last gone through: what the next job's cost is reckoned by.

use super::{Statement, Store, StoreError};

impl Store {
    /// How many people an account's listing had.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn total(&self, account: &str, listing: &str) -> Result<Option<u64>, StoreError> {
        let statement =
            Statement::new("SELECT total FROM mpscript_total WHERE account = $1 AND listing = $2");
        let rows = self.query(statement.with(account).with(listing)).await?;
        Ok(rows.first().map(|row| row.integer(0).unsigned_abs()))
    }

    /// Remembers how many people an account's listing has.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn save_total(&self, account: &str, listing: &str, total: u64) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_total (account, listing, total) VALUES ($1, $2, $3)
             ON CONFLICT (account, listing) DO UPDATE SET total = excluded.total",
        );
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        self.execute(statement.with(account).with(listing).with(total)).await.map(drop)
    }
}
