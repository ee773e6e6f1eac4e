//! Pushes to a developer's URL (服务器配置), signed, encrypted where that is asked for, and tried again at
//! once as often as a switch says; and the check of that URL. The minute-spaced tries of card events and
//! the pause after repeated failures (`MarkFail`) are not simulated.
//!
//! A sandbox pushes on request (`POST /__sandbox/push`), over plain HTTP, to this machine only.

use super::shared::Shared;
use crate::{
    api::callback::{AesKey, Keys, Message, encrypt, msg_signature, signature},
    base::Secret,
    sandbox::{
        rules::push_payload::{fields_of, xml},
        world::{switches::PUSH_ATTEMPTS, world::World},
    },
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, PRAGMA, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{net::IpAddr, time::Duration};
use tokio::net::TcpStream;
use url::{Host, Position, Url};

/// The time after which the platform closes the connection of a push without a reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest reply that is read.
const MAX_REPLY_BYTES: usize = 64 << 10;

/// What the platform shows the sender of a message without a valid reply.
const UNAVAILABLE: &str = "该服务号暂时无法提供服务，请稍后再试";

/// How a push is written (消息加解密方式).
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// 明文模式.
    #[default]
    Plain,
    /// 兼容模式: plain and encrypted.
    Compatible,
    /// 安全模式: encrypted only.
    Safe,
}

/// The body of `POST /__sandbox/push`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    url: String,
    /// Check the URL as the console does when it is saved, instead of pushing.
    #[serde(default)]
    check: bool,
    /// Whose message; the first follower's when none is named.
    openid: Option<String>,
    #[serde(default)]
    mode: Mode,
    /// The fields; what is left out has a sample's value.
    #[serde(default)]
    message: Map<String, Value>,
    /// How long one try may take, `5s` unless it is said.
    patience: Option<String>,
}

/// Carries an order out and says what became of it.
pub(crate) async fn answer(shared: &Shared, order: Value) -> Result<Value, String> {
    let order: Order = serde_json::from_value(order).map_err(|error| error.to_string())?;
    let target = Target::read(&order.url)?;
    let patience = match &order.patience {
        Some(text) => humantime::parse_duration(text).map_err(|error| format!("`patience`: {error}"))?,
        None => REPLY_TIMEOUT,
    };
    if order.check {
        return Ok(check(shared, &target, patience).await);
    }
    let (push, keys, attempts) = {
        let mut world = shared.world();
        let attempts = world.switches.number(PUSH_ATTEMPTS).unwrap_or(3);
        (Push::write(&mut world, &order)?, keys(&world), attempts)
    };
    let mut faults = Vec::new();
    for tried in 1..=attempts {
        match target.post(&push, patience).await {
            Ok((status, reply)) => {
                let reply = match status {
                    StatusCode::OK => read_reply(&keys, order.mode, &push, &reply),
                    status => Err(format!("the status must be 200, not {}", status.as_u16())),
                };
                let is_ok = reply.is_ok();
                let mut said = json!({"ok": is_ok, "tries": tried, "status": status.as_u16()});
                match reply {
                    Ok(reply) => said["reply"] = reply.into(),
                    Err(fault) => said["error"] = fault.into(),
                }
                if !is_ok {
                    said["shown"] = UNAVAILABLE.into();
                }
                return Ok(said);
            }
            Err(fault) => faults.push(fault),
        }
    }
    Ok(json!({"ok": false, "tries": attempts, "error": faults.last(), "shown": UNAVAILABLE}))
}

fn keys(world: &World) -> Keys {
    Keys {
        token: Secret::new(world.options.callback_token.as_str()),
        aes_key: Some(Secret::new(world.options.aes_key.as_str())),
        appid: world.options.appid.clone(),
    }
}

/// The console's check when the URL is saved: a GET whose `echostr` must come back.
async fn check(shared: &Shared, target: &Target, patience: Duration) -> Value {
    let (echostr, query) = {
        let mut world = shared.world();
        let echostr = world.digits(19);
        let (timestamp, nonce) = (world.now().to_string(), world.digits(10));
        let signature = signature(&keys(&world).token, &timestamp, &nonce);
        let query = [
            ("signature", signature),
            ("echostr", echostr.clone()),
            ("timestamp", timestamp),
            ("nonce", nonce),
        ];
        (echostr, query)
    };
    let request = target.request("GET", &query).body(Full::default());
    match target.send(request, patience).await {
        Ok((StatusCode::OK, reply)) if reply == echostr.as_bytes() => json!({"ok": true}),
        Ok((status, _)) => json!({
            "ok": false,
            "status": status.as_u16(),
            "error": "the answer must be the bare echostr, with status 200",
        }),
        Err(fault) => json!({"ok": false, "error": fault}),
    }
}

/// A push as it is sent: the same at every try.
struct Push {
    openid: String,
    to_user_name: String,
    query: Vec<(&'static str, String)>,
    body: String,
}

impl Push {
    fn write(world: &mut World, order: &Order) -> Result<Self, String> {
        let openid = match &order.openid {
            Some(openid) => {
                world.resolve_openid(openid)?;
                openid.clone()
            }
            None => world.openids.openid(0),
        };
        let keys = keys(world);
        let to_user_name = world.original_id();
        let plain = fields_of(world, &to_user_name, &openid, &order.message)?;
        let (timestamp, nonce) = (world.now().to_string(), world.digits(10));
        let mut query = vec![
            ("signature", signature(&keys.token, &timestamp, &nonce)),
            ("timestamp", timestamp.clone()),
            ("nonce", nonce.clone()),
            ("openid", openid.clone()),
        ];
        if order.mode == Mode::Plain {
            return Ok(Self { openid, to_user_name, query, body: xml(&plain) });
        }
        let key = keys.aes_key.as_ref().map(AesKey::read).ok_or("there is no EncodingAESKey")?;
        let key = key.map_err(|error| error.to_string())?;
        let sealed = encrypt(&key, &keys.appid, world.random_bytes(), xml(&plain).as_bytes());
        query.push(("encrypt_type", "aes".to_owned()));
        query.push(("msg_signature", msg_signature(&keys.token, &timestamp, &nonce, &sealed)));
        let encrypted = ("Encrypt".to_owned(), Value::from(sealed));
        let fields = match order.mode {
            Mode::Compatible => plain.into_iter().chain([encrypted]).collect(),
            _ => vec![("ToUserName".to_owned(), Value::from(to_user_name.as_str())), encrypted],
        };
        Ok(Self { openid, to_user_name, query, body: xml(&fields) })
    }
}

/// Kinds of passive replies (被动回复用户消息).
const REPLIES: [&str; 7] = ["text", "image", "voice", "video", "music", "news", "transfer_customer_service"];

/// What was replied, decrypted: nothing, `success`, or a passive reply to this person.
fn read_reply(keys: &Keys, mode: Mode, push: &Push, reply: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(reply).trim().to_owned();
    if text.is_empty() || text == "success" {
        return Ok(text);
    }
    if !text.starts_with("<xml>") {
        return Err("the reply is neither `success`, nothing, nor XML".to_owned());
    }
    // In compatible mode a reply may be either (兼容模式).
    let is_sealed = match mode {
        Mode::Plain => false,
        Mode::Compatible => text.contains("<Encrypt>"),
        Mode::Safe => true,
    };
    let xml = if is_sealed { open_reply(keys, &text)? } else { text };
    let message = Message::parse(xml.as_bytes()).map_err(|error| format!("the reply: {error}"))?;
    if message.to_user_name() != push.openid || message.from_user_name() != push.to_user_name {
        return Err("the reply's ToUserName and FromUserName must be the message's, swapped".to_owned());
    }
    if message.create_time().is_none() || !REPLIES.contains(&message.msg_type()) {
        return Err(format!("the reply needs a CreateTime, and a MsgType of {}", REPLIES.join(", ")));
    }
    Ok(xml)
}

/// Opens an encrypted reply, which has a timestamp and a nonce of its own.
fn open_reply(keys: &Keys, text: &str) -> Result<String, String> {
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (inner, _) = rest.split_once(&format!("</{name}>"))?;
        Some(inner.trim_start_matches("<![CDATA[").trim_end_matches("]]>").to_owned())
    };
    let needed = |name: &str| field(name).ok_or(format!("the reply must be encrypted; it has no {name}"));
    let (signature, timestamp, nonce) = (needed("MsgSignature")?, needed("TimeStamp")?, needed("Nonce")?);
    let xml = keys.open(text.as_bytes(), &signature, &timestamp, &nonce);
    let xml = xml.map_err(|error| format!("the reply: {error}"))?;
    Ok(String::from_utf8_lossy(&xml).into_owned())
}

/// The developer's URL.
struct Target {
    url: Url,
    host: IpAddr,
    port: u16,
}

impl Target {
    fn read(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("`url`: {error}"))?;
        let host = match url.host() {
            Some(Host::Ipv4(host)) => Some(IpAddr::from(host)),
            Some(Host::Ipv6(host)) => Some(IpAddr::from(host)),
            Some(Host::Domain("localhost")) => Some(IpAddr::from([127, 0, 0, 1])),
            _ => None,
        };
        let host = host.filter(|host| host.is_loopback() && url.scheme() == "http");
        let host =
            host.ok_or("a sandbox pushes to http:// on this machine only, as in http://127.0.0.1:8000/wx")?;
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Self { url, host, port })
    }

    fn request(&self, method: &str, query: &[(&'static str, String)]) -> hyper::http::request::Builder {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(query);
        let authority = url.host_str().map(|host| format!("{host}:{}", self.port)).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(&url[Position::BeforePath..Position::AfterQuery])
            .header(HOST, authority)
            .header(USER_AGENT, "Mozilla/4.0")
            .header(ACCEPT, "*/*")
            .header(PRAGMA, "no-cache")
            .header(CONNECTION, "close")
    }

    async fn post(&self, push: &Push, patience: Duration) -> Result<(StatusCode, Bytes), String> {
        let request = self.request("POST", &push.query).header(CONTENT_TYPE, "text/xml");
        self.send(request.body(Full::new(push.body.clone().into())), patience).await
    }

    async fn send(
        &self,
        request: hyper::http::Result<Request<Full<Bytes>>>,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), String> {
        let request = request.map_err(|error| error.to_string())?;
        let exchange = async {
            let stream =
                TcpStream::connect((self.host, self.port)).await.map_err(|error| error.to_string())?;
            let (mut sender, connection) = http1::Builder::new()
                .title_case_headers(true)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
            // It ends with the answer, or with the sender.
            tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_REPLY_BYTES).collect().await;
            // Any answer is an answer, whatever its status.
            Ok((status, body.map_or(Bytes::from_static(b"(too long)"), http_body_util::Collected::to_bytes)))
        };
        let within = tokio::time::timeout(patience, exchange);
        within
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {}", humantime::format_duration(patience))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_to_another_machine_is_refused() {
        for url in ["http://127.0.0.1:80/wx", "http://[::1]:80/", "http://localhost/wx?a=b"] {
            assert!(Target::read(url).is_ok(), "{url}");
        }
        for url in
            ["https://127.0.0.1/", "http://192.168.1.1/", "http://example.com/", "ftp://127.0.0.1/", "x"]
        {
            assert!(Target::read(url).is_err(), "{url}");
        }
    }
}
