//! Many calls as one job: a source is listed page by page, details are fetched in batches, a
//! caller decides over each follower, changes are written in batches, and a report adds it up.
//!
//! Listing, details and writes overlap; each queue is bounded, so memory does not grow with the
//! account. Must never know scripts: whoever drives a job pulls people out of a [`Reader`], makes
//! up its mind, and pushes changes into a [`Writer`].

mod board;
mod checkpoint;
mod cost;
mod done;
mod dry;
mod fail_point;
mod frames;
mod journal;
mod journal_error;
mod keeper;
mod known;
mod limits;
mod people;
mod report;
mod split;
mod tag;
mod undo;
mod writer;

pub use crate::store::StepRow;
pub use board::{Board, Counts, Job};
pub use checkpoint::{Checkpoint, Decided, Item, Pending};
pub use cost::{CostError, Estimate, Need, Shape, Shortage, estimate};
pub use done::{Done, DoneReader};
pub use dry::DryRun;
#[cfg(debug_assertions)]
pub use fail_point::arm;
pub use fail_point::pass;
pub use frames::Twice;
pub use journal::{Attempt, Begun, Durable, Journal, LIFE, Step, Verdict};
pub use journal_error::JournalError;
pub use known::{Known, KnownError};
pub use limits::{Limit, Limits, Share};
pub use people::{Batch, Changed, Mark, Past, Person, ReadError, Reader, Source};
pub use report::{CallSlot, CallTimes, EndReport, Failure, RunReport, RunState, Totals};
pub use split::{Merge, SplitError, call_in_parts};
pub use tag::{ensure_tag, find_tag};
pub use undo::{Deed, WayBack, way_back};
pub use writer::{Change, Stop, Writer, WriterSettings};

/// Batches under way or waiting to be looked at, for each call that may be in flight: enough to
/// keep the calls busy while one slow answer holds up the order.
const WINDOW: usize = 2;
