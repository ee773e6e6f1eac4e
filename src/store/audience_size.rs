//! How many openids a listing had when it was last read to its end: the estimate for the quota that the next job needs.

use super::{Cells, Statement, Store, StoreError};

impl Store {
    /// The recorded size of an account's listing; `None` before it was first read to its end.
    pub async fn audience_size(&self, account: &str, listing: &str) -> Result<Option<u64>, StoreError> {
        let statement =
            Statement::new("SELECT size FROM mpscript_audience_size WHERE account = $1 AND listing = $2");
        let rows = self.query(statement.with(account).with(listing)).await?;
        let key = format!("{account}, {listing}");
        let size = |row| Cells::new("mpscript_audience_size", "size", &key, row).count();
        Ok(rows.first().map(size).transpose()?.map(i64::unsigned_abs))
    }

    /// Deletes the sizes of accounts of which neither a run nor a token is stored any more.
    pub async fn purge_audience_sizes(&self) -> Result<(), StoreError> {
        let statement = Statement::new(
            "DELETE FROM mpscript_audience_size
             WHERE account NOT IN (SELECT account FROM mpscript_run)
                 AND account NOT IN (SELECT account FROM mpscript_token)",
        );
        self.execute(statement).await.map(drop)
    }

    /// Records the size of an account's listing.
    pub async fn save_audience_size(
        &self,
        account: &str,
        listing: &str,
        size: u64,
    ) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_audience_size (account, listing, size) VALUES ($1, $2, $3)
             ON CONFLICT (account, listing) DO UPDATE SET size = excluded.size",
        );
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.execute(statement.with(account).with(listing).with(size)).await.map(drop)
    }
}
