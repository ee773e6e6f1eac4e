//! Converts the arguments that a script gives to an endpoint's function to the wire format.

use super::signature::signature;
use crate::{
    api::{Field, FieldKind, Method, Spec, tag::Tag},
    script::host::{
        env::RunEnv,
        error::ScriptError,
        file,
        openid::check_openid,
        value::{Follower, OpaqueToken, describe_type, to_json, unsendable},
    },
};
use rhai::Dynamic;
use serde_json::{Value, json};

/// The field of one openid, and that of several.
const OPENID: &str = "openid";
const OPENID_LIST: &str = "openid_list";

/// The longest text that can be a part of an address, in bytes: servers take no longer address.
const MAX_QUERY_TEXT: usize = 8 << 10;

/// Refuses a text that is too long to be a part of an address; `what` names it.
pub(crate) fn check_query_text(what: &str, text: &str) -> Result<(), ScriptError> {
    if text.len() <= MAX_QUERY_TEXT {
        return Ok(());
    }
    let message =
        format!("{what} is {} bytes long, and an address has room for {MAX_QUERY_TEXT}", text.len());
    Err(ScriptError::usage(message, "is it the text that it is meant to be?"))
}

/// A script's argument in the wire format.
pub(crate) fn read_argument(
    env: &RunEnv,
    spec: &Spec,
    field: &Field,
    arg: &Dynamic,
) -> Result<Value, ScriptError> {
    let value = read_value(env, spec, field, arg)?;
    if let (Method::Get, Value::String(text)) = (spec.method, &value) {
        check_query_text(&format!("{}: `{}`", spec.name, field.name), text)?;
    }
    Ok(value)
}

fn read_value(env: &RunEnv, spec: &Spec, field: &Field, arg: &Dynamic) -> Result<Value, ScriptError> {
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
    // `what` names the text: the field, or an entry of a list.
    let openid =
        |text: &str, what: &str| check_openid(&format!("{}: {what}", spec.name), text).map(|()| json!(text));
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
            Some(user) if field.name == OPENID => Ok(json!(user.0.openid)),
            None if field.name == OPENID => {
                let given = arg.as_immutable_string_ref().map_err(|_| wrong(arg))?;
                openid(given.as_str(), &format!("`{}`", field.name))
            }
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
        FieldKind::TextList => list(arg, &wrong, |at, entry| match entry.read_lock::<Follower>() {
            Some(user) => Ok(json!(user.0.openid)),
            None if field.name == OPENID_LIST => {
                let given = entry.as_immutable_string_ref().map_err(|_| wrong(entry))?;
                openid(given.as_str(), &format!("entry {} of `{}`", at + 1, field.name))
            }
            None => text(entry),
        }),
        FieldKind::IntegerList => list(arg, &wrong, |_, entry| match entry.read_lock::<Tag>() {
            Some(tag) => Ok(json!(tag.id)),
            None => entry.as_int().map(Value::from).map_err(|_| wrong(entry)),
        }),
        FieldKind::UserList => list(arg, &wrong, |at, entry| {
            let what = format!("entry {} of `{}`", at + 1, field.name);
            if let Some(user) = entry.read_lock::<Follower>() {
                return Ok(json!({"openid": user.0.openid}));
            }
            if entry.is_map() {
                let sendable = sendable(entry)?;
                if let Some(given) = sendable[OPENID].as_str() {
                    openid(given, &what)?;
                }
                return Ok(sendable);
            }
            let given = entry.as_immutable_string_ref().map_err(|_| wrong(entry))?;
            Ok(json!({"openid": openid(given.as_str(), &what)?}))
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
    entry: impl Fn(usize, &Dynamic) -> Result<Value, ScriptError>,
) -> Result<Value, ScriptError> {
    let entries = arg.as_array_ref().map_err(|_| wrong(arg))?;
    entries
        .iter()
        .enumerate()
        .map(|(at, value)| entry(at, value))
        .collect::<Result<Vec<_>, _>>()
        .map(Value::Array)
}
