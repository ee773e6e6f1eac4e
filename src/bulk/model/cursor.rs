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
}
