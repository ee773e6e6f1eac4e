//! Reads answers: the errcode and the tokens of any, the declared type of one without an errcode.

use super::{CallError, json_repair::repair};
use crate::{
    api::{
        Endpoint,
        wire::{self, Head},
    },
    base::Secret,
};

/// Decodes an answer, repaired if it is almost JSON.
pub(super) fn decode<E: Endpoint>(bytes: &[u8]) -> Result<E::Answer, CallError> {
    let first = match wire::decode_answer::<E>(bytes) {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    wire::decode_answer::<E>(&repair(bytes)).map_err(|_| CallError::Unreadable {
        endpoint: E::SPEC.name,
        reason: format!("{} (line {}, column {})", category(&first), first.line(), first.column()),
    })
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
    serde_json::from_slice(bytes)
        .or_else(|_| serde_json::from_slice(&repair(bytes)))
        .map(Some)
        .map_err(|error| category(&error).to_owned())
}

/// The tokens in an answer of any shape. They must be masked before any part of the answer is shown: a refusal may
/// quote them, and so may the answers to later calls.
pub(super) fn tokens_in(bytes: &[u8]) -> Vec<Secret> {
    #[derive(serde::Deserialize)]
    struct Given {
        access_token: Option<Secret>,
        refresh_token: Option<Secret>,
    }
    let given = serde_json::from_slice(bytes).or_else(|_| serde_json::from_slice(&repair(bytes)));
    given
        .map(|given: Given| given.access_token.into_iter().chain(given.refresh_token).collect())
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
