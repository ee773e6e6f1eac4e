//! Many calls as one job: a source is listed page by page, details are fetched in batches, a
//! caller decides over each follower, changes are written in batches, and a report adds it up.
//!
//! Listing, details and writes overlap; each queue is bounded, so memory does not grow with the
//! account. Must never know scripts: the floor above pulls followers out of a [`Reader`], decides,
//! and pushes changes into a [`BatchWriter`].

mod effect;
mod journal;
mod listing;
mod model;
mod report;
mod undo;
mod writing;

pub use crate::store::RunState;
pub use crate::store::StepRow;
pub use effect::blacklist_cache::BlacklistCache;
pub use effect::change::BatchedCalls;
pub use effect::declared::{Declared, kind_of};
pub use effect::dry_run::DryRun;
pub use effect::effect::{ChangedFollowers, Effect, InDoubt, Inverse, Known, Lock, PreState, RehearseError};
pub use effect::ensure_tag::{EnsuredTag, ensure_tag};
pub use effect::observer::{ObserveError, Observer};
pub(crate) use effect::tag::{before_creation, warn_of_twin};
pub use effect::undeclared::Undeclared;
pub use effect::write_call::WriteCall;
pub use journal::checkpoint::{Checkpoint, CheckpointedJob, DrawnSample};
pub use journal::error::JournalError;
#[cfg(debug_assertions)]
pub use journal::fail_point::arm;
pub use journal::fail_point::hit;
pub use journal::journal::{Attempt, CommitAck, HEARTBEAT_TTL, Journal, Replay, Resolution, Step};
pub use journal::recorded_json::RecordedJson;
pub use journal::recorded_tag::RecordedTag;
pub use journal::replay::StepIdentity;
pub(crate) use journal::replayed_call::{
    Asked, CallAction, IncompleteCall, RecordedPreState, UnreachedAction, unreached_action,
};
pub use listing::chunked::{MergeAnswer, PartialFailure, call_chunked};
pub use listing::details::NeededField;
pub use listing::membership::{MemberSet, MembershipError};
pub use listing::reader::{Batch, Details, ReadError, Reader, ReaderConfig};
pub use model::batch::{
    ChangeItem, InDoubtItems, ItemKind, RemarkChange, Unresolved, read_changed, read_items,
};
pub use model::change::Change;
pub use model::change_text::NotAChange;
pub use model::counts::{Counters, CountsSnapshot};
pub use model::cursor::{Cursor, PageCursor, Paging};
pub use model::effect::RecordedEffect;
pub use model::estimate::Estimate;
pub use model::failure::Failure;
pub use model::job::Job;
pub use model::person::Listed;
pub use model::source::{ChangedByStep, Source, distinct};
pub use model::target::{Target, TargetColumns};
pub use report::progress::ProgressBoard;
pub use report::quota_estimate::{CallDemand, CostError, JobShape, OnShortage, QuotaShortage, estimate};
pub use report::report::{CallSlot, CallTimes, CountRow, OperationGroup, OperationReport, RunReport, Totals};
pub use undo::changed_openids::{ChangedOpenid, ChangedReader};
pub use undo::plan::{UndoAction, UndoPlan, UndoStep, plan_undo};
pub use writing::batch_writer::{
    BatchProgress, BatchWriter, BatchWriterConfig, FinishedWriter, JobError, ResumedWriter,
};
pub use writing::limits::{Limit, Limits, Share};

/// Batches in flight or waiting to be decided, for each call that may be in flight: enough to keep the calls busy while
/// one slow answer holds up the order.
const WINDOW: usize = 2;
