//! What the HTTP server answers: pages, control calls, calls of the platform with their latency, faults and headers.

use super::{
    authorize::{self, Page, Visitor},
    control,
    route::Route,
    shared::{InFlight, Shared},
};
use crate::{
    api::{
        network::HOSTS,
        oauth::{AUTHORIZE, AUTHORIZE_HOST},
    },
    base::{
        Clock,
        http::{BindAddress, HttpServer, Limits, Peer, ServerOptions, Service},
    },
    sandbox::{
        rules::media,
        world::{
            api_error::ApiError,
            call::Call,
            faults::{InjectedFault, When},
            options::{Options, StartError},
            switches::{CONNECTION, TAGS_CONTENT_TYPE},
            world::World,
        },
    },
};
use chrono::DateTime;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::runtime::Runtime;

/// Limit of a request body.
const MAX_BODY_BYTES: usize = 4 << 20;

/// How long a client may take to send a request's head or its body, and how long it may read nothing of an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// As many connections as the most calls at once of a client, and then some; none ends while it is used, since the
/// platform's don't.
const LIMITS: Limits = Limits {
    connections: 2_048,
    connections_per_address: 2_048,
    requests_at_once: 2_048,
    requests_per_connection: None,
    max_lifetime: None,
    idle_timeout: IDLE_TIMEOUT,
};

/// A sandbox that serves until it is dropped.
pub struct Sandbox {
    address: SocketAddr,
    _runtime: Runtime,
}

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
        // It answers for the platform's hosts, also behind a proxy that keeps their names.
        let own = HOSTS.into_iter().chain([AUTHORIZE_HOST]).map(str::to_owned);
        let names = own.chain(options.allowed_hosts.iter().cloned()).collect();
        let listen_at = BindAddress::Address(options.listen);
        let server = HttpServer::bind(
            &listen_at,
            ServerOptions {
                names,
                setting_names: options.setting_names,
                limits: LIMITS,
                title_case_headers: true,
            },
        );
        let server = runtime.block_on(server).map_err(listen)?;
        let address = server.address().unwrap_or(options.listen);
        runtime.spawn(server.serve(Shared::new(World::new(options, Clock::system()))));
        Ok(Self { address, _runtime: runtime })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Service for Shared {
    async fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Option<Response<Full<Bytes>>> {
        let keeps_alive = self.world().switches.is(CONNECTION, "keep-alive");
        let Peer::Address(peer) = *peer else { return None };
        let mut response = answer(self, request, peer).await?;
        if !keeps_alive {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Some(response)
    }
}

/// The response to a request; `None` when the connection is dropped on demand.
async fn answer(shared: &Shared, request: Request<Incoming>, peer: IpAddr) -> Option<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    if let Some(page) = page(shared, &request) {
        return Some(page);
    }
    let method = request.method().to_string();
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let query = request.uri().query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect();
    let body = match tokio::time::timeout(IDLE_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Some(plain(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large")),
        Err(_) => return Some(plain(StatusCode::REQUEST_TIMEOUT, "request timeout")),
    };
    let file = media::file_in(&content_type, body.clone()).await;
    let call = Call { method, query, body: body.to_vec(), file, peer };
    if let Some(control) = path.strip_prefix("/__sandbox/") {
        let (status, body) = control::answer(shared, control, &call).await;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Pretty-printed and terminated by a newline, for people with curl.
        return Some(respond(status, "application/json; charset=utf-8", format!("{body:#}\n")));
    }
    let Some(route) = shared.routes.get(path.as_str()).copied() else {
        return Some(plain(StatusCode::NOT_FOUND, "404 page not found"));
    };
    let _in_flight = InFlight::begin(shared);
    platform(shared, route, call).await
}

/// Answers what a browser opens: the authorize page, and the route that sets the visitor.
fn page(shared: &Shared, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let query = request.uri().query().unwrap_or_default();
    let cookies = request.headers().get(header::COOKIE).and_then(|cookies| cookies.to_str().ok());
    let page = match request.uri().path() {
        AUTHORIZE => {
            authorize::open(&mut shared.world(), query, &Visitor::from_cookies(cookies.unwrap_or_default()))
        }
        "/connect/oauth2/authorize/decide" => authorize::decide(&mut shared.world(), query),
        "/__sandbox/enter" => return Some(set_visitor(query)),
        _ => return None,
    };
    Some(match page {
        Page::Html(html) => respond(StatusCode::OK, "text/html; charset=utf-8", html),
        Page::Redirect(address) => {
            let mut response = respond(StatusCode::FOUND, "text/html; charset=utf-8", "");
            if let Ok(address) = address.as_str().parse() {
                response.headers_mut().insert(header::LOCATION, address);
            }
            response
        }
    })
}

/// Sets cookies that make the browser this person's, who comes from the menu or from elsewhere.
fn set_visitor(query: &str) -> Response<Full<Bytes>> {
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

/// Answers a call of the platform; not at all when a fault drops it.
async fn platform(shared: &Shared, route: Route, mut call: Call) -> Option<Response<Full<Bytes>>> {
    let (fault, latency) = {
        let mut world = shared.world();
        // A client may make up methods.
        let method = [Method::GET, Method::POST].into_iter().find(|known| known.as_str() == call.method);
        let method = method.as_ref().map_or("other", Method::as_str);
        *world.calls.entry(format!("{method} {}", route.spec.path)).or_default() += 1;
        let fault = world.faults.apply(route.spec.path, |openid| call.names(openid));
        (fault, world.options.latency)
    };
    let wait = latency + fault.delay.unwrap_or_default();
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if fault.drop == Some(When::Before) {
        return None;
    }
    if let Some(status) = fault.status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        return Some(plain(status, "<html><body>an upstream failed</body></html>"));
    }
    let mut world = shared.world();
    let body = match fault.body {
        Some(ref body) => body.clone().into_bytes(),
        None => match execute(route, &mut world, &mut call, &fault) {
            Ok(body) => body,
            Err(refusal) => {
                let rid = world.rid();
                let body = world.error_body(&refusal, route.spec, &rid).to_string();
                world.remember_rejected(rid, &call, &body);
                body.into_bytes()
            }
        },
    };
    if fault.drop == Some(When::After) {
        return None;
    }
    let as_text = route.spec.is_sns()
        || (route.spec.path.contains("/tags/") && world.switches.is(TAGS_CONTENT_TYPE, "text"));
    let content_type = if as_text { "text/plain" } else { "application/json; encoding=utf-8" };
    let date = DateTime::from_timestamp(world.now(), 0).unwrap_or_default();
    drop(world);
    let mut response = respond(StatusCode::OK, content_type, body);
    // With hyphens between the parts of the date, as the platform writes it.
    if let Ok(date) = date.format("%a, %d-%b-%Y %H:%M:%S GMT").to_string().parse() {
        response.headers_mut().insert(header::DATE, date);
    }
    Some(response)
}

/// Executes the call, or what a fault injects instead.
fn execute(
    route: Route,
    world: &mut World,
    call: &mut Call,
    fault: &InjectedFault,
) -> Result<Vec<u8>, ApiError> {
    match (fault.errcode, &fault.openid) {
        // A partial failure executes the call without the openid that the fault names.
        (Some(crate::api::errcode::SOME_OPENIDS_FAILED), Some(openid)) => {
            call.remove_openid(openid);
            if call.has_openids() {
                (route.handler)(world, call)?;
            }
            Err(ApiError::partial(vec![openid.clone()]))
        }
        (Some(errcode), _) => Err(ApiError::on_demand(errcode)),
        (None, _) => (route.handler)(world, call),
    }
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/html", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
