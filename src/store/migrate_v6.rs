//! Version 6: what lists, retention and the daemon need of runs and fires is a column, no longer read out of texts that
//! floors above the store wrote; columns have the names that the code uses.

use super::{Cells, Statement, Store, StoreError, driver::BoxFuture, run::StartedBy};
use serde_json::Value;

pub(super) const SQL: &[&str] = &[
    "ALTER TABLE mpscript_run RENAME COLUMN beat_at TO heartbeat_at",
    "ALTER TABLE mpscript_run RENAME COLUMN stop TO stop_requested",
    "ALTER TABLE mpscript_run ADD COLUMN started_by TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE mpscript_fire RENAME COLUMN source TO trigger",
    "ALTER TABLE mpscript_fire RENAME COLUMN instant TO scheduled_at",
    "ALTER TABLE mpscript_fire RENAME COLUMN node TO owner",
    "ALTER TABLE mpscript_fire RENAME COLUMN at TO updated_at",
    "ALTER TABLE mpscript_fire RENAME COLUMN deaths TO crashes",
    "ALTER TABLE mpscript_fire ADD COLUMN kind TEXT NOT NULL DEFAULT 'trigger'",
    // Version 5 marked the fires of failure hooks by a prefix of their source.
    "UPDATE mpscript_fire SET kind = 'failure_hook' WHERE trigger LIKE 'failure of %'",
    "ALTER TABLE mpscript_automation RENAME COLUMN good TO last_good_source",
    "ALTER TABLE mpscript_automation RENAME COLUMN stale TO load_error",
    "ALTER TABLE mpscript_ledger RENAME COLUMN spent TO exhausted",
    "ALTER TABLE mpscript_total RENAME TO mpscript_audience_size",
    "ALTER TABLE mpscript_audience_size RENAME COLUMN total TO size",
    "ALTER TABLE mpscript_printed RENAME TO mpscript_output",
    "ALTER TABLE mpscript_output RENAME COLUMN at TO printed_at",
];

/// Fills `started_by` from the options that version 5 recorded as JSON.
pub(super) fn convert(store: &Store) -> BoxFuture<'_, Vec<Statement>> {
    Box::pin(async move {
        let mut statements = Vec::new();
        for row in store.query(Statement::new("SELECT id, options FROM mpscript_run")).await? {
            let key = row.cell(0).to_string();
            let mut cells = Cells::new("mpscript_run", "id, options", &key, &row);
            let (id, options) = (cells.text()?, cells.text()?);
            let update = Statement::new("UPDATE mpscript_run SET started_by = $2 WHERE id = $1");
            statements.push(update.with(id.as_str()).with(started_by(&options).as_str()));
        }
        // A run that was recorded between the read and the transaction: the migration starts over.
        let check = Statement::new(
            "UPDATE mpscript_schema SET version = version
             WHERE id = 1 AND NOT EXISTS (SELECT 1 FROM mpscript_run WHERE started_by = '')",
        );
        statements.push(check.expecting(1));
        Ok::<_, StoreError>(statements)
    })
}

fn started_by(options: &str) -> StartedBy {
    match serde_json::from_str(options) {
        Ok(Value::Object(options)) if options.get("call").is_some_and(Value::is_object) => {
            StartedBy::Automation
        }
        Ok(Value::Object(options)) if options.get("of_session") == Some(&Value::Bool(true)) => {
            StartedBy::Session
        }
        Ok(Value::Object(_)) => StartedBy::Command,
        // Nothing is lost by not knowing it, so one damaged row does not keep the store from being migrated.
        _ => StartedBy::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn started_by_is_read_from_version_5_options() {
        for (options, expected) in [
            (r#"{"account":null,"call":{"automation":"每日"}}"#, StartedBy::Automation),
            (r#"{"of_session":true}"#, StartedBy::Session),
            (r#"{"of_session":false,"params":{"text":"\"call\":{"}}"#, StartedBy::Command),
            (r#"{"account":"#, StartedBy::Unknown),
            ("", StartedBy::Unknown),
        ] {
            assert_eq!(started_by(options), expected, "{options}");
        }
    }
}
