//! The ledger: how many calls of each endpoint an account has made on a day.

use super::{Statement, Store, StoreError};

/// Calls to be added to a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The endpoint.
    pub endpoint: String,
    /// The day, by a number that grows by one each day.
    pub day: i64,
    /// How many; fewer than none when a call was counted that was not sent.
    pub calls: i64,
}

/// What a day's ledger says of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The endpoint.
    pub endpoint: String,
    /// Calls so far.
    pub used: i64,
    /// Whether the platform has said that the day's calls are used up.
    pub is_spent: bool,
}

impl Store {
    /// Adds calls to an account's ledger, all of them or none.
    ///
    /// # Errors
    /// When the store fails; then nothing was added.
    pub async fn add_to_ledger(&self, account: &str, calls: &[Spent]) -> Result<(), StoreError> {
        let statements = calls.iter().map(|spent| {
            let statement = Statement::new(
                "INSERT INTO mpscript_ledger (account, endpoint, day, used, spent) VALUES ($1, $2, $3, $4, 0)
                 ON CONFLICT (account, endpoint, day) DO UPDATE SET used = mpscript_ledger.used + excluded.used",
            );
            statement.with(account).with(spent.endpoint.as_str()).with(spent.day).with(spent.calls)
        });
        self.transaction(statements.collect()).await.map(drop)
    }

    /// Remembers that an endpoint's calls of a day are used up, or that they are not any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_spent(
        &self,
        account: &str,
        endpoint: &str,
        day: i64,
        is_spent: bool,
    ) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_ledger (account, endpoint, day, used, spent) VALUES ($1, $2, $3, 0, $4)
             ON CONFLICT (account, endpoint, day) DO UPDATE SET spent = excluded.spent",
        );
        let statement = statement.with(account).with(endpoint).with(day).with(i64::from(is_spent));
        self.execute(statement).await.map(drop)
    }

    /// Takes the marks of a day off an account's endpoints: its quotas were set back.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unmark_all(&self, account: &str, day: i64) -> Result<(), StoreError> {
        let statement =
            Statement::new("UPDATE mpscript_ledger SET spent = 0 WHERE account = $1 AND day = $2");
        self.execute(statement.with(account).with(day)).await.map(drop)
    }

    /// What an account has used on a day, endpoint by endpoint.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn usage(&self, account: &str, day: i64) -> Result<Vec<Usage>, StoreError> {
        let statement = Statement::new(
            "SELECT endpoint, used, spent FROM mpscript_ledger WHERE account = $1 AND day = $2 ORDER BY endpoint",
        );
        let rows = self.query(statement.with(account).with(day)).await?;
        Ok(rows
            .iter()
            .map(|row| Usage {
                endpoint: row.text(0).to_owned(),
                used: row.integer(1),
                is_spent: row.integer(2) != 0,
            })
            .collect())
    }
}
