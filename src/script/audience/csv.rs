//! An audience that is written to a table (CSV).
//!
//! Must never know the platform: the audience decides which followers are written.

use crate::{
    api::user::FIELDS,
    base::{CsvFile, no_formula},
    bulk::Listed,
    script::host::{
        error::ScriptError,
        file::FileAccess,
        value::{Follower, field_by_name, field_unknown},
    },
};
use rhai::{Array, Dynamic};
use std::{
    io,
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
