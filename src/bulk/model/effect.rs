//! What a step did to the account, as the journal records it.

use super::change::Change;
use crate::store::{EffectKey, JsonColumn, RecordedKind, StepRow, StoreError};
use serde::{Deserialize, Deserializer, Serialize};

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
    /// The effect that a step recorded, if it recorded one. One of another kind or tag than its row says is damaged, and so
    /// are one that such a step can't have, and none where the rest of the row or the step's batches show that there was
    /// one.
    pub fn read(run: &str, row: &StepRow) -> Result<Option<Self>, StoreError> {
        let key = format!("{run}/{}", row.step);
        let damaged = |column, expected: String, found: String| {
            Err(StoreError::Decode { table: "mpscript_step", row: key.clone(), column, expected, found })
        };
        let Some(kind) = row.effect_kind else {
            let shown_by = match (row.effect.is_empty(), row.has_batches, row.effect_tag) {
                (true, false, 0) => return Ok(None),
                (false, ..) => "the kind of the effect in `effect`",
                (true, true, _) => "the kind of the effect that the step's batches had",
                (true, false, _) => "the kind of the effect on the tag in `effect_tag`",
            };
            return damaged("effect_kind", shown_by.to_owned(), "none".to_owned());
        };
        if !row.kind.may_record(kind) {
            let expected = format!("an effect that a step of the kind `{}` has", row.kind);
            return damaged("effect_kind", expected, format!("`{kind}`"));
        }
        let effect: Self = JsonColumn::for_step(&key, "effect", "an effect, as JSON").decode(&row.effect)?;
        if effect.kind() != kind {
            let expected = format!("an effect of the kind `{kind}`");
            return damaged("effect", expected, format!("one of the kind `{}`", effect.kind()));
        }
        let tag = effect.key().tag_id;
        if tag != row.effect_tag {
            let expected = format!("{tag}, the tag of the effect in `effect`");
            return damaged("effect_tag", expected, row.effect_tag.to_string());
        }
        Ok(Some(effect))
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
