//! PostgreSQL: one database for all machines.

use super::{StoreError, driver::drive};
use crate::base::Secret;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode},
};
use std::{net::IpAddr, str::FromStr, time::Duration};

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections of one process.
const MOST: u32 = 4;

/// A statement that takes longer, or waits longer for a lock, is given up: nobody waits for a server for ever. Nor for
/// a process that was stopped in the midst of a transaction: the server ends it.
const LIMITS: [(&str, &str); 3] =
    [("lock_timeout", "5s"), ("statement_timeout", "8s"), ("idle_in_transaction_session_timeout", "10s")];

/// A database on a server.
pub(super) struct Postgres {
    pool: PgPool,
    place: String,
}

impl Postgres {
    pub(super) async fn connect(url: &Secret) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url.reveal()).map_err(|_| StoreError::Unreachable {
            // Not the parser's words: they may quote the password.
            place: "MPSCRIPT_STORE".to_owned(),
            reason: "it is no URL like postgres://USER:PASSWORD@HOST/DATABASE".to_owned(),
        })?;
        let options = options.disable_statement_logging().options(LIMITS);
        let options = in_the_open_on_loopback_only(options, url)?;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let place = format!("postgres://{}:{}/{database}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(MOST)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .map_err(|error| fault(&place, &error))?;
        Ok(Self { pool, place })
    }
}

drive!(Postgres, |pool| pool.begin());

/// To another machine only with TLS and a certificate that is right: tokens travel there.
fn in_the_open_on_loopback_only(
    options: PgConnectOptions,
    url: &Secret,
) -> Result<PgConnectOptions, StoreError> {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    let is_here = host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_here {
        return Ok(options);
    }
    let is_asked_for = url.reveal().to_lowercase().contains("sslmode=");
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull | PgSslMode::VerifyCa | PgSslMode::Require => Ok(options),
        _ if is_asked_for => Err(StoreError::Unreachable {
            place: format!("postgres://{}", options.get_host()),
            reason: "its sslmode would let tokens travel in the open; use verify-full".to_owned(),
        }),
        _ => Ok(options.ssl_mode(PgSslMode::VerifyFull)),
    }
}

/// SQLSTATE in our words.
fn fault(place: &str, error: &sqlx::Error) -> StoreError {
    let place = place.to_owned();
    let unreachable = |reason: String| StoreError::Unreachable { place: place.clone(), reason };
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(error) => unreachable(error.to_string()),
            sqlx::Error::PoolTimedOut => {
                unreachable(format!("no connection within {} s", PATIENCE.as_secs()))
            }
            sqlx::Error::Tls(error) => unreachable(error.to_string()),
            other => StoreError::Other { place, reason: other.to_string() },
        };
    };
    let code = database.code().unwrap_or_default();
    match code.as_ref() {
        "25006" => StoreError::ReadOnly { place },
        "53100" => StoreError::Full { place },
        // A lock, a deadlock, a statement that took too long.
        "55P03" | "40P01" | "57014" => StoreError::Locked { place },
        // A unique violation, or a statement that met its like.
        "23505" | "40001" | "42P07" | "42710" => StoreError::Conflict { place },
        "XX001" | "XX002" => StoreError::Corrupt { place },
        // Connections, names, passwords, rights.
        code if code.starts_with("08")
            || code.starts_with("28")
            || code.starts_with("3D")
            || code.starts_with("57P") =>
        {
            unreachable(database.message().to_owned())
        }
        _ => StoreError::Other { place, reason: database.message().to_owned() },
    }
}
