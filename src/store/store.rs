//! A store: its connections, and how statements are executed on them.

use super::{
    Row, Statement, StoreError,
    driver::{BoxFuture, Driver, answer},
    store_time::Reading,
};
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

/// How long a database operation may take; the limits of the databases themselves are shorter.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    pub(super) driver: Arc<dyn Driver>,
    /// The last reading of its server's clock.
    pub(super) reading: Arc<Mutex<Option<Reading>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.location())
    }
}

impl Store {
    /// A database as it is.
    pub(super) fn of(driver: Arc<dyn Driver>) -> Self {
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
