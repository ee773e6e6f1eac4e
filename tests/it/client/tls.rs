//! HTTPS for real: a certificate that the machine trusts is taken, any other is refused, and no
//! token travels before that is known.

// Elsewhere the system's own store is asked, which a test can't give a file.
#![cfg(target_os = "linux")]

use crate::fixtures::program::{Finished, Folder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Connections that a server takes before it ends; a run makes fewer.
const MAX: usize = 20;

/// A server on loopback with a certificate of its own authority.
struct TlsServer {
    address: SocketAddr,
    /// What a machine must trust to trust the server.
    authority: String,
    /// Requests that were read.
    requests: Arc<AtomicUsize>,
}

impl TlsServer {
    fn start() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<AtomicUsize>::default();
        let (config, counted) = (Arc::new(config), Arc::clone(&requests));
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().take(MAX).flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that does not trust the certificate goes away.
                let _ = serve(StreamOwned::new(connection, stream), &counted);
            }
        });
        Self { address, authority: authority.pem(), requests }
    }
}

/// Answers one request and ends the connection.
fn serve(stream: impl Read + Write, requests: &AtomicUsize) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    requests.fetch_add(1, Ordering::SeqCst);
    let body = if first.contains("stable_token") {
        r#"{"access_token":"96_token","expires_in":7200}"#
    } else {
        r#"{"tags":[{"id":2,"name":"星标组","count":0}]}"#
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.get_mut().write_all(format!("{head}{body}").as_bytes())?;
    stream.get_mut().flush()
}

fn list_tags(server: &TlsServer, trusted: &str) -> Finished {
    let folder = Folder::new().file("trusted.pem", trusted).account();
    let file = folder.path().join("trusted.pem").display().to_string();
    let url = format!("https://{}", server.address);
    folder.env("SSL_CERT_FILE", &file).run(&["run", "-e", "print(tag::list()[0].name)", "--base-url", &url])
}

#[test]
fn trusted_certificate_is_accepted() {
    let server = TlsServer::start();
    assert_eq!(list_tags(&server, &server.authority).success(), "星标组\n");
    assert_eq!(server.requests.load(Ordering::SeqCst), 2);
}

#[test]
fn untrusted_certificate_is_refused_before_sending() {
    let server = TlsServer::start();
    let stranger = TlsServer::start();
    let error = list_tags(&server, &stranger.authority).failure(1);
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert!(error.contains("the certificate is one this machine trusts"), "{error}");
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}
