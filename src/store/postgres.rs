//! PostgreSQL: one database for all machines.

use super::{StoreError, driver::drive};
use crate::base::Secret;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections of one process.
const MOST: u32 = 4;

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
        let options = options.disable_statement_logging();
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
        "55P03" | "40P01" => StoreError::Locked { place },
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
