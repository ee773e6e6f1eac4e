//! An audience that is written to a table (CSV).
//!
//! Must never know the platform: the audience decides which followers are written.

use crate::{
    api::user::FIELDS,
    base::{CsvFile, ReadError, no_formula, open_regular},
    bulk::Listed,
    script::host::{
        error::ScriptError,
        file::FileAccess,
        value::{Follower, field_by_name, field_unknown},
    },
};
use rhai::{Array, Dynamic};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The column that needs no details.
const OPENID: &str = "openid";

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
        if !has_table_ending(&path) {
            let message =
                format!("can't write the table {}: its name ends in neither .csv nor .txt", path.display());
            return Err(ScriptError::usage(
                message,
                "a table is written with commas: give it the ending .csv",
            ));
        }
        if !may_be_replaced(&path).map_err(|error| unwritable(&path, &io::Error::other(error)))? {
            let message = format!(
                "can't write the table {}: a file is there that is no table of followers' fields",
                path.display()
            );
            let hint = "move it away, or give the table another name; what is there is unchanged";
            return Err(ScriptError::usage(message, hint));
        }
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

/// How the names of tables end.
const ENDINGS: [&str; 2] = ["csv", "txt"];

fn has_table_ending(path: &Path) -> bool {
    path.extension().is_some_and(|kind| ENDINGS.iter().any(|ending| kind.eq_ignore_ascii_case(ending)))
}

/// The longest first line of a table, in bytes: the names of all fields are shorter.
const MAX_HEADER: u64 = 4 << 10;

/// Whether a table may be written here: nothing is there, or an empty file, or one whose first line names fields of
/// followers only, as tables of an earlier run do, with other columns perhaps.
fn may_be_replaced(path: &Path) -> Result<bool, ReadError> {
    let file = match open_regular(path) {
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    let mut start = Vec::new();
    file.take(MAX_HEADER).read_to_end(&mut start)?;
    let text = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&start);
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let is_field = |cell: &[u8]| FIELDS.iter().any(|field| field.name.as_bytes() == cell);
    Ok(start.is_empty() || line.split(|byte| *byte == b',').all(is_field))
}

fn unwritable(path: &Path, error: &io::Error) -> ScriptError {
    let hint = "give a file in a folder that exists and can be written; what was there before is unchanged";
    ScriptError::usage(format!("can't write the table {}: {error}", path.display()), hint)
}

/// A value as a cell: nothing for what the platform left out, a list with spaces between.
fn cell(value: &Dynamic) -> String {
    if let Ok(entries) = value.as_array_ref() {
        return no_formula(&entries.iter().map(Dynamic::to_string).collect::<Vec<_>>().join(" "));
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
        assert_eq!(cell(&vec![Dynamic::from("=1+2"), Dynamic::from("甲")].into()), "'=1+2 甲");
    }
}
