//! SQLite: one file for all processes of a machine.

use super::{StoreError, driver::drive};
use crate::base::Stopwatch;
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fs, io, path::Path, time::Duration};

/// How long a statement waits for other processes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections of one process. With more each would read anew what the others write, and wait for them by trying again
/// and again.
const MOST: u32 = 1;

/// A SQLite file.
pub(super) struct Sqlite {
    pool: SqlitePool,
    place: String,
}

impl Sqlite {
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        prepare(path).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => StoreError::Full { place: place.clone() },
            io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { place: place.clone() },
            _ => StoreError::Unreachable { place: place.clone(), reason: error.to_string() },
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            // Readers do not wait for a writer, and a writer not for readers.
            .journal_mode(SqliteJournalMode::Wal)
            // What was written is there after the machine has lost its power, too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let since = Stopwatch::start();
        loop {
            let pool = SqlitePoolOptions::new().max_connections(MOST).connect_with(options.clone()).await;
            match pool.map_err(|error| fault(&place, &error)) {
                Ok(_) if can_be_read_by_others(path) => return Err(StoreError::Exposed { place }),
                Ok(pool) => return Ok(Self { pool, place }),
                // The first ones to open a new file turn its log on, and for that nobody is waited for.
                Err(StoreError::Locked { .. }) if since.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                // Without its log a file that can't be written can't be read either.
                Err(StoreError::Unreachable { .. }) if is_read_only(path) => {
                    return Err(StoreError::ReadOnly { place });
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a file is there and this user may not write it.
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

/// Makes the file with its folder, both for their owner alone: SQLite gives its other files the
/// rights of the first.
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

// The lock is taken at once: one that is taken later may be refused without waiting.
drive!(Sqlite, |pool| pool.begin_with("BEGIN IMMEDIATE"));

/// SQLite's result codes in our words (<https://www.sqlite.org/rescode.html>).
fn fault(place: &str, error: &sqlx::Error) -> StoreError {
    let place = place.to_owned();
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i64>().ok());
    // SQLITE_IOERR_SHMSIZE: no room to enlarge the file beside the log.
    if code == Some(4_874) {
        return StoreError::Full { place };
    }
    // An extended code has the primary one in its lowest byte.
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => StoreError::Locked { place },
        Some(8) => StoreError::ReadOnly { place },
        Some(13) => StoreError::Full { place },
        Some(11 | 26) => StoreError::Corrupt { place },
        Some(14) => {
            StoreError::Unreachable { place, reason: "it can't be opened for reading and writing".to_owned() }
        }
        _ => StoreError::Other { place, reason: error.to_string() },
    }
}
