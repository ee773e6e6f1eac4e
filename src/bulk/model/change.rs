//! What a job changes about each follower.

use super::batch::ItemKind;
use crate::store::{EffectKey, RecordedKind};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A change to followers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", content = "tag", rename_all = "snake_case", deny_unknown_fields)]
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

/// As people read it. What is stored is written by serde, and in an undo script by [`Change::script_text`].
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

    /// What the items of its batches hold.
    #[must_use]
    pub const fn items(self) -> ItemKind {
        ItemKind::of_effect(self.recorded_kind())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_has_the_json_of_recorded_effects() {
        for (change, json) in [
            (Change::Attach(100), r#"{"change":"attach","tag":100}"#),
            (Change::Detach(-1), r#"{"change":"detach","tag":-1}"#),
            (Change::Block, r#"{"change":"block"}"#),
            (Change::Unblock, r#"{"change":"unblock"}"#),
            (Change::Remark, r#"{"change":"remark"}"#),
        ] {
            assert_eq!(serde_json::to_string(&change).ok().as_deref(), Some(json));
            assert_eq!(serde_json::from_str(json).ok(), Some(change));
        }
    }

    #[test]
    fn json_that_would_not_be_written_is_no_change() {
        for json in [
            r#"{"change":"block","tag":100}"#,
            r#"{"change":"block","of":1}"#,
            r#"{"change":"attach"}"#,
            r#"{"change":"attach","tag":"100"}"#,
            r#"{"change":"attach","tag":100.0}"#,
            r#""block""#,
        ] {
            assert!(serde_json::from_str::<Change>(json).is_err(), "{json}");
        }
    }
}
