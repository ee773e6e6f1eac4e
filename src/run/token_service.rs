//! The central token service (中控服务器): other programs take the account's token from here instead of
//! fetching their own.
//!
//! `GET /token?account=NAME` gives `{"access_token", "expires_in"}`; `POST /refresh {"account", "stale"}` gives
//! another than the stale one. Both want `Authorization: Bearer KEY`. What is logged has no token in it.

use crate::{
    base::Secret,
    client::{CallError, Client},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use subtle::ConstantTimeEq;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

/// The longest request body.
const LONGEST_BODY: usize = 16 << 10;

/// What can be asked for.
const PATHS: [&str; 3] = ["/token", "/refresh", "/healthz"];

/// Connections at once.
const MOST: usize = 256;

/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Clone, Debug)]
pub enum Listen {
    /// An address and a port.
    Address(SocketAddr),
    /// A Unix socket, for this user alone.
    Socket(PathBuf),
}

/// What the service is made of.
pub struct TokenService {
    /// The accounts by every name that they are asked for by: their name, their AppID.
    pub accounts: BTreeMap<String, Client>,
    /// AppIDs that several accounts have.
    pub shared: BTreeSet<String>,
    /// The bearer key.
    pub key: Secret,
    /// Where a line goes for every request.
    pub log: Arc<dyn Fn(&str) + Send + Sync>,
}

/// A service that listens.
pub struct Listening {
    listener: Listener,
    /// Where, as other programs reach it.
    pub place: String,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    /// Listens; nothing is answered before [`Listening::serve`].
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn on(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Address(address) => {
                let listener = TcpListener::bind(address).await?;
                let place = format!("http://{}", listener.local_addr()?);
                Ok(Self { listener: Listener::Tcp(listener), place })
            }
            Listen::Socket(path) => {
                // One that a process before has left behind; a file of another kind stays.
                let is_socket = std::fs::metadata(path)
                    .is_ok_and(|metadata| std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()));
                if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
                    std::fs::remove_file(path)?;
                }
                let listener = UnixListener::bind(path)?;
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(path, mode)?;
                Ok(Self { listener: Listener::Unix(listener), place: path.display().to_string() })
            }
        }
    }

    /// Answers until the future is dropped.
    pub async fn serve(self, service: TokenService) {
        let service = Arc::new(service);
        let room = Arc::new(Semaphore::new(MOST));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let service = Arc::clone(&service);
            match &self.listener {
                Listener::Tcp(listener) => match listener.accept().await {
                    Ok((stream, peer)) => {
                        tokio::spawn(async move {
                            connection(stream, peer.ip().to_string(), &service).await;
                            drop(permit);
                        });
                    }
                    // Out of file descriptors, say: those in use come free.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Listener::Unix(listener) => match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::spawn(async move {
                            connection(stream, "this machine".to_owned(), &service).await;
                            drop(permit);
                        });
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, peer: String, service: &Arc<TokenService>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let (service, peer) = (Arc::clone(service), peer.clone());
        async move {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let (account, status, body) = service.answer(request).await;
            // Whatever else was asked for may hold a token.
            let path = PATHS.into_iter().find(|known| *known == path).unwrap_or("/…");
            let account = if account.is_empty() { String::new() } else { format!(" {account}") };
            (service.log)(&format!("{method} {path}{account} {} from {peer}", status.as_u16()));
            let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
            *response.status_mut() = status;
            let json = header::HeaderValue::from_static("application/json; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            let no_store = header::HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, no_store);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    // An error here is a client that went away.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// The body of `POST /refresh`.
#[derive(Deserialize)]
struct Stale {
    account: Option<String>,
    stale: Secret,
}

impl TokenService {
    /// The account's name as it was found, a status and a body.
    async fn answer(&self, request: Request<Incoming>) -> (String, StatusCode, Value) {
        let refuse = |status: StatusCode, text: &str| (String::new(), status, json!({"error": text}));
        if request.uri().path() == "/healthz" {
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
                let body = Limited::new(request.into_body(), LONGEST_BODY).collect();
                let Ok(Ok(body)) = tokio::time::timeout(PATIENCE, body).await else {
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
                (name, status, json!({"error": error.to_string(), "hint": error.hint()}))
            }
        }
    }

    fn is_authorized(&self, request: &Request<Incoming>) -> bool {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        given.as_bytes().ct_eq(self.key.reveal().as_bytes()).into()
    }

    /// The account by one of its names; the only one where nobody is named.
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
