//! Versions 10 and 11: each distinct source is kept once. Before, every run held the whole text of its script and imports.
//!
//! Version 10 makes the table; from then on older programs refuse the store. Version 11 moves the texts, a few runs a
//! transaction, so that neither memory nor the write-ahead log grows with the store; when it is interrupted, the next
//! process resumes where it stopped. Until a run's text is moved its `source` is the text, then it is the source's id.

use super::{
    Cells, Statement, Store, StoreError,
    driver::BoxFuture,
    source::{self, source_id},
};
use std::collections::BTreeMap;

pub(super) const SQL_10: &[&str] =
    &["CREATE TABLE mpscript_source (id TEXT NOT NULL PRIMARY KEY, text TEXT NOT NULL)"];

pub(super) const SQL_11: &[&str] = &[
    "ALTER TABLE mpscript_run RENAME COLUMN source TO source_id",
    "CREATE INDEX mpscript_run_source ON mpscript_run (source_id)",
];

/// After `SQL_11`, when no process of an older version can write any more: fails if one has recorded a run since the texts
/// were moved, and the migration starts over.
pub(super) fn convert(_store: &Store) -> BoxFuture<'_, Vec<Statement>> {
    let check = Statement::new(
        "UPDATE mpscript_schema SET version = version
         WHERE id = 1 AND NOT EXISTS (
             SELECT 1 FROM mpscript_run r
             WHERE NOT EXISTS (SELECT 1 FROM mpscript_source s WHERE s.id = r.source_id))",
    );
    Box::pin(async { Ok(vec![check.expecting(1)]) })
}

/// Runs whose texts are moved in one transaction.
const MAX_BATCH: i64 = 200;

/// Bytes of texts that one transaction moves, beside those of its last run.
const MAX_BYTES: usize = 8 << 20;

/// Moves the texts of all runs.
pub(super) fn move_sources(store: &Store) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let mut after = String::new();
        loop {
            let runs = Statement::new("SELECT id FROM mpscript_run WHERE id > $1 ORDER BY id LIMIT $2");
            let rows = store.query(runs.with(after.as_str()).with(MAX_BATCH)).await?;
            let mut batch = Batch::default();
            for row in &rows {
                after = Cells::new("mpscript_run", "id", &after, row).text()?;
                batch.add(store, &after).await?;
                if batch.bytes >= MAX_BYTES {
                    break;
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
            store.transaction(batch.statements()).await?;
        }
    })
}

/// What one transaction moves.
#[derive(Default)]
struct Batch {
    /// By id: processes that migrate at the same time lock them in the same order.
    sources: BTreeMap<String, String>,
    /// Runs with the ids of their sources, by run.
    runs: Vec<(String, String)>,
    bytes: usize,
}

impl Batch {
    async fn add(&mut self, store: &Store, run: &str) -> Result<(), StoreError> {
        let statement = Statement::new("SELECT source FROM mpscript_run WHERE id = $1");
        let rows = store.query(statement.with(run)).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let text = Cells::new("mpscript_run", "source", run, row).text()?;
        if is_moved(store, &text).await? {
            return Ok(());
        }
        let id = source_id(&text);
        self.runs.push((run.to_owned(), id.clone()));
        self.sources.entry(id).or_insert_with(|| {
            self.bytes += text.len();
            text
        });
        Ok(())
    }

    fn statements(self) -> Vec<Statement> {
        let sources = self.sources.iter().map(|(id, text)| source::insert(id, text));
        let runs = self.runs.iter().map(|(run, id)| {
            let statement = Statement::new("UPDATE mpscript_run SET source = $2 WHERE id = $1");
            statement.with(run.as_str()).with(id.as_str())
        });
        sources.chain(runs).collect()
    }
}

/// Whether what a run has as its source is the id of one.
async fn is_moved(store: &Store, source: &str) -> Result<bool, StoreError> {
    if source.len() != source_id("").len() {
        return Ok(false);
    }
    let statement = Statement::new("SELECT id FROM mpscript_source WHERE id = $1");
    Ok(!store.query(statement.with(source)).await?.is_empty())
}
