//! PostgreSQL: one database for all machines.

use super::{StoreError, driver::drive};
use crate::base::Secret;
use sqlx::{
    ConnectOptions, Connection,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode},
};
use std::{io, net::IpAddr, str::FromStr, time::Duration};

/// How long connecting may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long the connection may take that finds why the pool got none.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections of one process.
const MAX_CONNECTIONS: u32 = 4;

/// The server cancels a statement that takes longer or waits longer for a lock, and ends a transaction whose process
/// was suspended in it, so that no process waits forever for another. Set once connected: poolers refuse parameters of
/// the startup.
const SET_LIMITS: &str = "SET lock_timeout = '5s'; SET statement_timeout = '8s';
    SET idle_in_transaction_session_timeout = '10s'";

/// A migration changes as many rows as there are.
const UNLIMITED_TRANSACTION: &[&str] = &["SET LOCAL statement_timeout = 0"];

/// The time of day, not that of the transaction's start.
const SERVER_CLOCK: Option<&str> =
    Some("SELECT CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)");

/// Undoes `SET_LIMITS` on a connection that others use too.
const RESET_LIMITS: &str =
    "RESET lock_timeout; RESET statement_timeout; RESET idle_in_transaction_session_timeout";

/// A database on a server.
pub(super) struct Postgres {
    pool: PgPool,
    options: PgConnectOptions,
    location: String,
}

impl Postgres {
    pub(super) async fn connect(url: &Secret) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url.reveal()).map_err(|_| StoreError::Unreachable {
            // Not the parser's message: it may quote the password.
            location: "MPSCRIPT_STORE".to_owned(),
            reason: "it is no URL like postgres://USER:PASSWORD@HOST/DATABASE".to_owned(),
        })?;
        // Poolers refuse that parameter too.
        let options = options.disable_statement_logging().extra_float_digits(None);
        let options = require_tls_off_loopback(options, url)?;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let location = format!("postgres://{}:{}/{database}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(SET_LIMITS).execute(connection).await.map(drop) })
            })
            .connect_with(options.clone())
            .await;
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => return Err(explain(&options, &location, error).await),
        };
        if shares_sessions(&pool).await.map_err(|error| fault(&location, &error))? {
            return Err(StoreError::Pooled { location });
        }
        Ok(Self { pool, options, location })
    }

    async fn fault(&self, error: sqlx::Error) -> StoreError {
        explain(&self.options, &self.location, error).await
    }

    #[expect(clippy::unused_self, reason = "a file can be replaced, a server's database can't")]
    fn is_in_place(&self) -> bool {
        true
    }
}

/// Whether a pooler gives one session of the server to several connections, as poolers do in transaction mode: settings
/// and prepared statements of one would be those of another.
async fn shares_sessions(pool: &PgPool) -> sqlx::Result<bool> {
    let mut one = pool.acquire().await?;
    // A server that has no second connection is no pooler.
    let Ok(mut other) = pool.acquire().await else { return Ok(false) };
    let shared = session(&mut one).await? == session(&mut other).await?;
    if shared {
        sqlx::raw_sql(RESET_LIMITS).execute(&mut *one).await?;
    }
    other.close().await?;
    Ok(shared)
}

/// The process that serves a connection now.
async fn session(connection: &mut PgConnection) -> sqlx::Result<i32> {
    use sqlx::Row as _;
    // Without a prepared statement, which a pooler might look for in another session.
    let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?;
    row.try_get(0)
}

drive!(Postgres, |pool| pool.begin());

/// A connection to another machine uses TLS with a verified certificate: tokens are sent over it.
fn require_tls_off_loopback(options: PgConnectOptions, url: &Secret) -> Result<PgConnectOptions, StoreError> {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback {
        return Ok(options);
    }
    let names_ssl_mode = url.reveal().to_lowercase().contains("sslmode=");
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull | PgSslMode::VerifyCa | PgSslMode::Require => Ok(options),
        _ if names_ssl_mode => Err(StoreError::Unreachable {
            location: format!("postgres://{}", options.get_host()),
            reason: "its sslmode would send tokens in clear text; use verify-full".to_owned(),
        }),
        _ => Ok(options.ssl_mode(PgSslMode::VerifyFull)),
    }
}

/// Whether a connection that failed so may succeed later: the server or the network is down, or its socket is not there.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::NotFound
    ) || error.to_string().contains("Temporary failure in name resolution")
}

/// The error of an operation. `PoolTimedOut` hides the server's error, which a connection without the pool obtains.
async fn explain(options: &PgConnectOptions, location: &str, error: sqlx::Error) -> StoreError {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        match tokio::time::timeout(PROBE_TIMEOUT, PgConnection::connect_with(options)).await {
            Ok(Err(reason)) => return fault(location, &reason),
            // The pool's own connections are all in use.
            Ok(Ok(connection)) => drop(connection.close().await),
            Err(_) => {}
        }
    }
    fault(location, &error)
}

/// SQLSTATE codes as `StoreError`.
fn fault(location: &str, error: &sqlx::Error) -> StoreError {
    let location = location.to_owned();
    let unreachable = |reason: String| StoreError::Unreachable { location: location.clone(), reason };
    let down = |reason: String| StoreError::Down { location: location.clone(), reason };
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(error) if may_pass(error) => down(error.to_string()),
            sqlx::Error::Io(error) => unreachable(error.to_string()),
            sqlx::Error::PoolTimedOut => down(format!("no connection within {} s", TIMEOUT.as_secs())),
            sqlx::Error::Tls(error) => unreachable(error.to_string()),
            other => StoreError::Other { location, reason: other.to_string() },
        };
    };
    let code = database.code().unwrap_or_default();
    match code.as_ref() {
        // A read-only transaction.
        "25006" => StoreError::Standby { location },
        "42501" => StoreError::NoRights { location, reason: database.message().to_owned() },
        // A prepared statement that exists already, or does not exist, or has other parameters.
        "42P05" | "26000" => StoreError::Pooled { location },
        "08P01" if database.message().starts_with("bind message supplies") => StoreError::Pooled { location },
        "53100" => StoreError::Full { location },
        // Lock timeout, deadlock, statement timeout.
        "55P03" | "40P01" | "57014" => StoreError::Locked { location },
        // A unique violation, a serialization failure, an object that another process created.
        "23505" | "40001" | "42P07" | "42710" => StoreError::Conflict { location },
        "XX001" | "XX002" => StoreError::Corrupt { location },
        // It shuts down or starts up, or has too many connections.
        code if code.starts_with("57P") || code == "53300" => down(database.message().to_owned()),
        // Connection, authentication, unknown database.
        code if code.starts_with("08") || code.starts_with("28") || code.starts_with("3D") => {
            unreachable(database.message().to_owned())
        }
        _ => StoreError::Other { location, reason: database.message().to_owned() },
    }
}
