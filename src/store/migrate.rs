//! The tables, version by version. A version that was released is never changed: the next one comes after it.

use super::{
    Cells, Statement, Store, StoreError, driver::BoxFuture, migrate_v6, migrate_v7, migrate_v8, migrate_v9,
    migrate_v11, migrate_v12, migrate_v13, migrate_v14, migrate_v16,
};
use std::time::Duration;

/// Reads the tables of the version before a migration and returns the statements that convert their data.
type Convert = fn(&Store) -> BoxFuture<'_, Vec<Statement>>;

/// Moves data in transactions of its own, before that of its version; started over after an interruption, it continues.
type Move = fn(&Store) -> BoxFuture<'_, ()>;

/// What a version changes, in one transaction.
struct Version {
    /// Statements that are the same for every database.
    sql: &'static [&'static str],
    /// Data that plain SQL can't convert: reads the tables of the version before, and returns statements that run after
    /// `sql`. It may know formats of floors above the store, as they were in the version before.
    convert: Option<Convert>,
    /// Data that one transaction can't hold.
    moves: Option<Move>,
}

impl Version {
    const fn from_sql(sql: &'static [&'static str]) -> Self {
        Self { sql, convert: None, moves: None }
    }

    const fn with_convert(sql: &'static [&'static str], convert: Convert) -> Self {
        Self { sql, convert: Some(convert), moves: None }
    }
}

/// All versions; the first is version 1.
const VERSIONS: &[Version] = &[
    Version::from_sql(&[
    "CREATE TABLE IF NOT EXISTS mpscript_token (
        account TEXT NOT NULL, kind TEXT NOT NULL, token TEXT NOT NULL, expires_at BIGINT NOT NULL,
        generation BIGINT NOT NULL, renewed_by TEXT NOT NULL, renewed_at BIGINT NOT NULL,
        PRIMARY KEY (account, kind))",
    "CREATE TABLE IF NOT EXISTS mpscript_lease (
        name TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, expires_at BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS mpscript_budget (
        name TEXT NOT NULL, period BIGINT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (name, period))",
    "CREATE TABLE IF NOT EXISTS mpscript_ledger (
        account TEXT NOT NULL, endpoint TEXT NOT NULL, day BIGINT NOT NULL, used BIGINT NOT NULL,
        spent BIGINT NOT NULL, PRIMARY KEY (account, endpoint, day))",
    ]),
    Version::from_sql(&[
        "CREATE TABLE IF NOT EXISTS mpscript_run (
        id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL, script TEXT NOT NULL, state TEXT NOT NULL,
        dry_run BIGINT NOT NULL, started_at BIGINT NOT NULL, ended_at BIGINT NOT NULL, beat_at BIGINT NOT NULL,
        owner TEXT NOT NULL, attempt BIGINT NOT NULL, undoes TEXT NOT NULL, note TEXT NOT NULL, stop BIGINT NOT NULL,
        source TEXT NOT NULL, options TEXT NOT NULL, report TEXT NOT NULL)",
        "CREATE TABLE IF NOT EXISTS mpscript_step (
        run TEXT NOT NULL, step TEXT NOT NULL, seq BIGINT NOT NULL, what TEXT NOT NULL, state TEXT NOT NULL,
        change TEXT NOT NULL, checkpoint TEXT NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (run, step))",
        "CREATE INDEX IF NOT EXISTS mpscript_step_seq ON mpscript_step (run, seq)",
        "CREATE TABLE IF NOT EXISTS mpscript_batch (
        run TEXT NOT NULL, step TEXT NOT NULL, number BIGINT NOT NULL, items TEXT NOT NULL, size BIGINT NOT NULL,
        pending BIGINT NOT NULL, pending_items TEXT NOT NULL, failed TEXT NOT NULL, failures BIGINT NOT NULL,
        PRIMARY KEY (run, step, number))",
        "CREATE TABLE IF NOT EXISTS mpscript_total (
        account TEXT NOT NULL, listing TEXT NOT NULL, total BIGINT NOT NULL, PRIMARY KEY (account, listing))",
    ]),
    Version::from_sql(&[
        "CREATE TABLE IF NOT EXISTS mpscript_automation (
        name TEXT NOT NULL PRIMARY KEY, folder TEXT NOT NULL, since BIGINT NOT NULL, paused_until BIGINT NOT NULL,
        state TEXT NOT NULL, stale TEXT NOT NULL)",
        "CREATE TABLE IF NOT EXISTS mpscript_fire (
        automation TEXT NOT NULL, source TEXT NOT NULL, instant BIGINT NOT NULL, state TEXT NOT NULL,
        reason TEXT NOT NULL, run TEXT NOT NULL, node TEXT NOT NULL, at BIGINT NOT NULL,
        PRIMARY KEY (automation, source, instant))",
        "CREATE INDEX IF NOT EXISTS mpscript_fire_state ON mpscript_fire (state)",
    ]),
    Version::from_sql(&[
        "CREATE TABLE IF NOT EXISTS mpscript_printed (
        run TEXT NOT NULL, attempt BIGINT NOT NULL, number BIGINT NOT NULL, at BIGINT NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (run, attempt, number))",
        "ALTER TABLE mpscript_automation ADD COLUMN good TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE mpscript_automation ADD COLUMN served_at BIGINT NOT NULL DEFAULT 0",
        "CREATE INDEX IF NOT EXISTS mpscript_fire_outcome ON mpscript_fire (automation, state, instant)",
        "CREATE INDEX IF NOT EXISTS mpscript_fire_run ON mpscript_fire (run)",
        "CREATE INDEX IF NOT EXISTS mpscript_run_under_way ON mpscript_run (state) WHERE state = 'running'",
    ]),
    Version::from_sql(&[
        "ALTER TABLE mpscript_fire ADD COLUMN failures BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE mpscript_fire ADD COLUMN deaths BIGINT NOT NULL DEFAULT 0",
    ]),
    Version::with_convert(migrate_v6::SQL, migrate_v6::convert),
    Version::with_convert(migrate_v7::SQL, migrate_v7::convert),
    Version::with_convert(migrate_v8::SQL, migrate_v8::convert),
    Version::from_sql(migrate_v9::SQL),
    Version::from_sql(migrate_v11::SQL_10),
    Version {
        sql: migrate_v11::SQL_11,
        convert: Some(migrate_v11::convert),
        moves: Some(migrate_v11::move_sources),
    },
    Version::from_sql(migrate_v12::SQL),
    Version::with_convert(migrate_v13::SQL, migrate_v13::convert),
    Version { sql: migrate_v14::SQL, convert: None, moves: Some(migrate_v14::convert_options) },
    // Also the gate of the next version: a program of version 14 can't read what that one converts.
    Version::from_sql(&[
        "ALTER TABLE mpscript_automation ADD COLUMN confirmed_at BIGINT NOT NULL DEFAULT 0",
    ]),
    Version { sql: &[], convert: None, moves: Some(migrate_v16::convert_steps) },
];

/// Processes that start together migrate at the same time: all but one of them fail and see its result in a later attempt.
const MAX_ATTEMPTS: u32 = 20;

/// Between attempts.
const RETRY_DELAY: Duration = Duration::from_millis(20);

impl Store {
    /// Brings the tables to this program's version. Tables of a newer version are an error, and stay as they are.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let known = i64::try_from(VERSIONS.len()).unwrap_or(i64::MAX);
        let mut result = Ok(());
        for _ in 0..MAX_ATTEMPTS {
            let found = self.version().await?.unwrap_or_default();
            if found == known {
                return Ok(());
            }
            if found > known {
                return Err(StoreError::Newer { location: self.location().to_owned(), found, known });
            }
            result = self.step(found).await;
            match &result {
                Ok(()) => {}
                // Another process is migrating too; each database reports that in its own way.
                Err(StoreError::Conflict { .. } | StoreError::Other { .. }) => {
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                Err(_) => return result,
            }
        }
        result
    }

    /// A transaction of a migration, which takes as long as the rows need that a store has.
    async fn migrating_transaction(&self, statements: Vec<Statement>) -> Result<Vec<u64>, StoreError> {
        let unlimited = self.driver.unlimited_transaction().iter().map(|sql| Statement::new(sql));
        self.driver.transaction(unlimited.chain(statements).collect()).await
    }

    /// The version of the tables; `None` before there are any.
    async fn version(&self) -> Result<Option<i64>, StoreError> {
        let rows = self.query(Statement::new("SELECT version FROM mpscript_schema WHERE id = 1")).await;
        match rows {
            Ok(rows) => {
                let version = |row| Cells::new("mpscript_schema", "version", "1", row).count();
                rows.first().map(version).transpose()
            }
            // There is no such table yet; any other fault comes up again when it is created.
            Err(StoreError::Other { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Migrates from one version to the next.
    async fn step(&self, from: i64) -> Result<(), StoreError> {
        if from == 0 {
            let table = "CREATE TABLE IF NOT EXISTS mpscript_schema (id BIGINT NOT NULL PRIMARY KEY, version BIGINT NOT NULL)";
            self.execute(Statement::new(table)).await?;
            let row = "INSERT INTO mpscript_schema (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING";
            self.execute(Statement::new(row)).await?;
        }
        let next = usize::try_from(from).ok().and_then(|from| VERSIONS.get(from));
        let Some(Version { sql, convert, moves }) = next else { return Ok(()) };
        if let Some(moves) = moves {
            moves(self).await?;
        }
        let mut statements: Vec<Statement> = sql.iter().map(|sql| Statement::new(sql)).collect();
        if let Some(convert) = convert {
            statements.extend(convert(self).await?);
        }
        // Exactly one process moves on from a version; this makes the transaction of the others fail.
        statements.push(
            Statement::new("UPDATE mpscript_schema SET version = version + 1 WHERE id = 1 AND version = $1")
                .with(from)
                .expecting(1),
        );
        self.migrating_transaction(statements).await.map(drop)
    }
}
