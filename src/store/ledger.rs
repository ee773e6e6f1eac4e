//! The ledger: how many calls of each endpoint an account has made on a day.

use super::{Cells, Row, Statement, Store, StoreError};

/// Calls to add to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The endpoint.
    pub endpoint: String,
    /// The day, as a number that grows by one each day.
    pub day: i64,
    /// How many; negative when a call was counted and then not sent.
    pub calls: i64,
}

/// What the ledger records of an endpoint for one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The endpoint.
    pub endpoint: String,
    /// Calls so far.
    pub used: i64,
    /// Whether the platform has refused a call because the day's quota is exhausted.
    pub is_exhausted: bool,
}

fn usage(account: &str, day: i64, row: &Row) -> Result<Usage, StoreError> {
    let key = format!("{account}, {}, {day}", row.cell(0));
    let mut cells = Cells::new("mpscript_ledger", "endpoint, used, exhausted", &key, row);
    Ok(Usage { endpoint: cells.text()?, used: cells.integer()?, is_exhausted: cells.boolean()? })
}

/// A row of the ledger that can't be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableUsage {
    /// The endpoint.
    pub endpoint: String,
    /// What can't be decoded.
    pub error: StoreError,
}

impl Store {
    /// Adds calls to an account's ledger, all or none.
    pub async fn add_to_ledger(&self, account: &str, calls: &[Spent]) -> Result<(), StoreError> {
        let statements = calls.iter().map(|spent| {
            let statement = Statement::new(
                "INSERT INTO mpscript_ledger (account, endpoint, day, used, exhausted) VALUES ($1, $2, $3, $4, 0)
                 ON CONFLICT (account, endpoint, day) DO UPDATE SET used = mpscript_ledger.used + excluded.used",
            );
            statement.with(account).with(spent.endpoint.as_str()).with(spent.day).with(spent.calls)
        });
        self.transaction(statements.collect()).await.map(drop)
    }

    /// Records that an endpoint's quota for a day is exhausted.
    pub async fn mark_exhausted(&self, account: &str, endpoint: &str, day: i64) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_ledger (account, endpoint, day, used, exhausted) VALUES ($1, $2, $3, 0, 1)
             ON CONFLICT (account, endpoint, day) DO UPDATE SET exhausted = excluded.exhausted",
        );
        self.execute(statement.with(account).with(endpoint).with(day)).await.map(drop)
    }

    /// Clears the exhausted marks of an account's endpoints for a day, after the platform has reset its quotas.
    pub async fn clear_exhausted(&self, account: &str, day: i64) -> Result<(), StoreError> {
        let statement =
            Statement::new("UPDATE mpscript_ledger SET exhausted = 0 WHERE account = $1 AND day = $2");
        self.execute(statement.with(account).with(day)).await.map(drop)
    }

    /// Deletes what all accounts have used on the days before this one.
    pub async fn purge_ledger(&self, before: i64) -> Result<(), StoreError> {
        self.execute(Statement::new("DELETE FROM mpscript_ledger WHERE day < $1").with(before))
            .await
            .map(drop)
    }

    /// What an account has used on a day, endpoint by endpoint. A row that can't be decoded is an error in its place.
    pub async fn usage(
        &self,
        account: &str,
        day: i64,
    ) -> Result<Vec<Result<Usage, UnreadableUsage>>, StoreError> {
        let statement = Statement::new(
            "SELECT endpoint, used, exhausted FROM mpscript_ledger WHERE account = $1 AND day = $2 ORDER BY endpoint",
        );
        let rows = self.query(statement.with(account).with(day)).await?;
        let unreadable = |row: &Row, error| UnreadableUsage { endpoint: row.cell(0).to_string(), error };
        let listed = |row| usage(account, day, row).map_err(|error| unreadable(row, error));
        Ok(rows.iter().map(listed).collect())
    }

    /// What an account has used of an endpoint on a day; `None` when nothing was counted.
    pub async fn usage_of(
        &self,
        account: &str,
        endpoint: &str,
        day: i64,
    ) -> Result<Option<Usage>, StoreError> {
        let statement = Statement::new(
            "SELECT endpoint, used, exhausted FROM mpscript_ledger WHERE account = $1 AND endpoint = $2 AND day = $3",
        );
        let rows = self.query(statement.with(account).with(endpoint).with(day)).await?;
        rows.first().map(|row| usage(account, day, row)).transpose()
    }
}
