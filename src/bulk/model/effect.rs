//! What a step did to the account, as the journal records it.

use super::change::Change;
use crate::store::{EffectKey, JsonColumn, RecordedKind, StepRow, StoreError};
use serde::{Deserialize, Serialize};

/// What a step did to the account, as the journal records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", content = "of")]
pub enum RecordedEffect {
    /// Followers were changed; the step's batches have their openids.
    #[serde(rename = "followers")]
    Change(Change),
    /// A tag was created.
    #[serde(rename = "tag_created")]
    CreateTag {
        /// The tag's id; 0 as long as it is not known.
        id: i64,
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

impl RecordedEffect {
    /// The effect that a step recorded, if it recorded one. One of another kind than its row says is damaged.
    pub fn read(run: &str, row: &StepRow) -> Result<Option<Self>, StoreError> {
        let Some(kind) = row.effect_kind else { return Ok(None) };
        let key = format!("{run}/{}", row.step);
        let effect: Self = JsonColumn::for_step(&key, "effect", "an effect, as JSON").decode(&row.effect)?;
        if effect.kind() == kind {
            return Ok(Some(effect));
        }
        Err(StoreError::Decode {
            table: "mpscript_step",
            row: key,
            column: "effect",
            expected: format!("an effect of the kind `{kind}`"),
            found: format!("one of the kind `{}`", effect.kind()),
        })
    }

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
            (RecordedEffect::CreateTag { id: 100, name: name() }, "tag_created"),
            (RecordedEffect::RenameTag { id: 100, from: name(), to: "乙".to_owned() }, "tag_renamed"),
            (RecordedEffect::DeleteTag { id: 100, name: name() }, "tag_deleted"),
            (RecordedEffect::Other("card".to_owned()), "irreversible"),
        ] {
            let json = serde_json::to_string(&effect).expect("it has a JSON form");
            assert!(json.starts_with(&format!("{{\"effect\":\"{tag}\",")), "{json}");
            assert_eq!(serde_json::from_str(&json).ok(), Some(effect), "{json}");
        }
        let attach = serde_json::to_string(&RecordedEffect::Change(Change::Attach(100)));
        assert_eq!(
            attach.ok().as_deref(),
            Some(r#"{"effect":"followers","of":{"change":"attach","tag":100}}"#)
        );
    }
}
