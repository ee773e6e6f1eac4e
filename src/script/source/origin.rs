//! Where the text of a script comes from, and what is recorded of it.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The name of a script that is typed as an expression on the command line.
pub const EXPRESSION: &str = "-e";

/// Where a script comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file.
    File {
        /// As the person named it, for messages.
        named: PathBuf,
        /// Where it is.
        path: PathBuf,
    },
    /// Text that was typed or piped, with its name in messages and the folder of its imports.
    Text {
        /// `-` or `-e`.
        name: String,
        /// The script.
        text: String,
        /// Where imports are looked for.
        folder: PathBuf,
    },
    /// The recorded script of a run, with its imports as they were then.
    Recorded(Source),
}

impl Origin {
    /// The folder of the script, if it lies in one.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::File { path, .. } => Some(parent(path)),
            Self::Text { folder, .. } => Some(folder.clone()),
            Self::Recorded(_) => None,
        }
    }
}

/// The folder that a file lies in.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A script and its imports, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The script's name in messages.
    pub name: String,
    /// The script.
    pub text: String,
    /// What it imports, and what those import.
    pub imports: Vec<ImportSource>,
}

/// An imported file, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportSource {
    /// As the `import` names it.
    pub path: String,
    /// Its file, for messages.
    pub file: String,
    /// What is in it.
    pub text: String,
}
