//! Budgets: how often all processes together may do something in a period.

use super::{Cells, Statement, Store, StoreError};

impl Store {
    /// Takes one out of a period's budget; `false` when `max` were taken.
    pub async fn take_from_budget(&self, name: &str, period: i64, max: i64) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_budget (name, period, used) VALUES ($1, $2, 1)
             ON CONFLICT (name, period) DO UPDATE SET used = mpscript_budget.used + 1
             WHERE mpscript_budget.used < $3",
        );
        let taken = self.execute(statement.with(name).with(period).with(max)).await?;
        if taken == 1 {
            // Earlier periods are never read again.
            let old = Statement::new("DELETE FROM mpscript_budget WHERE name = $1 AND period < $2");
            self.execute(old.with(name).with(period)).await?;
        }
        Ok(taken == 1)
    }

    /// Deletes the periods before this one, of all budgets whose names begin with a word.
    pub async fn purge_budgets(&self, word: &str, before: i64) -> Result<(), StoreError> {
        let statement = Statement::new("DELETE FROM mpscript_budget WHERE name LIKE $1 AND period < $2");
        let names = format!("{word} %");
        self.execute(statement.with(names.as_str()).with(before)).await.map(drop)
    }

    /// How many were taken out of a period's budget.
    pub async fn used_of_budget(&self, name: &str, period: i64) -> Result<i64, StoreError> {
        let statement = Statement::new("SELECT used FROM mpscript_budget WHERE name = $1 AND period = $2");
        let rows = self.query(statement.with(name).with(period)).await?;
        let key = format!("{name}, {period}");
        rows.first().map_or(Ok(0), |row| Cells::new("mpscript_budget", "used", &key, row).integer())
    }
}
