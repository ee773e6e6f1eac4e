//! The output log of a run: what its script printed, line by line.

use super::{Cells, Row, Statement, Store, StoreError};
use crate::base::EpochMs;

/// One text that a script printed; it may hold line breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLine {
    /// The attempt of the run that printed it.
    pub attempt: i64,
    /// Its number within the attempt, from 1.
    pub number: i64,
    /// When it was printed.
    pub printed_at: EpochMs,
    /// The text.
    pub text: String,
}

macro_rules! columns {
    () => {
        "attempt, number, printed_at, text"
    };
}

impl Store {
    /// Appends lines to the output log of a run, all or none.
    pub async fn append_output(&self, run: &str, lines: &[OutputLine]) -> Result<(), StoreError> {
        let statements = lines.iter().map(|line| {
            let statement = Statement::new(concat!(
                "INSERT INTO mpscript_output (run, ",
                columns!(),
                ") VALUES ($1, $2, $3, $4, $5)"
            ));
            statement
                .with(run)
                .with(line.attempt)
                .with(line.number)
                .with(line.printed_at)
                .with(line.text.as_str())
        });
        self.transaction(statements.collect()).await.map(drop)
    }

    /// The output log of a run, in order. A row that can't be decoded is an error in its place.
    pub async fn output(&self, run: &str) -> Result<Vec<Result<OutputLine, StoreError>>, StoreError> {
        let statement = Statement::new(concat!(
            "SELECT ",
            columns!(),
            " FROM mpscript_output WHERE run = $1 ORDER BY attempt, number"
        ));
        let rows = self.query(statement.with(run)).await?;
        let line = |row: &Row| {
            let key = format!("{run}, {}, {}", row.cell(0), row.cell(1));
            let mut cells = Cells::new("mpscript_output", columns!(), &key, row);
            Ok(OutputLine {
                attempt: cells.count()?,
                number: cells.count()?,
                printed_at: cells.instant()?,
                text: cells.text()?,
            })
        };
        Ok(rows.iter().map(line).collect())
    }
}
