//! A value that the journal holds, and where: what can't be decoded is reported with its row.

use crate::store::{JsonColumn, StoreError};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// JSON of a step's row that is not decoded yet.
#[derive(Clone, Debug)]
pub struct RecordedJson {
    /// The key of the row: `RUN/STEP`.
    row: String,
    column: &'static str,
    json: String,
}

impl RecordedJson {
    /// What a column of a step holds.
    #[must_use]
    pub fn new(run: &str, step: &str, column: &'static str, json: String) -> Self {
        Self { row: format!("{run}/{step}"), column, json }
    }

    /// A part of it, which was decoded with the rest.
    #[must_use]
    pub fn part(&self, part: &Value) -> Self {
        Self { json: part.to_string(), ..self.clone() }
    }

    /// The error of one that decodes, but not into what its reader needs.
    #[must_use]
    pub fn mismatch(&self, expected: &'static str, error: &serde_json::Error) -> StoreError {
        JsonColumn::for_step(&self.row, self.column, expected).error(&self.json, error)
    }

    /// Decodes it; `expected` says what it should be.
    ///
    /// # Errors
    /// When it is something else.
    pub fn decode<T: DeserializeOwned>(&self, expected: &'static str) -> Result<T, StoreError> {
        JsonColumn::for_step(&self.row, self.column, expected).decode(&self.json)
    }
}
