//! Tokens: the access token that all processes of an account share, with its expiry and generation.

use super::{Cells, Row, Statement, Store, StoreError};
use crate::base::{EpochMs, Secret};

/// A stored token.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// The token.
    pub token: Secret,
    /// When it expires.
    pub expires_at: EpochMs,
    /// Grows with each new token of an account.
    pub generation: i64,
    /// The process that fetched it.
    pub renewed_by: String,
    /// When it was fetched.
    pub renewed_at: EpochMs,
}

impl Store {
    /// The tokens of an account, of every kind.
    pub async fn tokens(&self, account: &str) -> Result<Vec<Secret>, StoreError> {
        let statement = Statement::new("SELECT token, kind FROM mpscript_token WHERE account = $1");
        let rows = self.query(statement.with(account)).await?;
        let token = |row: &Row| {
            let key = format!("{account}, {}", row.cell(1));
            Cells::new("mpscript_token", "token", &key, row).text().map(Secret::new)
        };
        rows.iter().map(token).collect()
    }

    /// The token of an account, if one was ever stored.
    pub async fn token(&self, account: &str, kind: &str) -> Result<Option<TokenRecord>, StoreError> {
        let statement = Statement::new(
            "SELECT token, expires_at, generation, renewed_by, renewed_at FROM mpscript_token
             WHERE account = $1 AND kind = $2",
        );
        let rows = self.query(statement.with(account).with(kind)).await?;
        let record = |row| {
            let columns = "token, expires_at, generation, renewed_by, renewed_at";
            let key = format!("{account}, {kind}");
            let mut cells = Cells::new("mpscript_token", columns, &key, row);
            Ok(TokenRecord {
                token: Secret::new(cells.text()?),
                expires_at: cells.instant()?,
                generation: cells.integer()?,
                renewed_by: cells.text()?,
                renewed_at: cells.instant()?,
            })
        };
        rows.first().map(record).transpose()
    }

    /// Deletes the tokens of all accounts that expired before an instant: their accounts have not been called since.
    pub async fn purge_tokens(&self, before: EpochMs) -> Result<(), StoreError> {
        let statement = Statement::new("DELETE FROM mpscript_token WHERE expires_at < $1");
        self.execute(statement.with(before)).await.map(drop)
    }

    /// Stores a token, unless one of the same or a later generation is stored: then another process was faster, and its
    /// token is the valid one.
    pub async fn save_token(
        &self,
        account: &str,
        kind: &str,
        record: &TokenRecord,
    ) -> Result<bool, StoreError> {
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
