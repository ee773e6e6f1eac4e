//! What is known of a client beside its calls: whose it is, its token, its counts.

use super::{
    BaseUrl, CallError, Client, Tally, TokenMode, ledger::Ledger, oauth::Codes, transport::Transport,
};
use crate::{
    api::quota,
    base::{Cancel, Clock, Secret},
    store::{StoreError, TokenRecord},
};
use std::sync::atomic::Ordering;

impl Client {
    /// Counts of the calls so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// The wish to stop.
    #[must_use]
    pub fn cancel(&self) -> &Cancel {
        &self.0.cancel
    }

    /// Whose calls these are.
    #[must_use]
    pub fn appid(&self) -> &str {
        &self.0.account.appid
    }

    pub(super) fn base(&self) -> &BaseUrl {
        self.0.hosts.first()
    }

    pub(super) fn transports(&self) -> impl Iterator<Item = &Transport> {
        self.0.hosts.transports()
    }

    /// A text without the secrets that are known: `***` stands for each.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.0.redactor.mask(text)
    }

    pub(super) fn codes(&self) -> &Codes {
        &self.0.codes
    }

    /// From now on, a token is masked in whatever is shown.
    pub(super) fn learn(&self, token: &Secret) {
        self.0.redactor.learn_token(token);
    }

    /// The account's token, fetched if there is none.
    ///
    /// # Errors
    /// When none can be had.
    pub async fn token(&self) -> Result<Secret, CallError> {
        self.0.tokens.current(self).await
    }

    /// How many seconds the token that was given last is good for.
    #[must_use]
    pub fn token_life(&self) -> i64 {
        self.0.tokens.life(self)
    }

    /// Where tokens come from.
    #[must_use]
    pub fn token_mode(&self) -> &TokenMode {
        self.0.tokens.mode()
    }

    /// Another token than this one, which was refused; `None` when there is no other.
    ///
    /// # Errors
    /// When the platform can't be asked.
    pub async fn renew_token(&self, refused: &Secret) -> Result<Option<Secret>, CallError> {
        self.0.tokens.renew(self, refused).await
    }

    /// What the store knows of the token.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn token_record(&self) -> Result<Option<TokenRecord>, StoreError> {
        self.0.tokens.record().await
    }

    /// Forced renewals of today by all processes, and how many there may be.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forced_today(&self) -> Result<(i64, i64), StoreError> {
        Ok((self.0.tokens.forced_today(self).await?, self.0.tokens.mode().forced_a_day()))
    }

    /// Writes what is still to be written, before the process ends.
    pub async fn finish(&self) {
        let Some(ledger) = &self.0.ledger else { return };
        if ledger.write().await.is_err() {
            let calls = ledger.unwritten();
            tracing::warn!("{calls} calls of today could not be written to the ledger, and are not counted");
        }
    }

    /// The key of this account in the store: its AppID and its address.
    #[must_use]
    pub fn account_key(&self) -> &str {
        self.0.tokens.account()
    }

    /// How many calls may be under way now: fewer than the cap while the platform is busy.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.0.pace.allowed()
    }

    pub(super) fn ledger(&self) -> Option<&Ledger> {
        self.0.ledger.as_ref()
    }

    /// When the day's quotas come back.
    #[must_use]
    pub fn reset(&self) -> quota::Reset {
        self.0.reset
    }

    /// Whether calls are waiting for the next day.
    #[must_use]
    pub fn is_waiting_for_reset(&self) -> bool {
        self.0.is_waiting.load(Ordering::Relaxed)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }
}
