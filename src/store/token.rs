//! Tokens: the one that all processes of an account share, with its end and its number.

use super::{Statement, Store, StoreError};
use crate::base::Secret;

/// A token with what is known of it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The token.
    pub token: Secret,
    /// When it ends, in milliseconds.
    pub expires_at: i64,
    /// Each new token of an account has a larger number.
    pub generation: i64,
    /// Which process fetched it.
    pub renewed_by: String,
    /// When, in milliseconds.
    pub renewed_at: i64,
}

impl Store {
    /// The tokens of an account, whatever their kind.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tokens(&self, account: &str) -> Result<Vec<Secret>, StoreError> {
        let statement = Statement::new("SELECT token FROM mpscript_token WHERE account = $1");
        Ok(self.query(statement.with(account)).await?.iter().map(|row| Secret::new(row.text(0))).collect())
    }

    /// The token of an account, if one was ever stored.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn token(&self, account: &str, kind: &str) -> Result<Option<Record>, StoreError> {
        let statement = Statement::new(
            "SELECT token, expires_at, generation, renewed_by, renewed_at FROM mpscript_token
             WHERE account = $1 AND kind = $2",
        );
        let rows = self.query(statement.with(account).with(kind)).await?;
        Ok(rows.first().map(|row| Record {
            token: Secret::new(row.text(0)),
            expires_at: row.integer(1),
            generation: row.integer(2),
            renewed_by: row.text(3).to_owned(),
            renewed_at: row.integer(4),
        }))
    }

    /// Stores a token, unless one with as large a number is there: whoever was too slow has lost.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn save_token(&self, account: &str, kind: &str, record: &Record) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_token (account, kind, token, expires_at, generation, renewed_by, renewed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (account, kind) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at,
                 generation = excluded.generation, renewed_by = excluded.renewed_by, renewed_at = excluded.renewed_at
             WHERE mpscript_token.generation < excluded.generation",
        );
        let statement = statement
            .with(account)
            .with(kind)
            .with(record.token.reveal())
            .with(record.expires_at)
            .with(record.generation)
            .with(record.renewed_by.as_str())
            .with(record.renewed_at);
        Ok(self.execute(statement).await? == 1)
    }
}
