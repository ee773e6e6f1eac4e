//! What a job changes about each follower.

use crate::store::{EffectKey, RecordedKind};
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
    /// Whether it changes who is on the blacklist.
    #[must_use]
    pub fn is_of_blacklist(self) -> bool {
        match self {
            Self::Block | Self::Unblock => true,
            Self::Attach(_) | Self::Detach(_) | Self::Remark => false,
        }
    }

    /// The kind of effect that it has.
    #[must_use]
    pub const fn recorded_kind(self) -> RecordedKind {
        match self {
            Self::Attach(_) => RecordedKind::TagAttached,
            Self::Detach(_) => RecordedKind::TagDetached,
            Self::Block => RecordedKind::Blocked,
            Self::Unblock => RecordedKind::Unblocked,
            Self::Remark => RecordedKind::Remarked,
        }
    }

    /// What the journal's queries know it by.
    #[must_use]
    pub const fn key(self) -> EffectKey {
        let tag_id = match self {
            Self::Attach(id) | Self::Detach(id) => id,
            Self::Block | Self::Unblock | Self::Remark => 0,
        };
        EffectKey { kind: self.recorded_kind(), tag_id }
    }

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
}
