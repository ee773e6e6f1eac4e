//! A small HTTP/1.1 server on a TCP address or a Unix socket.
//!
//! Must never know what it serves.

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

/// The most connections at the same time.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to send a request.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// The response to a request of `peer`, an IP address or `this machine`.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &str,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// Where to listen.
#[derive(Clone, Debug)]
pub enum BindAddress {
    /// An address and a port.
    Address(SocketAddr),
    /// A Unix socket, accessible to this user only.
    Socket(PathBuf),
}

/// A bound server, which does not accept connections yet.
pub struct HttpServer {
    listener: Listener,
    /// Its URL, or the path of its socket.
    pub place: String,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl HttpServer {
    /// Binds the address; connections wait until [`HttpServer::serve`].
    pub async fn bind(listen: &BindAddress) -> io::Result<Self> {
        match listen {
            BindAddress::Address(address) => {
                let listener = TcpListener::bind(address).await?;
                let place = format!("http://{}", listener.local_addr()?);
                Ok(Self { listener: Listener::Tcp(listener), place })
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
                Ok(Self { listener: Listener::Unix(listener), place: path.display().to_string() })
            }
        }
    }

    /// Serves until the future is dropped.
    pub async fn serve(self, service: impl Service) {
        let service = Arc::new(service);
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let service = Arc::clone(&service);
            match &self.listener {
                Listener::Tcp(listener) => match listener.accept().await {
                    Ok((stream, peer)) => {
                        tokio::spawn(async move {
                            connection(stream, peer.ip().to_string(), &service).await;
                            drop(permit);
                        });
                    }
                    // For example out of file descriptors, until some connection ends.
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

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, peer: String, service: &Arc<impl Service>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let (service, peer) = (Arc::clone(service), peer.clone());
        async move { Ok::<_, Infallible>(service.answer(request, &peer).await) }
    });
    // An error means that the client has disconnected.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}
