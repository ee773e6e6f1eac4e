//! Why a store operation failed, and what to do next.

use std::time::Duration;

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
    /// Its server does not answer now, or takes no connection now.
    #[error("the store {location} can't be opened: {reason}")]
    Down {
        /// The store's location.
        location: String,
        /// Why.
        reason: String,
    },
    /// Another process holds it.
    #[error("the store {location} is locked by another process")]
    Locked {
        /// The store's location.
        location: String,
    },
    /// It has not answered in time: its disk or server is slow, or this process asks too much of it.
    #[error("the store {location} did not answer within {} s", .within.as_secs())]
    TimedOut {
        /// The store's location.
        location: String,
        /// How long it was waited for.
        within: Duration,
    },
    /// The file was deleted or replaced while it was open.
    #[error("the store {location} was deleted or replaced while it was in use")]
    Replaced {
        /// The store's location.
        location: String,
    },
    /// A pooler gives each transaction another connection of the server.
    #[error("{location} is a pooler that shares the server's connections between transactions")]
    Pooled {
        /// The store's location.
        location: String,
    },
    /// A server that takes no writes.
    #[error("the store {location} takes no writes: it is a standby, or read-only for this role")]
    Standby {
        /// The store's location.
        location: String,
    },
    /// The role lacks rights on the server.
    #[error("the role of the store {location} lacks rights: {reason}")]
    NoRights {
        /// The store's location.
        location: String,
        /// The server's reason.
        reason: String,
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
    /// Whether no later operation of this process can succeed.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Replaced { .. })
    }

    /// Whether a later operation may succeed although nothing here has changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Down { .. }
                | Self::Locked { .. }
                | Self::TimedOut { .. }
                | Self::Full { .. }
                | Self::Conflict { .. }
        )
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { location, .. } if is_server(location) => {
                "check the server's address, name and password in MPSCRIPT_STORE"
            }
            Self::Unreachable { .. } => "check the path and its rights",
            Self::Down { .. } => "start the server, or check its address in MPSCRIPT_STORE; nothing was lost",
            Self::Locked { .. } => "wait for the other process, or end it; nothing was lost",
            Self::TimedOut { location, .. } if is_server(location) => {
                "see whether the server or the network is overloaded; nothing was lost"
            }
            Self::TimedOut { .. } => {
                "its disk is slow, or this process asks for more at once than it can do; nothing was lost"
            }
            Self::Replaced { .. } => {
                "end what uses a store before it is moved or restored; this process wrote nothing more: start it again"
            }
            Self::Pooled { .. } => "connect to PostgreSQL itself, or to a pool in session mode",
            Self::Standby { .. } => "connect to the primary server, with a role that may write",
            Self::NoRights { .. } => {
                "as the database's owner: GRANT USAGE, CREATE ON SCHEMA public TO the role; tables that exist must belong to it"
            }
            Self::ReadOnly { .. } => {
                "give yourself the right to write the file and its folder, or set XDG_STATE_HOME to another folder"
            }
            Self::Exposed { .. } => "tokens are kept there: chmod 600 it",
            Self::Full { .. } => "make room on the disk; what was written before is safe",
            Self::Corrupt { location } if is_server(location) => {
                "the server reports damaged data: restore the database from a backup"
            }
            Self::Corrupt { .. } => {
                "move the file away to start with an empty store (tokens are fetched again, today's counts are lost), or restore it"
            }
            Self::Newer { .. } => "use the newer mpscript, or another store; this one was left as it is",
            Self::Conflict { .. } => "try again",
            Self::Decode { .. } => "the row was left as it is; was it written by a newer mpscript?",
            Self::Other { .. } => "try again; the store was left as it is",
        }
    }
}

/// Whether a store's location is that of a server, or of the variable that holds its URL.
fn is_server(location: &str) -> bool {
    location.starts_with("postgres://") || location == "MPSCRIPT_STORE"
}
