//! SQLite: one file for all processes of a machine.

use super::{StoreError, driver::drive};
use crate::base::Stopwatch;
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fs, io, path::Path, time::Duration};

/// How long a statement waits for the locks of other processes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Connections of one process. Each further connection would reread the pages that the others write, and wait for
/// their locks by polling.
const MAX_CONNECTIONS: u32 = 1;

/// A SQLite file.
pub(super) struct Sqlite {
    pool: SqlitePool,
    location: String,
}

impl Sqlite {
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let location = path.display().to_string();
        prepare(path).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => StoreError::Full { location: location.clone() },
            io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { location: location.clone() },
            _ => StoreError::Unreachable { location: location.clone(), reason: error.to_string() },
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            // Readers and the writer do not block each other.
            .journal_mode(SqliteJournalMode::Wal)
            // A committed transaction survives a power failure.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(TIMEOUT)
            .disable_statement_logging();
        let since = Stopwatch::start();
        loop {
            let pool =
                SqlitePoolOptions::new().max_connections(MAX_CONNECTIONS).connect_with(options.clone()).await;
            match pool.map_err(|error| fault(&location, &error)) {
                Ok(_) if can_be_read_by_others(path) => return Err(StoreError::Exposed { location }),
                Ok(pool) => return Ok(Self { pool, location }),
                // Turning the write-ahead log on for a new file needs a lock that `busy_timeout` does not wait for.
                Err(StoreError::Locked { .. }) if since.elapsed() < TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                // A file in WAL mode that can't be written can't be read either.
                Err(StoreError::Unreachable { .. }) if is_read_only(path) => {
                    return Err(StoreError::ReadOnly { location });
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a file exists that this user may not write.
fn is_read_only(path: &Path) -> bool {
    let opened = fs::OpenOptions::new().write(true).open(path);
    opened.is_err_and(|error| {
        matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    })
}

#[cfg(unix)]
fn can_be_read_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn can_be_read_by_others(_path: &Path) -> bool {
    false
}

/// Creates the file and its folder with access for their owner only: SQLite gives its log the same permissions.
fn prepare(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    if path.exists() {
        return Ok(());
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

// The write lock is taken at the start of a transaction: taken later, it may be refused without waiting.
drive!(Sqlite, |pool| pool.begin_with("BEGIN IMMEDIATE"));

/// SQLite's result codes as `StoreError` (<https://www.sqlite.org/rescode.html>).
fn fault(location: &str, error: &sqlx::Error) -> StoreError {
    let location = location.to_owned();
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i64>().ok());
    // SQLITE_IOERR_SHMSIZE: no room to enlarge the shared-memory file.
    if code == Some(4_874) {
        return StoreError::Full { location };
    }
    // The lowest byte of an extended code is the primary code.
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => StoreError::Locked { location },
        Some(8) => StoreError::ReadOnly { location },
        Some(13) => StoreError::Full { location },
        Some(11 | 26) => StoreError::Corrupt { location },
        Some(14) => StoreError::Unreachable {
            location,
            reason: "it can't be opened for reading and writing".to_owned(),
        },
        _ => StoreError::Other { location, reason: error.to_string() },
    }
}
