//! How far a listing is.

use serde::{Deserialize, Serialize};

/// The end of a page: where a listing resumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageCursor {
    /// Pages so far.
    pub page: u64,
    /// Openids so far.
    pub listed: usize,
    /// What the next page comes after, where pages have a cursor.
    pub cursor: Option<String>,
    /// Fallback cursor: the second-last openid of the page, used when the platform rejects the cursor because that
    /// follower has unsubscribed.
    pub fallback: Option<String>,
    /// There is no next page.
    pub is_last: bool,
    /// The largest total that a page has stated: the job itself may shorten the list.
    pub total: u64,
    /// The smallest one: followers who come and go while the list is read are not missing in it.
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
    /// How many are missing if the list ends here. `total` is what an empty page states, which counts only if no other
    /// page has stated one.
    pub(crate) fn missing_of(&self, total: Option<u64>) -> u64 {
        let expected = self.least_total.or(total).unwrap_or_default();
        expected.saturating_sub(self.listed as u64).max(self.unreadable)
    }
}
