//! Reads the openids of a table that a person or another program has saved.
//!
//! A damaged table must not give wrong openids silently: what can't be read is an error with its line. Must never show what
//! a cell holds.

use crate::{
    api::user::rules::{NotOpenid, could_be_openid},
    base::{decode_text, is_blank},
    script::host::{env::RunEnv, error::ScriptError, file::FileError},
};
use csv::{ByteRecord, Position, ReaderBuilder};
use std::{
    fs::File,
    io::{self, Cursor, Read},
};

/// The column of openids.
const OPENID: &str = "openid";

/// The expected form of a file.
const HOW: &str = "give a CSV file with commas and a column `openid`, or one openid a line";

/// What to do about a quotation mark that swallows rows.
const CLOSE: &str = "close it, or write a quotation mark of the text twice: \"\"";

/// What to do about a cell whose lines look like rows.
const CLOSE_OR_JOIN: &str = "close it, or write a quotation mark of the text twice: \"\"; \
                             if the cell is as it should be, write it on one line";

/// What to do about a second header.
const ONE_TABLE: &str = "give each table as a file of its own";

/// What to do about two columns of openids.
const ONE_COLUMN: &str = "remove one of the columns, or rename its header";

/// The length of the openids that the platform gives. The documents don't promise it.
const OPENID_LENGTH: usize = 28;

/// What to do about a cell that a delimiter cuts in two.
const QUOTE: &str = "put a cell that holds the delimiter in quotation marks";

/// The openids of a file: of its column `openid`, or of its only column. A message names lines and columns by their number
/// only: the file may be another than the person thinks, with secrets in it.
pub(crate) fn read_openids(env: &RunEnv, path: &str) -> Result<Vec<String>, ScriptError> {
    let fail = |reason: String, hint: String| {
        ScriptError::usage(format!("can't read openids from `{path}`: {reason}"), hint)
    };
    let files = &env.io.files;
    let unreadable = |error: FileError| fail(error.to_string(), files.hint(path, &error));
    let broken = |error: csv::Error| unreadable(io::Error::from(error).into());
    let damaged = |damage: Damage| fail(damage.reason, damage.hint.to_owned());
    let (start, input) =
        files.open(path).and_then(|file| open_table(file).map_err(FileError::from)).map_err(unreadable)?;
    if start.starts_with(b"PK") {
        let hint = "save it as CSV: in Excel, 另存为 > CSV UTF-8";
        return Err(fail("it is an Excel workbook".to_owned(), hint.to_owned()));
    }
    let delimiter = delimiter(&start);
    // Bytes, not text: a table that was saved as GBK has openids in the same letters.
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(QuoteWatch::new(input, delimiter));
    let has_crlf = start.windows(2).any(|end| end == b"\r\n");
    let mut table = OpenidTable::new(delimiter);
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(broken)? {
        // A record ends with the first of the two bytes of a CRLF: the other one is counted with the next record.
        let line_of = |at: &Position| at.line() + u64::from(has_crlf && at.byte() > 0);
        let line = record.position().map(line_of).unwrap_or_default();
        let is_open = reader.get_ref().open_quote() == Some(line);
        table.add(&Row { record: &record, line, is_open }).map_err(damaged)?;
    }
    let openids = table.finish(reader.get_ref().open_quote()).map_err(damaged)?;
    Ok(env.mask_openids(openids))
}

/// Why a table can't be read, and what to do about it.
struct Damage {
    reason: String,
    hint: &'static str,
}

impl Damage {
    const fn new(reason: String, hint: &'static str) -> Self {
        Self { reason, hint }
    }

    fn quote_never_closed(line: u64) -> Self {
        Self::new(format!("a quotation mark that line {line} opens is never closed"), CLOSE)
    }
}

/// A row of a table.
struct Row<'a> {
    record: &'a ByteRecord,
    line: u64,
    /// Whether the row opens a quotation mark that is not closed.
    is_open: bool,
}

impl Row<'_> {
    /// The cells up to the last one that is not blank.
    fn cells(&self) -> usize {
        self.record.iter().rposition(|cell| !trim(cell).is_empty()).map_or(0, |last| last + 1)
    }

    /// The cell that is the header of the openids.
    fn header(&self) -> Option<usize> {
        self.record.iter().position(is_header)
    }

    /// The row as the header whose column `at` holds the openids: the only such column.
    fn as_header(&self, at: usize) -> Result<RowKind, Damage> {
        match self.record.iter().skip(at + 1).position(is_header) {
            None => Ok(RowKind::Header(at)),
            Some(more) => {
                let (line, first, second) = (self.line, at + 1, at + more + 2);
                let reason = format!("line {line} names columns {first} and {second} as those of openids");
                Err(Damage::new(reason, ONE_COLUMN))
            }
        }
    }

    /// The cells up to the last one that is not blank, trimmed.
    fn trimmed(&self) -> impl Iterator<Item = &[u8]> {
        self.record.iter().take(self.cells()).map(trim)
    }

    /// The last of the lines that the row is written on.
    fn last_line(&self) -> u64 {
        self.record.as_slice().iter().fold(self.line, |line, byte| line + u64::from(*byte == b'\n'))
    }
}

/// Which column of a table holds the openids.
#[derive(Clone, Copy)]
enum Column {
    Named(usize),
    /// The table has a single column.
    Only,
}

/// What a row is, by the rows before it.
enum RowKind {
    /// It names the column of the openids.
    Header(usize),
    /// It stands above the header, or above the only column.
    Title,
    /// It is the header or the title, again: the file is several exports, one below the other.
    Repeated,
    /// Its openid is in this cell.
    Openid(usize),
}

/// The openids of a table, row by row.
struct OpenidTable {
    delimiter: u8,
    /// As many columns as the first row has, or the header.
    width: usize,
    column: Option<Column>,
    /// The cells of the header, or of the title above an only column.
    header: Vec<Vec<u8>>,
    has_title: bool,
    openids: Vec<String>,
}

impl OpenidTable {
    const fn new(delimiter: u8) -> Self {
        Self { delimiter, width: 0, column: None, header: Vec::new(), has_title: false, openids: Vec::new() }
    }

    fn add(&mut self, row: &Row<'_>) -> Result<(), Damage> {
        let width = row.record.len();
        if self.width == 0 {
            self.width = width;
        }
        self.check_quotes(row)?;
        let cell = match self.classify(row)? {
            RowKind::Header(at) => {
                self.column = Some(Column::Named(at));
                self.width = width;
                self.header = row.trimmed().map(<[u8]>::to_vec).collect();
                return Ok(());
            }
            RowKind::Title => {
                self.column = Some(Column::Only);
                self.has_title = true;
                self.header = row.trimmed().map(<[u8]>::to_vec).collect();
                return Ok(());
            }
            RowKind::Repeated => return Ok(()),
            RowKind::Openid(at) => trim(row.record.get(at).unwrap_or_default()),
        };
        self.column = self.column.or(Some(Column::Only));
        match could_be_openid(cell) {
            Ok(()) => self.openids.push(String::from_utf8_lossy(cell).into_owned()),
            Err(NotOpenid::Empty) => {}
            Err(reason) => {
                let reason = format!("line {} has no openid, but {reason}", row.line);
                return Err(Damage::new(reason, HOW));
            }
        }
        Ok(())
    }

    /// A row of several lines that look like rows themselves: its quotation mark may be one of the text, and the rows
    /// would be lost in the quoted cell.
    fn check_quotes(&self, row: &Row<'_>) -> Result<(), Damage> {
        if self.width < 2 || !self.hides_rows(row) {
            return Ok(());
        }
        if row.is_open {
            return Err(Damage::quote_never_closed(row.line));
        }
        let (first, last) = (row.line, row.last_line());
        let reason =
            format!("the quoted cell of line {first} holds lines that look like rows, up to line {last}");
        Err(Damage::new(reason, CLOSE_OR_JOIN))
    }

    /// Whether a line between the first and the last one is a row, or at least two of all lines are. Where a cell begins or
    /// ends doesn't matter: a quotation mark in a column in the middle leaves the cells on both sides of it intact.
    fn hides_rows(&self, row: &Row<'_>) -> bool {
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        if !row.record.as_slice().iter().any(is_end) {
            return false;
        }
        let at = match self.column {
            Some(Column::Named(at)) => Some(at),
            Some(Column::Only) | None => row.header(),
        };
        // As the lines are in the file, but without the quotation marks.
        let text = row.record.iter().collect::<Vec<_>>().join(&self.delimiter);
        let lines = text.split(is_end).filter(|line| !line.is_empty());
        let are_rows: Vec<bool> = lines.map(|line| self.is_row(line, at)).collect();
        let inner = are_rows.get(1..are_rows.len().saturating_sub(1)).unwrap_or_default();
        inner.contains(&true) || are_rows.iter().filter(|is_row| **is_row).count() > 1
    }

    /// Whether a line of a quoted cell could be a row whose openid is in column `at`: it has enough columns and there what
    /// could be an openid, or there an openid of the usual form.
    fn is_row(&self, line: &[u8], at: Option<usize>) -> bool {
        let cells: Vec<&[u8]> = line.split(|byte| *byte == self.delimiter).map(unquoted).collect();
        let is_wide = cells.len() >= self.width;
        let Some(at) = at else { return is_wide };
        // A delimiter in another cell moves the openid: it has its place from the beginning or from the end.
        let from_the_end = (cells.len() + at).checked_sub(self.width);
        let openids = [Some(at), from_the_end].into_iter().flatten().filter_map(|at| cells.get(at));
        openids.filter(|cell| could_be_openid(cell).is_ok()).any(|cell| is_wide || is_usual_openid(cell))
    }

    /// Whether a row below the header is the header of another table: it names the column of the openids, or has a header
    /// of this table in their place.
    fn is_second_header(&self, row: &Row<'_>, at: usize) -> bool {
        let cell = trim(row.record.get(at).unwrap_or_default());
        is_header(cell) || (row.header().is_some() && self.header.iter().any(|name| name == cell))
    }

    fn classify(&self, row: &Row<'_>) -> Result<RowKind, Damage> {
        let (line, width, cells) = (row.line, row.record.len(), row.cells());
        if !self.header.is_empty() && row.trimmed().eq(self.header.iter().map(Vec::as_slice)) {
            return Ok(RowKind::Repeated);
        }
        let second_header = || Damage::new(format!("line {line} is the header of another table"), ONE_TABLE);
        match (self.column, row.header()) {
            (Some(Column::Named(at)), _) if self.is_second_header(row, at) => Err(second_header()),
            // A comma in a name makes two cells of it: the openid would be another cell.
            (Some(Column::Named(_)), _) if cells > self.width => {
                let reason = format!("line {line} has {cells} cells, and the first line has {}", self.width);
                Err(Damage::new(reason, QUOTE))
            }
            (Some(Column::Named(at)), _) if cells > 0 && width <= at => {
                if row.is_open {
                    return Err(Damage::quote_never_closed(line));
                }
                Err(Damage::new(format!("line {line} ends before the column `{OPENID}`"), CLOSE))
            }
            (Some(Column::Named(at)), _) => Ok(RowKind::Openid(at)),
            (Some(Column::Only), Some(at)) if self.has_title && self.openids.is_empty() => row.as_header(at),
            (Some(Column::Only), Some(_)) => Err(second_header()),
            (Some(Column::Only), _) if width > 1 => {
                let reason = format!("its first line has one column, but line {line} has {width}");
                Err(Damage::new(reason, HOW))
            }
            (None, Some(at)) => row.as_header(at),
            (None, None) if width > 1 => {
                let reason = format!("its first line has {width} columns, and none is `{OPENID}`");
                Err(Damage::new(reason, HOW))
            }
            // A title, as in `用户标识`.
            (None, None) if is_title(trim(row.record.get(0).unwrap_or_default())) => Ok(RowKind::Title),
            (Some(Column::Only), _) | (None, None) => Ok(RowKind::Openid(0)),
        }
    }

    /// The openids of the complete table; `open_quote` is the line of a quotation mark that was never closed.
    fn finish(self, open_quote: Option<u64>) -> Result<Vec<String>, Damage> {
        if let Some(line) = open_quote {
            return Err(Damage::quote_never_closed(line));
        }
        if self.has_title && self.openids.is_empty() && matches!(self.column, Some(Column::Only)) {
            return Err(Damage::new("it has one line, which is no openid".to_owned(), HOW));
        }
        Ok(self.openids)
    }
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
    text.trim_matches(is_blank).as_bytes()
}

/// Whether the first cell of an only column is its title: letters of another alphabet and nothing that a damaged or another
/// kind of file has, or a word that is no openid.
fn is_title(cell: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let is_id = ["id", "user", "user_id", "userid", "users"]
        .iter()
        .any(|title| cell.eq_ignore_ascii_case(title.as_bytes()));
    is_id || (!cell.is_ascii() && cell.iter().all(is_plain))
}

/// A cell without blanks and quotation marks around it.
fn unquoted(cell: &[u8]) -> &[u8] {
    let is_mark = |byte: &u8| *byte == b'"';
    let cell = trim(cell);
    let start = cell.iter().take_while(|byte| is_mark(byte)).count();
    let end = cell.iter().rposition(|byte| !is_mark(byte)).map_or(start, |last| last + 1);
    trim(&cell[start..end])
}

/// Whether a cell has the form of the openids that the platform gives.
fn is_usual_openid(cell: &[u8]) -> bool {
    cell.len() == OPENID_LENGTH && cell.starts_with(b"o")
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

/// Whether a cell is the header of openids: `openid`, in the spellings of other programs.
fn is_header(cell: &[u8]) -> bool {
    let is_sign = |byte: &u8| !matches!(byte, b'_' | b'-' | b' ');
    let name: Vec<u8> = trim(cell).iter().filter(|byte| is_sign(byte)).map(u8::to_ascii_lowercase).collect();
    [OPENID, "openids", "useropenid"].iter().any(|header| header.as_bytes() == name)
}
