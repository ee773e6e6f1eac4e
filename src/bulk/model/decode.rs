//! Decoding of the JSON that the journal holds: what can't be decoded is an error, never a default.

use crate::store::StoreError;
use serde::de::DeserializeOwned;

/// Letters of a damaged text that an error shows.
const EXCERPT: usize = 60;

/// The column of a row that a text is from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    pub table: &'static str,
    /// The row, by its key.
    pub row: &'a str,
    pub name: &'static str,
    /// What it holds, for the error.
    pub expected: &'static str,
}

impl Column<'_> {
    /// Decodes a text of this column.
    pub(crate) fn decode<T: DeserializeOwned>(&self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| {
            let mut excerpt: String = text.chars().take(EXCERPT).collect();
            if excerpt.len() < text.len() {
                excerpt.push('…');
            }
            StoreError::Decode {
                table: self.table,
                row: self.row.to_owned(),
                column: self.name,
                expected: self.expected.to_owned(),
                found: format!("`{excerpt}` ({error})"),
            }
        })
    }
}

/// A column of a step.
pub(crate) fn step_column<'a>(row: &'a str, column: &'static str, expected: &'static str) -> Column<'a> {
    Column { table: "mpscript_step", row, name: column, expected }
}
