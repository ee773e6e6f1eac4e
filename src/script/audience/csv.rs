//! Tables as CSV: openids that a script reads from one, and an audience that is written to one.
//!
//! Must never know the platform: the audience decides which followers are read or written.

use crate::{
    api::user::FIELDS,
    base::{CsvFile, decode_text, no_formula},
    bulk::{Listed, Source},
    script::host::{
        env::RunEnv,
        error::ScriptError,
        file::{FileAccess, FileError},
        value::{Follower, field_by_name, field_unknown},
    },
};
use csv::{ByteRecord, ReaderBuilder};
use rhai::{Array, Dynamic};
use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The column of openids.
const OPENID: &str = "openid";

/// The expected form of a file.
const HOW: &str = "give a CSV file with commas and a column `openid`, or one openid a line";

/// What to do about a quotation mark that swallows rows.
const CLOSE: &str = "close it, or write a quotation mark of the text twice: \"\"";

/// What to do about a cell that a delimiter cuts in two.
const QUOTE: &str = "put a cell that holds the delimiter in quotation marks";

/// The openids of a file: of its column `openid`, or of its only column. A message names lines and columns by their number
/// only: the file may be another than the person thinks, with secrets in it.
pub(crate) fn read_openids(env: &RunEnv, path: &str) -> Result<Source, ScriptError> {
    let fail = |reason: String, hint: String| {
        ScriptError::usage(format!("can't read openids from `{path}`: {reason}"), hint)
    };
    let files = &env.io.files;
    let unreadable = |error: FileError| fail(error.to_string(), files.hint(path, &error));
    let broken = |error: csv::Error| unreadable(FileError::Io(error.into()));
    let io = |error: io::Error| unreadable(FileError::Io(error));
    let (start, input) = open_table(files.open(path).map_err(unreadable)?).map_err(io)?;
    if start.starts_with(b"PK") {
        let hint = "save it as CSV: in Excel, 另存为 > CSV UTF-8";
        return Err(fail("it is an Excel workbook".to_owned(), hint.to_owned()));
    }
    // Bytes, not text: a table that was saved as GBK has openids in the same letters.
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&start))
        .from_reader(QuoteWatch::new(input, delimiter(&start)));
    // As many columns as the first line has.
    let mut width = 0;
    let mut openids = Vec::new();
    let mut column = None;
    let mut has_title = false;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(broken)? {
        let line = record.position().map(csv::Position::line).unwrap_or_default();
        width = if width == 0 { record.len() } else { width };
        if width > 1 && record.iter().any(|cell| holds_rows(cell, width, delimiter(&start))) {
            let is_open = reader.get_ref().open_quote() == Some(line);
            let reason = if is_open {
                never_closed(line)
            } else {
                format!("the quoted cell of line {line} holds lines that look like rows")
            };
            return Err(fail(reason, CLOSE.to_owned()));
        }
        let cells = record.iter().rposition(|cell| !trim(cell).is_empty()).map_or(0, |last| last + 1);
        let head = record.iter().position(is_head);
        let at = match column {
            // A comma in a name makes two cells of it: the openid would be another cell.
            Some(Column::Named(_)) if cells > width => {
                let reason = format!("line {line} has {cells} cells, and the first line has {width}");
                return Err(fail(reason, QUOTE.to_owned()));
            }
            Some(Column::Named(at)) if cells > 0 && record.len() <= at => {
                let is_open = reader.get_ref().open_quote() == Some(line);
                let ends = format!("line {line} ends before the column `{OPENID}`");
                let reason = if is_open { never_closed(line) } else { ends };
                return Err(fail(reason, CLOSE.to_owned()));
            }
            Some(Column::Named(at)) => at,
            // The line before was a title above the header.
            Some(Column::Only) if has_title && openids.is_empty() && head.is_some() => {
                column = head.map(Column::Named);
                width = record.len();
                continue;
            }
            Some(Column::Only) if record.len() > 1 => {
                let reason = format!("its first line has one column, but line {line} has {}", record.len());
                return Err(fail(reason, HOW.to_owned()));
            }
            Some(Column::Only) => 0,
            None => match head {
                Some(at) => {
                    column = Some(Column::Named(at));
                    continue;
                }
                None if record.len() == 1 => {
                    column = Some(Column::Only);
                    let first = trim(record.get(0).unwrap_or_default());
                    // A title, as in `用户标识`.
                    if is_title(first) {
                        has_title = true;
                        continue;
                    }
                    0
                }
                None => {
                    let count = record.len();
                    let reason = format!("its first line has {count} columns, and none is `{OPENID}`");
                    return Err(fail(reason, HOW.to_owned()));
                }
            },
        };
        let cell = trim(record.get(at).unwrap_or_default());
        if !is_openid(cell) {
            let reason =
                format!("line {line} has no openid, but a text with other characters than A-Z a-z 0-9 _ -");
            return Err(fail(reason, HOW.to_owned()));
        }
        if !cell.is_empty() {
            openids.push(String::from_utf8_lossy(cell).into_owned());
        }
    }
    if let Some(line) = reader.get_ref().open_quote() {
        return Err(fail(never_closed(line), CLOSE.to_owned()));
    }
    if has_title && openids.is_empty() {
        return Err(fail("it has one line, which is no openid".to_owned(), HOW.to_owned()));
    }
    Ok(Source::openids(env.mask_openids(openids)))
}

fn never_closed(line: u64) -> String {
    format!("a quotation mark that line {line} opens is never closed")
}

/// The longest table in UTF-16, in bytes: it is decoded as a whole.
const MAX_UTF_16: u64 = 512 << 20;

/// How much of a table is looked at to learn its form, in bytes.
const START: u64 = 4 << 10;

/// Opens a table: its first bytes, and all of it as UTF-8 or another encoding whose letters are ASCII.
fn open_table(mut file: File) -> io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut start = Vec::new();
    file.by_ref().take(START).read_to_end(&mut start)?;
    if !matches!(start.as_slice(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        let whole = Cursor::new(start.clone()).chain(file);
        return Ok((start, Box::new(whole)));
    }
    let mut bytes = start;
    file.take(MAX_UTF_16).read_to_end(&mut bytes)?;
    let text = decode_text(bytes).map_err(io::Error::other)?.into_bytes();
    Ok((text.iter().take(4 << 10).copied().collect(), Box::new(Cursor::new(text))))
}

/// The delimiter of a table, by its first line: a tab or a semicolon where there is no comma.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    [b',', b'\t', b';'].into_iter().find(|delimiter| line.contains(delimiter)).unwrap_or(b',')
}

/// A cell without blanks around it, those of other alphabets and invisible ones among them.
fn trim(cell: &[u8]) -> &[u8] {
    let Ok(text) = str::from_utf8(cell) else { return cell.trim_ascii() };
    let is_blank = |char: char| char.is_whitespace() || ['\u{200b}', '\u{feff}'].contains(&char);
    text.trim_matches(is_blank).as_bytes()
}

/// Whether a cell can be an openid, or is empty.
fn is_openid(cell: &[u8]) -> bool {
    cell.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
}

/// Whether the first cell of an only column is its title: letters of another alphabet, and nothing that a damaged or another
/// kind of file has.
fn is_title(cell: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    !cell.is_ascii() && cell.iter().all(is_plain)
}

/// Whether a quoted cell has a line with as many columns as the table: its quotation mark may be one of the text, and rows
/// would be lost in it.
fn holds_rows(cell: &[u8], width: usize, delimiter: u8) -> bool {
    let columns = |line: &[u8]| line.split(|byte| *byte == delimiter).count();
    cell.contains(&b'\n') && cell.split(|byte| *byte == b'\n').any(|line| columns(line) == width)
}

/// Watches the bytes of a table for a quotation mark that is never closed.
struct QuoteWatch<R> {
    input: R,
    delimiter: u8,
    line: u64,
    state: Quotes,
    /// The line of the last quotation mark that opened a cell.
    quoted_from: u64,
}

/// Where a table's next byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// At the beginning of a cell.
    Start,
    /// In a cell, outside of quotation marks.
    Outside,
    Inside,
    /// After a quotation mark in a quoted cell: its end, or the first of two.
    Ended,
}

impl<R: Read> QuoteWatch<R> {
    const fn new(input: R, delimiter: u8) -> Self {
        Self { input, delimiter, line: 1, state: Quotes::Start, quoted_from: 1 }
    }

    /// The line of a quotation mark that is not closed yet.
    fn open_quote(&self) -> Option<u64> {
        (self.state == Quotes::Inside).then_some(self.quoted_from)
    }

    fn watch(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (Quotes::Start, b'"') => {
                self.quoted_from = self.line;
                Quotes::Inside
            }
            (Quotes::Inside, b'"') => Quotes::Ended,
            (Quotes::Ended, b'"') | (Quotes::Inside, _) => Quotes::Inside,
            (_, b'\n' | b'\r') => Quotes::Start,
            (_, byte) if byte == self.delimiter => Quotes::Start,
            // A byte order mark stands before the first cell.
            (Quotes::Start, 0xef | 0xbb | 0xbf) if self.line == 1 => Quotes::Start,
            _ => Quotes::Outside,
        };
        self.line += u64::from(byte == b'\n');
    }
}

impl<R: Read> Read for QuoteWatch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        buffer[..count].iter().for_each(|byte| self.watch(*byte));
        Ok(count)
    }
}

/// Which column of a table holds the openids.
enum Column {
    Named(usize),
    /// The table has a single column.
    Only,
}

fn is_head(cell: &[u8]) -> bool {
    cell.trim_ascii().eq_ignore_ascii_case(OPENID.as_bytes())
}

/// Which of a follower's fields are columns.
pub(crate) fn columns(names: &Array) -> Result<Vec<String>, ScriptError> {
    if names.is_empty() {
        let hint = "name them, as in [\"openid\", \"remark\"]";
        return Err(ScriptError::usage("write_csv needs a column", hint));
    }
    let column = |name: &Dynamic| {
        let Ok(name) = name.as_immutable_string_ref() else {
            return Err(ScriptError::usage("write_csv takes the names of columns as strings", ""));
        };
        if FIELDS.iter().any(|field| field.name == name.as_str()) {
            Ok(name.as_str().to_owned())
        } else {
            Err(field_unknown(name.as_str()))
        }
    };
    names.iter().map(column).collect()
}

/// The openid alone, which needs no details.
pub(crate) fn only_openids() -> Vec<String> {
    vec![OPENID.to_owned()]
}

/// Whether these columns need details.
pub(crate) fn need_details(columns: &[String]) -> bool {
    columns.iter().any(|column| column != OPENID)
}

/// A table that is being written. It replaces an existing file when it is finished.
pub(crate) struct Table {
    path: PathBuf,
    columns: Vec<String>,
    file: CsvFile,
}

impl Table {
    /// Begins a table.
    pub(crate) fn create(files: &FileAccess, path: &str, columns: Vec<String>) -> Result<Self, ScriptError> {
        let path = files.destination(path).map_err(|error| {
            ScriptError::usage(format!("can't write the table `{path}`: {error}"), files.hint(path, &error))
        })?;
        match CsvFile::create(&path, &columns) {
            Ok(file) => Ok(Self { path, columns, file }),
            Err(error) => Err(unwritable(&path, &error)),
        }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, person: &Listed) -> Result<(), ScriptError> {
        let cells = self.columns.iter().map(|column| match &person.user {
            Some(user) => field_by_name(&mut Follower(Arc::clone(user)), column)
                .map_or_else(|_| String::new(), |value| cell(&value)),
            None => no_formula(&person.openid),
        });
        self.file.add(cells).map_err(|error| unwritable(&self.path, &error))
    }

    /// Replaces the existing file, if there is one, with the complete table.
    pub(crate) fn finish(self) -> Result<(), ScriptError> {
        self.file.finish().map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> ScriptError {
    let hint = "give a file in a folder that exists and can be written; what was there before is unchanged";
    ScriptError::usage(format!("can't write the table {}: {error}", path.display()), hint)
}

/// A value as a cell: nothing for what the platform left out, a list with spaces between.
fn cell(value: &Dynamic) -> String {
    if let Ok(entries) = value.as_array_ref() {
        return entries.iter().map(Dynamic::to_string).collect::<Vec<_>>().join(" ");
    }
    match value.as_immutable_string_ref() {
        Ok(text) => no_formula(&text),
        Err(_) if value.is_unit() => String::new(),
        Err(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_is_never_a_formula_and_unit_is_empty() {
        assert_eq!(cell(&"=1+2".into()), "'=1+2");
        assert_eq!(cell(&"@张三".into()), "'@张三");
        assert_eq!(cell(&"张三=李四".into()), "张三=李四");
        assert_eq!(cell(&Dynamic::UNIT), "");
        assert_eq!(cell(&(-5_i64).into()), "-5");
        assert_eq!(cell(&vec![Dynamic::from(2_i64), Dynamic::from(100_i64)].into()), "2 100");
    }
}
