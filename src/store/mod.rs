//! State that outlives a process: tokens, leases, budgets, the ledger of calls, runs and their journals.
//!
//! One trait with two drivers, SQLite for one machine and PostgreSQL for several; each concern is a
//! file of statements above it, the same SQL for both. Must never know what the platform does: of a step it has the
//! name of its kind, which is a durable word, and its keys are texts that others choose.
//!
//! Each file with methods of [`Store`] has those of one concern: this one opens a store and executes statements, `migrate`
//! brings the tables up to date, `run`, `journal`, `batch` and `output` are the parts of a recorded run (`run` with its write
//! locks), `purge` deletes runs, fires and automations with what depends on them, and `audience_size`, `automation`,
//! `budget`, `clock`, `fire`, `lease`, `ledger`, `seen_day` and `token` are what their names say.

mod audience_size;
mod automation;
mod automation_id;
mod automation_state;
mod batch;
mod budget;
mod clock;
mod decode;
mod driver;
mod error;
mod fire;
mod fire_kind;
mod fire_reason;
mod fire_state;
mod journal;
mod lease;
mod ledger;
mod migrate;
mod migrate_v11;
mod migrate_v12;
mod migrate_v13;
mod migrate_v14;
mod migrate_v16;
mod migrate_v6;
mod migrate_v7;
mod migrate_v8;
mod migrate_v9;
mod opened_files;
mod output;
mod postgres;
mod purge;
mod run;
mod run_state;
mod seen_day;
mod source;
mod sql;
mod sqlite;
mod step;
mod store_time;
mod stored_enum;
mod temp_set;
mod token;

pub use automation::{AutomationRecord, ScanChange, ServedVersion, UnreadableAutomation};
pub use automation_id::AutomationId;
pub use batch::{BatchOutcome, BatchPosition, BatchRow, BatchTotals, ChangedBatch};
pub use decode::{JsonColumn, Quoting};
pub use driver::{Row, Statement, Value};
pub use error::StoreError;
pub use fire::{Fire, LastFire};
pub use fire_kind::{FAILURE_OF, FireKind};
pub use fire_reason::{FireReason, ReportedFailure};
pub use fire_state::FireState;
pub use journal::{JournalWrite, NewStep, StepRow};
pub use lease::{LeaseKey, LeaseKind};
pub use ledger::{Spent, UnreadableUsage, Usage};
pub use output::OutputLine;
pub use run::{AttemptStatus, RunEnd, RunPayload, RunRecord, SavedState, StartedBy, UnreadableRun};
pub use run_state::RunState;
pub use seen_day::SeenDay;
pub use step::{EffectKey, EffectKind, RecordedKind, StepKind, StepState, TerminalKind};
pub use store_time::StoreTime;
pub use temp_set::TempSet;
pub use token::TokenRecord;

use crate::base::Secret;
use decode::Cells;
use driver::{BoxFuture, Driver, answer};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use store_time::Reading;

/// How long a database operation may take; the limits of the databases themselves are shorter.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    driver: Arc<dyn Driver>,
    /// The last reading of its server's clock.
    reading: Arc<Mutex<Option<Reading>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.location())
    }
}

impl Store {
    /// Opens a SQLite file, created with its folder if absent, with access for its owner only, and migrates it.
    pub async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        Self::ready(Arc::new(sqlite::Sqlite::open(path).await?)).await
    }

    /// Connects to a PostgreSQL database and migrates it. The URL may hold a password, which is shown nowhere.
    pub async fn postgres(url: &Secret) -> Result<Self, StoreError> {
        Self::ready(Arc::new(postgres::Postgres::connect(url).await?)).await
    }

    async fn ready(driver: Arc<dyn Driver>) -> Result<Self, StoreError> {
        let store = Self::of(driver);
        store.migrate().await?;
        Ok(store)
    }

    /// A database as it is.
    fn of(driver: Arc<dyn Driver>) -> Self {
        Self { driver, reading: Arc::default() }
    }

    /// Its location for messages: a path, or a host and a database.
    #[must_use]
    pub fn location(&self) -> &str {
        self.driver.location()
    }

    /// The rows of a statement that reads.
    pub async fn query(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        self.within(self.driver.query(statement)).await
    }

    /// Executes a statement and returns how many rows it changed.
    pub async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        self.within(self.driver.execute(statement)).await
    }

    /// Executes all statements or none, and returns how many rows each changed. A statement that changes another number
    /// of rows than it expects is `StoreError::Conflict`.
    pub async fn transaction(&self, statements: Vec<Statement>) -> Result<Vec<u64>, StoreError> {
        self.within(self.driver.transaction(statements)).await
    }

    /// Bounds an operation by `TIMEOUT`, and refuses it when the store is no longer the one that was opened.
    async fn within<T>(&self, work: BoxFuture<'_, T>) -> Result<T, StoreError> {
        if !self.driver.is_in_place() {
            return Err(StoreError::Replaced { location: self.location().to_owned() });
        }
        answer(self.location(), TIMEOUT, work).await
    }

    /// Closes files and connections.
    pub async fn close(&self) {
        self.driver.close().await;
    }
}
