//! Issued access tokens: classic ones that replace each other with an overlap, and the stable one.

use super::api_error::ApiError;
use crate::api::errcode;
use std::collections::{HashMap, VecDeque};

/// Validity of a token in seconds.
pub(crate) const TOKEN_TTL: i64 = 7_200;

/// For how many seconds a replaced token still works.
pub(crate) const OVERLAP: i64 = 300;

/// Limit of forced refreshes of the stable token a day, and the minimum of seconds between two.
const MAX_FORCED_A_DAY: usize = 20;
const FORCED_SPACING: i64 = 30;

/// Limit of remembered tokens: an old one is answered as expired, not as unknown.
const MAX_REMEMBERED: usize = 10_000;

/// The two kinds of tokens, which do not invalidate each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Classic,
    Stable,
}

#[derive(Debug)]
struct Issued {
    expires: i64,
    /// When it was invalidated before its expiry.
    voided: Option<i64>,
}

/// All issued tokens.
#[derive(Debug, Default)]
pub(crate) struct TokenBook {
    issued: HashMap<String, Issued>,
    order: VecDeque<String>,
    classic: Option<String>,
    stable: Option<String>,
    forced: VecDeque<i64>,
    /// Answers that contained a token.
    pub answers: u64,
}

impl TokenBook {
    /// Fails unless the token is valid now.
    pub(crate) fn check(&self, token: &str, now: i64) -> Result<(), ApiError> {
        let is_well_formed = token.len() <= 512
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !is_well_formed {
            return Err(ApiError::gateway(errcode::INVALID_ACCESS_TOKEN));
        }
        match self.issued.get(token) {
            Some(issued) if issued.voided.is_some_and(|voided| now >= voided) => {
                Err(ApiError::gateway(errcode::INVALID_CREDENTIAL))
            }
            Some(issued) if now >= issued.expires => Err(ApiError::gateway(errcode::ACCESS_TOKEN_EXPIRED)),
            Some(_) => Ok(()),
            None => Err(ApiError::gateway(errcode::INVALID_CREDENTIAL)),
        }
    }

    /// Invalidates all tokens.
    pub(crate) fn revoke_all(&mut self, now: i64) {
        for issued in self.issued.values_mut() {
            issued.voided = Some(now);
        }
        self.classic = None;
        self.stable = None;
    }

    fn slot(&mut self, kind: Kind) -> &mut Option<String> {
        match kind {
            Kind::Classic => &mut self.classic,
            Kind::Stable => &mut self.stable,
        }
    }

    /// The current stable token and its seconds left, unless a new one is due.
    pub(crate) fn present_stable(&self, now: i64) -> Option<(String, i64)> {
        let token = self.stable.as_ref()?;
        let left = self.issued.get(token)?.expires - now;
        (left > OVERLAP).then(|| (token.clone(), left))
    }

    /// Takes one forced refresh, if the spacing and the daily limit allow it.
    pub(crate) fn take_forced(&mut self, now: i64) -> bool {
        while self.forced.front().is_some_and(|at| now - at >= 24 * 3600) {
            self.forced.pop_front();
        }
        let is_spaced = self.forced.back().is_none_or(|at| now - at >= FORCED_SPACING);
        let is_allowed = is_spaced && self.forced.len() < MAX_FORCED_A_DAY;
        if is_allowed {
            self.forced.push_back(now);
        }
        is_allowed
    }

    /// Whether a stable token was issued before.
    pub(crate) fn has_stable(&self) -> bool {
        self.stable.is_some()
    }

    /// Issues `token` instead of the current one of its kind, which still works for `overlap` seconds.
    pub(crate) fn issue(&mut self, kind: Kind, token: String, now: i64, overlap: i64) {
        if let Some(old) = self.slot(kind).replace(token.clone())
            && let Some(issued) = self.issued.get_mut(&old)
        {
            issued.voided = Some(issued.voided.unwrap_or(i64::MAX).min(now + overlap));
        }
        self.issued.insert(token.clone(), Issued { expires: now + TOKEN_TTL, voided: None });
        self.order.push_back(token);
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.issued.remove(&oldest);
        }
        self.answers += 1;
    }
}
