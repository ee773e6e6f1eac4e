//! Accepts connections and hands their requests to a service.

use super::{
    allowed_hosts::AllowedHosts,
    connections::{Connections, Limits, OpenConnection, Urgency},
    peer::Peer,
    write_deadline::WriteDeadline,
};
use crate::base::SettingNames;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    future::pending,
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    time::sleep,
};

/// The longest head of a request, and what is buffered of an answer while its client reads.
const MAX_BUFFER: usize = 64 << 10;

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// The response to a request of `peer`; `None` closes the connection without one.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> impl Future<Output = Option<Response<Full<Bytes>>>> + Send;

    /// When a request is worked on: a health check must be answered however many others are.
    fn urgency(&self, _path: &str) -> Urgency {
        Urgency::InTurn
    }
}

/// Where to listen.
#[derive(Clone, Debug)]
pub enum BindAddress {
    /// An address and a port.
    Address(SocketAddr),
    /// A Unix socket, accessible to this user only.
    Socket(PathBuf),
}

/// The minimum interval between two evictions of a connection: with 128 of an address, each has at least an eighth of a
/// second to send its request.
const REPLACEMENT_INTERVAL: Duration = Duration::from_millis(1);

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Names by which it may be addressed, beside loopback and its address; each was read by
    /// [`read_name`](super::read_name).
    pub names: Vec<String>,
    /// What settings are called in its refusals.
    pub setting_names: SettingNames,
    /// What its clients are allowed.
    pub limits: Limits,
    /// Whether the headers of answers are written as `Content-Type` instead of `content-type`.
    pub title_case_headers: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            setting_names: SettingNames::default(),
            limits: Limits::SERVICE,
            title_case_headers: false,
        }
    }
}

/// A bound server, which does not accept connections yet.
pub struct HttpServer {
    listener: Listener,
    options: ServerOptions,
    hosts: AllowedHosts,
    /// Its URL, or the path of its socket.
    pub place: String,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl HttpServer {
    /// Binds the address; connections wait until [`HttpServer::serve`].
    pub async fn bind(listen: &BindAddress, options: ServerOptions) -> io::Result<Self> {
        let (listener, bound, place) = match listen {
            BindAddress::Address(address) => {
                let listener = TcpListener::bind(address).await?;
                let place = format!("http://{}", listener.local_addr()?);
                (Listener::Tcp(listener), Some(address.ip()), place)
            }
            BindAddress::Socket(path) => {
                // A socket that a dead process left behind is replaced; a file of another kind is not.
                let is_socket = std::fs::metadata(path)
                    .is_ok_and(|metadata| std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()));
                if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
                    std::fs::remove_file(path)?;
                }
                let listener = UnixListener::bind(path)?;
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(path, mode)?;
                (Listener::Unix(listener), None, path.display().to_string())
            }
        };
        let hosts = AllowedHosts { bound, names: options.names.clone() };
        Ok(Self { listener, options, hosts, place })
    }

    /// The bound address; a Unix socket has none.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, service: impl Service) {
        let connections = Arc::new(Connections::new(self.options.limits));
        let served = Arc::new(Served { service, hosts: self.hosts, options: self.options });
        loop {
            let replaces_another = match &self.listener {
                Listener::Tcp(listener) => listener.accept().await.map(|(stream, peer)| {
                    let _ = stream.set_nodelay(true);
                    spawn(stream, Peer::Address(peer.ip()), &connections, &served)
                }),
                Listener::Unix(listener) => listener
                    .accept()
                    .await
                    .map(|(stream, _)| spawn(stream, Peer::ThisMachine, &connections, &served)),
            };
            match replaces_another {
                Ok(false) => {}
                // A burst must not end connections that it has brought before they could send their requests.
                Ok(true) => sleep(REPLACEMENT_INTERVAL).await,
                // Out of file descriptors, for example.
                Err(_) => {
                    connections.make_room();
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// What all connections of a server share.
struct Served<S> {
    service: S,
    hosts: AllowedHosts,
    options: ServerOptions,
}

/// Serves a connection, if there is room. Returns whether another one was ended for it.
fn spawn(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    connections: &Arc<Connections>,
    served: &Arc<Served<impl Service>>,
) -> bool {
    let Some(connection) = connections.admit(&peer) else { return false };
    let replaces_another = connection.replaces_another;
    let served = Arc::clone(served);
    tokio::spawn(async move { served.connection(stream, peer, connection).await });
    replaces_another
}

/// Closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the service gives no answer")]
struct NoAnswer;

impl<S: Service> Served<S> {
    async fn connection(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        peer: Peer,
        connection: OpenConnection,
    ) {
        let limits = &self.options.limits;
        let count = AtomicU64::new(0);
        let answer = service_fn(|request: Request<Incoming>| {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            let is_last = limits.requests_per_connection.is_some_and(|max| number >= max);
            self.answer(request, peer, &connection, is_last)
        });
        let stream = TokioIo::new(WriteDeadline::new(stream, limits.idle_timeout));
        let mut serving = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.idle_timeout)
                .max_buf_size(MAX_BUFFER)
                .title_case_headers(self.options.title_case_headers)
                .serve_connection(stream, answer)
        );
        // An error means that the client has disconnected, does not send, or does not read.
        tokio::select! {
            _ = serving.as_mut() => return,
            () = connection.ended() => return,
            () = after(limits.max_lifetime.map(|max_lifetime| max_lifetime * 2 / 3)) => serving.as_mut().graceful_shutdown(),
        }
        let rest = limits.max_lifetime.map(|max_lifetime| max_lifetime / 3);
        tokio::select! {
            _ = serving.as_mut() => {}
            () = connection.ended() => {}
            () = async {
                after(rest).await;
                if connection.works() {
                    connection.is_done().await;
                    after(rest).await;
                }
            } => {}
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        connection: &OpenConnection,
        is_last: bool,
    ) -> Result<Response<Full<Bytes>>, NoAnswer> {
        let mut response = match self.hosts.check(request.uri(), request.headers()) {
            Ok(()) => {
                let urgency = self.service.urgency(request.uri().path());
                let answered = connection.work(urgency, self.service.answer(request, &peer)).await;
                answered.ok_or(NoAnswer)?
            }
            Err(foreign) => refusal(foreign.status(), &foreign.advice().text(self.options.setting_names)),
        };
        if is_last {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Resolves after a time, or never.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
}

fn refusal(status: u16, reason: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({"error": reason}).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// Between server and client.
    const BUFFER: usize = 4 << 10;

    /// `/slow` takes its time, `/large` is more than a client that reads nothing takes.
    struct Sample;

    impl Service for Sample {
        async fn answer(&self, request: Request<Incoming>, _peer: &Peer) -> Option<Response<Full<Bytes>>> {
            let body = match request.uri().path() {
                "/slow" => {
                    sleep(2 * SHORT).await;
                    Bytes::from_static(b"slow")
                }
                "/large" => Bytes::from(vec![b'x'; 4 * BUFFER]),
                "/nothing" => return None,
                _ => Bytes::from_static(b"plain"),
            };
            Some(Response::new(Full::new(body)))
        }
    }

    /// What a client gets that sends these bytes and reads after the connection has ended.
    fn received(limits: Limits, bytes: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the system gives a runtime").block_on(async {
            let hosts = AllowedHosts { bound: None, names: Vec::new() };
            let options = ServerOptions { limits, ..ServerOptions::default() };
            let connection = Arc::new(Connections::new(limits)).admit(&Peer::ThisMachine);
            let (near, mut far) = duplex(BUFFER);
            far.write_all(bytes.as_bytes()).await.expect("there is room");
            let served = Served { service: Sample, hosts, options };
            served.connection(near, Peer::ThisMachine, connection.expect("there is room")).await;
            let mut answer = String::new();
            far.read_to_string(&mut answer).await.expect("it is text");
            answer
        })
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }

    const LONG: Duration = Duration::from_mins(2);
    const SHORT: Duration = Duration::from_millis(150);

    #[test]
    fn connection_ends_with_its_life() {
        let limits = Limits { max_lifetime: Some(SHORT), idle_timeout: LONG, ..Limits::SERVICE };
        assert!(received(limits, &get("/")).ends_with("plain"));
    }

    #[test]
    fn request_in_flight_is_answered_after_the_connections_lifetime() {
        let limits = Limits { max_lifetime: Some(SHORT), idle_timeout: LONG, ..Limits::SERVICE };
        assert!(received(limits, &get("/slow")).ends_with("slow"));
    }

    #[test]
    fn connection_whose_client_does_not_read_ends_with_its_life() {
        let limits = Limits { max_lifetime: Some(SHORT), idle_timeout: LONG, ..Limits::SERVICE };
        assert!(received(limits, &get("/large")).len() <= BUFFER);
    }

    #[test]
    fn connection_whose_client_does_not_read_ends_at_the_idle_timeout() {
        let limits = Limits { max_lifetime: None, idle_timeout: SHORT, ..Limits::SERVICE };
        assert!(received(limits, &get("/large")).len() <= BUFFER);
    }

    #[test]
    fn connection_whose_client_sends_no_whole_head_ends_at_the_idle_timeout() {
        let limits = Limits { max_lifetime: None, idle_timeout: SHORT, ..Limits::SERVICE };
        assert!(!received(limits, "GET / HTTP/1.1\r\nHost: local").contains("200 OK"));
    }

    #[test]
    fn request_that_gets_no_answer_closes_the_connection() {
        assert_eq!(received(Limits::SERVICE, &get("/nothing")), "");
    }
}
