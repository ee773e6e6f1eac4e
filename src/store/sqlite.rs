//! SQLite: one file for all processes of a machine.

use super::{StoreError, driver::drive};
use crate::base::{Stopwatch, lock, refuse_other_kinds};
use sqlx::{
    ConnectOptions, Connection,
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
        SqliteSynchronous,
    },
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

/// How long a statement waits for the locks of other processes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Connections of one process. Each further connection would reread the pages that the others write, and wait for
/// their locks by polling.
const MAX_CONNECTIONS: u32 = 1;

/// SQLite limits no statement.
const UNLIMITED_TRANSACTION: &[&str] = &[];

/// A SQLite file.
pub(super) struct Sqlite {
    pool: SqlitePool,
    location: String,
    opened: Arc<OpenedFiles>,
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
        let opened = Arc::new(OpenedFiles::new(path));
        let (connecting, releasing) = (Arc::clone(&opened), Arc::clone(&opened));
        let pooled = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            // The last one to close a file deletes its log.
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |connection, _| {
                let opened = Arc::clone(&connecting);
                Box::pin(async move {
                    // The log is opened by the first statement that reads.
                    sqlx::raw_sql("SELECT 1 FROM sqlite_schema").execute(connection).await?;
                    opened.connected();
                    Ok(())
                })
            })
            .after_release(move |connection, _| {
                let opened = Arc::clone(&releasing);
                Box::pin(async move {
                    let is_reusable = is_reusable(connection).await;
                    if !matches!(is_reusable, Ok(true)) {
                        opened.closing();
                    }
                    is_reusable
                })
            });
        let since = Stopwatch::start();
        loop {
            let pool = pooled.clone().connect_with(options.clone()).await;
            match pool.map_err(|error| fault(&location, &error)) {
                Ok(_) if can_be_read_by_others(path) => return Err(StoreError::Exposed { location }),
                Ok(pool) => return Ok(Self { pool, location, opened }),
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

impl Sqlite {
    fn is_in_place(&self) -> bool {
        self.opened.are_in_place()
    }
}

/// A file of the system, whatever its name: its device and its number there.
type FileId = (u64, u64);

/// The identities of a store's files, which other files of the same names do not have.
struct OpenedFiles {
    path: PathBuf,
    ids: Mutex<FileIds>,
}

#[derive(Default)]
struct FileIds {
    database: Option<FileId>,
    /// Of the write-ahead log, while a connection has it open.
    log: Option<FileId>,
}

impl OpenedFiles {
    fn new(path: &Path) -> Self {
        // SQLite follows links, and puts the log beside their target.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Self { path, ids: Mutex::default() }
    }

    fn log(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        name.into()
    }

    /// A connection has opened the files.
    fn connected(&self) {
        let mut ids = lock(&self.ids);
        if ids.database.is_none() {
            ids.database = file_id(&self.path).ok();
        }
        ids.log = file_id(&self.log()).ok();
    }

    /// The connection is about to be closed, and may delete the log.
    fn closing(&self) {
        lock(&self.ids).log = None;
    }

    /// Whether the names stand for the files that were opened: what is written into others, or into deleted ones, is lost.
    fn are_in_place(&self) -> bool {
        let ids = lock(&self.ids);
        is_in_place(&self.path, ids.database) && is_in_place(&self.log(), ids.log)
    }
}

fn is_in_place(path: &Path, opened: Option<FileId>) -> bool {
    let Some(opened) = opened else { return true };
    match file_id(path) {
        Ok(found) => found == opened,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_id(_path: &Path) -> io::Result<FileId> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a connection may be used again. SQLite rolls back by itself when the disk is full or fails
/// (<https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction>); the rollback that follows
/// then fails, and leaves the connection in a transaction that no longer exists.
async fn is_reusable(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // Answered after the rollback that is pending.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
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
    if let Ok(metadata) = fs::metadata(path) {
        // SQLite would wait for a pipe.
        return refuse_other_kinds(&metadata).map_err(io::Error::other);
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
