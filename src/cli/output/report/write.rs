//! `--report FILE`: what a run came to as JSON, as a table or as a page, by the file's name.

use super::html;
use crate::{
    base::{AtomicFile, CsvFile, Diagnostic, no_formula},
    bulk::{DoneReader, EndReport, RunReport},
    cli::{Failure, config::store},
    store::{Store, StoreError},
};
use std::{
    io::{self, Write},
    path::Path,
};
use tokio::runtime::Runtime;

/// What a table tells of each openid.
const COLUMNS: [&str; 7] = ["openid", "end", "target", "outcome", "errcode", "errmsg", "rid"];

/// What a report tells beside its numbers.
#[derive(Default)]
pub(crate) struct About<'a> {
    /// The script's name.
    pub script: String,
    /// When it was started or gone on with, in milliseconds.
    pub started_at: i64,
    /// When it was started at first, if it was gone on with.
    pub first_started_at: Option<i64>,
    /// Where its journal is, which knows everybody who was changed.
    pub journal: Option<(&'a Runtime, Store)>,
}

/// Why a report is not written.
enum ScriptFailure {
    File(io::Error),
    Journal(StoreError),
}

impl From<io::Error> for ScriptFailure {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl From<StoreError> for ScriptFailure {
    fn from(error: StoreError) -> Self {
        Self::Journal(error)
    }
}

/// Writes the report, so that no half of one is ever seen.
pub(crate) fn write(path: &Path, report: &RunReport, about: &About) -> Result<(), Failure> {
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_lowercase();
    let written = match kind.as_str() {
        "csv" => write_table(path, report, about),
        "html" | "htm" => write_text(path, &html::page(report, about)).map_err(ScriptFailure::from),
        other if !["", "json"].contains(&other) => {
            let message = format!("a report can't be written as .{other}");
            return Err(Failure::usage(Diagnostic::new(message).hint("name the file .json, .csv or .html")));
        }
        _ => {
            let text = serde_json::to_string_pretty(report).unwrap_or_default();
            write_text(path, &format!("{text}\n")).map_err(ScriptFailure::from)
        }
    };
    written.map_err(|trouble| match trouble {
        ScriptFailure::File(error) => {
            let message = format!("can't write the report {}: {error}", path.display());
            let hint = "give a file in a folder that exists and can be written";
            Failure::usage(Diagnostic::new(message).hint(hint))
        }
        ScriptFailure::Journal(error) => store::failure(&error),
    })
}

fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(text.as_bytes())?;
    file.finish()
}

/// One line for everybody who failed, whom a dry run would have changed, or who was changed. The last come from the
/// journal, a page at a time: they may be millions.
fn write_table(path: &Path, report: &RunReport, about: &About) -> Result<(), ScriptFailure> {
    let mut table = CsvFile::create(path, &COLUMNS)?;
    for end in &report.ends {
        let target = end.target.as_deref().unwrap_or_default();
        for failure in &end.failed {
            let code = failure.errcode.map(|code| code.to_string()).unwrap_or_default();
            let rid = failure.rid.as_deref().unwrap_or_default();
            let [openid, target, errmsg, rid] =
                [&failure.openid, target, &failure.errmsg, rid].map(no_formula);
            table.add([&openid, &end.end, &target, "failed", &code, &errmsg, &rid])?;
        }
        write_samples(&mut table, end, target)?;
    }
    if let (Some((runtime, store)), Some(run)) = (&about.journal, &report.run) {
        let mut reader = DoneReader::new(store.clone(), run.clone());
        loop {
            let done = runtime.block_on(reader.next())?;
            if done.is_empty() {
                break;
            }
            for one in done {
                let [openid, target] = [&one.openid, &one.target].map(|text| no_formula(text));
                table.add([&openid, &one.end, &target, "changed", "", "", ""])?;
            }
        }
    }
    Ok(table.finish()?)
}

fn write_samples(table: &mut CsvFile, end: &EndReport, target: &str) -> io::Result<()> {
    for openid in &end.samples {
        table.add([&no_formula(openid), &end.end, &no_formula(target), "would change", "", "", ""])?;
    }
    Ok(())
}
