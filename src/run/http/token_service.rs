//! The central token service (中控服务器): other programs take the account's token from here instead of
//! fetching their own.
//!
//! `GET /token?account=NAME` gives `{"access_token", "expires_in"}`; `POST /refresh {"account", "stale"}` gives
//! another than the stale one. Both want `Authorization: Bearer KEY`. What is logged has no token in it.

use super::coalesced_log::{CoalescedLog, LineWriter};
use crate::{
    base::{
        Secret, SettingNames,
        http::{Peer, Service, Urgency},
    },
    client::{CallError, Client},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use subtle::ConstantTimeEq;

/// The longest request body, in bytes.
const MAX_BODY: usize = 16 << 10;

/// How long a client may take to send a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The paths that are logged; any other one may hold a token.
const PATHS: [&str; 3] = ["/token", "/refresh", HEALTH];

/// Answered without a key.
const HEALTH: &str = "/healthz";

/// The token service.
pub struct TokenService {
    accounts: BTreeMap<String, Client>,
    shared: BTreeSet<String>,
    key: Secret,
    setting_names: SettingNames,
    log: LineWriter,
    /// Requests without the key, which fill no log.
    refused: Arc<CoalescedLog>,
    /// Health checks, which need no key.
    checked: Arc<CoalescedLog>,
}

/// The body of `POST /refresh`.
#[derive(Deserialize)]
struct Stale {
    account: Option<String>,
    stale: Secret,
}

impl Service for TokenService {
    async fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Option<Response<Full<Bytes>>> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (account, status, body) = self.respond(request).await;
        let path = PATHS.into_iter().find(|known| *known == path).unwrap_or("/…");
        let account = if account.is_empty() { String::new() } else { format!(" {account}") };
        let line = format!("{method} {path}{account} {} from {peer}", status.as_u16());
        match (status, path) {
            (StatusCode::UNAUTHORIZED, _) => self.refused.line(line),
            (_, HEALTH) => self.checked.line(line),
            _ => (self.log)(&line),
        }
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        let json = header::HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        let no_store = header::HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        Some(response)
    }

    fn urgency(&self, path: &str) -> Urgency {
        if path == HEALTH { Urgency::AtOnce } else { Urgency::InTurn }
    }
}

impl TokenService {
    /// A service for accounts by name and by AppID; `shared` has the AppIDs of several accounts, which name none of
    /// them. `log` gets a line for every request with the key, and a line a second at the most for the others.
    #[must_use]
    pub fn new(
        accounts: BTreeMap<String, Client>,
        shared: BTreeSet<String>,
        key: Secret,
        setting_names: SettingNames,
        log: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> Self {
        let refused = CoalescedLog::new(Arc::clone(&log), "requests without the key");
        let checked = CoalescedLog::new(Arc::clone(&log), "health checks");
        Self { accounts, shared, key, setting_names, log, refused, checked }
    }

    /// The account's name as the request gave it, a status and a body.
    async fn respond(&self, request: Request<Incoming>) -> (String, StatusCode, Value) {
        let refuse = |status: StatusCode, text: &str| (String::new(), status, json!({"error": text}));
        if request.uri().path() == HEALTH {
            return (String::new(), StatusCode::OK, json!({"ok": true}));
        }
        if !self.is_authorized(&request) {
            return refuse(StatusCode::UNAUTHORIZED, "send Authorization: Bearer KEY");
        }
        let (account, stale) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/token") => {
                let query = request.uri().query().unwrap_or_default();
                let mut pairs = url::form_urlencoded::parse(query.as_bytes());
                (pairs.find(|(name, _)| name == "account").map(|(_, value)| value.into_owned()), None)
            }
            (&Method::POST, "/refresh") => {
                let body = Limited::new(request.into_body(), MAX_BODY).collect();
                let Ok(Ok(body)) = tokio::time::timeout(BODY_TIMEOUT, body).await else {
                    return refuse(StatusCode::BAD_REQUEST, "the body is too long or does not come");
                };
                let Ok(Stale { account, stale }) = serde_json::from_slice(&body.to_bytes()) else {
                    let usage = "send {\"account\": \"…\", \"stale\": \"the token that was refused\"}";
                    return refuse(StatusCode::BAD_REQUEST, usage);
                };
                (account, Some(stale))
            }
            _ => return refuse(StatusCode::NOT_FOUND, "there are GET /token?account=… and POST /refresh"),
        };
        if account.as_ref().is_some_and(|account| self.shared.contains(account)) {
            return refuse(
                StatusCode::BAD_REQUEST,
                "several accounts have this AppID: ask by the account's name",
            );
        }
        let Some((name, client)) = self.find(account.as_deref()) else {
            return refuse(StatusCode::NOT_FOUND, "there is no such account here");
        };
        let token = match stale {
            None => client.token().await.map(Some),
            Some(stale) => client.renew_token(&stale).await,
        };
        match token {
            Ok(Some(token)) => {
                let body = json!({"access_token": token.reveal(), "expires_in": client.token_life()});
                (name, StatusCode::OK, body)
            }
            Ok(None) => (name, StatusCode::CONFLICT, json!({"error": "there is no other token now"})),
            Err(error) => {
                let status = match error {
                    CallError::Refused(_) => StatusCode::BAD_GATEWAY,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                let hint = error.hint().map(|advice| advice.text(self.setting_names));
                (name, status, json!({"error": error.to_string(), "hint": hint}))
            }
        }
    }

    fn is_authorized(&self, request: &Request<Incoming>) -> bool {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        given.as_bytes().ct_eq(self.key.reveal().as_bytes()).into()
    }

    /// The account of a name; without a name the only account, if there is just one.
    fn find(&self, name: Option<&str>) -> Option<(String, &Client)> {
        if let Some(name) = name {
            return self.accounts.get(name).map(|client| (name.to_owned(), client));
        }
        let mut all = self.accounts.values();
        let first = all.next()?;
        all.all(|client| client.account_key() == first.account_key())
            .then(|| (first.appid().to_owned(), first))
    }
}
