//! Changes in batches: the batch writer, and the limits of a run.

pub(crate) mod batch_writer;
mod failed_call;
pub(crate) mod limits;
