//! What a step did to the account, as the journal records it.

use super::change::Change;
use crate::store::{EffectKey, RecordedKind};
use serde::{Deserialize, Deserializer, Serialize};

/// What a step did to the account, as the journal records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", content = "of", deny_unknown_fields)]
pub enum RecordedEffect {
    /// Followers were changed; the step's batches have their openids.
    #[serde(rename = "followers")]
    Change(Change),
    /// A tag was created.
    #[serde(rename = "tag_created")]
    CreateTag {
        /// The tag's id; none as long as the answer of the call is not known.
        #[serde(deserialize_with = "known_id")]
        id: Option<i64>,
        /// The tag's name.
        name: String,
    },
    /// A tag was renamed.
    #[serde(rename = "tag_renamed")]
    RenameTag {
        /// The tag's id.
        id: i64,
        /// The name before.
        from: String,
        /// The name after.
        to: String,
    },
    /// A tag was deleted.
    #[serde(rename = "tag_deleted")]
    DeleteTag {
        /// The tag's id, which is never used again.
        id: i64,
        /// The tag's name.
        name: String,
    },
    /// A call that can't be undone, in words.
    #[serde(rename = "irreversible")]
    Other(String),
}

/// An id that may not be known. A program of an earlier version wrote 0 then, and may have been running while the store was
/// migrated.
fn known_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::deserialize(deserializer)?.filter(|id| *id != 0))
}

impl RecordedEffect {
    /// What queries know of it.
    #[must_use]
    pub fn key(&self) -> EffectKey {
        match self {
            Self::Change(change) => change.key(),
            other => EffectKey { kind: other.kind(), tag_id: 0 },
        }
    }

    /// Its kind, which queries decide by.
    #[must_use]
    pub const fn kind(&self) -> RecordedKind {
        match self {
            Self::Change(change) => change.recorded_kind(),
            Self::CreateTag { .. } => RecordedKind::TagCreated,
            Self::RenameTag { .. } => RecordedKind::TagRenamed,
            Self::DeleteTag { .. } => RecordedKind::TagDeleted,
            Self::Other(_) => RecordedKind::Irreversible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effect_survives_its_json() {
        let name = || "甲".to_owned();
        for (effect, tag) in [
            (RecordedEffect::Change(Change::Attach(100)), "followers"),
            (RecordedEffect::Change(Change::Remark), "followers"),
            (RecordedEffect::CreateTag { id: Some(100), name: name() }, "tag_created"),
            (RecordedEffect::CreateTag { id: None, name: name() }, "tag_created"),
            (RecordedEffect::RenameTag { id: 100, from: name(), to: "乙".to_owned() }, "tag_renamed"),
            (RecordedEffect::DeleteTag { id: 100, name: name() }, "tag_deleted"),
            (RecordedEffect::Other("card".to_owned()), "irreversible"),
        ] {
            let json = serde_json::to_string(&effect).expect("it has a JSON form");
            assert!(json.starts_with(&format!("{{\"effect\":\"{tag}\",")), "{json}");
            assert_eq!(serde_json::from_str(&json).ok(), Some(effect), "{json}");
        }
        let without_id = r#"{"effect":"tag_created","of":{"name":"甲"}}"#;
        assert!(serde_json::from_str::<RecordedEffect>(without_id).is_err());
        let attach = serde_json::to_string(&RecordedEffect::Change(Change::Attach(100)));
        assert_eq!(
            attach.ok().as_deref(),
            Some(r#"{"effect":"followers","of":{"change":"attach","tag":100}}"#)
        );
    }
}
