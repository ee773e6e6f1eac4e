//! Converts the arguments that a script gives to an endpoint's function to the wire format.

use super::signature::signature;
use crate::{
    api::{Field, FieldKind, Spec, tag::Tag},
    script::host::{
        env::RunEnv,
        error::ScriptError,
        file,
        value::{Follower, OpaqueToken, describe_type, to_json, unsendable},
    },
};
use rhai::Dynamic;
use serde_json::{Value, json};

/// A script's argument in the wire format.
pub(crate) fn read_argument(
    env: &RunEnv,
    spec: &Spec,
    field: &Field,
    arg: &Dynamic,
) -> Result<Value, ScriptError> {
    let wrong = |arg: &Dynamic| {
        ScriptError::usage(
            format!(
                "{}: `{}` must be {}, not {}",
                spec.name,
                field.name,
                field.kind.describe(),
                describe_type(arg)
            ),
            signature(spec),
        )
    };
    let text = |arg: &Dynamic| {
        arg.as_immutable_string_ref().map(|text| json!(text.as_str())).map_err(|_| wrong(arg))
    };
    let sendable = |map: &Dynamic| match unsendable(map) {
        Some(reason) => {
            let message = format!("{}: `{}` can't be sent: {reason}", spec.name, field.name);
            Err(ScriptError::usage(message, "give texts, numbers, true or false, arrays and maps"))
        }
        None => Ok(without_nulls(to_json(map))),
    };
    match field.kind {
        FieldKind::Text => match arg.read_lock::<Follower>() {
            // A follower stands for their openid.
            Some(user) if field.name == "openid" => Ok(json!(user.0.openid)),
            _ => text(arg),
        },
        FieldKind::Integer => match arg.read_lock::<Tag>() {
            // A tag stands for its id.
            Some(tag) => Ok(json!(tag.id)),
            None => arg.as_int().map(Value::from).map_err(|_| wrong(arg)),
        },
        FieldKind::Flag => arg.as_bool().map(Value::from).map_err(|_| wrong(arg)),
        FieldKind::Token => match arg.read_lock::<OpaqueToken>() {
            Some(token) => Ok(json!(token.secret.reveal())),
            None => text(arg),
        },
        FieldKind::Map if arg.is_map() => sendable(arg),
        FieldKind::Map => Err(wrong(arg)),
        FieldKind::File => match arg.as_immutable_string_ref() {
            Ok(path) => file::picture(spec, &env.io.files, path.as_str()).map(|file| json!(file)),
            Err(_) => Err(wrong(arg)),
        },
        FieldKind::TextList => list(arg, &wrong, |entry| match entry.read_lock::<Follower>() {
            Some(user) => Ok(json!(user.0.openid)),
            None => text(entry),
        }),
        FieldKind::IntegerList => list(arg, &wrong, |entry| match entry.read_lock::<Tag>() {
            Some(tag) => Ok(json!(tag.id)),
            None => entry.as_int().map(Value::from).map_err(|_| wrong(entry)),
        }),
        FieldKind::UserList => list(arg, &wrong, |entry| {
            if let Some(user) = entry.read_lock::<Follower>() {
                return Ok(json!({"openid": user.0.openid}));
            }
            if entry.is_map() {
                return sendable(entry);
            }
            text(entry).map(|openid| json!({"openid": openid}))
        }),
    }
}

/// Removes fields that are `null`: the platform accepts an absent field, and refuses `null` (47001).
fn without_nulls(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            for value in fields.values_mut() {
                *value = without_nulls(value.take());
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                *entry = without_nulls(entry.take());
            }
        }
        _ => {}
    }
    value
}

fn list(
    arg: &Dynamic,
    wrong: &dyn Fn(&Dynamic) -> ScriptError,
    entry: impl Fn(&Dynamic) -> Result<Value, ScriptError>,
) -> Result<Value, ScriptError> {
    let entries = arg.as_array_ref().map_err(|_| wrong(arg))?;
    entries.iter().map(entry).collect::<Result<Vec<_>, _>>().map(Value::Array)
}
