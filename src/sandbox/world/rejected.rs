//! Rejected requests, which `rid::get` looks up.

use crate::api::rid::Request;
use std::collections::VecDeque;

/// Limit of remembered requests; the oldest are dropped.
const MAX_REMEMBERED: usize = 10_000;

/// Rejected requests by their `rid`, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct RejectedRequests(VecDeque<(String, Request)>);

impl RejectedRequests {
    pub(crate) fn push(&mut self, rid: String, request: Request) {
        if self.0.len() == MAX_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((rid, request));
    }

    pub(crate) fn get(&self, rid: &str) -> Option<&Request> {
        self.0.iter().find(|(known, _)| known == rid).map(|(_, request)| request)
    }
}
