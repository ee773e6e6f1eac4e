//! The client: one call of an endpoint, from its declaration to its answer.

use super::{
    CallError,
    config::ClientConfig,
    envelope::{BrokenRecord, category, decode_records, decode_verified},
    json_repair::repair,
    sender::{Progress, Sender, Sent},
    token::{cache::TokenCache, codes::ExchangedCodes},
};
use crate::api::{
    Credential, Endpoint, Records, Spec,
    wire::{self, Outgoing},
};
use serde_json::Value;
use std::sync::Arc;

/// Token renewals that one call may cause before it fails.
const MAX_RENEWALS: u32 = 2;

/// Calls the platform. Clones share token, limits and counts.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub sender: Sender,
    pub tokens: TokenCache,
    pub codes: ExchangedCodes,
}

impl Client {
    /// A client; nothing is sent before the first call.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        let sender = Sender::new(&config);
        // The process that answers shares its tokens with others by the store; both waiting for the lease of a renewal
        // there would wait for each other.
        let store = config.store.filter(|_| config.token_mode.broker().is_none());
        let tokens = TokenCache::new(config.token_mode, store, sender.account_key().to_owned(), config.owner);
        Self(Arc::new(Inner { sender, tokens, codes: ExchangedCodes::default() }))
    }

    /// Calls an endpoint.
    ///
    /// # Errors
    /// When the platform refuses the call, gives no usable answer, or the run is cancelled.
    pub async fn call<E: Endpoint>(&self, request: &E) -> Result<E::Answer, CallError> {
        let bytes = self.send(E::SPEC, wire::encode(request)).await?;
        decode_verified(request, &bytes)
    }

    /// Calls an endpoint that answers a list of records. Those that can't be read are named beside the others; the
    /// caller holds the answer to what it asked.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub async fn call_records<E: Records>(
        &self,
        request: &E,
    ) -> Result<(E::Answer, Vec<BrokenRecord>), CallError> {
        let bytes = self.send(E::SPEC, wire::encode(request)).await?;
        decode_records::<E>(&bytes)
    }

    /// Calls any path (see [`api::undeclared`](crate::api::undeclared)) and gives the answer as it is.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub async fn call_any(&self, spec: &'static Spec, request: Outgoing) -> Result<Value, CallError> {
        let bytes = self.send(spec, request).await?;
        serde_json::from_slice(&bytes).or_else(|_| serde_json::from_slice(&repair(&bytes))).map_err(|error| {
            CallError::Unreadable { endpoint: spec.name, reason: category(&error).to_owned() }
        })
    }

    pub(super) async fn send(&self, spec: &'static Spec, request: Outgoing) -> Result<Vec<u8>, CallError> {
        let mut progress = Progress::default();
        let sent = self.send_with_token(spec, request, &mut progress).await;
        sent.map_err(|error| progress.explain(error))
    }

    /// Sends until there is an answer without an errcode, and renews the token when the platform refuses it.
    async fn send_with_token(
        &self,
        spec: &'static Spec,
        mut request: Outgoing,
        progress: &mut Progress,
    ) -> Result<Vec<u8>, CallError> {
        let Inner { sender, tokens, .. } = &*self.0;
        if let (Credential::AppSecret { .. }, Some(broker)) = (spec.credential, tokens.mode().broker()) {
            let bytes = broker.call(spec, request).await?;
            sender.learn_tokens(&bytes);
            return Ok(bytes);
        }
        sender.add_credentials(spec, &mut request);
        let mut token = match spec.credential {
            Credential::AccessToken => Some(tokens.current(sender).await?),
            Credential::AppSecret { .. } | Credential::AppId { .. } | Credential::UserToken => None,
        };
        let mut renewals = 0;
        loop {
            let error = match sender.send_with_retries(spec, &request, token.as_ref(), progress).await? {
                Sent::Answered(bytes) => return Ok(bytes),
                Sent::TokenRefused(error) => error,
            };
            renewals += 1;
            let Some(refused) = token.take().filter(|_| renewals <= MAX_RENEWALS) else {
                return Err(error);
            };
            token = tokens.renew(sender, &refused).await?;
            if token.is_none() {
                return Err(error);
            }
        }
    }
}
