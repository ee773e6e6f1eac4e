//! Strict decoding of rows: what can't be decoded is an error that names the row, the column, what was expected and
//! what was found, never a default.

use super::{Row, StoreError, StoreTime, Value, driver::Cell};
use crate::base::EpochMs;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// The cells of a row, read in the order in which its columns were selected.
pub(super) struct Cells<'a> {
    table: &'static str,
    /// The names of the selected columns, separated by commas.
    columns: &'static str,
    /// The key of the row, for errors.
    key: &'a str,
    row: &'a Row,
    /// The index in the row of the first of these columns.
    first: usize,
    next: usize,
}

impl<'a> Cells<'a> {
    pub(super) const fn new(table: &'static str, columns: &'static str, key: &'a str, row: &'a Row) -> Self {
        Self { table, columns, key, row, first: 0, next: 0 }
    }

    /// The cells after the first few, which are read elsewhere.
    pub(super) const fn skip(self, cells: usize) -> Self {
        Self { next: self.next + cells, ..self }
    }

    /// The cells that follow, which are of another table.
    pub(super) const fn of(self, table: &'static str, columns: &'static str, key: &'a str) -> Self {
        Self { table, columns, key, first: self.next, ..self }
    }

    /// The next cell, a whole number.
    pub(super) fn integer(&mut self) -> Result<i64, StoreError> {
        match self.take() {
            Some(Cell::Value(Value::Integer(number))) => Ok(*number),
            found => Err(self.error("a whole number", found)),
        }
    }

    /// The next cell, a whole number that is not negative.
    pub(super) fn count(&mut self) -> Result<i64, StoreError> {
        match self.take() {
            Some(Cell::Value(Value::Integer(number @ 0..))) => Ok(*number),
            found => Err(self.error("a whole number from 0 on", found)),
        }
    }

    /// The next cell, an instant in milliseconds since the epoch.
    pub(super) fn instant(&mut self) -> Result<EpochMs, StoreError> {
        self.integer().map(EpochMs::new)
    }

    /// The next cell, an instant of the store's clock.
    pub(super) fn store_time(&mut self) -> Result<StoreTime, StoreError> {
        self.instant().map(StoreTime::new)
    }

    /// The next cell, an instant; 0 stands for none.
    pub(super) fn instant_if_any(&mut self) -> Result<Option<EpochMs>, StoreError> {
        Ok(Some(self.instant()?).filter(|instant| *instant != EpochMs::default()))
    }

    /// The next cell, 0 or 1.
    pub(super) fn boolean(&mut self) -> Result<bool, StoreError> {
        match self.take() {
            Some(Cell::Value(Value::Integer(0))) => Ok(false),
            Some(Cell::Value(Value::Integer(1))) => Ok(true),
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

    /// The next cell, a word of an enum; an empty one stands for none.
    pub(super) fn decode_if_any<T>(
        &mut self,
        decode: impl FnOnce(&'static str, &str, &'static str, &str) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self.word()? {
            "" => Ok(None),
            word => decode(self.table, self.key, self.column(), word).map(Some),
        }
    }

    fn word(&mut self) -> Result<&'a str, StoreError> {
        match self.take() {
            Some(Cell::Value(Value::Text(text))) => Ok(text),
            found => Err(self.error("a text", found)),
        }
    }

    fn take(&mut self) -> Option<&'a Cell> {
        let row: &'a Row = self.row;
        self.next += 1;
        row.0.get(self.next - 1)
    }

    /// The name of the column that was read last.
    fn column(&self) -> &'static str {
        self.columns.split(',').nth(self.next - 1 - self.first).unwrap_or_default().trim()
    }

    fn error(&self, expected: &str, found: Option<&Cell>) -> StoreError {
        StoreError::Decode {
            table: self.table,
            row: self.key.to_owned(),
            column: self.column(),
            expected: expected.to_owned(),
            found: match found {
                Some(Cell::Value(Value::Integer(number))) => number.to_string(),
                // It may be a secret.
                Some(Cell::Value(Value::Text(text))) => format!("a text of {} bytes", text.len()),
                Some(Cell::Other) => "neither a whole number nor a text".to_owned(),
                None => "no such column".to_owned(),
            },
        }
    }
}

/// Letters of a text that can't be decoded which an error quotes.
const EXCERPT: usize = 60;

/// A column that holds JSON.
#[derive(Clone, Copy, Debug)]
pub struct JsonColumn<'a> {
    /// Its table.
    pub table: &'static str,
    /// The key of the row.
    pub row: &'a str,
    /// The column.
    pub name: &'static str,
    /// What it holds, for errors.
    pub expected: &'static str,
    /// Whether errors may show what it holds.
    pub quoting: Quoting,
}

/// What an error shows of a text that can't be decoded, beside where it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Its beginning.
    Excerpt,
    /// Nothing: it may hold secrets.
    Never,
}

impl<'a> JsonColumn<'a> {
    /// A column of a step, whose texts are masked when they are recorded.
    #[must_use]
    pub const fn for_step(row: &'a str, name: &'static str, expected: &'static str) -> Self {
        Self { table: "mpscript_step", row, name, expected, quoting: Quoting::Excerpt }
    }

    /// Decodes what it holds.
    pub fn decode<T: DeserializeOwned>(&self, json: &str) -> Result<T, StoreError> {
        serde_json::from_str(json).map_err(|error| self.error(json, &error))
    }

    /// The error of a column that holds something else.
    #[must_use]
    pub fn error(&self, json: &str, error: &serde_json::Error) -> StoreError {
        StoreError::Decode {
            table: self.table,
            row: self.row.to_owned(),
            column: self.name,
            expected: self.expected.to_owned(),
            found: match self.quoting {
                Quoting::Excerpt => format!("`{}` ({error})", excerpt(json)),
                Quoting::Never => position(error),
            },
        }
    }
}

/// How and where a text is wrong: the message of the error quotes values.
fn position(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Eof => "JSON that ends too early",
        Category::Data => "JSON that has another form",
        Category::Syntax | Category::Io => "no JSON",
    };
    match (error.line(), error.column()) {
        // It was decoded from a value that had been parsed before.
        (0, _) => what.to_owned(),
        (line, column) => format!("{what} (line {line}, column {column})"),
    }
}

fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(EXCERPT).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(quoting: Quoting, json: &str) -> String {
        let column = JsonColumn { quoting, ..JsonColumn::for_step("R/3", "answer", "an answer") };
        let error = column.decode::<i64>(json).unwrap_err().to_string();
        error.split_once("found ").expect("it says what was found").1.to_owned()
    }

    #[test]
    fn text_that_cannot_be_decoded_is_quoted_by_its_beginning() {
        let found = found(Quoting::Excerpt, &"\"密\"".repeat(40));
        let start = format!("`{}…` (invalid type", "\"密\"".repeat(20));
        assert!(found.starts_with(&start), "{found}");
    }

    #[test]
    fn value_of_another_type_that_may_be_secret_is_not_quoted() {
        assert_eq!(found(Quoting::Never, "\"机密\""), "JSON that has another form (line 1, column 8)");
    }

    #[test]
    fn text_that_may_be_secret_and_is_no_json_is_not_quoted() {
        assert_eq!(found(Quoting::Never, "机密"), "no JSON (line 1, column 1)");
    }

    #[test]
    fn text_that_may_be_secret_and_is_cut_off_is_not_quoted() {
        assert_eq!(found(Quoting::Never, "\"机密"), "JSON that ends too early (line 1, column 7)");
    }
}
