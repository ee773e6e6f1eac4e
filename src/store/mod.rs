//! State that outlives a process: tokens, leases, budgets, the ledger of calls, runs and their journals.
//!
//! One trait with two drivers, SQLite for one machine and PostgreSQL for several; each concern is a
//! file of statements above it, the same SQL for both. Must never know the platform: its keys are
//! texts that others choose.

mod automation;
mod budget;
mod driver;
mod error;
mod fire_state;
mod journal;
mod lease;
mod ledger;
mod migrate;
mod postgres;
mod run;
mod run_state;
mod scratch;
mod sqlite;
mod step;
mod stored_enum;
mod token;
mod total;
mod words;

pub use automation::{AutomationRecord, FAILURE_OF, Fire};
pub use driver::{Row, Statement, Value};
pub use error::StoreError;
pub use fire_state::FireState;
pub use journal::{BatchRow, BatchSums, DoneRow, Entry, StepRow};
pub use ledger::{Spent, Usage};
pub use run::{Beat, RunEnd, RunRecord, RunTexts};
pub use run_state::RunState;
pub use scratch::Scratch;
pub use step::{EffectKind, StepKind, StepState, TerminalKind};
pub use token::Record;
pub use words::Printed;

use crate::base::Secret;
use driver::{Driver, Work};
use std::{path::Path, sync::Arc, time::Duration};

/// How long any statement may take, whatever the database says of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where state is kept. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<dyn Driver>);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.place())
    }
}

impl Store {
    /// A SQLite file, made with its folder if absent, readable by its owner alone.
    ///
    /// # Errors
    /// When the file can't be opened or written, is no store, or is of a newer version.
    pub async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        Self::ready(Arc::new(sqlite::Sqlite::open(path).await?)).await
    }

    /// A PostgreSQL database. The URL may hold a password, which is shown nowhere.
    ///
    /// # Errors
    /// When the URL is none, the server can't be reached, or the store is of a newer version.
    pub async fn postgres(url: &Secret) -> Result<Self, StoreError> {
        Self::ready(Arc::new(postgres::Postgres::connect(url).await?)).await
    }

    async fn ready(driver: Arc<dyn Driver>) -> Result<Self, StoreError> {
        let store = Self(driver);
        store.migrate().await?;
        Ok(store)
    }

    /// Where it is, for messages: a path, or a host and a database.
    #[must_use]
    pub fn place(&self) -> &str {
        self.0.place()
    }

    /// Rows of a statement that reads.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn query(&self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        self.within(self.0.query(statement)).await
    }

    /// How many rows a statement changed.
    ///
    /// # Errors
    /// When the store can't be written.
    pub async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        self.within(self.0.execute(statement)).await
    }

    /// Does all of these statements, or none; and says how many rows each has changed.
    ///
    /// # Errors
    /// When one of them fails, or changes another number of rows than it expects.
    pub async fn transaction(&self, statements: Vec<Statement>) -> Result<Vec<u64>, StoreError> {
        self.within(self.0.transaction(statements)).await
    }

    /// A server that does not answer at all is no better than one that is locked.
    async fn within<T>(&self, work: Work<'_, T>) -> Result<T, StoreError> {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Locked { place: self.place().to_owned() }),
        }
    }

    /// Lets go of files and connections.
    pub async fn close(&self) {
        self.0.close().await;
    }
}
