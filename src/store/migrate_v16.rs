//! Version 16: the cursor in a checkpoint says whether it is an openid or a batch, and an id that is not known is none. Before,
//! programs wrote a cursor as a text, an openid or `SEQ/NUMBER`, and later ones said which; no openid has a slash. An id of 0
//! stood for that of a tag whose creation was in doubt.
//!
//! What it can't read stays as it is: the run that needs it parks and reports it, and the rest of the store is used.

use super::{Row, Statement, Store, StoreError, driver::BoxFuture};
use serde_json::{Map, Value, json};

/// Steps that are looked at in one query.
const MAX_BATCH: i64 = 500;

/// Bytes of what one transaction converts, beside those of its last row: a drawn sample may have many openids.
const MAX_BYTES: usize = 8 << 20;

/// Converts what steps have recorded, a few rows a transaction. What a run has written since it was read is left.
pub(super) fn convert_steps(store: &Store) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let (mut run, mut step) = (String::new(), String::new());
        loop {
            // By the key alone, so that each query ends in time however many steps there are.
            let places = Statement::new(
                "SELECT run, step, CASE WHEN checkpoint <> '' OR effect_kind = 'tag_created' THEN 'yes' ELSE 'no' END
                 FROM mpscript_step WHERE (run, step) > ($1, $2) ORDER BY run, step LIMIT $3",
            );
            let rows = store.query(places.with(run.as_str()).with(step.as_str()).with(MAX_BATCH)).await?;
            let (mut updates, mut bytes) = (Vec::new(), 0);
            // A row without a readable key can't be addressed.
            let places: Vec<(&str, &str, bool)> = rows
                .iter()
                .filter_map(|row| Some((row.text(0)?, row.text(1)?, row.text(2) == Some("yes"))))
                .collect();
            if places.is_empty() {
                return Ok(());
            }
            for (of_run, of_step, may_change) in places {
                (run, step) = (of_run.to_owned(), of_step.to_owned());
                if may_change {
                    let (size, converted) = convert_step(store, &run, &step).await?;
                    bytes += size;
                    updates.extend(converted);
                }
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

/// What is converted of a step, and how many bytes were read.
async fn convert_step(store: &Store, run: &str, step: &str) -> Result<(usize, Vec<Statement>), StoreError> {
    let columns = Statement::new("SELECT checkpoint, effect FROM mpscript_step WHERE run = $1 AND step = $2");
    let found = store.query(columns.with(run).with(step)).await?;
    let bytes = found.iter().map(|row| row.text(0).map_or(0, str::len)).sum();
    Ok((bytes, found.iter().flat_map(|row| updates_of_step(run, step, row)).collect()))
}

/// The updates of a step, whose checkpoint and effect these are.
fn updates_of_step(run: &str, step: &str, row: &Row) -> Vec<Statement> {
    let update =
        |sql, before: &str, after: &str| Statement::new(sql).with(run).with(step).with(before).with(after);
    let converted = |column, convert: fn(&str) -> Option<String>| {
        let before = row.text(column)?;
        Some((before.to_owned(), convert(before)?))
    };
    let checkpoint = converted(0, with_tagged_cursor).map(|(before, after)| {
        let sql = "UPDATE mpscript_step SET checkpoint = $4 WHERE run = $1 AND step = $2 AND checkpoint = $3";
        update(sql, &before, &after)
    });
    let effect = converted(1, without_unknown_id).map(|(before, after)| {
        let sql = "UPDATE mpscript_step SET effect = $4 WHERE run = $1 AND step = $2 AND effect = $3";
        update(sql, &before, &after)
    });
    [checkpoint, effect].into_iter().flatten().collect()
}

/// The effect of a created tag, where it gave 0 for an id that is not known.
fn without_unknown_id(effect: &str) -> Option<String> {
    let mut effect: Map<String, Value> = serde_json::from_str(effect).ok()?;
    if effect.get("effect")? != "tag_created" {
        return None;
    }
    let id = effect.get_mut("of")?.get_mut("id")?;
    if *id != 0 {
        return None;
    }
    *id = Value::Null;
    Some(Value::Object(effect).to_string())
}

/// The checkpoint with a cursor that says what it is; `None` where it has none, where the cursor has its tag, and where it can't
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
    fn id_of_a_created_tag_that_was_0_is_none() {
        let effect = |id: &str| format!(r#"{{"effect":"tag_created","of":{{"id":{id},"name":"甲"}}}}"#);
        let deleted = r#"{"effect":"tag_deleted","of":{"id":0,"name":"甲"}}"#;
        for (before, after) in [
            (effect("0"), Some(effect("null"))),
            (effect("null"), None),
            (effect("100"), None),
            (deleted.to_owned(), None),
            (r#"{"effect":"#.to_owned(), None),
        ] {
            assert_eq!(without_unknown_id(&before), after, "{before}");
        }
    }

    #[test]
    fn checkpoint_that_cannot_be_decoded_is_left() {
        for checkpoint in ["", r#"{"cursor":"#, r#"{"cursor":7}"#, "[]"] {
            assert_eq!(with_tagged_cursor(checkpoint), None, "{checkpoint}");
        }
    }
}
