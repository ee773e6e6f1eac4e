//! What a job changes about each follower.

use crate::api::{Batched, Endpoint, Spec, blacklist, tag, user};
use serde::{Deserialize, Serialize};

/// A change to followers; the journal and undo scripts have it as text: `attach 100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Change {
    /// Put this tag on.
    Attach(i64),
    /// Take this tag off.
    Detach(i64),
    /// Put on the blacklist.
    Block,
    /// Take off the blacklist.
    Unblock,
    /// Set the remark that comes with each openid.
    Remark,
}

impl From<Change> for String {
    fn from(change: Change) -> Self {
        match change {
            Change::Attach(id) => format!("attach {id}"),
            Change::Detach(id) => format!("detach {id}"),
            Change::Block => "block".to_owned(),
            Change::Unblock => "unblock".to_owned(),
            Change::Remark => "remark".to_owned(),
        }
    }
}

impl TryFrom<String> for Change {
    type Error = String;

    fn try_from(words: String) -> Result<Self, String> {
        let (word, id) = words.split_once(' ').unwrap_or((&words, ""));
        match (word, id.parse()) {
            ("attach", Ok(id)) => Ok(Self::Attach(id)),
            ("detach", Ok(id)) => Ok(Self::Detach(id)),
            ("block", Err(_)) => Ok(Self::Block),
            ("unblock", Err(_)) => Ok(Self::Unblock),
            ("remark", Err(_)) => Ok(Self::Remark),
            _ => Err(format!("`{words}` is not a change")),
        }
    }
}

impl Change {
    /// The change that undoes it; a remark is undone by another remark.
    #[must_use]
    pub fn opposite(self) -> Option<Self> {
        match self {
            Self::Attach(id) => Some(Self::Detach(id)),
            Self::Detach(id) => Some(Self::Attach(id)),
            Self::Block => Some(Self::Unblock),
            Self::Unblock => Some(Self::Block),
            Self::Remark => None,
        }
    }

    /// The call that makes it.
    #[must_use]
    pub fn spec(self) -> &'static Spec {
        match self {
            Self::Attach(_) => tag::Attach::SPEC,
            Self::Detach(_) => tag::Detach::SPEC,
            Self::Block => blacklist::Add::SPEC,
            Self::Unblock => blacklist::Remove::SPEC,
            Self::Remark => user::Remark::SPEC,
        }
    }

    /// Openids of one call.
    #[must_use]
    pub fn batch_size(self) -> usize {
        match self {
            Self::Attach(_) => tag::Attach::MOST,
            Self::Detach(_) => tag::Detach::MOST,
            Self::Block => blacklist::Add::MOST,
            Self::Unblock => blacklist::Remove::MOST,
            Self::Remark => 1,
        }
    }
}
