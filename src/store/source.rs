//! Sources: what runs execute, each text once, however many runs name it. A source is kept as long as a run that names it.

use super::Statement;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The id of a source: the SHA-256 of its text, in hexadecimal. A secret is masked in a text before it comes here, so that
/// no id is the hash of a secret.
pub(super) fn source_id(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into a text does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Inserts a source, unless it is there already. Until the end of the transaction, which inserts the run that names it, no
/// other process deletes it.
pub(super) fn insert(id: &str, text: &str) -> Statement {
    // PostgreSQL locks the row that is there already, although nothing is changed in it.
    let statement = Statement::new(
        "INSERT INTO mpscript_source (id, text) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET text = excluded.text WHERE 1 = 0",
    );
    statement.with(id).with(text)
}

/// Deletes those of these sources that no run names; the last statements of the transaction that deletes their runs.
pub(super) fn delete_unused<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<Statement> {
    // In their order, so that two processes that delete the same ones do not wait for each other.
    let ids: BTreeSet<&str> = ids.collect();
    let delete = |id| {
        // The lock comes in a statement of its own: on PostgreSQL only a statement that begins after another process has
        // inserted a run sees it.
        let lock = Statement::new("UPDATE mpscript_source SET text = text WHERE id = $1");
        let delete = Statement::new(
            "DELETE FROM mpscript_source
             WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM mpscript_run r WHERE r.source_id = mpscript_source.id)",
        );
        [lock.with(id), delete.with(id)]
    };
    ids.into_iter().flat_map(delete).collect()
}
