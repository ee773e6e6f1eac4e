//! Jobs over audiences: their terminal operations, failures, cost and files.

mod calls;
mod csv;
mod dry_run;
mod dry_run_rules;
mod failures;
mod listing;
mod quota;
mod terminals;
