//! Misspelt keys of maps that are written out as the argument of what takes declared fields: cards and their builders. A key
//! that is like no declared one may be a field that the platform has added.

use super::{
    file::{File, Problem},
    observed::Observed,
};
use crate::api::card::{Card, MisspeltField, misspelt, misspelt_names};
use rhai::{Expr, Position};
use serde_json::{Map, Value};

/// The module of cards.
const CARD: &str = "card";

/// Keys that a builder takes beside the card's own fields.
const BUILDER_KEYS: [&str; 7] = [
    "base_info",
    "advanced_info",
    "quantity",
    "begin_timestamp",
    "end_timestamp",
    "fixed_term",
    "fixed_begin_term",
];

/// A misspelt key of a map that is given to a function of cards.
pub(super) fn problem(file: &File, observed: &Observed) -> Option<Problem> {
    let Observed::Call { module: CARD, name, given, .. } = observed else { return None };
    let expr @ Expr::Map(map, _) = given.first()?.expr? else { return None };
    let found = if *name == "create" {
        let Value::Object(fields) = sketch(expr) else { return None };
        misspelt(&Card(fields))
    } else {
        let keys: Vec<&str> = map.0.iter().map(|(key, _)| key.name.as_str()).collect();
        misspelt_names(&name.to_uppercase(), &keys, &BUILDER_KEYS)
    };
    let MisspeltField { given, meant } = found.into_iter().next()?;
    let position = position_of(expr, &given).unwrap_or_else(|| expr.start_position());
    let message = format!("{CARD}::{name} has no field `{given}`");
    Some(Problem::new(file, position, message, Some(format!("did you mean `{meant}`?"))))
}

/// A map as JSON, with `null` in place of what is not written out.
fn sketch(expr: &Expr) -> Value {
    match expr {
        Expr::Map(map, _) => {
            let fields = map.0.iter().map(|(key, value)| (key.name.to_string(), sketch(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Expr::Array(entries, _) => entries.iter().map(sketch).collect(),
        Expr::StringConstant(text, _) => Value::String(text.to_string()),
        Expr::IntegerConstant(number, _) => Value::from(*number),
        Expr::BoolConstant(flag, _) => Value::Bool(*flag),
        _ => Value::Null,
    }
}

/// Where a key is written in a map or in one that is in it.
fn position_of(expr: &Expr, wanted: &str) -> Option<Position> {
    match expr {
        Expr::Map(map, _) => {
            let own = map.0.iter().find(|(key, _)| key.name == wanted).map(|(key, _)| key.pos);
            own.or_else(|| map.0.iter().find_map(|(_, value)| position_of(value, wanted)))
        }
        Expr::Array(entries, _) => entries.iter().find_map(|entry| position_of(entry, wanted)),
        _ => None,
    }
}
