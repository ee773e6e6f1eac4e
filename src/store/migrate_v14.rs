//! Version 14: what is served of a stale automation is a word of its own, which was the end of its diagnostic; a run's options
//! name the folders that its script may use, and no longer whether it was a line of a session.

use super::{Cells, Statement, Store, driver::BoxFuture};
use serde_json::{Map, Value};

pub(super) const SQL: &[&str] = &[
    "ALTER TABLE mpscript_automation ADD COLUMN served_version TEXT NOT NULL DEFAULT 'nothing'",
    "UPDATE mpscript_automation SET served_version = 'current' WHERE load_error = '' AND last_good_source <> ''",
    "UPDATE mpscript_automation SET served_version = 'last_good',
         load_error = SUBSTR(load_error, 1, LENGTH(load_error) - LENGTH('; the last good version keeps running'))
     WHERE load_error LIKE '%; the last good version keeps running'",
    "UPDATE mpscript_automation
     SET load_error = SUBSTR(load_error, 1, LENGTH(load_error) - LENGTH('; it does not run'))
     WHERE load_error LIKE '%; it does not run'",
];

/// Runs whose options are converted in one transaction.
const MAX_BATCH: i64 = 200;

/// Converts the options of all runs.
pub(super) fn convert_options(store: &Store) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let mut after = String::new();
        loop {
            let runs =
                Statement::new("SELECT id, options FROM mpscript_run WHERE id > $1 ORDER BY id LIMIT $2");
            let rows = store.query(runs.with(after.as_str()).with(MAX_BATCH)).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut updates = Vec::new();
            for row in &rows {
                let before = std::mem::take(&mut after);
                let mut cells = Cells::new("mpscript_run", "id, options", &before, row);
                after = cells.text()?;
                if let Some(options) = converted(&cells.text()?) {
                    let update = Statement::new("UPDATE mpscript_run SET options = $2 WHERE id = $1");
                    updates.push(update.with(after.as_str()).with(options.as_str()));
                }
            }
            if !updates.is_empty() {
                store.transaction(updates).await?;
            }
        }
    })
}

/// The options as this version records them; `None` where they are, or can't be decoded: that is reported when they are
/// used.
fn converted(options: &str) -> Option<String> {
    let mut options: Map<String, Value> = serde_json::from_str(options).ok()?;
    let was_marked = options.remove("of_session").is_some();
    // A script could use any file before there were roots; a relative one is of its folder.
    let folder = options.get("folder").filter(|_| !options.contains_key("roots")).cloned();
    let is_rooted = folder.is_none();
    if let Some(folder) = folder {
        options.insert("roots".to_owned(), Value::Array(vec![folder]));
    }
    (was_marked || !is_rooted).then(|| Value::Object(options).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_version_13_are_converted_once() {
        let table = [
            (r#"{"folder":"/店"}"#, Some(r#"{"folder":"/店","roots":["/店"]}"#)),
            (r#"{"folder":"/店","of_session":true}"#, Some(r#"{"folder":"/店","roots":["/店"]}"#)),
            (
                r#"{"folder":"/店","of_session":true,"roots":["/表"]}"#,
                Some(r#"{"folder":"/店","roots":["/表"]}"#),
            ),
            (r#"{"folder":"/店","roots":["/表"]}"#, None),
            ("{}", None),
            (r#"{"params":"#, None),
        ];
        for (options, expected) in table {
            assert_eq!(converted(options).as_deref(), expected, "{options}");
        }
    }
}
