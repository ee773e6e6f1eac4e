//! A request of the platform's API, before it is decoded.

use crate::api::media::File;
use serde_json::Value;
use std::net::IpAddr;

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: String,
    pub query: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The file of an upload.
    pub file: Option<File>,
    pub peer: IpAddr,
}

impl Call {
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the call names this openid, in its query or in its body.
    pub(crate) fn names(&self, openid: &str) -> bool {
        let quoted = format!("\"{openid}\"");
        self.query.iter().any(|(_, value)| value == openid)
            || self.body.windows(quoted.len()).any(|window| window == quoted.as_bytes())
    }

    /// Removes an openid from the body's `openid_list`.
    pub(crate) fn remove_openid(&mut self, openid: &str) {
        if let Ok(mut body) = serde_json::from_slice::<Value>(&self.body)
            && let Some(list) = body.get_mut("openid_list").and_then(Value::as_array_mut)
        {
            list.retain(|entry| entry != openid);
            self.body = body.to_string().into_bytes();
        }
    }

    /// Whether the body's `openid_list` is not empty.
    pub(crate) fn has_openids(&self) -> bool {
        serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|body| body.get("openid_list").and_then(Value::as_array).map(|list| !list.is_empty()))
            .unwrap_or(true)
    }
}
