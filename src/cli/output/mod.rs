//! What a person sees: console, progress, messages, log lines, exit codes, reports.

mod console;
mod daemon_log;
mod outcome;
mod progress;
mod report;

pub(crate) mod exit;
pub(crate) mod log;
pub(crate) mod render;

pub(crate) use console::{Console, ProgressMode};
pub(crate) use daemon_log::DaemonLogWriter;
pub(crate) use outcome::{dry_run_summary, show_outcome};
pub(crate) use progress::Progress;
pub(crate) use report::{About, check_report, write_report};
