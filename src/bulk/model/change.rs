//! What a job changes about each follower.

use crate::api::{Batched, Endpoint, Spec, blacklist, tag, user};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A change to followers. Undo scripts name it by its text: `attach 100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", content = "tag", rename_all = "snake_case")]
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

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attach(id) => write!(f, "attach {id}"),
            Self::Detach(id) => write!(f, "detach {id}"),
            Self::Block => f.write_str("block"),
            Self::Unblock => f.write_str("unblock"),
            Self::Remark => f.write_str("remark"),
        }
    }
}

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, id) = text.split_once(' ').unwrap_or((text, ""));
        match (word, id.parse()) {
            ("attach", Ok(id)) => Ok(Self::Attach(id)),
            ("detach", Ok(id)) => Ok(Self::Detach(id)),
            ("block", Err(_)) => Ok(Self::Block),
            ("unblock", Err(_)) => Ok(Self::Unblock),
            ("remark", Err(_)) => Ok(Self::Remark),
            _ => Err(format!("`{text}` is not a change")),
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
