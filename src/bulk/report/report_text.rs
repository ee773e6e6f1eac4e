//! A report as a person reads it.

use super::report::{CountRow, MAX_SHOWN, OperationReport};
use crate::base::{Setting, SettingNames, millis, plain_line, with_thousands};
use std::fmt;

impl OperationReport {
    /// As a person reads it: counts, and the first failures.
    #[must_use]
    pub fn text(&self, names: SettingNames) -> String {
        ReportText { report: self, names }.to_string()
    }
}

/// A report as a person reads it: counts, and the first failures.
struct ReportText<'a> {
    report: &'a OperationReport,
    names: SettingNames,
}

impl fmt::Display for ReportText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, names } = self;
        let state = report.state.as_str().replace('_', " ");
        let elapsed = match millis::count(report.elapsed) {
            ms @ 0..1000 => format!("{ms} ms"),
            ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        };
        write!(f, "{}: {state} in {elapsed}", report.title())?;
        if report.dry_run && report.is_of_changes() {
            write!(f, " (dry run: nothing was changed)")?;
        }
        for CountRow { depth, name, count } in report.rows() {
            let name = format!("{:depth$}{name}", "", depth = 2 * depth);
            write!(f, "\n  {name:<16}{:>12}", with_thousands(count))?;
        }
        for openid in &report.samples {
            write!(f, "\n  would change {}", plain_line(openid))?;
        }
        for failure in report.failed.iter().take(MAX_SHOWN) {
            let code = failure.errcode.map(|code| format!("{code} ")).unwrap_or_default();
            write!(f, "\n  failed {}: {code}{}", plain_line(&failure.openid), plain_line(&failure.errmsg))?;
        }
        if report.failed.len() > MAX_SHOWN {
            write!(
                f,
                "\n  and {} more failed; {} FILE lists them all",
                with_thousands((report.failed.len() - MAX_SHOWN) as u64),
                names.of(Setting::ReportFile)
            )?;
        }
        Ok(())
    }
}
