//! One HTTP exchange. The only place that puts a token or the AppSecret into a URL or a body.

use super::{BaseUrl, CallError};
use crate::{
    api::{Spec, media::File, wire::Outgoing},
    base::{Redactor, Secret, plain_line},
};
use reqwest::multipart::{Form, Part};
use std::{error::Error, sync::OnceLock, time::Duration};

/// Timeout of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// Timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Limit of the size of a token service's answer.
const MAX_TOKEN_BYTES: usize = 1 << 20;

/// The longest part of a token service's message that is shown, in bytes.
const MAX_MESSAGE: usize = 600;

/// Limit of idle connections that are kept open.
const MAX_IDLE_CONNECTIONS: usize = 64;

/// An answer.
pub(super) struct Reply {
    pub status: u16,
    /// `Retry-After`, in seconds or as a date.
    pub retry_after: Option<String>,
    pub bytes: Vec<u8>,
}

/// Why there is no answer.
pub(super) struct Fault {
    /// For people, without the URL, which contains the token.
    pub reason: String,
    /// Whether the request may have reached the platform.
    pub sent: bool,
}

/// HTTP client of one base URL.
pub(super) struct Transport {
    base: BaseUrl,
    http: OnceLock<Result<reqwest::Client, String>>,
}

impl Transport {
    pub(super) fn new(base: BaseUrl) -> Self {
        Self { base, http: OnceLock::new() }
    }

    pub(super) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Built at the first call: loading the machine's CA certificates takes milliseconds, and a machine without them can
    /// still reach loopback.
    fn http(&self) -> Result<&reqwest::Client, CallError> {
        self.http
            .get_or_init(|| {
                let builder = builder(Network::of(&self.base));
                builder
                    .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
                    .build()
                    .map_err(|error| innermost(&error))
            })
            .as_ref()
            .map_err(|reason| CallError::NoTls(reason.clone()))
    }

    /// Sends a request that needs no token, and gives the clock of the answer in Unix seconds.
    pub(super) async fn probe(&self) -> Result<Option<i64>, String> {
        let http = self.http().map_err(|error| error.to_string())?;
        let answer = http.get(self.base.join("/cgi-bin/getcallbackip")).send().await;
        let answer = answer.map_err(|error| innermost(&error.without_url()))?;
        if answer.status().as_u16() >= 500 {
            return Err(format!("HTTP status {}", answer.status().as_u16()));
        }
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
        Ok(date.and_then(read_date))
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(
        &self,
        spec: &Spec,
        request: &Outgoing,
        token: Option<&Secret>,
    ) -> Result<Result<Reply, Fault>, CallError> {
        let mut url = self.base.join(spec.path);
        if token.is_some() || !request.query.is_empty() {
            let mut query = url.query_pairs_mut();
            if let Some(token) = token {
                query.append_pair("access_token", token.reveal());
            }
            query.extend_pairs(&request.query);
        }
        let http = self.http()?;
        let outgoing = match (&request.body, &request.file) {
            (None, None) => http.get(url),
            (Some(body), _) => http
                .post(url)
                .header("content-type", "application/json; charset=utf-8")
                .body(body.to_string()),
            (None, Some((name, file))) => http.post(url).multipart(form(name, file)),
        };
        Ok(read(outgoing, spec.max_answer).await)
    }
}

/// The body of an upload. Built for each attempt, since sending consumes it.
fn form(name: &'static str, file: &File) -> Form {
    let part =
        |media_type| Part::bytes(file.content.clone()).file_name(file.name.clone()).mime_str(media_type);
    let part = part(file.media_type()).unwrap_or_else(|error| unreachable!("a constant media type: {error}"));
    Form::new().part(name, part)
}

/// The way to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// This machine, over plain HTTP.
    PlainLoopback,
    /// This machine, over TLS.
    Loopback,
    /// Any other, over TLS, by the proxy of the environment.
    Remote,
}

impl Network {
    /// The way to an address. Plain HTTP leaves this machine never.
    fn of(base: &BaseUrl) -> Self {
        if !base.is_loopback() {
            Self::Remote
        } else if base.is_plain() {
            Self::PlainLoopback
        } else {
            Self::Loopback
        }
    }

    /// The way to a URL of any form.
    fn of_url(url: &url::Url) -> Self {
        match (url.host_str(), url.scheme()) {
            (Some("127.0.0.1" | "localhost" | "[::1]"), "http") => Self::PlainLoopback,
            (Some("127.0.0.1" | "localhost" | "[::1]"), _) => Self::Loopback,
            _ => Self::Remote,
        }
    }
}

fn builder(network: Network) -> reqwest::ClientBuilder {
    // Fails only when a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .timeout(ATTEMPT_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("mpscript/", env!("CARGO_PKG_VERSION")));
    match network {
        Network::PlainLoopback => builder.no_proxy().tls_certs_only([]),
        Network::Loopback => builder.no_proxy().https_only(true),
        Network::Remote => builder.https_only(true),
    }
}

/// Requests a URL that the user configured, such as a health check; plain HTTP on loopback only.
///
/// # Errors
/// When there is no answer, or one with an error status. The message never contains the URL, which may be a secret.
pub async fn ping(url: &str) -> Result<(), String> {
    let url = url::Url::parse(url).map_err(|error| error.to_string())?;
    let http = builder(Network::of_url(&url)).build();
    let answer = http.map_err(|error| innermost(&error))?.get(url).send().await;
    let status = answer.map_err(|error| innermost(&error.without_url()))?.status();
    if status.is_success() { Ok(()) } else { Err(format!("HTTP status {}", status.as_u16())) }
}

/// Sends a request and reads its answer, which may have up to `max` bytes.
async fn read(outgoing: reqwest::RequestBuilder, max: usize) -> Result<Reply, Fault> {
    let fault = |error: reqwest::Error| Fault {
        sent: !(error.is_connect() || error.is_builder()),
        reason: if error.is_timeout() && !error.is_connect() {
            format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs())
        } else {
            innermost(&error.without_url())
        },
    };
    let mut response = outgoing.send().await.map_err(fault)?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(str::to_owned);
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        if bytes.len() + chunk.len() > max {
            return Err(Fault { reason: format!("the answer is over {max} bytes"), sent: true });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Reply { status, retry_after, bytes })
}

/// Asks a token service for the account's token, other than `stale`: the body of its answer, `None` if it has no other.
pub(super) async fn ask_for_token(
    base: &BaseUrl,
    key: Option<&Secret>,
    account: &str,
    stale: Option<&Secret>,
    secrets: &Redactor,
) -> Result<Option<String>, String> {
    let transport = Transport::new(base.clone());
    let http = transport.http().map_err(|error| error.to_string())?;
    let outgoing = match stale {
        None => {
            let mut url = base.join("/token");
            url.query_pairs_mut().append_pair("account", account);
            http.get(url)
        }
        Some(stale) => http
            .post(base.join("/refresh"))
            .header("content-type", "application/json")
            .body(serde_json::json!({"account": account, "stale": stale.reveal()}).to_string()),
    };
    let outgoing = match key {
        Some(key) => outgoing.bearer_auth(key.reveal()),
        None => outgoing,
    };
    let from = base.host();
    let reply = read(outgoing, MAX_TOKEN_BYTES)
        .await
        .map_err(|fault| format!("the token service {from}: {}", fault.reason))?;
    match reply.status {
        200 => Ok(Some(String::from_utf8_lossy(&reply.bytes).into_owned())),
        401 | 403 => Err(format!("the token service {from} does not know this key")),
        409 => Ok(None),
        status => {
            // The service's own message, if there is one, names what the platform refused.
            let message: Option<serde_json::Value> = serde_json::from_slice(&reply.bytes).ok();
            let message = message.as_ref().and_then(|message| message.get("error")?.as_str());
            // It may repeat what it was sent.
            key.into_iter().chain(stale).for_each(|sent| secrets.learn_token(sent));
            let message = secrets.cut(&secrets.mask(message.unwrap_or_default()), MAX_MESSAGE);
            let message = plain_line(&message);
            Err(format!("the token service {from} answered with status {status} {message}")
                .trim_end()
                .to_owned())
        }
    }
}

/// For how long an answer asks to wait: its `Retry-After` is in seconds, or a date, which `now` is before.
pub(super) fn read_retry_after(text: &str, now: i64) -> Option<Duration> {
    let seconds = text.trim().parse::<u64>().ok();
    let seconds =
        seconds.or_else(|| Some(u64::try_from(read_date(text.trim())? - now).unwrap_or_default()))?;
    Some(Duration::from_secs(seconds))
}

/// Parses the `Date` of an answer. The platform writes it with hyphens: `Sat, 03-Jun-2023 06:27:04 GMT`.
fn read_date(text: &str) -> Option<i64> {
    let plain = text.trim_end_matches(" GMT").replace('-', " ");
    let date = chrono::NaiveDateTime::parse_from_str(&plain, "%a, %d %b %Y %H:%M:%S").ok()?;
    Some(date.and_utc().timestamp())
}

/// The root cause of an error: `Connection refused`, where the outer errors only say `error sending request`.
fn innermost(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let now = 1_685_758_000;
        let wait = |text| read_retry_after(text, now);
        assert_eq!(wait("120"), Some(Duration::from_mins(2)));
        assert_eq!(
            wait("Sat, 03 Jun 2023 02:08:00 GMT"),
            Some(Duration::from_secs(1_685_758_080 - 1_685_758_000))
        );
        assert_eq!(wait("Sat, 03 Jun 2023 01:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("-1"), None);
        assert_eq!(wait("soon"), None);
    }
}
