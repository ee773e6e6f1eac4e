//! Rejected requests, which `rid::get` looks up.

use crate::api::rid::Request;
use std::collections::VecDeque;

/// Limit of remembered requests; the oldest are dropped.
const MAX_REMEMBERED: usize = 10_000;

/// Limit of the bytes of their texts together.
const MAX_BYTES: usize = 16 << 20;

/// How much is remembered of each text of a request, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// Rejected requests by their `rid`, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct RejectedRequests {
    requests: VecDeque<(String, Request)>,
    /// Of all texts.
    bytes: usize,
}

impl RejectedRequests {
    pub(crate) fn push(&mut self, rid: String, request: Request) {
        let request = Request {
            request_url: cut(request.request_url),
            request_body: cut(request.request_body),
            response_body: cut(request.response_body),
            ..request
        };
        self.bytes += bytes_of(&request);
        self.requests.push_back((rid, request));
        while self.requests.len() > MAX_REMEMBERED || self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.requests.pop_front() else { break };
            self.bytes -= bytes_of(&oldest);
        }
    }

    pub(crate) fn get(&self, rid: &str) -> Option<&Request> {
        self.requests.iter().find(|(known, _)| known == rid).map(|(_, request)| request)
    }
}

/// The beginning of a text, without room for the rest.
fn cut(text: String) -> String {
    if text.len() <= MAX_TEXT { text } else { text[..text.floor_char_boundary(MAX_TEXT)].to_owned() }
}

fn bytes_of(request: &Request) -> usize {
    request.request_url.len() + request.request_body.len() + request.response_body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: String) -> Request {
        Request {
            invoke_time: 0,
            cost_in_ms: 0,
            request_url: String::new(),
            request_body: body,
            response_body: String::new(),
            client_ip: None,
        }
    }

    #[test]
    fn long_body_is_remembered_by_its_beginning() {
        let mut rejected = RejectedRequests::default();
        rejected.push("a".to_owned(), request("微".repeat(1 << 20)));
        let body = &rejected.get("a").expect("it is remembered").request_body;
        assert_eq!((body.len(), body.capacity()), (4_095, 4_095));
    }

    #[test]
    fn oldest_requests_are_dropped_when_their_bytes_are_too_many() {
        let mut rejected = RejectedRequests::default();
        for number in 0..=4_096 {
            rejected.push(number.to_string(), request("a".repeat(MAX_TEXT)));
        }
        assert_eq!(rejected.bytes, MAX_BYTES);
        assert!(rejected.get("0").is_none() && rejected.get("1").is_some());
    }

    #[test]
    fn oldest_requests_are_dropped_when_they_are_too_many() {
        let mut rejected = RejectedRequests::default();
        for number in 0..=MAX_REMEMBERED {
            rejected.push(number.to_string(), request(String::new()));
        }
        assert_eq!(rejected.requests.len(), MAX_REMEMBERED);
        assert!(rejected.get("0").is_none() && rejected.get("1").is_some());
    }
}
