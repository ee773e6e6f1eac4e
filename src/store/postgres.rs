//! PostgreSQL: one database for all machines.

use super::{StoreError, driver::drive};
use crate::base::Secret;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode},
};
use std::{net::IpAddr, str::FromStr, time::Duration};

/// How long connecting may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Connections of one process.
const MAX_CONNECTIONS: u32 = 4;

/// The server cancels a statement that takes longer or waits longer for a lock, and ends a transaction whose process
/// was suspended in it, so that no process waits forever for another.
const LIMITS: [(&str, &str); 3] =
    [("lock_timeout", "5s"), ("statement_timeout", "8s"), ("idle_in_transaction_session_timeout", "10s")];

/// A database on a server.
pub(super) struct Postgres {
    pool: PgPool,
    location: String,
}

impl Postgres {
    pub(super) async fn connect(url: &Secret) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url.reveal()).map_err(|_| StoreError::Unreachable {
            // Not the parser's message: it may quote the password.
            location: "MPSCRIPT_STORE".to_owned(),
            reason: "it is no URL like postgres://USER:PASSWORD@HOST/DATABASE".to_owned(),
        })?;
        let options = options.disable_statement_logging().options(LIMITS);
        let options = require_tls_off_loopback(options, url)?;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let location = format!("postgres://{}:{}/{database}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(TIMEOUT)
            .connect_with(options)
            .await
            .map_err(|error| fault(&location, &error))?;
        Ok(Self { pool, location })
    }

    #[expect(clippy::unused_self, reason = "a file can be replaced, a server's database can't")]
    fn is_in_place(&self) -> bool {
        true
    }
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

/// SQLSTATE codes as `StoreError`.
fn fault(location: &str, error: &sqlx::Error) -> StoreError {
    let location = location.to_owned();
    let unreachable = |reason: String| StoreError::Unreachable { location: location.clone(), reason };
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(error) => unreachable(error.to_string()),
            sqlx::Error::PoolTimedOut => unreachable(format!("no connection within {} s", TIMEOUT.as_secs())),
            sqlx::Error::Tls(error) => unreachable(error.to_string()),
            other => StoreError::Other { location, reason: other.to_string() },
        };
    };
    let code = database.code().unwrap_or_default();
    match code.as_ref() {
        "25006" => StoreError::ReadOnly { location },
        "53100" => StoreError::Full { location },
        // Lock timeout, deadlock, statement timeout.
        "55P03" | "40P01" | "57014" => StoreError::Locked { location },
        // A unique violation, a serialization failure, an object that another process created.
        "23505" | "40001" | "42P07" | "42710" => StoreError::Conflict { location },
        "XX001" | "XX002" => StoreError::Corrupt { location },
        // Connection, authentication, unknown database, shutdown.
        code if code.starts_with("08")
            || code.starts_with("28")
            || code.starts_with("3D")
            || code.starts_with("57P") =>
        {
            unreachable(database.message().to_owned())
        }
        _ => StoreError::Other { location, reason: database.message().to_owned() },
    }
}
