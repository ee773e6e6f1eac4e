//! Where programs of this machine, or of others, ask: an address or a Unix socket, over HTTP/1.1.
//!
//! Must never know what is asked for.

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

/// Connections at once.
const MOST: usize = 256;

/// How long a request may take to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// The answer to a request of `peer`, as far as that is known.
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
    /// A Unix socket, for this user alone.
    Socket(PathBuf),
}

/// A service that listens.
pub struct HttpServer {
    listener: Listener,
    /// Where, as other programs reach it.
    pub place: String,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl HttpServer {
    /// Listens; nothing is answered before [`HttpServer::serve`].
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn bind(listen: &BindAddress) -> io::Result<Self> {
        match listen {
            BindAddress::Address(address) => {
                let listener = TcpListener::bind(address).await?;
                let place = format!("http://{}", listener.local_addr()?);
                Ok(Self { listener: Listener::Tcp(listener), place })
            }
            BindAddress::Socket(path) => {
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
    pub async fn serve(self, service: impl Service) {
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

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, peer: String, service: &Arc<impl Service>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let (service, peer) = (Arc::clone(service), peer.clone());
        async move { Ok::<_, Infallible>(service.answer(request, &peer).await) }
    });
    // An error here is a client that went away.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}
