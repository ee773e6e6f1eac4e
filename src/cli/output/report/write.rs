//! `--report FILE`: what a run came to as JSON, as a table or as a page, by the file's name.

use super::{about::About, html};
use crate::{
    base::{AtomicFile, CsvFile, ReadError, Redactor, no_formula, open_regular},
    bulk::{ChangedReader, RunReport},
    cli::failure::usage_error,
    host::Host,
    script::FileAccess,
};
use serde::Serialize;
use std::{
    io::{self, Read, Write},
    path::Path,
};

/// The columns of a table, which has a line for each openid.
const COLUMNS: [&str; 7] = ["openid", "operation", "target", "outcome", "errcode", "errmsg", "rid"];

/// How a report as JSON begins.
const JSON_MARK: &str = "{\n  \"mpscript\": ";

/// The most that is read of a file to see whether it is a report, in bytes.
const MAX_HEAD: u64 = 4 << 10;

/// The form of a report, by its file's name.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Table,
    Page,
}

impl Form {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_lowercase();
        match kind.as_str() {
            "" | "json" => Ok(Self::Json),
            "csv" => Ok(Self::Table),
            "html" | "htm" => Ok(Self::Page),
            other => {
                let message = format!("a report can't be written as .{other}");
                Err(usage_error(message, "name the file .json, .csv or .html"))
            }
        }
    }
}

/// A report as JSON, which says that it is one.
#[derive(Serialize)]
struct MarkedReport<'a> {
    mpscript: &'static str,
    #[serde(flatten)]
    report: &'a RunReport,
}

/// Refuses a report that can't be written, or that would replace a file which is no report. Nothing is written.
pub(crate) fn check_report(host: &Host, files: &FileAccess, path: &Path) -> anyhow::Result<()> {
    let path = &host.folder.join(path);
    Form::of(path)?;
    if files.is_protected(path) {
        let message = format!(
            "the report can't be written to {}: the store, the configuration, secrets and the files of the system are no reports",
            path.display()
        );
        return Err(usage_error(message, "give the report another name"));
    }
    if !may_be_replaced(path).map_err(|error| unwritable(path, &error))? {
        let message =
            format!("the report can't be written to {}: a file is there that is no report", path.display());
        let hint = "move it away, or give the report another name; what is there is unchanged";
        return Err(usage_error(message, hint));
    }
    // The temporary file that it would be written to; dropped, it leaves nothing.
    AtomicFile::create(path).map(drop).map_err(|error| unwritable(path, &error))
}

/// Whether a report may be written here: nothing is there, or an empty file, or a report.
fn may_be_replaced(path: &Path) -> io::Result<bool> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(io::Error::other(error)),
    };
    let mut head = Vec::new();
    file.take(MAX_HEAD).read_to_end(&mut head)?;
    let head = String::from_utf8_lossy(&head);
    let is_table = || head.trim_start_matches('\u{feff}').lines().next() == Some(&COLUMNS.join(","));
    Ok(head.is_empty() || head.starts_with(JSON_MARK) || head.contains(html::GENERATOR) || is_table())
}

fn unwritable(path: &Path, error: &io::Error) -> anyhow::Error {
    let message = format!("can't write the report {}: {error}", path.display());
    usage_error(message, "give a file in a folder that exists and can be written")
}

/// Writes the report, atomically: a reader never sees a part of one. Secrets are masked in all of it.
pub(crate) fn write_report(
    host: &Host,
    path: &Path,
    report: &RunReport,
    about: &About,
) -> anyhow::Result<()> {
    let path = &host.folder.join(path);
    let written = match Form::of(path)? {
        Form::Table => write_table(path, report, about, &host.secrets),
        Form::Page => write_text(path, &host.secrets.mask(&html::page(report, about))),
        Form::Json => {
            let json =
                serde_json::to_string_pretty(&MarkedReport { mpscript: env!("CARGO_PKG_VERSION"), report })?;
            write_text(path, &format!("{}\n", host.secrets.mask(&json)))
        }
    };
    written.map_err(|error| match error.downcast::<io::Error>() {
        Ok(error) => unwritable(path, &error),
        Err(error) => error,
    })
}

fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file.finish()?)
}

/// A line for each openid that failed, would be changed by a dry run, or was changed. Those that were changed may be
/// millions, so they are read from the journal page by page.
fn write_table(path: &Path, report: &RunReport, about: &About, secrets: &Redactor) -> anyhow::Result<()> {
    let mut table = CsvFile::create(path, &COLUMNS)?;
    let cell = |text: &str| no_formula(&secrets.mask(text));
    for job in &report.operations {
        let target = job.target.as_ref().map(ToString::to_string).unwrap_or_default();
        for failure in &job.failed {
            let code = failure.errcode.map(|code| code.to_string()).unwrap_or_default();
            let rid = failure.rid.as_deref().unwrap_or_default();
            let [openid, target, errmsg, rid] = [&failure.openid, &target, &failure.errmsg, rid].map(cell);
            table.add([&openid, job.operation.as_str(), &target, "failed", &code, &errmsg, &rid])?;
        }
        for openid in &job.samples {
            table.add([&cell(openid), job.operation.as_str(), &cell(&target), "would change", "", "", ""])?;
        }
    }
    if let (Some((runtime, store)), Some(run)) = (&about.journal, &report.run) {
        let mut reader = ChangedReader::new(store.clone(), run.clone());
        loop {
            let done = runtime.block_on(reader.next())?;
            if done.is_empty() {
                break;
            }
            for one in done {
                let target = one.target.as_ref().map(ToString::to_string).unwrap_or_default();
                let [openid, target] = [&one.openid, &target].map(|text| cell(text));
                table.add([&openid, one.changed_by_name(), &target, "changed", "", "", ""])?;
            }
        }
    }
    Ok(table.finish()?)
}
