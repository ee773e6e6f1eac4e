//! Audiences: sources, stages, and the terminal operations that run a job.

pub(crate) mod audience;
pub(crate) mod change_plan;
pub(crate) mod closure;
pub(crate) mod csv;
pub(crate) mod execution;
pub(crate) mod job_report;
pub(crate) mod openid_table;
pub(crate) mod opening;
pub(crate) mod quota_check;
pub(crate) mod run_change;
pub(crate) mod stages;
pub(crate) mod step_scope;
pub(crate) mod terminal_op;
pub(crate) mod terminals;
