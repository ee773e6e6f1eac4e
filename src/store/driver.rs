//! The seam between the statements of the store and its databases: statements, values and rows, and what a driver
//! does with them.

use super::{StoreError, StoreTime};
use crate::base::EpochMs;
use std::{fmt, future::Future, pin::Pin, time::Duration};

/// The pending result of a driver.
pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A database.
pub(super) trait Driver: Send + Sync {
    fn location(&self) -> &str;
    /// The first statements of a transaction that may take longer than others.
    fn unlimited_transaction(&self) -> &'static [&'static str];
    /// The query for what its server's clock shows, in milliseconds since the epoch, if it has a server.
    fn server_clock(&self) -> Option<&'static str>;
    /// Whether it is still the database that was opened.
    fn is_in_place(&self) -> bool;
    fn query(&self, statement: Statement) -> BoxFuture<'_, Vec<Row>>;
    fn execute(&self, statement: Statement) -> BoxFuture<'_, u64>;
    fn transaction(&self, statements: Vec<Statement>) -> BoxFuture<'_, Vec<u64>>;
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The result of an operation, if it comes within a time: another one of this process may hold the connection.
pub(super) async fn answer<T>(
    location: &str,
    within: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(within, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::TimedOut { location: location.to_owned(), within }),
    }
}

/// A value in a row or in a statement. It has no `Debug`: it may be a token.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<StoreTime> for Value {
    fn from(instant: StoreTime) -> Self {
        instant.shown().into()
    }
}

impl From<EpochMs> for Value {
    fn from(instant: EpochMs) -> Self {
        Self::Integer(instant.get())
    }
}

/// 0 stands for no instant.
impl From<Option<EpochMs>> for Value {
    fn from(instant: Option<EpochMs>) -> Self {
        instant.unwrap_or_default().into()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        // PostgreSQL refuses NUL in a text.
        Self::Text(text.replace('\0', "\u{fffd}"))
    }
}

/// A statement with the values of its parameters `$1`, `$2` and so on.
#[derive(Clone)]
pub struct Statement {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
    /// How many rows it must change; with any other number its transaction is rolled back.
    pub(super) expects: Option<u64>,
}

impl Statement {
    /// A statement without values.
    #[must_use]
    pub fn new(sql: &'static str) -> Self {
        Self { sql, values: Vec::new(), expects: None }
    }

    /// Adds the next value.
    #[must_use]
    pub fn with(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Requires that it changes `rows` rows: with any other number its transaction is rolled back, as a conflict.
    #[must_use]
    pub fn expecting(mut self, rows: u64) -> Self {
        self.expects = Some(rows);
        self
    }
}

/// A row of a query's result.
pub struct Row(pub(super) Vec<Cell>);

/// What a row has in a column. It has no `Debug`: it may be a token.
pub(super) enum Cell {
    Value(Value),
    /// Neither a whole number nor a text: a damaged one.
    Other,
}

impl Row {
    /// The number in a column, if there is one.
    #[must_use]
    pub fn integer(&self, column: usize) -> Option<i64> {
        match self.0.get(column) {
            Some(Cell::Value(Value::Integer(number))) => Some(*number),
            _ => None,
        }
    }

    /// The text in a column, if there is one.
    #[must_use]
    pub fn text(&self, column: usize) -> Option<&str> {
        match self.0.get(column) {
            Some(Cell::Value(Value::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// What a column of a key holds, for errors that name the row.
    pub(super) fn cell(&self, column: usize) -> impl fmt::Display {
        match self.0.get(column) {
            Some(Cell::Value(Value::Integer(number))) => number.to_string(),
            Some(Cell::Value(Value::Text(text))) => text.clone(),
            Some(Cell::Other) | None => "?".to_owned(),
        }
    }
}

/// Implements `Driver` for a struct with a `pool`, a `location`, an `is_in_place` and a `fault`, which turns its database's
/// errors into `StoreError` and may ask the database why; in a module with such a `fault` that does not ask, and with its
/// `UNLIMITED_TRANSACTION` and `SERVER_CLOCK`. `begin` opens a transaction.
macro_rules! drive {
    ($database:ty, |$pool:ident| $begin:expr) => {
        impl $crate::store::driver::Driver for $database {
            fn location(&self) -> &str {
                &self.location
            }

            fn unlimited_transaction(&self) -> &'static [&'static str] {
                UNLIMITED_TRANSACTION
            }

            fn server_clock(&self) -> Option<&'static str> {
                SERVER_CLOCK
            }

            fn is_in_place(&self) -> bool {
                self.is_in_place()
            }

            fn query(
                &self,
                statement: $crate::store::Statement,
            ) -> $crate::store::driver::BoxFuture<'_, Vec<$crate::store::Row>> {
                Box::pin(async move {
                    let rows = $crate::store::driver::bind!(statement).fetch_all(&self.pool).await;
                    match rows {
                        Ok(rows) => Ok($crate::store::driver::read_rows!(rows)),
                        Err(error) => Err(self.fault(error).await),
                    }
                })
            }

            fn execute(
                &self,
                statement: $crate::store::Statement,
            ) -> $crate::store::driver::BoxFuture<'_, u64> {
                Box::pin(async move {
                    let done = $crate::store::driver::bind!(statement).execute(&self.pool).await;
                    match done {
                        Ok(done) => Ok(done.rows_affected()),
                        Err(error) => Err(self.fault(error).await),
                    }
                })
            }

            fn transaction(
                &self,
                statements: Vec<$crate::store::Statement>,
            ) -> $crate::store::driver::BoxFuture<'_, Vec<u64>> {
                Box::pin(async move {
                    let $pool = &self.pool;
                    let mut transaction = match $begin.await {
                        Ok(transaction) => transaction,
                        Err(error) => return Err(self.fault(error).await),
                    };
                    // A transaction has its connection: the pool is no cause of what fails in it.
                    let fault = |error: sqlx::Error| fault(&self.location, &error);
                    let mut changed = Vec::with_capacity(statements.len());
                    for statement in statements {
                        let expects = statement.expects;
                        let done = $crate::store::driver::bind!(statement).execute(&mut *transaction).await;
                        let done = done.map_err(fault)?;
                        if expects.is_some_and(|rows| rows != done.rows_affected()) {
                            return Err(StoreError::Conflict { location: self.location.clone() });
                        }
                        changed.push(done.rows_affected());
                    }
                    transaction.commit().await.map_err(fault)?;
                    Ok(changed)
                })
            }

            fn close(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                Box::pin(async move {
                    if self.is_in_place() {
                        self.pool.close().await;
                    }
                })
            }
        }
    };
}
pub(super) use drive;

/// Binds a statement's values, the same way for every database.
macro_rules! bind {
    ($statement:expr) => {{
        let mut query = sqlx::query($statement.sql);
        for value in $statement.values {
            query = match value {
                $crate::store::Value::Integer(number) => query.bind(number),
                $crate::store::Value::Text(text) => query.bind(text),
            };
        }
        query
    }};
}
pub(super) use bind;

/// Reads rows into cells; a column that is not a whole number is a text.
macro_rules! read_rows {
    ($rows:expr) => {{
        use sqlx::Row as _;
        $rows
            .iter()
            .map(|row| {
                let cell = |column: usize| match row.try_get::<i64, _>(column) {
                    Ok(number) => $crate::store::driver::Cell::Value($crate::store::Value::Integer(number)),
                    Err(_) => match row.try_get::<String, _>(column) {
                        Ok(text) => $crate::store::driver::Cell::Value($crate::store::Value::Text(text)),
                        Err(_) => $crate::store::driver::Cell::Other,
                    },
                };
                $crate::store::Row((0..row.len()).map(cell).collect())
            })
            .collect::<Vec<_>>()
    }};
}
pub(super) use read_rows;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn operation_without_answer_fails_with_timed_out() {
        let silent = std::future::pending::<Result<(), StoreError>>();
        let error = answer("store.sqlite3", Duration::from_millis(1), silent).await.unwrap_err();
        assert_eq!(error.to_string(), "the store store.sqlite3 did not answer within 0 s");
    }
}
