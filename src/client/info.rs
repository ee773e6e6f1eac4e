//! What a client tells beside its calls: its account, token, counts and limits.

use super::{BaseUrl, CallError, Client, Tally, Timeline, TokenMode, ledger::Ledger, transport::Transport};
use crate::{
    api::{
        oauth::{AUTHORIZE_HOST, Exchange, Grant},
        quota,
    },
    base::{Cancel, Secret},
    store::{StoreError, TokenRecord},
};
use std::time::Duration;

impl Client {
    /// Counts of the calls so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.0.sender.tally
    }

    /// When the calls so far were made, without those in flight.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        self.tally().timeline()
    }

    /// Cancels the calls.
    #[must_use]
    pub fn cancel(&self) -> &Cancel {
        &self.0.sender.cancel
    }

    /// The account's AppID.
    #[must_use]
    pub fn appid(&self) -> &str {
        &self.0.sender.account.appid
    }

    pub(super) fn base(&self) -> &BaseUrl {
        self.0.sender.hosts.first()
    }

    pub(super) fn transports(&self) -> impl Iterator<Item = &Transport> {
        self.0.sender.hosts.transports()
    }

    /// The account's token, fetched if there is none.
    ///
    /// # Errors
    /// When none can be fetched.
    pub async fn token(&self) -> Result<Secret, CallError> {
        self.0.tokens.current(&self.0.sender).await
    }

    /// For how many more seconds the cached token is valid.
    #[must_use]
    pub fn token_life(&self) -> i64 {
        self.0.tokens.seconds_left(&self.0.sender)
    }

    /// Where tokens come from.
    #[must_use]
    pub fn token_mode(&self) -> &TokenMode {
        self.0.tokens.mode()
    }

    /// A token other than `refused`, which the platform did not accept; `None` when there is no other.
    ///
    /// # Errors
    /// When the platform can't be asked.
    pub async fn renew_token(&self, refused: &Secret) -> Result<Option<Secret>, CallError> {
        self.0.tokens.renew(&self.0.sender, refused).await
    }

    /// What the store records of the token.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn token_record(&self) -> Result<Option<TokenRecord>, StoreError> {
        self.0.tokens.record().await
    }

    /// Forced renewals of today by all processes, and their limit.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forced_today(&self) -> Result<(i64, i64), StoreError> {
        let tokens = &self.0.tokens;
        Ok((tokens.forced_today(&self.0.sender).await?, tokens.mode().max_forced_a_day()))
    }

    /// Exchanges a code for a person's tokens. Repeated exchanges of a code within five minutes are answered from
    /// memory, since the platform accepts each code once (40163).
    ///
    /// # Errors
    /// When the platform refuses the code, or gives no usable answer.
    pub async fn exchange(&self, request: &Exchange) -> Result<Grant, CallError> {
        let exchanged = self.0.codes.for_code(&request.code);
        exchanged.get_or_try_init(|| self.call(request)).await.cloned()
    }

    /// The base URL of the page that people authorize on. A sandbox has its own.
    #[must_use]
    pub fn pages(&self) -> String {
        if self.base().is_loopback() { self.base().to_string() } else { format!("https://{AUTHORIZE_HOST}") }
    }

    /// Writes what is still unwritten, before the process ends.
    pub async fn finish(&self) {
        let Some(ledger) = self.ledger() else { return };
        if ledger.write().await.is_err() {
            let calls = ledger.unwritten();
            tracing::warn!("{calls} calls of today could not be written to the ledger, and are not counted");
        }
    }

    /// The account's key in the store: its AppID and its address.
    #[must_use]
    pub fn account_key(&self) -> &str {
        self.0.sender.account_key()
    }

    /// The current limit of concurrent calls: less than the configured one while the platform is overloaded.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.0.sender.limiter.allowed()
    }

    pub(super) fn ledger(&self) -> Option<&Ledger> {
        self.0.sender.ledger.as_ref()
    }

    /// When the daily quotas reset.
    #[must_use]
    pub fn reset(&self) -> quota::Reset {
        self.0.sender.waits.reset()
    }

    /// The time until the daily quotas reset.
    #[must_use]
    pub fn to_reset(&self) -> Duration {
        self.0.sender.waits.until_reset()
    }

    /// Whether a call waits for the daily quotas to reset.
    #[must_use]
    pub fn is_waiting_for_reset(&self) -> bool {
        self.0.sender.waits.is_waiting_for_reset()
    }
}
