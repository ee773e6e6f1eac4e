//! What a run's script has printed, line by line.

use super::{Statement, Store, StoreError};

/// One thing that a script has printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// In which attempt of the run.
    pub attempt: i64,
    /// Which one of that attempt, from 1.
    pub number: i64,
    /// When, in milliseconds.
    pub at: i64,
    /// What.
    pub text: String,
}

impl Store {
    /// Keeps what a run's script has printed, all of it or nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_printed(&self, run: &str, printed: &[Printed]) -> Result<(), StoreError> {
        let statements = printed.iter().map(|one| {
            let statement = Statement::new(
                "INSERT INTO mpscript_printed (run, attempt, number, at, text) VALUES ($1, $2, $3, $4, $5)",
            );
            statement.with(run).with(one.attempt).with(one.number).with(one.at).with(one.text.as_str())
        });
        self.transaction(statements.collect()).await.map(drop)
    }

    /// What a run's script has printed, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn printed(&self, run: &str) -> Result<Vec<Printed>, StoreError> {
        let statement = Statement::new(
            "SELECT attempt, number, at, text FROM mpscript_printed WHERE run = $1 ORDER BY attempt, number",
        );
        let rows = self.query(statement.with(run)).await?;
        Ok(rows
            .iter()
            .map(|row| Printed {
                attempt: row.integer(0),
                number: row.integer(1),
                at: row.integer(2),
                text: row.text(3).to_owned(),
            })
            .collect())
    }
}
