//! Changes in batches: the batch writer, the limits of a run, and the dry run that sends nothing.

pub(crate) mod batch_writer;
pub(crate) mod dry_run;
pub(crate) mod limits;
pub(crate) mod tag;
