//! Jobs over audiences: their terminal operations, failures, cost and files.

mod calls;
mod csv;
mod dry_run;
mod failures;
mod quota;
mod terminals;
