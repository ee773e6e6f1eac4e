//! Version 15: the cursor in a checkpoint says whether it is an openid or a batch. Before, programs wrote it as a text, an
//! openid or `SEQ/NUMBER`, and later ones said which; no openid has a slash.
//!
//! A checkpoint that it can't read stays as it is: the run that needs it parks and reports it, and the rest of the store is
//! used.

use super::{Statement, Store, driver::BoxFuture};
use serde_json::{Map, Value, json};

/// Steps that are converted in one transaction.
const MAX_BATCH: i64 = 200;

/// Bytes of checkpoints that one transaction converts, beside those of its last step: a drawn sample may have many openids.
const MAX_BYTES: usize = 8 << 20;

/// Converts the checkpoints of all steps, a few a transaction. One that a run has written since it was read is left.
pub(super) fn convert_checkpoints(store: &Store) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let (mut run, mut step) = (String::new(), String::new());
        loop {
            let places = Statement::new(
                "SELECT run, step FROM mpscript_step WHERE checkpoint <> '' AND (run, step) > ($1, $2)
                 ORDER BY run, step LIMIT $3",
            );
            let rows = store.query(places.with(run.as_str()).with(step.as_str()).with(MAX_BATCH)).await?;
            // A row without a readable key can't be addressed.
            let places: Vec<(&str, &str)> =
                rows.iter().filter_map(|row| Some((row.text(0)?, row.text(1)?))).collect();
            if places.is_empty() {
                return Ok(());
            }
            let (mut updates, mut bytes) = (Vec::new(), 0);
            for place in places {
                (run, step) = (place.0.to_owned(), place.1.to_owned());
                let checkpoint =
                    Statement::new("SELECT checkpoint FROM mpscript_step WHERE run = $1 AND step = $2");
                let found = store.query(checkpoint.with(run.as_str()).with(step.as_str())).await?;
                let Some(before) = found.first().and_then(|row| row.text(0)) else { continue };
                let Some(after) = with_tagged_cursor(before) else { continue };
                bytes += before.len();
                let update = Statement::new(
                    "UPDATE mpscript_step SET checkpoint = $4 WHERE run = $1 AND step = $2 AND checkpoint = $3",
                );
                let update = update.with(run.as_str()).with(step.as_str()).with(before);
                updates.push(update.with(after.as_str()));
                if bytes >= MAX_BYTES {
                    break;
                }
            }
            if !updates.is_empty() {
                store.transaction(updates).await?;
            }
        }
    })
}

/// The checkpoint with a cursor that says what it is; `None` where it has none, where it says so already, and where it can't
/// be decoded.
fn with_tagged_cursor(checkpoint: &str) -> Option<String> {
    let mut checkpoint: Map<String, Value> = serde_json::from_str(checkpoint).ok()?;
    let cursor = checkpoint.get_mut("cursor")?.get_mut("cursor")?;
    *cursor = tagged(cursor.as_str()?)?;
    Some(Value::Object(checkpoint).to_string())
}

/// A cursor of the form of version 14.
fn tagged(cursor: &str) -> Option<Value> {
    let Some((seq, number)) = cursor.split_once('/') else {
        return Some(json!({"type": "openid", "openid": cursor}));
    };
    let (seq, number): (i64, i64) = (seq.parse().ok()?, number.parse().ok()?);
    Some(json!({"type": "batch", "seq": seq, "number": number}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(cursor: &str) -> String {
        format!(r#"{{"cursor":{{"cursor":{cursor},"page":2}},"waiting":["甲"]}}"#)
    }

    #[test]
    fn cursor_that_was_a_text_says_what_it_is() {
        let openid = r#"{"openid":"oSru7SHU","type":"openid"}"#;
        let batch = r#"{"number":199,"seq":4,"type":"batch"}"#;
        for (before, after) in [
            (r#""oSru7SHU""#, Some(openid)),
            (r#""4/199""#, Some(batch)),
            (openid, None),
            (batch, None),
            ("null", None),
            (r#""4/半""#, None),
            ("7", None),
        ] {
            assert_eq!(with_tagged_cursor(&checkpoint(before)), after.map(checkpoint), "{before}");
        }
    }

    #[test]
    fn checkpoint_that_cannot_be_decoded_is_left() {
        for checkpoint in ["", r#"{"cursor":"#, r#"{"cursor":7}"#, "[]"] {
            assert_eq!(with_tagged_cursor(checkpoint), None, "{checkpoint}");
        }
    }
}
