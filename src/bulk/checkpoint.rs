//! How far a job is, as it stands in the journal.

use super::{
    people::{Mark, Past},
    report::Failure,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One openid of a batch, with what the change and the way back need beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Item {
    /// Who.
    Openid(String),
    /// Whose remark, the new one, and the one before.
    Remark(String, String, String),
}

impl Item {
    /// Who.
    #[must_use]
    pub fn openid(&self) -> &str {
        match self {
            Self::Openid(openid) | Self::Remark(openid, ..) => openid,
        }
    }

    /// What was before and what is since.
    #[must_use]
    pub fn past(&self) -> Past {
        match self {
            Self::Openid(_) => Past::default(),
            Self::Remark(_, new, old) => Past { old: old.clone(), new: new.clone() },
        }
    }
}

/// How far a job is: everybody up to here is decided over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where the listing goes on.
    pub mark: Mark,
    /// The counts so far, without those of batches.
    pub counts: Decided,
    /// Those who could not be looked at.
    pub failed: Vec<Failure>,
    /// How many more each step lets pass.
    pub takes: Vec<usize>,
    /// Those who wait for their batch to be full.
    pub waiting: Vec<Item>,
    /// The number of the next batch.
    pub next_batch: i64,
    /// Those whom a sample holds, once it is drawn: then they are the listing.
    pub drawn: Option<(usize, Vec<String>)>,
    /// What the end itself has come to.
    pub fold: Value,
}

/// Counts of people who were decided over.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Decided {
    /// Whose details came.
    pub fetched: u64,
    /// Who passed.
    pub matched: u64,
    /// Who did not.
    pub unmatched: u64,
    /// Who follows no more.
    pub gone: u64,
    /// Who was so already.
    pub already: u64,
}
