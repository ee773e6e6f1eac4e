//! Tables as CSV: openids that a script reads from one, and an audience that is written to one.
//!
//! Must never know the platform: the audience decides which followers are read or written.

use crate::{
    api::user::FIELDS,
    base::{CsvFile, no_formula},
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
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The column of openids.
const OPENID: &str = "openid";

/// The expected form of a file.
const HOW: &str = "give a CSV file with commas and a column `openid`, or one openid a line";

/// The openids of a file: of its column `openid`, or of its only column. A message names lines and columns by their number
/// only: the file may be another than the person thinks, with secrets in it.
pub(crate) fn read_openids(env: &RunEnv, path: &str) -> Result<Source, ScriptError> {
    let fail = |reason: String, hint: String| {
        ScriptError::usage(format!("can't read openids from `{path}`: {reason}"), hint)
    };
    let files = &env.io.files;
    let unreadable = |error: FileError| fail(error.to_string(), files.hint(path, &error));
    let broken = |error: csv::Error| unreadable(FileError::Io(error.into()));
    let file = files.open(path).map_err(unreadable)?;
    // Bytes, not text: a table that was saved as GBK has openids in the same letters.
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut openids = Vec::new();
    let mut column = None;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(broken)? {
        let line = record.position().map(csv::Position::line).unwrap_or_default();
        let at = match column {
            Some(Column::Named(at)) => at,
            Some(Column::Only) if record.len() > 1 => {
                let reason = format!("its first line has one column, but line {line} has {}", record.len());
                return Err(fail(reason, HOW.to_owned()));
            }
            Some(Column::Only) => 0,
            None => match record.iter().position(is_head) {
                Some(at) => {
                    column = Some(Column::Named(at));
                    continue;
                }
                None if record.len() == 1 => {
                    column = Some(Column::Only);
                    0
                }
                None => {
                    let count = record.len();
                    let reason = format!("its first line has {count} columns, and none is `{OPENID}`");
                    return Err(fail(reason, HOW.to_owned()));
                }
            },
        };
        let cell = record.get(at).unwrap_or_default().trim_ascii();
        // Another delimiter, or an unclosed quotation mark: the records after it would be lost.
        if cell.iter().any(|byte| byte.is_ascii_whitespace() || b",;\"'".contains(byte)) {
            let reason = format!(
                "line {line} has no openid, but a text with a blank, a delimiter or a quotation mark"
            );
            return Err(fail(reason, HOW.to_owned()));
        }
        if !cell.is_empty() {
            openids.push(String::from_utf8_lossy(cell).into_owned());
        }
    }
    Ok(Source::openids(env.mask_openids(openids)))
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
