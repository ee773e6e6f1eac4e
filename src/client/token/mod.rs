//! Tokens: the account's access token with its budget and its sources, and the codes that are exchanged for a person's.

pub(super) mod broker;
pub(super) mod budget;
pub(super) mod cache;
pub(super) mod codes;
pub(super) mod external;
pub(super) mod mode;
