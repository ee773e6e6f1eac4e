//! Single calls that change the account: journaled, rehearsed, undone.

pub(crate) mod compensations;
pub(crate) mod dry_run;
pub(crate) mod journaled_call;
mod recorded_call;
pub(crate) mod retry_script;
pub(crate) mod tag_name;
pub(crate) mod undo_script;
