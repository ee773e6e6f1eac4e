//! How far a job is, as the journal records it.

use crate::{
    bulk::model::{
        batch::{ChangeItem, item_list},
        counts::CountsSnapshot,
        cursor::PageCursor,
        failure::Failure,
    },
    store::{JsonColumn, StepRow, StoreError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far a job is: every follower up to here is decided.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whether a loop's closure had made calls that change the account.
    pub has_written: bool,
    /// Where the listing resumes.
    pub cursor: PageCursor,
    /// The counters so far, without those of batches.
    pub counts: CountsSnapshot,
    /// The openids whose details were refused.
    pub failed: Vec<Failure>,
    /// How many more followers each stage lets pass.
    pub take_remaining: Vec<usize>,
    /// The items that wait for their batch to be full.
    #[serde(with = "item_list")]
    pub waiting: Vec<ChangeItem>,
    /// The number of the next batch.
    pub next_batch: i64,
    /// The openids that an earlier attempt has put into a batch and that have not been listed again.
    pub already_batched: Vec<String>,
    /// The openids that a sample has drawn, and the first stage after it: from then on they are the listing.
    pub sampled: Option<(usize, Vec<String>)>,
    /// What the terminal operation has added up.
    pub accumulator: Value,
}

impl Checkpoint {
    /// The checkpoint of a step; before its first one it is at its start.
    pub fn read(run: &str, row: &StepRow) -> Result<Self, StoreError> {
        if row.checkpoint.is_empty() {
            return Ok(Self::default());
        }
        let key = format!("{run}/{}", row.step);
        JsonColumn::for_step(&key, "checkpoint", "a checkpoint, as JSON").decode(&row.checkpoint)
    }
}
