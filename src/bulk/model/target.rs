//! What a step acts on, as jobs and reports name it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;

/// What a step acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tag that the script gave by its id.
    TagId(i64),
    /// The name of a tag, or of a file.
    Name(String),
}

/// A target as the columns of a step hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetColumns<'a> {
    /// Its name; empty where it has none.
    pub name: &'a str,
    /// The id of a tag that the script gave by its id; else 0.
    pub tag_id: i64,
}

impl Target {
    /// The target that the columns of a step hold: a name, or the id of a tag; empty and 0 stand for none.
    #[must_use]
    pub fn from_columns(name: &str, tag_id: i64) -> Option<Self> {
        match (name, tag_id) {
            ("", 0) => None,
            (name, 0) => Some(Self::Name(name.to_owned())),
            (_, id) => Some(Self::TagId(id)),
        }
    }

    /// What the columns of a step hold.
    #[must_use]
    pub fn columns(target: Option<&Self>) -> TargetColumns<'_> {
        match target {
            None => TargetColumns { name: "", tag_id: 0 },
            Some(Self::Name(name)) => TargetColumns { name, tag_id: 0 },
            Some(Self::TagId(id)) => TargetColumns { name: "", tag_id: *id },
        }
    }

    /// As titles have it: an id as it is, a name in backquotes.
    #[must_use]
    pub fn quoted(&self) -> String {
        match self {
            Self::TagId(id) => id.to_string(),
            Self::Name(name) => format!("`{name}`"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TagId(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The fields of a report: `target` is the name or the id as text, `target_id` is there for an id only.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_id: Option<i64>,
}

/// Writes the fields of a report; for serde.
#[allow(clippy::ref_option, reason = "serde passes a reference")]
pub(crate) fn serialize<S: Serializer>(target: &Option<Target>, serializer: S) -> Result<S::Ok, S::Error> {
    let target_id = match target {
        Some(Target::TagId(id)) => Some(*id),
        Some(Target::Name(_)) | None => None,
    };
    Fields { target: target.as_ref().map(ToString::to_string), target_id }.serialize(serializer)
}

/// Reads the fields of a report; for serde.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Target>, D::Error> {
    match Fields::deserialize(deserializer)? {
        Fields { target: None, target_id: None } => Ok(None),
        Fields { target: Some(name), target_id: None } => Ok(Some(Target::Name(name))),
        Fields { target: Some(text), target_id: Some(id) } if text == id.to_string() => {
            Ok(Some(Target::TagId(id)))
        }
        Fields { target, target_id: Some(id) } => {
            let found = target.map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
            Err(D::Error::custom(format!("expected the target `{id}` of target_id {id}, found {found}")))
        }
    }
}
