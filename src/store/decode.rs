//! Strict decoding of rows: what can't be decoded is an error that names the row, the column, what was expected and
//! what was found, never a default.

use super::{Row, StoreError, Value};
use serde::de::DeserializeOwned;

/// The cells of a row, read in the order in which its columns were selected.
pub(super) struct Cells<'a> {
    table: &'static str,
    /// The names of the selected columns, separated by commas.
    columns: &'static str,
    /// The key of the row, for errors.
    key: &'a str,
    row: &'a Row,
    next: usize,
}

impl<'a> Cells<'a> {
    pub(super) const fn new(table: &'static str, columns: &'static str, key: &'a str, row: &'a Row) -> Self {
        Self { table, columns, key, row, next: 0 }
    }

    /// The next cell, a whole number.
    pub(super) fn integer(&mut self) -> Result<i64, StoreError> {
        match self.take() {
            Some(Value::Integer(number)) => Ok(*number),
            found => Err(self.error("a whole number", found)),
        }
    }

    /// The next cell, 0 or 1.
    pub(super) fn boolean(&mut self) -> Result<bool, StoreError> {
        match self.take() {
            Some(Value::Integer(0)) => Ok(false),
            Some(Value::Integer(1)) => Ok(true),
            found => Err(self.error("0 or 1", found)),
        }
    }

    /// The next cell, a text.
    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.word().map(str::to_owned)
    }

    /// The next cell, a word of an enum.
    pub(super) fn decode<T>(
        &mut self,
        decode: impl FnOnce(&'static str, &str, &'static str, &str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let word = self.word()?;
        decode(self.table, self.key, self.column(), word)
    }

    fn word(&mut self) -> Result<&'a str, StoreError> {
        match self.take() {
            Some(Value::Text(text)) => Ok(text),
            found => Err(self.error("a text", found)),
        }
    }

    fn take(&mut self) -> Option<&'a Value> {
        let row: &'a Row = self.row;
        self.next += 1;
        row.0.get(self.next - 1)
    }

    /// The name of the column that was read last.
    fn column(&self) -> &'static str {
        self.columns.split(',').nth(self.next - 1).unwrap_or_default().trim()
    }

    fn error(&self, expected: &str, found: Option<&Value>) -> StoreError {
        StoreError::Decode {
            table: self.table,
            row: self.key.to_owned(),
            column: self.column(),
            expected: expected.to_owned(),
            found: match found {
                Some(Value::Integer(number)) => number.to_string(),
                // It may be a secret.
                Some(Value::Text(text)) => format!("a text of {} bytes", text.len()),
                None => "no such column".to_owned(),
            },
        }
    }
}

/// Decodes the JSON that a column holds. The error tells where the JSON is wrong, and never quotes it: it may hold
/// secrets.
pub fn decode_json<T: DeserializeOwned>(
    table: &'static str,
    row: &str,
    column: &'static str,
    json: &str,
    expected: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Decode {
        table,
        row: row.to_owned(),
        column,
        expected: expected.to_owned(),
        found: error.to_string(),
    })
}
