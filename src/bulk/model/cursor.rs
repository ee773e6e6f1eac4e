//! How far a listing is.

use crate::store::BatchPosition;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the next page of a listing comes after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Cursor {
    /// The openid that the platform named with the last page.
    Openid {
        /// The openid.
        openid: String,
    },
    /// The last batch that was read from a run's journal.
    Batch {
        /// The number of its step.
        seq: i64,
        /// Its number within its step.
        number: i64,
    },
}

/// What follows from page to page of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// A cursor of the platform's.
    ByOpenid,
    /// A position in a run's journal.
    ByBatch,
    /// How many have been listed.
    ByCount,
}

impl Cursor {
    /// Whether a source with this paging has such cursors.
    #[must_use]
    pub const fn is_of(&self, paging: Paging) -> bool {
        match self {
            Self::Openid { .. } => matches!(paging, Paging::ByOpenid),
            Self::Batch { .. } => matches!(paging, Paging::ByBatch),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Openid { openid } => write!(f, "the openid `{openid}`"),
            Self::Batch { seq, number } => write!(f, "the batch `{seq}/{number}`"),
        }
    }
}

impl fmt::Display for Paging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByOpenid => "the cursor of a list of the platform's, an openid",
            Self::ByBatch => "the cursor of a run's journal, a batch",
            Self::ByCount => "no cursor",
        })
    }
}

/// The end of a page: where a listing resumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageCursor {
    /// Pages so far.
    pub page: u64,
    /// Openids so far.
    pub listed: usize,
    /// What the next page comes after, where pages have a cursor.
    pub cursor: Option<Cursor>,
    /// Fallback cursor: the second-last openid of the page, used when the platform rejects the cursor because that
    /// follower has unsubscribed.
    pub fallback: Option<String>,
    /// There is no next page.
    pub is_last: bool,
    /// The largest total that a page has stated, since the job itself may shrink the list.
    pub total: u64,
    /// The smallest total that a page has stated: follows and unfollows during the job can't explain a shortfall against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_total: Option<u64>,
    /// Entries of pages that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// Once the list has ended: how many it should have had besides.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl PageCursor {
    /// The openid that the next page comes after.
    pub(crate) fn after_openid(&self) -> Option<&str> {
        match &self.cursor {
            Some(Cursor::Openid { openid }) => Some(openid),
            Some(Cursor::Batch { .. }) | None => None,
        }
    }

    /// The last openids that were listed, as far as the cursors tell.
    pub(crate) fn last_openids(&self) -> impl Iterator<Item = &str> {
        self.fallback.as_deref().into_iter().chain(self.after_openid())
    }

    /// The batch that the next page comes after.
    pub(crate) fn after_batch(&self) -> BatchPosition {
        match &self.cursor {
            Some(Cursor::Batch { seq, number }) => BatchPosition { seq: *seq, number: *number },
            Some(Cursor::Openid { .. }) | None => BatchPosition::START,
        }
    }

    /// How many are missing if the list ends here. `total` is what an empty page states, which counts only if no other
    /// page has stated one.
    pub(crate) fn missing_of(&self, total: Option<u64>) -> u64 {
        let expected = self.least_total.or(total).unwrap_or_default();
        expected.saturating_sub(self.listed as u64).max(self.unreadable)
    }
}
