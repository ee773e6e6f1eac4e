//! A table as Excel opens it: UTF-8 with a mark, lines that end with CRLF, and no cell that is taken for a formula.

use super::WholeFile;
use csv::{Terminator, Writer, WriterBuilder};
use std::{
    io::{self, Write},
    path::Path,
};

/// A table under way. It takes its place when it is finished; until then what was there before stays.
pub struct CsvFile(Writer<WholeFile>);

impl CsvFile {
    /// Begins a table with these columns.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn create(path: &Path, columns: &[impl AsRef<[u8]>]) -> io::Result<Self> {
        let mut file = WholeFile::create(path)?;
        // The mark by which Excel knows that this is UTF-8.
        file.write_all("\u{feff}".as_bytes())?;
        let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(file);
        writer.write_record(columns)?;
        Ok(Self(writer))
    }

    /// Adds a line. Its texts have been through [`no_formula`].
    ///
    /// # Errors
    /// When there is no room for it, or it has another number of cells than there are columns.
    pub fn add<T: AsRef<[u8]>>(&mut self, cells: impl IntoIterator<Item = T>) -> io::Result<()> {
        Ok(self.0.write_record(cells)?)
    }

    /// Puts the table in its place.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn finish(self) -> io::Result<()> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()
    }
}

/// A text that a table program does not take for a formula: followers choose their nicknames
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
#[must_use]
pub fn no_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
