//! What a session shows of a value: a text, or rows that the REPL fits to the terminal. Knows neither colours nor
//! widths.

use crate::{
    api::{tag::Tag, user},
    base::{Redactor, with_thousands},
    bulk::OperationReport,
    script::{
        audience::audience::Audience,
        functions::kinds::value_fields,
        host::value::{Follower, describe_type, to_json, to_text},
    },
};
use chrono::{DateTime, FixedOffset};
use rhai::{Array, Dynamic, Engine, Map};
use serde_json::Value;

/// Rows of a long list that are shown at once.
pub(crate) const PAGE_ROWS: usize = 20;

/// Maximum depth of nested values that is shown.
const LEVELS: usize = 16;

/// Maximum number of columns of a list of maps; with more keys, each map is shown as one text.
const MAX_COLUMNS: usize = 8;

/// Characters of a variable's value in a list of variables.
const MAX_VALUE_CHARS: usize = 60;

/// The result of a line, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendered {
    /// Nothing.
    Nothing,
    /// A text.
    Text(String),
    /// Some rows of a list, with the names of the columns.
    Rows {
        /// What each column holds.
        columns: Vec<String>,
        /// The rows that are shown.
        rows: Vec<Vec<String>>,
        /// The index of the first of them in the list.
        from: usize,
        /// The length of the list.
        total: usize,
    },
}

impl Rendered {
    /// Without any known secret. It is masked before its cells are cut or wrapped: a part of a secret could not be found any
    /// more.
    #[must_use]
    pub fn masked(&self, secrets: &Redactor) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Text(text) => Self::Text(secrets.mask(text)),
            Self::Rows { columns, rows, from, total } => Self::Rows {
                columns: secrets.mask_all(columns.clone()),
                rows: rows.iter().map(|row| secrets.mask_all(row.clone())).collect(),
                from: *from,
                total: *total,
            },
        }
    }
}

/// A variable, as `:vars` and completion show it.
#[derive(Clone, Debug)]
pub struct Variable {
    /// What it is called.
    pub name: String,
    /// Its type, as messages name it.
    pub kind: String,
    /// Its value without secrets, truncated.
    pub value: String,
    /// The fields that can follow its dot.
    pub fields: Vec<String>,
    /// The fields that can follow the dot of its entries, if it is a list.
    pub fields_of_entries: Vec<String>,
    /// Whether it is an audience, which has stages and terminal operations.
    pub is_audience: bool,
    /// Whether it can't be set.
    pub is_constant: bool,
}

/// A value as a result.
pub(crate) fn show_value(engine: &Engine, value: &Dynamic, max_rows: usize) -> Rendered {
    rows_of(value, 0, max_rows).unwrap_or_else(|| Rendered::Text(text_of(engine, value, max_rows)))
}

/// More rows of a list.
#[must_use]
pub fn more(value: &Dynamic, from: usize) -> Option<Rendered> {
    rows_of(value, from, PAGE_ROWS)
}

fn text_of(engine: &Engine, value: &Dynamic, max_rows: usize) -> String {
    if let Some(audience) = value.read_lock::<Audience>() {
        return plan(&audience);
    }
    if value.is_map() {
        return serde_json::to_string_pretty(&cut(value, LEVELS, max_rows)).unwrap_or_default();
    }
    if let Some(user) = value.read_lock::<Follower>() {
        let fields = serde_json::to_value(&*user.0).unwrap_or_default();
        let fields = fields.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        return fields
            .map(|(name, value)| format!("{name:<18}{}", in_a_cell(value)))
            .collect::<Vec<_>>()
            .join("\n");
    }
    to_text(engine, value.clone())
}

/// A nested value, with long arrays and maps truncated.
fn cut(value: &Dynamic, levels: usize, max_rows: usize) -> Value {
    let more = |count: usize| Value::String(format!("{} more", with_thousands(count as u64)));
    if let Some(audience) = value.read_lock::<Audience>() {
        return Value::String(audience.to_string());
    }
    if value.is_fnptr() {
        return Value::String(describe_type(value));
    }
    if levels == 0 {
        return to_json(value);
    }
    if let Some(list) = value.read_lock::<Array>() {
        let first = list.iter().take(max_rows).map(|value| cut(value, levels - 1, max_rows));
        return first.chain(list.len().checked_sub(max_rows).filter(|rest| *rest > 0).map(more)).collect();
    }
    if let Some(map) = value.read_lock::<Map>() {
        let first = map.iter().take(max_rows.saturating_mul(2));
        let mut shown: serde_json::Map<String, Value> =
            first.map(|(key, value)| (key.to_string(), cut(value, levels - 1, max_rows))).collect();
        if let Some(rest) = map.len().checked_sub(shown.len()).filter(|rest| *rest > 0) {
            shown.insert("…".to_owned(), more(rest));
        }
        return Value::Object(shown);
    }
    to_json(value)
}

/// What an audience will do, without doing it.
fn plan(audience: &Audience) -> String {
    let text = audience.to_string();
    let calls =
        text.split(").").map(|call| if call.ends_with(')') { call.to_owned() } else { format!("{call})") });
    let calls: Vec<String> = calls.collect();
    let calls = calls.join("\n  .");
    format!("{calls}\nnothing is called yet: .count(), .each(|u| …) or .tag(\"…\") runs it")
}

/// A list as rows, beginning with row `from`; `None` for any other value.
fn rows_of(value: &Dynamic, from: usize, max_rows: usize) -> Option<Rendered> {
    let list = value.read_lock::<Array>()?;
    let first = list.first()?;
    let part = || list.iter().enumerate().skip(from).take(max_rows);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let (columns, rows): (Vec<String>, Vec<Vec<String>>) = if first.is::<Follower>() {
        let rows = part().filter_map(|(_, value)| Some(follower(&*value.read_lock::<Follower>()?)));
        (words(&["openid", "remark", "subscribed", "scene", "qr_scene", "tags"]), rows.collect())
    } else if first.is::<Tag>() {
        let row = |tag: &Tag| {
            vec![
                tag.id.to_string(),
                tag.name.clone(),
                tag.count.map(|count| count.to_string()).unwrap_or_default(),
            ]
        };
        let rows = part().filter_map(|(_, value)| Some(row(&*value.read_lock::<Tag>()?)));
        (words(&["id", "name", "count"]), rows.collect())
    } else if first.is::<OperationReport>() {
        let rows = part().filter_map(|(_, value)| Some(report(&*value.read_lock::<OperationReport>()?)));
        (words(&["operation", "state", "listed", "matched", "changed", "failed"]), rows.collect())
    } else if let Some(keys) = keys_of(&list) {
        let cell = |map: &Map, key: &String| {
            map.get(key.as_str()).map(|value| in_a_cell(&cut(value, LEVELS, PAGE_ROWS))).unwrap_or_default()
        };
        let rows = part().filter_map(|(_, value)| {
            let map = value.read_lock::<Map>()?;
            Some(keys.iter().map(|key| cell(&map, key)).collect())
        });
        let rows = rows.collect();
        (keys, rows)
    } else {
        let rows = part().map(|(at, value)| vec![at.to_string(), in_a_cell(&cut(value, LEVELS, PAGE_ROWS))]);
        (words(&["", "value"]), rows.collect())
    };
    Some(Rendered::Rows { columns, rows, from, total: list.len() })
}

/// The columns of a list of maps; `None` if an entry of its first page is no map, or there are too many keys.
fn keys_of(list: &Array) -> Option<Vec<String>> {
    let mut keys: Vec<String> = Vec::new();
    for value in list.iter().take(PAGE_ROWS) {
        for key in value.read_lock::<Map>()?.keys() {
            if !keys.iter().any(|known| known == key.as_str()) {
                keys.push(key.to_string());
            }
        }
    }
    (!keys.is_empty() && keys.len() <= MAX_COLUMNS).then_some(keys)
}

fn follower(Follower(user): &Follower) -> Vec<String> {
    let beijing = FixedOffset::east_opt(8 * 3_600);
    let time = user.subscribe_time.and_then(|time| DateTime::from_timestamp(time, 0)).zip(beijing);
    let time = time.map(|(time, zone)| time.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string());
    let tags: Vec<String> = user.tagid_list.iter().flatten().map(ToString::to_string).collect();
    let number = |number: Option<i64>| number.filter(|number| *number != 0).map(|number| number.to_string());
    vec![
        user.openid.clone().unwrap_or_default(),
        user.remark.clone().unwrap_or_default(),
        time.unwrap_or_default(),
        user.subscribe_scene.clone().unwrap_or_default().trim_start_matches("ADD_SCENE_").to_owned(),
        number(user.qr_scene).unwrap_or_default(),
        tags.join(" "),
    ]
}

fn report(report: &OperationReport) -> Vec<String> {
    let counts =
        [report.totals.listed, report.totals.matched, report.totals.changed, report.failed.len() as u64];
    let mut row = vec![report.title(), report.state.as_str().replace('_', " ")];
    row.extend(counts.map(with_thousands));
    row
}

fn in_a_cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The fields that can follow the dot of a value.
fn fields(value: &Dynamic) -> Vec<String> {
    if let Some(map) = value.read_lock::<Map>() {
        map.keys().map(ToString::to_string).collect()
    } else if value.is::<Follower>() {
        user::FIELDS.iter().map(|field| field.name.to_owned()).collect()
    } else {
        let kind = describe_type(value);
        let kind = kind.split_once(' ').map_or("", |(_, kind)| kind);
        value_fields(kind).into_iter().flatten().map(str::to_owned).collect()
    }
}

/// A constant for lists and for completion.
pub(crate) fn constant(name: &str, value: &Dynamic, secrets: &Redactor) -> Variable {
    Variable { is_constant: true, ..variable(name, value, secrets) }
}

/// A variable for lists and for completion.
pub(crate) fn variable(name: &str, value: &Dynamic, secrets: &Redactor) -> Variable {
    let first = value.read_lock::<Array>().and_then(|list| list.first().cloned());
    let (kind, value_text) = match value.read_lock::<Array>() {
        Some(list) => (format!("an array of {}", list.len()), String::new()),
        None if value.is::<Audience>() => (
            "an audience".to_owned(),
            value.read_lock::<Audience>().map(|audience| audience.to_string()).unwrap_or_default(),
        ),
        // The engine's generated name of a closure is of no use.
        None if value.is_fnptr() && value.clone_cast::<rhai::FnPtr>().fn_name().contains('$') => {
            (describe_type(value), String::new())
        }
        None => (describe_type(value), in_a_cell(&cut(value, LEVELS, PAGE_ROWS))),
    };
    let value_text = secrets.mask(&value_text);
    let mut short: String = value_text.chars().take(MAX_VALUE_CHARS).collect();
    if short.len() < value_text.len() {
        short.push('…');
    }
    Variable {
        name: name.to_owned(),
        kind,
        value: short,
        fields: fields(value),
        fields_of_entries: first.map(|first| fields(&first)).unwrap_or_default(),
        is_audience: value.is::<Audience>(),
        is_constant: false,
    }
}
