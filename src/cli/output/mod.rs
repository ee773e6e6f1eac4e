//! What a person sees: console, progress, messages, log lines, exit codes, reports.

pub(crate) mod exit;
pub(crate) mod log;
pub(crate) mod progress;
pub(crate) mod render;
pub(crate) mod report;
