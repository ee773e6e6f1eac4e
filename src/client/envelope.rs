//! Reads answers: the errcode and the tokens of any, the declared type of one without an errcode.

use super::{CallError, json_repair::repair};
use crate::{
    api::{
        Endpoint, Records,
        mismatch::{Segment, explain},
        wire::{self, Head},
    },
    base::Secret,
};
use serde_json::Value;

/// Decodes an answer, and holds it to its request.
pub(super) fn decode_verified<E: Endpoint>(request: &E, bytes: &[u8]) -> Result<E::Answer, CallError> {
    let answer = decode::<E>(bytes)?;
    match request.verify(&answer) {
        Ok(()) => Ok(answer),
        Err(reason) => Err(CallError::Unreadable { endpoint: E::SPEC.name, reason }),
    }
}

/// Decodes an answer, repaired if it is almost JSON.
fn decode<E: Endpoint>(bytes: &[u8]) -> Result<E::Answer, CallError> {
    let first = match wire::decode_answer::<E>(bytes) {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let repaired = repair(bytes);
    wire::decode_answer::<E>(&repaired).map_err(|_| {
        let json: Option<Value> = serde_json::from_slice(&repaired).ok();
        let reason = match json.and_then(|json| wire::explain_answer::<E>(&json)) {
            Some(mismatch) => mismatch.to_string(),
            None => format!("{} (line {}, column {})", category(&first), first.line(), first.column()),
        };
        CallError::Unreadable { endpoint: E::SPEC.name, reason }
    })
}

/// A record of an answer that is not what the declaration says.
#[derive(Clone, Debug)]
pub struct BrokenRecord {
    /// The openid that it names, if it names one.
    pub openid: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

/// Decodes an answer without the records that can't be read. An answer of which none can is no answer.
pub(super) fn decode_records<E: Records>(bytes: &[u8]) -> Result<(E::Answer, Vec<BrokenRecord>), CallError> {
    match decode::<E>(bytes) {
        Ok(answer) => Ok((answer, Vec::new())),
        Err(error) => salvage::<E>(&repair(bytes)).ok_or(error),
    }
}

/// The records of an answer that can be read, and the others.
fn salvage<E: Records>(bytes: &[u8]) -> Option<(E::Answer, Vec<BrokenRecord>)> {
    let mut json: Value = serde_json::from_slice(bytes).ok()?;
    let records = std::mem::take(list_of::<E>(&mut json)?);
    // What is wrong outside of the records costs all of them.
    if wire::explain_answer::<E>(&json).is_some() {
        return None;
    }
    let (mut good, mut broken) = (Vec::new(), Vec::new());
    for (index, record) in records.into_iter().enumerate() {
        *list_of::<E>(&mut json)? = vec![record];
        let mismatch = wire::explain_answer::<E>(&json);
        let record = list_of::<E>(&mut json)?.pop()?;
        match mismatch {
            None => good.push(record),
            Some(mut mismatch) => {
                if let Some(place) = mismatch.place.get_mut(E::RECORDS.len()) {
                    *place = Segment::Entry(index);
                }
                let openid = record.get("openid").and_then(Value::as_str).map(str::to_owned);
                broken.push(BrokenRecord { openid, reason: mismatch.to_string() });
            }
        }
    }
    if good.is_empty() && broken.len() > 1 {
        return None;
    }
    *list_of::<E>(&mut json)? = good;
    Some((wire::decode_answer::<E>(&serde_json::to_vec(&json).ok()?).ok()?, broken))
}

/// The records of an answer.
fn list_of<E: Records>(json: &mut Value) -> Option<&mut Vec<Value>> {
    E::RECORDS.iter().try_fold(json, |at, name| at.get_mut(name))?.as_array_mut()
}

/// The head of an answer that has an errcode. The bytes are searched before they are parsed, since a page of ten
/// thousand openids has none.
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, String> {
    const NEEDLE: &[u8] = b"\"errcode\"";
    if memchr::memmem::find(bytes, NEEDLE).is_none() {
        return match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Ok(None),
            Some(_) => Err(format!("{} bytes that are not a JSON object", bytes.len())),
            None => Err("it is empty".to_owned()),
        };
    }
    let error = match serde_json::from_slice(bytes) {
        Ok(head) => return Ok(Some(head)),
        Err(error) => error,
    };
    let repaired = repair(bytes);
    serde_json::from_slice(&repaired).map(Some).map_err(|_| {
        let json: Option<Value> = serde_json::from_slice(&repaired).ok();
        let mismatch = json.and_then(|json| explain::<Head>(&json));
        mismatch.map_or_else(|| category(&error).to_owned(), |mismatch| mismatch.to_string())
    })
}

/// The tokens in an answer of any shape. They must be masked before any part of the answer is shown: a refusal may
/// quote them, and so may the answers to later calls.
pub(super) fn tokens_in(bytes: &[u8]) -> Vec<Secret> {
    #[derive(serde::Deserialize)]
    struct GivenTokens {
        access_token: Option<Secret>,
        refresh_token: Option<Secret>,
    }
    let given = serde_json::from_slice(bytes).or_else(|_| serde_json::from_slice(&repair(bytes)));
    given
        .map(|given: GivenTokens| given.access_token.into_iter().chain(given.refresh_token).collect())
        .unwrap_or_default()
}

/// What is wrong with JSON, without quoting it: it may contain a token.
pub(super) fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a field is of another kind",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
    }
}
