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
    let value = Argument { env, spec, field }.read(arg)?;
    if let (Method::Get, Value::String(text)) = (spec.method, &value) {
        check_query_text(&format!("{}: `{}`", spec.name, field.name), text)?;
    }
    Ok(value)
}

/// The error for an argument, or an entry of a list, of another type than the field; `given` is that type in words.
pub(crate) fn wrong_type(spec: &Spec, field: &Field, given: &str) -> ScriptError {
    let kind = field.kind.describe();
    ScriptError::usage(
        format!("{}: `{}` must be {kind}, not {given}", spec.name, field.name),
        signature(spec),
    )
}

/// What an argument is for: a field of an endpoint.
struct Argument<'a> {
    env: &'a RunEnv,
    spec: &'a Spec,
    field: &'a Field,
}

impl Argument<'_> {
    fn read(&self, arg: &Dynamic) -> Result<Value, ScriptError> {
        match self.field.kind {
            FieldKind::Text => match arg.read_lock::<Follower>() {
                // A follower stands for their openid.
                Some(user) if self.field.name == OPENID => Ok(json!(user.0.openid)),
                None if self.field.name == OPENID => self.openid(arg, &format!("`{}`", self.field.name)),
                _ => self.text(arg),
            },
            FieldKind::Integer => self.integer(arg),
            FieldKind::Flag => arg.as_bool().map(Value::from).map_err(|_| self.wrong(arg)),
            FieldKind::Token => match arg.read_lock::<OpaqueToken>() {
                Some(token) => Ok(json!(token.secret.reveal())),
                None => self.text(arg),
            },
            FieldKind::Map if arg.is_map() => self.sendable(arg),
            FieldKind::Map => Err(self.wrong(arg)),
            FieldKind::File => match arg.as_immutable_string_ref() {
                Ok(path) => {
                    file::picture(self.spec, &self.env.io.files, path.as_str()).map(|file| json!(file))
                }
                Err(_) => Err(self.wrong(arg)),
            },
            FieldKind::TextList => self.list(arg, |at, entry| match entry.read_lock::<Follower>() {
                Some(user) => Ok(json!(user.0.openid)),
                None if self.field.name == OPENID_LIST => self.openid(entry, &self.entry(at)),
                None => self.text(entry),
            }),
            FieldKind::IntegerList => self.list(arg, |_, entry| self.integer(entry)),
            FieldKind::UserList => self.list(arg, |at, entry| self.user(entry, &self.entry(at))),
        }
    }

    /// The argument or the entry of a list is of another type than the field.
    fn wrong(&self, arg: &Dynamic) -> ScriptError {
        wrong_type(self.spec, self.field, &describe_type(arg))
    }

    fn text(&self, arg: &Dynamic) -> Result<Value, ScriptError> {
        arg.as_immutable_string_ref().map(|text| json!(text.as_str())).map_err(|_| self.wrong(arg))
    }

    fn integer(&self, arg: &Dynamic) -> Result<Value, ScriptError> {
        match arg.read_lock::<Tag>() {
            // A tag stands for its id.
            Some(tag) => Ok(json!(tag.id)),
            None => arg.as_int().map(Value::from).map_err(|_| self.wrong(arg)),
        }
    }

    /// `what` names the text: the field, or an entry of a list.
    fn openid(&self, arg: &Dynamic, what: &str) -> Result<Value, ScriptError> {
        let given = arg.as_immutable_string_ref().map_err(|_| self.wrong(arg))?;
        self.check_openid(given.as_str(), what)?;
        Ok(json!(given.as_str()))
    }

    fn check_openid(&self, text: &str, what: &str) -> Result<(), ScriptError> {
        check_openid(&format!("{}: {what}", self.spec.name), text)
    }

    fn sendable(&self, map: &Dynamic) -> Result<Value, ScriptError> {
        match unsendable(map) {
            Some(reason) => {
                let message = format!("{}: `{}` can't be sent: {reason}", self.spec.name, self.field.name);
                Err(ScriptError::usage(message, "give texts, numbers, true or false, arrays and maps"))
            }
            None => Ok(without_nulls(to_json(map))),
        }
    }

    /// An entry of a list of people: a follower, a map with the field `openid`, or an openid.
    fn user(&self, entry: &Dynamic, what: &str) -> Result<Value, ScriptError> {
        if let Some(user) = entry.read_lock::<Follower>() {
            return Ok(json!({"openid": user.0.openid}));
        }
        if entry.is_map() {
            let sendable = self.sendable(entry)?;
            if let Some(given) = sendable[OPENID].as_str() {
                self.check_openid(given, what)?;
            }
            return Ok(sendable);
        }
        Ok(json!({"openid": self.openid(entry, what)?}))
    }

    fn entry(&self, at: usize) -> String {
        format!("entry {} of `{}`", at + 1, self.field.name)
    }

    fn list(
        &self,
        arg: &Dynamic,
        entry: impl Fn(usize, &Dynamic) -> Result<Value, ScriptError>,
    ) -> Result<Value, ScriptError> {
        let entries = arg.as_array_ref().map_err(|_| self.wrong(arg))?;
        let values = entries.iter().enumerate().map(|(at, value)| entry(at, value));
        values.collect::<Result<Vec<_>, _>>().map(Value::Array)
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
