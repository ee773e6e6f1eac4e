//! What a step did to the account, as the journal records it.

use super::change::Change;
use crate::store::{JsonColumn, RecordedKind, StepRow, StoreError};
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
    /// The effect that a step recorded, if it recorded one.
    pub fn read(run: &str, row: &StepRow) -> Result<Option<Self>, StoreError> {
        if row.effect.is_empty() {
            return Ok(None);
        }
        let key = format!("{run}/{}", row.step);
        JsonColumn::for_step(&key, "effect", "an effect, as JSON").decode(&row.effect).map(Some)
    }

    /// Its kind, which queries decide by.
    #[must_use]
    pub const fn kind(&self) -> RecordedKind {
        match self {
            Self::Change(_) => RecordedKind::Followers,
            Self::CreateTag { .. } => RecordedKind::TagCreated,
            Self::RenameTag { .. } => RecordedKind::TagRenamed,
            Self::DeleteTag { .. } => RecordedKind::TagDeleted,
            Self::Other(_) => RecordedKind::Irreversible,
        }
    }

    /// The text of the journal's column.
    #[must_use]
    pub fn to_json(&self) -> String {
        // An enum of numbers and texts always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effect_survives_its_json_and_is_tagged_with_its_kind() {
        let name = || "甲".to_owned();
        for effect in [
            RecordedEffect::Change(Change::Attach(100)),
            RecordedEffect::Change(Change::Remark),
            RecordedEffect::CreateTag { id: 100, name: name() },
            RecordedEffect::RenameTag { id: 100, from: name(), to: "乙".to_owned() },
            RecordedEffect::DeleteTag { id: 100, name: name() },
            RecordedEffect::Other("card".to_owned()),
        ] {
            let json = effect.to_json();
            assert!(json.starts_with(&format!("{{\"effect\":\"{}\",", effect.kind())), "{json}");
            assert_eq!(serde_json::from_str(&json).ok(), Some(effect), "{json}");
        }
        let attach = RecordedEffect::Change(Change::Attach(100)).to_json();
        assert_eq!(attach, r#"{"effect":"followers","of":{"change":"attach","tag":100}}"#);
    }
}
