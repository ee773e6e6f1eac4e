//! What a job is while it runs and what it came to: progress, the estimate of its calls, the report.

pub(crate) mod progress;
pub(crate) mod quota_estimate;
pub(crate) mod report;
mod report_text;
