//! How a request looks on the wire, in both directions.

use super::{
    Credential, Endpoint, FieldKind, Method, Spec,
    media::File,
    mismatch::{Mismatch, Segment, explain},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A request as HTTP carries it, without its credential.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// Query parameters, not yet encoded.
    pub query: Vec<(String, String)>,
    /// The JSON body of a POST.
    pub body: Option<Value>,
    /// The one part of an upload, by its name.
    pub file: Option<(&'static str, File)>,
}

/// A request that an endpoint can't read: what was wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// Spells a request. Absent optional fields are left out: the platform refuses `null` (47001).
///
/// # Panics
/// Never: a request is a struct of texts, numbers and lists, which JSON always holds.
pub fn encode<E: Endpoint>(request: &E) -> Outgoing {
    let mut fields = match serde_json::to_value(request) {
        Ok(Value::Object(fields)) => fields,
        other => unreachable!("a request is an object: {other:?}"),
    };
    fields.retain(|_, value| !value.is_null());
    match E::SPEC.method {
        Method::Get => Outgoing {
            query: fields.into_iter().map(|(name, value)| (name, query_text(value))).collect(),
            ..Outgoing::default()
        },
        // A POST without a field still carries an object: an empty body is 44002.
        Method::Post => {
            let body = Value::Object(fields);
            let body = match E::SPEC.envelope {
                Some(envelope) => Value::Object(Map::from_iter([(envelope.to_owned(), body)])),
                None => body,
            };
            Outgoing { body: Some(body), ..Outgoing::default() }
        }
        Method::Upload => {
            let file = E::SPEC.fields.iter().find_map(|field| {
                let file = serde_json::from_value(fields.remove(field.name)?).ok()?;
                Some((field.name, file))
            });
            Outgoing { file, ..Outgoing::default() }
        }
    }
}

/// Adds `grant_type`, `appid` and `secret`, as far as the declaration wants them.
pub fn add_app_secret(spec: &Spec, appid: &str, secret: &str, request: &mut Outgoing) {
    let fields: &[(&str, &str)] = match spec.credential {
        Credential::AppSecret { grant_type } => {
            &[("grant_type", grant_type), ("appid", appid), ("secret", secret)]
        }
        Credential::AppId { grant_type } => &[("grant_type", grant_type), ("appid", appid)],
        Credential::AccessToken | Credential::UserToken => return,
    };
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match &mut request.body {
        Some(Value::Object(body)) => body.extend(fields.map(|(name, value)| (name, Value::from(value)))),
        _ => request.query.splice(0..0, fields).for_each(drop),
    }
}

/// Reads a request: the reverse of [`encode`]. Fields that the endpoint does not know are passed
/// over, absent ones have their default, as on the platform. An upload's `body` is an object with its file.
///
/// # Errors
/// When a field holds something of another kind, or the envelope is missing.
pub fn decode<E: Endpoint>(query: &[(String, String)], body: Option<Value>) -> Result<E, Unreadable> {
    let fields = match E::SPEC.method {
        Method::Get => Value::Object(
            E::SPEC
                .fields
                .iter()
                .filter_map(|field| {
                    let (_, text) = query.iter().find(|(name, _)| name == field.name)?;
                    let value = match (field.kind, text.parse::<i64>()) {
                        (FieldKind::Integer, Ok(number)) => Value::from(number),
                        _ => Value::from(text.as_str()),
                    };
                    Some((field.name.to_owned(), value))
                })
                .collect(),
        ),
        Method::Post | Method::Upload => {
            let mut body = body.unwrap_or_default();
            match E::SPEC.envelope {
                Some(envelope) => body
                    .get_mut(envelope)
                    .map(Value::take)
                    .ok_or_else(|| Unreadable(format!("`{envelope}` is missing")))?,
                None => body,
            }
        }
    };
    // A struct is read from a list as well, field by field, which no platform does.
    if !fields.is_object() {
        return Err(Unreadable("the fields are in no object".to_owned()));
    }
    serde_json::from_value(fields).map_err(|error| Unreadable(error.to_string()))
}

/// Spells an answer, in its envelope if it has one.
///
/// # Panics
/// Never: an answer is a struct of texts, numbers and lists, which JSON always holds.
pub fn encode_answer<E: Endpoint>(answer: &E::Answer) -> Vec<u8> {
    let result = match E::SPEC.answer_envelope {
        Some(envelope) => serde_json::to_vec(&std::collections::BTreeMap::from([(envelope, answer)])),
        None => serde_json::to_vec(answer),
    };
    result.unwrap_or_else(|error| unreachable!("an answer is JSON: {error}"))
}

/// Reads an answer out of its envelope.
///
/// # Errors
/// When it is not JSON, or not of the declared shape.
pub fn decode_answer<E: Endpoint>(bytes: &[u8]) -> Result<E::Answer, serde_json::Error> {
    match E::SPEC.answer_envelope {
        Some(envelope) => {
            let mut whole: Map<String, Value> = serde_json::from_slice(bytes)?;
            serde_json::from_value(whole.remove(envelope).unwrap_or_default())
        }
        None => serde_json::from_slice(bytes),
    }
}

/// Why JSON is not an answer of the declared shape; `None` when it is one.
#[must_use]
pub fn explain_answer<E: Endpoint>(whole: &Value) -> Option<Mismatch> {
    let Some(envelope) = E::SPEC.answer_envelope else { return explain::<E::Answer>(whole) };
    if let Some(mismatch) = explain::<Map<String, Value>>(whole) {
        return Some(mismatch);
    }
    let inner = whole.get(envelope);
    let mut mismatch = explain::<E::Answer>(inner.unwrap_or(&Value::Null))?;
    mismatch.found.take_if(|_| inner.is_none());
    mismatch.place.insert(0, Segment::Field(envelope.to_owned()));
    Some(mismatch)
}

/// The `errcode` and `errmsg` of an answer, if it is an error's or a [`Empty`](super::answer::Empty).
#[derive(Debug, Default, Deserialize)]
pub struct Head {
    /// 0 or absent when the call succeeded.
    #[serde(default)]
    pub errcode: i64,
    /// The message, which no program should compare.
    #[serde(default)]
    pub errmsg: String,
    /// With 45171: the openids that failed; the others succeeded. Empty when it can't be read.
    #[serde(default, deserialize_with = "all_texts")]
    pub fail_openid_list: Vec<String>,
}

/// A list of texts; empty when one of them is something else, since the others would pass for the whole list.
fn all_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(list).unwrap_or_default())
}

fn query_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
