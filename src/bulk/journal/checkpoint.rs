//! How far a job is, as it stands in the journal.

use crate::{
    bulk::{
        listing::reader::{Mark, Past},
        report::report::Failure,
    },
    store::BatchRow,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;

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

/// Those of a batch who are not done: all are sent again when somebody goes on with the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pending {
    /// Whose change may have been made.
    pub unsure: Vec<Item>,
    /// Whose change was certainly not made: the way back leaves them alone.
    pub unmade: Vec<Item>,
}

impl Pending {
    /// How a batch stands in the journal: while nothing is written of what it came to, everybody is unsure.
    #[must_use]
    pub fn of(row: &BatchRow) -> Self {
        if row.pending > 0 && row.pending_items.is_empty() {
            let unsure = serde_json::from_str(&row.items).unwrap_or_default();
            return Self { unsure, unmade: Vec::new() };
        }
        serde_json::from_str(&row.pending_items).unwrap_or_default()
    }

    /// Those of a batch who were changed, and those who may have been, if they are wanted.
    #[must_use]
    pub fn changed(row: &BatchRow, with_unsure: bool) -> Vec<Item> {
        let failed: Vec<Failure> = serde_json::from_str(&row.failed).unwrap_or_default();
        let pending = Self::of(row);
        let unsure = pending.unsure.iter().filter(|_| !with_unsure).map(Item::openid);
        let left_out: HashSet<&str> = unsure
            .chain(pending.unmade.iter().map(Item::openid))
            .chain(failed.iter().map(|failure| failure.openid.as_str()))
            .collect();
        let mut items: Vec<Item> = serde_json::from_str(&row.items).unwrap_or_default();
        items.retain(|item| !left_out.contains(item.openid()));
        items
    }

    /// Those who were unsure before a try that was refused are so after it.
    pub fn stay_unsure(&mut self, before: &HashSet<String>) {
        let (unsure, unmade) =
            std::mem::take(&mut self.unmade).into_iter().partition(|item| before.contains(item.openid()));
        self.unmade = unmade;
        self.unsure.extend::<Vec<Item>>(unsure);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.unsure.len() + self.unmade.len()
    }

    /// Whether everybody is done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How far a job is: everybody up to here is decided over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whether a loop's closure had made calls that change the account.
    #[serde(default)]
    pub has_written: bool,
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
    /// Those who were asked before an earlier end of the run and have not been listed since.
    #[serde(default)]
    pub asked: Vec<String>,
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
