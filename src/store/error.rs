//! Why a store operation failed, and what to do next.

/// Why a store operation failed. It never quotes what was to be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file or the server can't be reached.
    #[error("the store {location} can't be opened: {reason}")]
    Unreachable {
        /// The store's location.
        location: String,
        /// The operating system's reason.
        reason: String,
    },
    /// Another process holds it.
    #[error("the store {location} is locked by another process")]
    Locked {
        /// The store's location.
        location: String,
    },
    /// It can't be written.
    #[error("the store {location} is read-only")]
    ReadOnly {
        /// The store's location.
        location: String,
    },
    /// Other users can read it, and it holds tokens.
    #[error("the store {location} can be read by others")]
    Exposed {
        /// The store's location.
        location: String,
    },
    /// The disk is full.
    #[error("there is no room for the store {location}: the disk is full")]
    Full {
        /// The store's location.
        location: String,
    },
    /// The file is damaged, or not a store.
    #[error("{location} is no store of mpscript, or is damaged")]
    Corrupt {
        /// The store's location.
        location: String,
    },
    /// A newer version of mpscript migrated it.
    #[error("the store {location} is of version {found}, and this mpscript knows versions up to {known}")]
    Newer {
        /// The store's location.
        location: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another process changed the same rows.
    #[error("the store {location} was changed by another process at the same moment")]
    Conflict {
        /// The store's location.
        location: String,
    },
    /// A column holds something that this program can't read.
    #[error("`{column}` in row `{row}` of {table} can't be read: expected {expected}, found {found}")]
    Decode {
        /// The table.
        table: &'static str,
        /// The row, by its key.
        row: String,
        /// The column.
        column: &'static str,
        /// What it should hold.
        expected: String,
        /// What it holds, or where that is wrong.
        found: String,
    },
    /// Anything else.
    #[error("the store {location} failed: {reason}")]
    Other {
        /// The store's location.
        location: String,
        /// The database's reason.
        reason: String,
    },
}

impl StoreError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check the path and its rights, or the server's address, name and password in MPSCRIPT_STORE"
            }
            Self::Locked { .. } => "wait for the other process, or end it; nothing was lost",
            Self::ReadOnly { .. } => {
                "give yourself the right to write the file and its folder, or set XDG_STATE_HOME to another folder"
            }
            Self::Exposed { .. } => "tokens are kept there: chmod 600 it",
            Self::Full { .. } => "make room on the disk; what was written before is safe",
            Self::Corrupt { .. } => {
                "move the file away to start with an empty store (tokens are fetched again, today's counts are lost), or restore it"
            }
            Self::Newer { .. } => "use the newer mpscript, or another store; this one was left as it is",
            Self::Conflict { .. } => "try again",
            Self::Decode { .. } => "the row was left as it is; was it written by a newer mpscript?",
            Self::Other { .. } => "try again; if it persists, move the store away to start with an empty one",
        }
    }
}
