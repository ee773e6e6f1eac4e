//! A server that answers as a test tells it, byte by byte: what no sandbox would send.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// A test with more requests than this goes round in a circle.
const MOST: usize = 500;

/// A connection on which nothing comes for so long is left.
const PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of one request.
pub(crate) enum Act {
    /// These bytes are the answer; the connection ends after them.
    Answer(Vec<u8>),
    /// The connection ends without an answer.
    Drop,
    /// These bytes are the answer, and nobody listens from before it is sent.
    Last(Vec<u8>),
}

/// One request with what was answered.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Head and body.
    pub(crate) request: String,
    /// As it was sent, or nothing when the connection was dropped.
    pub(crate) answer: String,
}

/// Serves one connection after another, one request on each, until it is dropped.
pub(crate) struct RawServer {
    address: SocketAddr,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RawServer {
    /// Answers each request as `act` says.
    pub(crate) fn start(act: impl FnMut(&str) -> Act + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let exchanges = Arc::<Mutex<Vec<Exchange>>>::default();
        let is_over = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let (exchanges, is_over) = (Arc::clone(&exchanges), Arc::clone(&is_over));
            move || serve(listener, act, &exchanges, &is_over)
        });
        Self { address, exchanges, is_over, thread: Some(thread) }
    }

    /// Answers with these in turn; after the last one nobody listens.
    pub(crate) fn in_turn(answers: impl IntoIterator<Item = Act>) -> Self {
        let mut answers: VecDeque<Act> = answers.into_iter().collect();
        Self::start(move |_| match (answers.pop_front(), answers.is_empty()) {
            (Some(Act::Answer(bytes)), true) => Act::Last(bytes),
            (act, _) => act.unwrap_or(Act::Drop),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked and answered so far.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first lines of the requests so far, without their queries.
    pub(crate) fn calls(&self) -> Vec<String> {
        let call = |exchange: &Exchange| {
            let line = exchange.request.lines().next().unwrap_or_default();
            line.split([' ', '?']).take(2).collect::<Vec<_>>().join(" ")
        };
        self.exchanges().iter().map(call).collect()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection; it may have ended already.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed, and a second one here would end the process.
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: TcpListener,
    mut act: impl FnMut(&str) -> Act,
    exchanges: &Mutex<Vec<Exchange>>,
    is_over: &AtomicBool,
) {
    let mut listener = Some(listener);
    for _ in 0..MOST {
        let Some(accepted) = listener.as_ref().map(TcpListener::accept) else { return };
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, _)) = accepted else { continue };
        let Some((request, mut stream)) = read(stream) else { continue };
        let answer = match act(&request) {
            Act::Answer(bytes) => bytes,
            Act::Drop => Vec::new(),
            Act::Last(bytes) => {
                listener = None;
                bytes
            }
        };
        exchanges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Exchange { request, answer: String::from_utf8_lossy(&answer).into_owned() });
        // A caller that reads no further has what it needs.
        let _ = stream.write_all(&answer);
    }
}

/// Reads one request with its body; nothing when none comes.
fn read(stream: TcpStream) -> Option<(String, TcpStream)> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    let mut length = 0;
    loop {
        let start = text.len();
        if reader.read_line(&mut text).ok()? == 0 {
            return None;
        }
        let line = text[start..].trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    text.push_str(&String::from_utf8_lossy(&body));
    Some((text, reader.into_inner()))
}

/// An answer with this status line, these further headers and this body.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: application/json; encoding=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The answer that the platform gives, with this body.
pub(crate) fn ok(body: impl AsRef<[u8]>) -> Act {
    Act::Answer(answer("200 OK", "", body))
}

/// The answer of a token endpoint.
pub(crate) fn token(token: &str) -> Act {
    ok(format!(r#"{{"access_token":"{token}","expires_in":7200}}"#))
}
