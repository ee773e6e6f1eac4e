//! The items of a batch of changes, and those of them that have no outcome yet.

use super::failure::Failure;
use crate::store::BatchRow;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// One openid of a batch, with what the change and its undo need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ChangeItem {
    /// The openid is all that the change needs.
    Openid(String),
    /// The openid, the new remark, and the one before.
    Remark(String, String, String),
}

impl ChangeItem {
    /// The openid.
    #[must_use]
    pub fn openid(&self) -> &str {
        match self {
            Self::Openid(openid) | Self::Remark(openid, ..) => openid,
        }
    }

    /// The remark before and after; empty where the change is of something else.
    #[must_use]
    pub fn remark_change(&self) -> RemarkChange {
        match self {
            Self::Openid(_) => RemarkChange::default(),
            Self::Remark(_, new, old) => RemarkChange { old: old.clone(), new: new.clone() },
        }
    }
}

/// The remark of a follower before and after a run changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemarkChange {
    /// The text before.
    pub old: String,
    /// The text that the run wrote.
    pub new: String,
}

/// The items of a batch that have no outcome yet. All of them are sent again when the run is resumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unresolved {
    /// Items whose change may have taken effect.
    #[serde(rename = "unsure")]
    pub in_doubt: Vec<ChangeItem>,
    /// Items whose change certainly took no effect: an undo leaves them alone.
    #[serde(rename = "unmade")]
    pub not_sent: Vec<ChangeItem>,
}

impl Unresolved {
    /// Unresolved items of a batch. If no outcome was recorded, the whole batch is in doubt.
    #[must_use]
    pub fn of(row: &BatchRow) -> Self {
        if row.pending > 0 && row.pending_items.is_empty() {
            let in_doubt = serde_json::from_str(&row.items).unwrap_or_default();
            return Self { in_doubt, not_sent: Vec::new() };
        }
        serde_json::from_str(&row.pending_items).unwrap_or_default()
    }

    /// The items of a batch that were changed, with those in doubt if they are asked for.
    #[must_use]
    pub fn changed(row: &BatchRow, with_in_doubt: bool) -> Vec<ChangeItem> {
        let failed: Vec<Failure> = serde_json::from_str(&row.failed).unwrap_or_default();
        let unresolved = Self::of(row);
        let in_doubt = unresolved.in_doubt.iter().filter(|_| !with_in_doubt).map(ChangeItem::openid);
        let left_out: HashSet<&str> = in_doubt
            .chain(unresolved.not_sent.iter().map(ChangeItem::openid))
            .chain(failed.iter().map(|failure| failure.openid.as_str()))
            .collect();
        let mut items: Vec<ChangeItem> = serde_json::from_str(&row.items).unwrap_or_default();
        items.retain(|item| !left_out.contains(item.openid()));
        items
    }

    /// Items that were in doubt before an attempt that was refused still are: the refusal says nothing of the attempt
    /// before.
    pub fn keep_in_doubt(&mut self, before: &HashSet<String>) {
        let (in_doubt, not_sent) =
            std::mem::take(&mut self.not_sent).into_iter().partition(|item| before.contains(item.openid()));
        self.not_sent = not_sent;
        self.in_doubt.extend::<Vec<ChangeItem>>(in_doubt);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_doubt.len() + self.not_sent.len()
    }

    /// Whether every item has its outcome.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
