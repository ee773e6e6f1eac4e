//! What a client is made of.

use super::{BaseUrl, TokenMode};
use crate::{
    api::quota,
    base::{Cancel, Clock, Redactor, Secret},
    store::Store,
};
use std::time::Duration;

/// Default limit of concurrent calls.
pub const DEFAULT_IN_FLIGHT: usize = 32;

/// The account that calls are made for.
#[derive(Clone, Debug)]
pub struct Account {
    /// 开发者ID(AppID).
    pub appid: String,
    /// 开发者密码(AppSecret).
    pub secret: Secret,
}

impl Account {
    /// `text` without the AppSecret.
    pub(super) fn mask(&self, text: &str) -> String {
        if self.secret.reveal().is_empty() {
            text.to_owned()
        } else {
            text.replace(self.secret.reveal(), "***")
        }
    }
}

/// Configuration of a [`Client`](super::Client).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The platform's hosts: the preferred one first, then the fallbacks. Empty for the platform's own.
    pub bases: Vec<BaseUrl>,
    /// The account.
    pub account: Account,
    /// Limit of concurrent calls.
    pub in_flight: usize,
    /// Length of a minute of the platform's per-minute quotas; a sandbox's may be shorter.
    pub minute: Duration,
    /// When the daily quotas reset.
    pub reset: quota::Reset,
    /// Whether a call waits for the reset when the daily quota is used up, instead of failing.
    pub waits_for_reset: bool,
    /// Where tokens come from.
    pub token_mode: TokenMode,
    /// Shares token and ledger with other processes; both stay in memory without it.
    pub store: Option<Store>,
    /// Names this process to others, as holder of leases: machine and process.
    pub owner: String,
    /// Learns the AppSecret and every token, to mask them.
    pub secrets: Redactor,
    /// The clock that tokens expire by.
    pub clock: Clock,
    /// Once cancelled, no further request is sent.
    pub cancel: Cancel,
}
