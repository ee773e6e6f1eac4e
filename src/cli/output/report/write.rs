//! `--report FILE`: what a run came to as JSON, as a table or as a page, by the file's name.

use super::{about::About, html};
use crate::{
    base::{AtomicFile, CsvFile, Redactor, no_formula},
    bulk::{ChangedReader, RunReport},
    cli::failure::usage_error,
    host::Host,
};
use std::{
    io::{self, Write},
    path::Path,
};

/// The columns of a table, which has a line for each openid.
const COLUMNS: [&str; 7] = ["openid", "end", "target", "outcome", "errcode", "errmsg", "rid"];

/// Writes the report, atomically: a reader never sees a part of one. Secrets are masked in all of it.
pub(crate) fn write_report(
    host: &Host,
    path: &Path,
    report: &RunReport,
    about: &About,
) -> anyhow::Result<()> {
    let path = &host.folder.join(path);
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_lowercase();
    let written = match kind.as_str() {
        "csv" => write_table(path, report, about, &host.secrets),
        "html" | "htm" => write_text(path, &host.secrets.mask(&html::page(report, about))),
        "" | "json" => {
            let json = serde_json::to_string_pretty(report)?;
            write_text(path, &format!("{}\n", host.secrets.mask(&json)))
        }
        other => {
            let message = format!("a report can't be written as .{other}");
            return Err(usage_error(message, "name the file .json, .csv or .html"));
        }
    };
    written.map_err(|error| match error.downcast::<io::Error>() {
        Ok(error) => usage_error(
            format!("can't write the report {}: {error}", path.display()),
            "give a file in a folder that exists and can be written",
        ),
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
