//! A client in two processes: one with the AppSecret, which answers, and one without, which asks.

use super::{
    Account, BaseUrl, BaseUrlError, CallError, Client, ClientConfig, External, TokenMode,
    token::broker::{Answer, Broker, Question, spec_of},
};
use crate::{
    api::{Credential, WireSecret, quota, token::Token, wire::Outgoing},
    base::{Cancel, Clock, Redactor, Secret},
    store::Store,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a client is made of, without secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientSettings {
    appid: String,
    bases: Vec<String>,
    in_flight: usize,
    minute: Duration,
    reset: quota::Reset,
    waits_for_reset: bool,
}

impl ClientSettings {
    /// The configuration of a client that asks `broker` for what needs the AppSecret.
    ///
    /// # Errors
    /// When a base URL can't be read.
    pub fn into_config(
        self,
        broker: Broker,
        store: Store,
        owner: String,
        secrets: Redactor,
        clock: Clock,
        cancel: Cancel,
    ) -> Result<ClientConfig, BaseUrlError> {
        Ok(ClientConfig {
            bases: self.bases.iter().map(|base| BaseUrl::parse(base)).collect::<Result<_, _>>()?,
            account: Account { appid: self.appid, secret: Secret::default() },
            in_flight: self.in_flight,
            minute: self.minute,
            reset: self.reset,
            waits_for_reset: self.waits_for_reset,
            token_mode: TokenMode::External(External::Broker(broker)),
            store: Some(store),
            owner,
            secrets,
            clock,
            cancel,
        })
    }
}

impl Client {
    /// What this client is made of, without secrets.
    #[must_use]
    pub fn settings(&self, in_flight: usize) -> ClientSettings {
        let sender = &self.0.sender;
        ClientSettings {
            appid: self.appid().to_owned(),
            bases: self.transports().map(|transport| transport.base().to_string()).collect(),
            in_flight,
            minute: sender.waits.minute_length(),
            reset: self.reset(),
            waits_for_reset: sender.waits_for_reset,
        }
    }

    /// Answers a client of the same account that has no AppSecret.
    pub async fn answer(&self, question: Question) -> Answer {
        let answered = match question {
            Question::Token { stale } => self.answer_token(stale.as_ref().map(|stale| &stale.0)).await,
            Question::Call { endpoint, query, body } => self.answer_call(&endpoint, query, body).await,
        };
        answered.unwrap_or_else(|error| Answer::Failed(error.into()))
    }

    async fn answer_token(&self, stale: Option<&Secret>) -> Result<Answer, CallError> {
        let token = match stale {
            None => Some(self.token().await?),
            Some(stale) => self.renew_token(stale).await?,
        };
        let expires_in = self.token_life();
        Ok(Answer::Token(token.map(|token| Token { access_token: WireSecret(token), expires_in })))
    }

    async fn answer_call(
        &self,
        endpoint: &str,
        query: Vec<(String, String)>,
        body: Option<serde_json::Value>,
    ) -> Result<Answer, CallError> {
        let spec = spec_of(endpoint).filter(|spec| matches!(spec.credential, Credential::AppSecret { .. }));
        let Some(spec) = spec else {
            return Err(CallError::NoToken { reason: "this call needs no AppSecret".to_owned() });
        };
        let bytes = self.send(spec, Outgoing { query, body, file: None }).await?;
        let text = str::from_utf8(&bytes).map_err(|error| CallError::Unreadable {
            endpoint: spec.name,
            reason: format!("it is not UTF-8: {error}"),
        })?;
        // A server may echo what it was sent; tokens that it gives are what was asked for.
        Ok(Answer::Body(self.0.sender.account.mask(text)))
    }
}
