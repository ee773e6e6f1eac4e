//! Why the store could not do something: what is wrong with it, and what to do next.

/// Why the store could not do something. It never holds what was to be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file or the server can't be reached.
    #[error("the store {place} can't be opened: {reason}")]
    Unreachable {
        /// Where it is.
        place: String,
        /// The system's word.
        reason: String,
    },
    /// Another process holds it.
    #[error("the store {place} is locked by another process")]
    Locked {
        /// Where it is.
        place: String,
    },
    /// It can't be written.
    #[error("the store {place} is read-only")]
    ReadOnly {
        /// Where it is.
        place: String,
    },
    /// Others can read it, and tokens are in it.
    #[error("the store {place} can be read by others")]
    Exposed {
        /// Where it is.
        place: String,
    },
    /// There is no room.
    #[error("there is no room for the store {place}: the disk is full")]
    Full {
        /// Where it is.
        place: String,
    },
    /// It is damaged, or something else.
    #[error("{place} is no store of mpscript, or is damaged")]
    Corrupt {
        /// Where it is.
        place: String,
    },
    /// A newer mpscript made it.
    #[error("the store {place} is of version {found}, and this mpscript knows versions up to {known}")]
    Newer {
        /// Where it is.
        place: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Somebody else changed it at the same moment.
    #[error("the store {place} was changed by another process at the same moment")]
    Conflict {
        /// Where it is.
        place: String,
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
    #[error("the store {place} failed: {reason}")]
    Other {
        /// Where it is.
        place: String,
        /// The database's word.
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
                "move the file away to begin anew (tokens are fetched again, counts of today are lost), or restore it"
            }
            Self::Newer { .. } => "use the newer mpscript, or another store; this one was left as it is",
            Self::Conflict { .. } => "try again",
            Self::Decode { .. } => "the row was left as it is; was it written by a newer mpscript?",
            Self::Other { .. } => "try again; if it stays so, move the store away to begin anew",
        }
    }
}
