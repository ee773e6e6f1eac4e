//! What is read of an answer before anybody knows its shape.

use super::repair::repair;
use crate::{api::wire::Head, base::Secret};

/// The errcode of an answer, if it speaks of one. An answer is searched before it is parsed: a
/// page of ten thousand openids has none.
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

/// The tokens in an answer, whatever else that says. They are learned before anything of the answer
/// is shown: a refusal may quote them, and so may the answers to later calls, whoever asked for them.
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

/// What is wrong with JSON, without its content: that may be anything, a token too.
pub(super) fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a field is of another kind",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
    }
}
