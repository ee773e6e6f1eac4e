//! Version 7: the journal says in typed columns what each step is and did. Before, one text said it all, and JSON was
//! distinguished by its shape; this file is the only one that still knows those formats.
//!
//! A row that it can't read stays as it is: whatever needs that row reports it, and the rest of the store is used.

use super::{EffectKind, Row, Statement, StepKind, Store, TerminalKind, driver::BoxFuture};
use crate::base::fingerprint;
use serde_json::{Value, json};

pub(super) const SQL: &[&str] = &[
    "ALTER TABLE mpscript_step RENAME COLUMN what TO label",
    "ALTER TABLE mpscript_step RENAME COLUMN change TO effect",
    "ALTER TABLE mpscript_step ADD COLUMN kind TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE mpscript_step ADD COLUMN fingerprint TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE mpscript_step ADD COLUMN target TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE mpscript_step ADD COLUMN target_id BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE mpscript_step ADD COLUMN effect_kind TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE mpscript_batch RENAME COLUMN pending_items TO unresolved",
    "ALTER TABLE mpscript_batch ADD COLUMN in_doubt BIGINT NOT NULL DEFAULT 0",
    // Without an outcome the whole batch is in doubt.
    "UPDATE mpscript_batch SET in_doubt = pending WHERE pending > 0 AND unresolved = ''",
    // Items were openids or triples of a remark; now the list says which.
    "UPDATE mpscript_batch SET items = '{\"type\":\"remarks\",\"items\":' || items || '}' WHERE SUBSTR(items, 1, 2) = '[['",
    "UPDATE mpscript_batch SET items = '{\"type\":\"openids\",\"items\":' || items || '}' WHERE SUBSTR(items, 1, 1) = '['",
];

/// Reads the tables of version 6; gives the statements that fill the new columns.
pub(super) fn convert(store: &Store) -> BoxFuture<'_, Vec<Statement>> {
    Box::pin(async move {
        let steps = "SELECT run, step, what, change, checkpoint FROM mpscript_step";
        let batches = "SELECT run, step, number, pending_items FROM mpscript_batch WHERE pending_items <> ''";
        let steps = store.query(Statement::new(steps)).await?;
        let batches = store.query(Statement::new(batches)).await?;
        Ok(steps.iter().filter_map(step).chain(batches.iter().filter_map(batch)).collect())
    })
}

fn step(row: &Row) -> Option<Statement> {
    let (what, change, checkpoint) = (row.text(2)?, row.text(3)?, row.text(4)?);
    let effect = effect(change);
    let tag = effect.as_ref().and_then(|(_, effect)| effect["of"]["tag"].as_i64()).unwrap_or_default();
    let Named { kind, target } = name(what);
    let target_id = match kind {
        Some(StepKind::Call(_)) => tag,
        _ if target == tag.to_string() => tag,
        _ => 0,
    };
    let (effect_kind, effect) = match effect {
        Some((kind, effect)) => (kind, effect.to_string()),
        None if change.is_empty() => ("", String::new()),
        None => ("irreversible", change.to_owned()),
    };
    let checkpoint = convert_checkpoint(checkpoint).unwrap_or_else(|| checkpoint.to_owned());
    let statement = Statement::new(
        "UPDATE mpscript_step SET kind = $3, fingerprint = $4, target = $5, target_id = $6, effect_kind = $7,
             effect = $8, checkpoint = $9
         WHERE run = $1 AND step = $2",
    );
    let statement = statement
        .with(row.text(0)?)
        .with(row.text(1)?)
        .with(kind.map_or_else(|| what.to_owned(), |kind| kind.to_string()).as_str())
        .with(fingerprint([what]).as_str())
        .with(target.as_str())
        .with(target_id)
        .with(effect_kind)
        .with(effect.as_str())
        .with(checkpoint.as_str());
    Some(statement)
}

fn batch(row: &Row) -> Option<Statement> {
    let mut old: Value = serde_json::from_str(row.text(3)?).ok()?;
    let (in_doubt, not_sent) = (items(old["unsure"].take())?, items(old["unmade"].take())?);
    let count = in_doubt["items"].as_array().map_or(0, Vec::len);
    let statement = Statement::new(
        "UPDATE mpscript_batch SET unresolved = $4, in_doubt = $5 WHERE run = $1 AND step = $2 AND number = $3",
    );
    let unresolved = json!({"in_doubt": in_doubt, "not_sent": not_sent}).to_string();
    let statement = statement.with(row.text(0)?).with(row.text(1)?).with(row.integer(2)?);
    Some(statement.with(unresolved.as_str()).with(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// A list of items, which says now what its items are.
fn items(old: Value) -> Option<Value> {
    match old {
        Value::Null => Some(json!({"type": "openids", "items": []})),
        Value::Array(items) => {
            let kind = if items.first().is_some_and(Value::is_array) { "remarks" } else { "openids" };
            Some(json!({"type": kind, "items": items}))
        }
        _ => None,
    }
}

/// What a step did, inferred from the shape of its JSON.
fn effect(old: &str) -> Option<(&'static str, Value)> {
    let old: Value = serde_json::from_str(old).ok()?;
    let id_of = |field: &str| old[field].as_i64();
    Some(match &old {
        Value::String(text) => {
            let (word, tag) = text.split_once(' ').unwrap_or((text, ""));
            match (word, tag.parse::<i64>().ok()) {
                ("attach" | "detach", Some(tag)) => {
                    ("followers", json!({"effect": "followers", "of": {"change": word, "tag": tag}}))
                }
                ("block" | "unblock" | "remark", None) if tag.is_empty() => {
                    ("followers", json!({"effect": "followers", "of": {"change": word}}))
                }
                _ => ("irreversible", json!({"effect": "irreversible", "of": text})),
            }
        }
        Value::Object(_) if old["created"].is_i64() => (
            "tag_created",
            json!({"effect": "tag_created", "of": {"id": id_of("created"), "name": old["name"]}}),
        ),
        Value::Object(_) if old["renamed"].is_i64() => (
            "tag_renamed",
            json!({"effect": "tag_renamed", "of": {"id": id_of("renamed"), "from": old["from"], "to": old["to"]}}),
        ),
        Value::Object(_) if old["deleted"].is_i64() => (
            "tag_deleted",
            json!({"effect": "tag_deleted", "of": {"id": id_of("deleted"), "name": old["name"]}}),
        ),
        _ => return None,
    })
}

/// A checkpoint with the names of version 7.
fn convert_checkpoint(old: &str) -> Option<String> {
    let Value::Object(mut old) = serde_json::from_str(old).ok()? else { return None };
    let mut cursor = old.remove("mark")?;
    let cursor_fields = cursor.as_object_mut()?;
    let fallback = cursor_fields.remove("before").unwrap_or_default();
    cursor_fields.insert("fallback".to_owned(), fallback);
    let waiting = items(old.remove("waiting").unwrap_or_default())?;
    old.insert("cursor".to_owned(), cursor);
    old.insert("waiting".to_owned(), waiting);
    let renamed = [
        ("takes", "take_remaining", json!([])),
        ("asked", "already_batched", json!([])),
        ("drawn", "sampled", Value::Null),
        ("fold", "accumulator", Value::Null),
        ("has_written", "has_written", json!(false)),
    ];
    for (before, after, default) in renamed {
        let value = old.remove(before).unwrap_or(default);
        old.insert(after.to_owned(), value);
    }
    Some(Value::Object(old).to_string())
}

/// What a step's text says of it.
struct Named {
    kind: Option<StepKind>,
    /// What a terminal operation was given, where that was a text.
    target: String,
}

/// The text was the call (`tag::create({"name":"x"})`), or the audience with its terminal operation at the end
/// (`followers().tag("x")`).
fn name(what: &str) -> Named {
    let call = match what.split('(').next().unwrap_or_default() {
        "tag::create" => Some(EffectKind::TagCreate),
        "tag::update" => Some(EffectKind::TagUpdate),
        "tag::delete" => Some(EffectKind::TagDelete),
        "tag::attach" => Some(EffectKind::TagAttach),
        "tag::detach" => Some(EffectKind::TagDetach),
        "user::remark" => Some(EffectKind::UserRemark),
        "blacklist::add" => Some(EffectKind::BlacklistAdd),
        "blacklist::remove" => Some(EffectKind::BlacklistRemove),
        "media::upload_image" => Some(EffectKind::MediaUploadImage),
        "card::create" => Some(EffectKind::CardCreate),
        "qrcode::create" => Some(EffectKind::QrcodeCreate),
        "quota::clear" => Some(EffectKind::QuotaClear),
        "api::post" | "api::get" => Some(EffectKind::Undeclared),
        "restore_tag_name" => Some(EffectKind::RestoreTagName),
        "delete_tag_if_empty" => Some(EffectKind::DeleteTagIfEmpty),
        _ => None,
    };
    if let Some(kind) = call {
        return Named { kind: Some(StepKind::Call(kind)), target: String::new() };
    }
    let (name, argument) = last_call(what).unwrap_or_default();
    let kind = TerminalKind::from_word(name).map(StepKind::Terminal);
    Named { kind, target: unquoted(argument).unwrap_or_default() }
}

/// The name and the argument of the last call in a chain; what is in quotes is no call.
fn last_call(what: &str) -> Option<(&str, &str)> {
    let chain = what.strip_suffix(')')?;
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0_u32);
    let (mut dot, mut found) = (None, None);
    for (at, letter) in chain.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '.' if depth == 0 => dot = Some(at + 1),
            '(' => {
                if depth == 0 {
                    found = dot.take().map(|dot| (&chain[dot..at], &chain[at + 1..]));
                }
                depth += 1;
            }
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

/// A text as Rust's `Debug` has written it.
fn unquoted(text: &str) -> Option<String> {
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    let (mut plain, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '\\' => match letters.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let code: String = letters.by_ref().skip(1).take_while(|letter| *letter != '}').collect();
                    char::from_u32(u32::from_str_radix(&code, 16).ok()?)?
                }
                other => other,
            },
            letter => letter,
        };
        plain.push(letter);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_step_old_names_kind_and_target() {
        let said = |what: &str| {
            let Named { kind, target } = name(what);
            format!("{} {target}", kind.map(|kind| kind.to_string()).unwrap_or_default())
        };
        for (what, expected) in [
            ("followers().tag(\"老客户\")", "terminal:tag 老客户"),
            ("followers().tag(\"a.tag(\\\"b\")", "terminal:tag a.tag(\"b"),
            ("members(\"x.block(\").filter(… #0a1b).untag(\"\\u{202e}\")", "terminal:untag \u{202e}"),
            ("followers().take(3).each()", "terminal:each "),
            ("openids([2 openids]) #0123456789abcdef.count_by()", "terminal:count_by "),
            ("changed_by(\"r\", \"3\", \"remark\").restore_remark()", "terminal:restore_remark "),
            ("followers().write_csv(\"关注者.csv\")", "terminal:write_csv 关注者.csv"),
            ("tag::attach({\"openid_list\":[\"a\"],\"tagid\":7})", "call:tag_attach "),
            ("api::post({\"body\":{},\"path\":\"/x\"})", "call:undeclared "),
            ("delete_tag_if_empty(100, \"空\")", "call:tag_delete_if_empty "),
            ("nonsense", " "),
        ] {
            assert_eq!(said(what), expected, "{what}");
        }
    }

    #[test]
    fn effect_old_is_tagged() {
        for (old, expected) in [
            ("\"attach 100\"", json!({"effect": "followers", "of": {"change": "attach", "tag": 100}})),
            ("\"block\"", json!({"effect": "followers", "of": {"change": "block"}})),
            ("\"card::create\"", json!({"effect": "irreversible", "of": "card::create"})),
            (
                "{\"created\":100,\"name\":\"甲\"}",
                json!({"effect": "tag_created", "of": {"id": 100, "name": "甲"}}),
            ),
            (
                "{\"renamed\":100,\"from\":\"甲\",\"to\":\"乙\"}",
                json!({"effect": "tag_renamed", "of": {"id": 100, "from": "甲", "to": "乙"}}),
            ),
            (
                "{\"deleted\":100,\"name\":\"甲\"}",
                json!({"effect": "tag_deleted", "of": {"id": 100, "name": "甲"}}),
            ),
        ] {
            assert_eq!(effect(old).map(|(_, effect)| effect), Some(expected), "{old}");
        }
        assert_eq!(effect("{\"no\":\"shape\"}"), None);
    }
}
