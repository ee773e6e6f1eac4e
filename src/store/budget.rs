//! Budgets: something that may be done so often in a period, by all processes together.

use super::{Statement, Store, StoreError};

impl Store {
    /// Takes one out of a period's budget; `false` when it is used up.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_from_budget(&self, name: &str, period: i64, most: i64) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_budget (name, period, used) VALUES ($1, $2, 1)
             ON CONFLICT (name, period) DO UPDATE SET used = mpscript_budget.used + 1
             WHERE mpscript_budget.used < $3",
        );
        let taken = self.execute(statement.with(name).with(period).with(most)).await?;
        if taken == 1 {
            // Earlier periods are of no use any more.
            let old = Statement::new("DELETE FROM mpscript_budget WHERE name = $1 AND period < $2");
            self.execute(old.with(name).with(period)).await?;
        }
        Ok(taken == 1)
    }

    /// How much of a period's budget is used.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn used_of_budget(&self, name: &str, period: i64) -> Result<i64, StoreError> {
        let statement = Statement::new("SELECT used FROM mpscript_budget WHERE name = $1 AND period = $2");
        let rows = self.query(statement.with(name).with(period)).await?;
        Ok(rows.first().map_or(0, |row| row.integer(0)))
    }
}
