//! Version 13: what a step did to followers is a kind of effect with its tag in a column, leases have a kind, and a recorded
//! answer says whether the call was made. Before, the effects were distinguished by their JSON, the leases by how their names
//! began, and the answer of a call that another program had made first by a field among the platform's.
//!
//! An effect that it can't read stays as it is: whatever needs that row reports it, and the rest of the store is used.

use super::{Cells, Statement, Store, driver::BoxFuture};
use serde_json::Value;

pub(super) const SQL: &[&str] = &[
    "ALTER TABLE mpscript_step ADD COLUMN effect_tag BIGINT NOT NULL DEFAULT 0",
    "CREATE TABLE mpscript_lease_13 (
        kind TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, expires_at BIGINT NOT NULL,
        PRIMARY KEY (kind, name))",
    "INSERT INTO mpscript_lease_13 (kind, name, owner, expires_at)
     SELECT 'daemon', SUBSTR(name, 6), owner, expires_at FROM mpscript_lease WHERE SUBSTR(name, 1, 5) = 'node '",
    "INSERT INTO mpscript_lease_13 (kind, name, owner, expires_at)
     SELECT 'serving', SUBSTR(name, 8), owner, expires_at FROM mpscript_lease WHERE SUBSTR(name, 1, 7) = 'serves '",
    "INSERT INTO mpscript_lease_13 (kind, name, owner, expires_at)
     SELECT 'start', SUBSTR(name, 7), owner, expires_at FROM mpscript_lease WHERE SUBSTR(name, 1, 6) = 'begin '",
    "INSERT INTO mpscript_lease_13 (kind, name, owner, expires_at)
     SELECT 'token', SUBSTR(name, 7), owner, expires_at FROM mpscript_lease WHERE SUBSTR(name, 1, 6) = 'token '",
    "INSERT INTO mpscript_lease_13 (kind, name, owner, expires_at)
     SELECT 'forced_renewal', SUBSTR(name, 7), owner, expires_at FROM mpscript_lease
     WHERE SUBSTR(name, 1, 6) = 'force '",
    "INSERT INTO mpscript_lease_13 (kind, name, owner, expires_at)
     SELECT 'write', SUBSTR(name, 7), owner, expires_at FROM mpscript_lease WHERE SUBSTR(name, 1, 6) = 'write '",
    "DROP TABLE mpscript_lease",
    "ALTER TABLE mpscript_lease_13 RENAME TO mpscript_lease",
    // The program wrote that field last; in a name its quotes are escaped.
    "UPDATE mpscript_step SET answer =
         CASE WHEN kind = 'call:tag_create' AND REPLACE(answer, ',\"was_there\":true', '') <> answer
             THEN '{\"outcome\":\"raced\",\"answer\":' || REPLACE(answer, ',\"was_there\":true', '') || '}'
             ELSE '{\"outcome\":\"made\",\"answer\":' || answer || '}' END
     WHERE state = 'done' AND SUBSTR(kind, 1, 5) = 'call:'",
];

/// Reads the distinct effects of version 12 on followers, of which there are few; gives a statement for each.
pub(super) fn convert(store: &Store) -> BoxFuture<'_, Vec<Statement>> {
    Box::pin(async move {
        let effects = "SELECT DISTINCT effect FROM mpscript_step WHERE effect_kind = 'followers'";
        let mut statements = Vec::new();
        for row in store.query(Statement::new(effects)).await? {
            let effect = Cells::new("mpscript_step", "effect", "an effect on followers", &row).text()?;
            let Some((kind, tag)) = kind_and_tag(&effect) else { continue };
            let statement = Statement::new(
                "UPDATE mpscript_step SET effect_kind = $2, effect_tag = $3
                 WHERE effect_kind = 'followers' AND effect = $1",
            );
            statements.push(statement.with(effect.as_str()).with(kind).with(tag));
        }
        Ok(statements)
    })
}

/// The kind of an effect on followers, and the id of its tag; 0 where it is of none.
fn kind_and_tag(effect: &str) -> Option<(&'static str, i64)> {
    let effect: Value = serde_json::from_str(effect).ok()?;
    let (change, tag) = (effect["of"]["change"].as_str()?, effect["of"]["tag"].as_i64());
    match (change, tag) {
        ("attach", Some(tag)) => Some(("tag_attached", tag)),
        ("detach", Some(tag)) => Some(("tag_detached", tag)),
        ("block", None) => Some(("blocked", 0)),
        ("unblock", None) => Some(("unblocked", 0)),
        ("remark", None) => Some(("remarked", 0)),
        _ => None,
    }
}
