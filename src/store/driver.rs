//! What a database must do, and the words that it is told in.

use super::StoreError;
use std::{future::Future, pin::Pin};

/// What a statement will have come to.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A database.
pub(super) trait Driver: Send + Sync {
    fn place(&self) -> &str;
    fn query(&self, statement: Statement) -> Work<'_, Vec<Row>>;
    fn execute(&self, statement: Statement) -> Work<'_, u64>;
    fn transaction(&self, statements: Vec<Statement>) -> Work<'_, ()>;
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
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

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A statement with its values: `$1`, `$2` and so on stand for them.
pub struct Statement {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
    /// How many rows it must change; any other number undoes its transaction.
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

    /// Must change so many rows.
    #[must_use]
    pub fn expecting(mut self, rows: u64) -> Self {
        self.expects = Some(rows);
        self
    }
}

/// A row.
pub struct Row(pub(super) Vec<Value>);

impl Row {
    /// The number in a column; 0 where there is none.
    #[must_use]
    pub fn integer(&self, column: usize) -> i64 {
        match self.0.get(column) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }

    /// The text in a column; empty where there is none.
    #[must_use]
    pub fn text(&self, column: usize) -> &str {
        match self.0.get(column) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }
}

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

/// Reads rows into values; a column that is no number is a text.
macro_rules! read_rows {
    ($rows:expr) => {
        $rows
            .iter()
            .map(|row| {
                let value = |column: usize| match row.try_get::<i64, _>(column) {
                    Ok(number) => Ok($crate::store::Value::Integer(number)),
                    Err(_) => row.try_get::<String, _>(column).map($crate::store::Value::Text),
                };
                (0..row.len()).map(value).collect::<Result<Vec<_>, _>>().map($crate::store::Row)
            })
            .collect::<Result<Vec<_>, sqlx::Error>>()
    };
}
pub(super) use read_rows;
