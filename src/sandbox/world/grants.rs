//! Web authorization: issued codes and people's tokens.

use std::collections::HashMap;

/// Limit of remembered entries of each kind; when it is reached, all of the kind are dropped.
pub(crate) const MAX_ENTRIES: usize = 100_000;

/// A code that a person's authorization gave.
#[derive(Clone, Debug)]
pub(crate) struct GrantCode {
    pub number: u32,
    pub scope: String,
    pub expires: i64,
    pub is_used: bool,
}

/// What a person's access token grants.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub number: u32,
    pub scope: String,
    pub expires: i64,
}

/// What a refresh token renews.
#[derive(Clone, Debug)]
pub(crate) struct Refreshable {
    pub access_token: String,
    pub session: Session,
    pub expires: i64,
}

/// All issued codes and tokens.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub codes: HashMap<String, GrantCode>,
    pub sessions: HashMap<String, Session>,
    pub refreshables: HashMap<String, Refreshable>,
}
