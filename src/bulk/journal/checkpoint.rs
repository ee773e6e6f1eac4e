//! How far a job is, as the journal records it.

use crate::bulk::model::{batch::ChangeItem, counts::CountsSnapshot, cursor::PageCursor, failure::Failure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far a job is: everybody up to here is decided over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whether a loop's closure had made calls that change the account.
    #[serde(default)]
    pub has_written: bool,
    /// Where the listing goes on.
    pub mark: PageCursor,
    /// The counts so far, without those of batches.
    pub counts: CountsSnapshot,
    /// Those who could not be looked at.
    pub failed: Vec<Failure>,
    /// How many more each step lets pass.
    pub takes: Vec<usize>,
    /// Those who wait for their batch to be full.
    pub waiting: Vec<ChangeItem>,
    /// The number of the next batch.
    pub next_batch: i64,
    /// Those who were asked before an earlier end of the run and have not been listed since.
    #[serde(default)]
    pub asked: Vec<String>,
    /// Those whom a sample holds, once it is drawn: then they are the listing.
    pub drawn: Option<(usize, Vec<String>)>,
    /// What the end itself has come to.
    pub fold: Value,
}
