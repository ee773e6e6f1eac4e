//! SQLite: one file for all processes of a machine.

use super::{StoreError, driver::drive, opened_files::OpenedFiles};
use crate::base::{Stopwatch, refuse_other_kinds};
use sqlx::{
    ConnectOptions, Connection, Row as _,
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
        SqliteSynchronous,
    },
};
use std::{
    fs, io, mem,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// How long a statement waits for the locks of other processes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Connections of one process. Each further connection would reread the pages that the others write, and wait for
/// their locks by polling.
const MAX_CONNECTIONS: u32 = 1;

/// SQLite limits no statement.
const UNLIMITED_TRANSACTION: &[&str] = &[];

/// A file has no server.
const SERVER_CLOCK: Option<&str> = None;

/// A SQLite file.
pub(super) struct Sqlite {
    pool: SqlitePool,
    location: String,
    opened: Arc<OpenedFiles>,
    /// Set once the files are not those that were opened.
    abandoned: OnceLock<()>,
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
                Ok(pool) => {
                    // A store of an earlier version that can't be given an id now gets it when it is next opened.
                    if let Ok(id) = store_id(&pool).await {
                        opened.set_store_id(id);
                    }
                    return Ok(Self { pool, location, opened, abandoned: OnceLock::new() });
                }
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
    #[expect(clippy::unused_async, reason = "a server is asked for its reason, a file has none")]
    async fn fault(&self, error: sqlx::Error) -> StoreError {
        fault(&self.location, &error)
    }

    fn is_in_place(&self) -> bool {
        if self.abandoned.get().is_none() && self.opened.are_in_place() {
            return true;
        }
        self.abandoned.get_or_init(|| {
            // Its connection stays open to the end of the process: closed, it would copy its log into the file that is there
            // now, and delete that file's log.
            mem::forget(self.pool.clone());
            self.opened.set_log_aside();
        });
        false
    }
}

/// The random number that tells a store from others, in its header; a store that has none is given one.
async fn store_id(pool: &SqlitePool) -> sqlx::Result<u32> {
    let stored = read_store_id(&mut *pool.acquire().await?).await?;
    if stored != 0 {
        return Ok(stored);
    }
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let stored = read_store_id(&mut transaction).await?;
    if stored != 0 {
        return Ok(stored);
    }
    // SQLite takes and gives it as a signed number.
    let id = fastrand::u32(1..=i32::MAX.unsigned_abs());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA application_id = {id}")))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    // From the log into the file, where copies of it have it from. What others read now is copied later.
    sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut *pool.acquire().await?).await?;
    Ok(id)
}

async fn read_store_id(connection: &mut SqliteConnection) -> sqlx::Result<u32> {
    let row = sqlx::raw_sql("PRAGMA application_id").fetch_one(connection).await?;
    let id: i32 = row.try_get(0)?;
    Ok(id.cast_unsigned())
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
