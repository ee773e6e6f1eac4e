//! What a step did to the account, as the journal records it.

use super::change::Change;
use serde::{Deserialize, Serialize};

/// What a step did to the account, as the journal records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordedEffect {
    /// Followers were changed; the step's batches have their openids.
    Change(Change),
    /// A tag was made.
    CreateTag {
        /// The tag's id; 0 as long as it is not known.
        #[serde(rename = "created")]
        id: i64,
        /// The tag's name.
        name: String,
    },
    /// A tag was renamed.
    RenameTag {
        /// The tag's id.
        #[serde(rename = "renamed")]
        id: i64,
        /// The name before.
        from: String,
        /// The name after.
        to: String,
    },
    /// A tag was deleted.
    DeleteTag {
        /// The tag's id, which is never used again.
        #[serde(rename = "deleted")]
        id: i64,
        /// The tag's name.
        name: String,
    },
    /// A call that can't be undone, in words.
    Other(String),
}
