//! Tokens: classic ones that replace each other with five minutes of overlap, and the stable one,
//! which is apart from them.

use crate::{
    api::{Carried, errcode, token},
    base::Secret,
    sandbox::{
        http::route::Simulate,
        world::{api_error::Refusal, world::World},
    },
};
use std::collections::{HashMap, VecDeque};

/// A token's life in seconds.
const LIFE: i64 = 7_200;

/// How long a replaced token goes on working.
const OVERLAP: i64 = 300;

/// Forced refreshes of the stable token a day, and the seconds between two.
const FORCED_A_DAY: usize = 20;
const FORCED_APART: i64 = 30;

/// Tokens remembered, so that an old one is told as expired and not as unknown.
const REMEMBERED: usize = 10_000;

/// Random characters of a token; the documents ask callers to keep room for 512.
const CHARACTERS: usize = 133;

/// Which of the two kinds a token is; they don't void each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Classic,
    Stable,
}

#[derive(Debug)]
struct Issued {
    expires: i64,
    /// From when on it does not work any more, before its end.
    voided: Option<i64>,
}

/// Every token that was handed out.
#[derive(Debug, Default)]
pub(crate) struct TokenBook {
    issued: HashMap<String, Issued>,
    order: VecDeque<String>,
    classic: Option<String>,
    stable: Option<String>,
    forced: VecDeque<i64>,
    /// Answers that carried a token.
    pub answers: u64,
}

impl TokenBook {
    /// Whether a token works now.
    pub(crate) fn check(&self, token: &str, now: i64) -> Result<(), Refusal> {
        let is_well_formed = token.len() <= 512
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !is_well_formed {
            return Err(Refusal::gateway(40014));
        }
        match self.issued.get(token) {
            Some(issued) if issued.voided.is_some_and(|voided| now >= voided) => {
                Err(Refusal::gateway(errcode::INVALID_CREDENTIAL))
            }
            Some(issued) if now >= issued.expires => Err(Refusal::gateway(42001)),
            Some(_) => Ok(()),
            None => Err(Refusal::gateway(errcode::INVALID_CREDENTIAL)),
        }
    }

    /// Voids every token at once.
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

    /// The present stable token and the seconds it has left, unless a new one is due.
    fn present_stable(&self, now: i64) -> Option<(String, i64)> {
        let token = self.stable.as_ref()?;
        let left = self.issued.get(token)?.expires - now;
        (left > OVERLAP).then(|| (token.clone(), left))
    }

    /// Takes one forced refresh, if the spacing and the day's number allow it.
    fn may_force(&mut self, now: i64) -> bool {
        while self.forced.front().is_some_and(|at| now - at >= 24 * 3600) {
            self.forced.pop_front();
        }
        let is_spaced = self.forced.back().is_none_or(|at| now - at >= FORCED_APART);
        let may = is_spaced && self.forced.len() < FORCED_A_DAY;
        if may {
            self.forced.push_back(now);
        }
        may
    }
}

impl World {
    /// Makes a token in place of the present one, which works for `overlap` seconds more.
    fn issue(&mut self, kind: Kind, overlap: i64) -> token::Token {
        let now = self.now();
        let token = format!("96_{}", self.characters(CHARACTERS));
        let book = &mut self.tokens;
        if let Some(old) = book.slot(kind).replace(token.clone())
            && let Some(issued) = book.issued.get_mut(&old)
        {
            issued.voided = Some(issued.voided.unwrap_or(i64::MAX).min(now + overlap));
        }
        book.issued.insert(token.clone(), Issued { expires: now + LIFE, voided: None });
        book.order.push_back(token.clone());
        if book.order.len() > REMEMBERED
            && let Some(oldest) = book.order.pop_front()
        {
            book.issued.remove(&oldest);
        }
        book.answers += 1;
        token::Token { access_token: Carried(Secret::new(token)), expires_in: LIFE }
    }
}

impl Simulate for token::Get {
    fn simulate(self, world: &mut World) -> Result<token::Token, Refusal> {
        Ok(world.issue(Kind::Classic, OVERLAP))
    }
}

impl Simulate for token::Stable {
    fn simulate(self, world: &mut World) -> Result<token::Token, Refusal> {
        let now = world.now();
        let book = &mut world.tokens;
        // A token in its last five minutes is voided by force as well as any other.
        let is_forced = self.force_refresh == Some(true) && book.stable.is_some() && book.may_force(now);
        if is_forced {
            return Ok(world.issue(Kind::Stable, 0));
        }
        match book.present_stable(now) {
            Some((token, left)) => {
                world.tokens.answers += 1;
                Ok(token::Token { access_token: Carried(Secret::new(token)), expires_in: left })
            }
            None => Ok(world.issue(Kind::Stable, OVERLAP)),
        }
    }
}
