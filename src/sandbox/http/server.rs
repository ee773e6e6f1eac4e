//! The HTTP server: connections, latency, faults, headers. Below it stand routes and control.

use super::{
    authorize::{self, Page, Visitor},
    control,
    route::{Call, Route, routes},
};
use crate::{
    api::{callback, oauth::AUTHORIZE},
    base::{Clock, lock},
    sandbox::{
        rules::media,
        world::{
            api_error::Refusal,
            faults::{Misfortune, When},
            options::Options,
            switches::{CONNECTION, TAGS_CONTENT_TYPE},
            world::World,
        },
    },
};
use chrono::DateTime;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, runtime::Runtime};
use url::Url;

/// The longest request body.
const LONGEST_BODY: usize = 4 << 20;

/// A sandbox that serves until it is dropped.
pub struct Sandbox {
    address: SocketAddr,
    _runtime: Runtime,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// More followers come from scenes than there are.
    #[error("the scenes have {in_scenes} followers together, but the account has only {followers}")]
    Scenes {
        /// Followers of all scenes.
        in_scenes: u64,
        /// Followers of the account.
        followers: u32,
    },
    /// The EncodingAESKey is none.
    #[error("{0}")]
    AesKey(callback::Error),
    /// The address can't be listened on.
    #[error("can't listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        reason: io::Error,
    },
}

/// What every connection shares.
pub(crate) struct Shared {
    world: Mutex<World>,
    routes: HashMap<&'static str, Route>,
    in_flight: AtomicUsize,
    pub(crate) max_in_flight: AtomicUsize,
}

impl Shared {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped on demand")]
struct Dropped;

impl Sandbox {
    /// Starts a sandbox on threads of its own.
    ///
    /// # Errors
    /// When the options contradict each other or the address can't be listened on.
    pub fn start(options: Options) -> Result<Self, StartError> {
        options.check()?;
        let listen = |reason| StartError::Listen { address: options.listen, reason };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sandbox")
            .enable_all()
            .build()
            .map_err(listen)?;
        let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(options, Clock::system())),
            routes: routes(),
            in_flight: AtomicUsize::new(0),
            max_in_flight: AtomicUsize::new(0),
        });
        runtime.spawn(accept(listener, shared));
        Ok(Self { address, _runtime: runtime })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, say: those in use come free.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let keep_alive = shared.world().switches.is(CONNECTION, "keep-alive");
            let service = service_fn(|request| answer(Arc::clone(&shared), request, peer.ip()));
            // An error here is a client that went away, or a connection that was dropped on demand.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .keep_alive(keep_alive)
                .title_case_headers(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Counts a request as under way for as long as it lives.
struct InFlight(Arc<Shared>);

impl InFlight {
    fn begin(shared: Arc<Shared>) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.max_in_flight.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let path = request.uri().path().to_owned();
    if let Some(page) = page(&shared, &request) {
        return Ok(page);
    }
    let method = request.method().to_string();
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let query = request.uri().query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let Ok(body) = Limited::new(request.into_body(), LONGEST_BODY).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large"));
    };
    let body = body.to_bytes();
    let file = media::file_in(&content_type, body.clone()).await;
    let call = Call { method, query, body: body.to_vec(), file, peer };
    if let Some(control) = path.strip_prefix("/__sandbox/") {
        let (status, body) = control::answer(&shared, control, &call).await;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // For people: a line each, and an end.
        return Ok(respond(status, "application/json; charset=utf-8", format!("{body:#}\n")));
    }
    let Some(route) = shared.routes.get(path.as_str()).copied() else {
        return Ok(plain(StatusCode::NOT_FOUND, "404 page not found"));
    };
    let _in_flight = InFlight::begin(Arc::clone(&shared));
    platform(&shared, route, call).await
}

/// Answers what a browser opens: the authorize page, and who the browser's person is.
fn page(shared: &Shared, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let query = request.uri().query().unwrap_or_default();
    let cookies = request.headers().get(header::COOKIE).and_then(|cookies| cookies.to_str().ok());
    let page = match request.uri().path() {
        AUTHORIZE => {
            authorize::open(&mut shared.world(), query, &Visitor::of_cookies(cookies.unwrap_or_default()))
        }
        "/connect/oauth2/authorize/decide" => authorize::decide(&mut shared.world(), query),
        "/__sandbox/enter" => return Some(enter(query)),
        _ => return None,
    };
    Some(match page {
        Page::Html(html) => respond(StatusCode::OK, "text/html; charset=utf-8", html),
        Page::Redirect(address) => {
            let mut response = respond(StatusCode::FOUND, "text/html; charset=utf-8", "");
            // A header is ASCII: what a redirect_uri has beyond it is escaped.
            let address = Url::parse(&address).map_or(address, String::from);
            if let Ok(address) = address.parse() {
                response.headers_mut().insert(header::LOCATION, address);
            }
            response
        }
    })
}

/// From now on the browser is this person's, who comes from the menu or from elsewhere.
fn enter(query: &str) -> Response<Full<Bytes>> {
    let mut response = respond(StatusCode::OK, "text/plain; charset=utf-8", "entered\n");
    for (name, cookie) in [("openid", "sandbox_openid"), ("from", "sandbox_from")] {
        let value = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        let value = value.map(|(_, value)| value.into_owned()).unwrap_or_default();
        let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if let Ok(cookie) = format!("{cookie}={value}; Path=/").parse()
            && is_plain
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// Answers a call of the platform.
async fn platform(shared: &Shared, route: Route, mut call: Call) -> Result<Response<Full<Bytes>>, Dropped> {
    let (misfortune, latency) = {
        let mut world = shared.world();
        *world.calls.entry(format!("{} {}", call.method, route.spec.path)).or_default() += 1;
        let misfortune = world.faults.strike(route.spec.path, |openid| call.names(openid));
        (misfortune, world.options.latency)
    };
    let wait = latency + misfortune.delay.unwrap_or_default();
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if misfortune.drop == Some(When::Before) {
        return Err(Dropped);
    }
    if let Some(status) = misfortune.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        return Ok(plain(status, "<html><body>an upstream failed</body></html>"));
    }
    let is_sns = route.spec.path.starts_with("/sns/");
    let mut world = shared.world();
    let body = match misfortune.body {
        Some(ref body) => body.clone().into_bytes(),
        None => match carry_out(route, &mut world, &mut call, &misfortune) {
            Ok(body) => body,
            Err(refusal) => {
                let rid = world.rid();
                let body = refusal.body(is_sns, &mut world, &rid).to_string();
                world.remember(rid, &call, &body);
                body.into_bytes()
            }
        },
    };
    if misfortune.drop == Some(When::After) {
        return Err(Dropped);
    }
    let as_text =
        is_sns || (route.spec.path.contains("/tags/") && world.switches.is(TAGS_CONTENT_TYPE, "text"));
    let content_type = if as_text { "text/plain" } else { "application/json; encoding=utf-8" };
    let date = DateTime::from_timestamp(world.now(), 0).unwrap_or_default();
    drop(world);
    let mut response = respond(StatusCode::OK, content_type, body);
    // Hyphens between the parts of the date, as the platform writes it.
    if let Ok(date) = date.format("%a, %d-%b-%Y %H:%M:%S GMT").to_string().parse() {
        response.headers_mut().insert(header::DATE, date);
    }
    Ok(response)
}

/// Does the call, or what a fault puts in its place.
fn carry_out(
    route: Route,
    world: &mut World,
    call: &mut Call,
    misfortune: &Misfortune,
) -> Result<Vec<u8>, Refusal> {
    match (misfortune.errcode, &misfortune.openid) {
        // A partial failure does all but the one that the fault names.
        (Some(crate::api::errcode::SOME_OPENIDS_FAILED), Some(openid)) => {
            call.leave_out(openid);
            if call.names_anybody() {
                (route.handler)(world, call)?;
            }
            Err(Refusal::partial(vec![openid.clone()]))
        }
        (Some(errcode), _) => Err(Refusal::on_demand(errcode)),
        (None, _) => (route.handler)(world, call),
    }
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/html", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
