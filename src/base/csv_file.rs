//! CSV as Excel opens it: UTF-8 with a byte order mark, CRLF line ends, and no cell that is taken for a formula.

use super::{AtomicFile, plain_line};
use csv::{Terminator, Writer, WriterBuilder};
use std::{
    io::{self, Write},
    path::Path,
};

/// A CSV file being written. It replaces the existing file when it is finished, not before.
pub struct CsvFile(Writer<AtomicFile>);

impl CsvFile {
    /// Starts a file with these columns.
    ///
    /// # Errors
    /// As for [`AtomicFile::create`].
    pub fn create(path: &Path, columns: &[impl AsRef<[u8]>]) -> io::Result<Self> {
        let mut file = AtomicFile::create(path)?;
        // Excel recognises UTF-8 by its byte order mark only.
        file.write_all("\u{feff}".as_bytes())?;
        let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(file);
        writer.write_record(columns)?;
        Ok(Self(writer))
    }

    /// Adds a row. Texts that others chose must have been through [`no_formula`].
    ///
    /// # Errors
    /// When the disk is full, or the row has another number of cells than there are columns.
    pub fn add<T: AsRef<[u8]>>(&mut self, cells: impl IntoIterator<Item = T>) -> io::Result<()> {
        Ok(self.0.write_record(cells)?)
    }

    /// Moves the file to its final path.
    ///
    /// # Errors
    /// As for [`AtomicFile::finish`].
    pub fn finish(self) -> io::Result<()> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)?.finish()
    }
}

/// `text` on one line, without control characters, and so that a spreadsheet does not evaluate it as a formula: followers
/// choose their own nicknames (<https://owasp.org/www-community/attacks/CSV_Injection>).
#[must_use]
pub fn no_formula(text: &str) -> String {
    let plain = plain_line(text);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{plain}")
    } else {
        plain.into_owned()
    }
}
