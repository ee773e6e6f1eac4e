//! Pushes to a developer's URL (服务器配置), signed, encrypted where that is asked for, and tried as
//! often as the platform tries; and the check of that URL.
//!
//! A sandbox pushes when it is told to (`POST /__sandbox/push`), over plain HTTP, to this machine only.

use super::{server::Shared, switches::PUSH_TRIES, world::World};
use crate::{
    api::callback::AesKey,
    api::callback::{Encrypted, FIELDS, Keys, Kind, cdata, decrypt, encrypt, msg_signature, signature},
    base::Secret,
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
use url::{Host, Url};

/// The platform cuts the connection after so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest reply that is read.
const LONGEST_REPLY: usize = 64 << 10;

/// What a person sees whose message was not answered as it should be.
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
    /// Whose message; the first follower's when nobody is named.
    openid: Option<String>,
    #[serde(default)]
    mode: Mode,
    /// The fields; what is left out has a sample's value.
    #[serde(default)]
    message: Map<String, Value>,
    /// How long one try may take, `5s` unless it is said.
    patience: Option<String>,
}

/// One kind of push: its fields in the platform's order with a sample of each.
struct Sample {
    msg_type: &'static str,
    event: &'static str,
    fields: &'static str,
}

/// What people and the platform send (接收普通消息, 接收事件推送).
const SAMPLES: &[Sample] = &[
    message("text", r#"[["Content","你好"]]"#),
    message(
        "image",
        r#"[["PicUrl","http://mmbiz.qpic.cn/mmbiz_jpg/sandbox/0"],["MsgId",0],["MediaId","sandbox_media_id"]]"#,
    ),
    message("voice", r#"[["MediaId","sandbox_media_id"],["Format","amr"],["MsgId",0],["Recognition",""]]"#),
    message("video", r#"[["MediaId","sandbox_media_id"],["ThumbMediaId","sandbox_thumb_id"]]"#),
    message("shortvideo", r#"[["MediaId","sandbox_media_id"],["ThumbMediaId","sandbox_thumb_id"]]"#),
    message(
        "location",
        r#"[["Location_X",31.267813],["Location_Y",121.480003],["Scale",20],["Label","上海市"]]"#,
    ),
    message(
        "link",
        r#"[["Title","公众平台"],["Description","公众平台官网链接"],["Url","https://mp.weixin.qq.com/"]]"#,
    ),
    event("subscribe", r#"[["EventKey",""]]"#),
    event("unsubscribe", r#"[["EventKey",""]]"#),
    event("SCAN", r#"[["EventKey","98765"],["Ticket",""]]"#),
    event("LOCATION", r#"[["Latitude","31.267813"],["Longitude","121.480003"],["Precision","30.000000"]]"#),
    event("CLICK", r#"[["EventKey","V1001_TODAY"]]"#),
    event("VIEW", r#"[["EventKey","https://www.example.com/"],["MenuId","402147125"]]"#),
    event("scancode_push", r#"[["EventKey","6"],["ScanCodeInfo",{"ScanType":"qrcode","ScanResult":"1"}]]"#),
    event(
        "scancode_waitmsg",
        r#"[["EventKey","6"],["ScanCodeInfo",{"ScanType":"qrcode","ScanResult":"2"}]]"#,
    ),
    event(
        "pic_sysphoto",
        r#"[["EventKey","6"],["SendPicsInfo",{"Count":1,"PicList":[{"PicMd5Sum":"1b5f7c23b5bf75682a53e7b6d163e185"}]}]]"#,
    ),
    event(
        "pic_photo_or_album",
        r#"[["EventKey","6"],["SendPicsInfo",{"Count":1,"PicList":[{"PicMd5Sum":"5a75aaca956d97be686719218f275c6b"}]}]]"#,
    ),
    event(
        "pic_weixin",
        r#"[["EventKey","6"],["SendPicsInfo",{"Count":1,"PicList":[{"PicMd5Sum":"5a75aaca956d97be686719218f275c6b"}]}]]"#,
    ),
    event("view_miniprogram", r#"[["EventKey","pages/index/index"],["MenuId","402147125"]]"#),
    event("TEMPLATESENDJOBFINISH", r#"[["MsgID",200163836],["Status","success"]]"#),
    event(
        "MASSSENDJOBFINISH",
        r#"[["MsgID",1000001625],["Status","send success"],["TotalCount",100],["FilterCount",80],["SentCount",75],["ErrorCount",5]]"#,
    ),
    event(
        "user_get_card",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["IsGiveByFriend",0],["UserCardCode","12312312"],["FriendUserName",""],["OuterId",0],["OldUserCardCode",""],["OuterStr","12b"],["IsRestoreMemberCard",0],["IsRecommendByFriend",0]]"#,
    ),
    event("user_del_card", r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["UserCardCode","12312312"]]"#),
    event(
        "user_consume_card",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["UserCardCode","12312312"],["ConsumeSource","FROM_API"],["LocationName",""],["StaffOpenId",""],["VerifyCode",""],["RemarkAmount",""],["OuterStr",""]]"#,
    ),
    event("card_pass_check", r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"]]"#),
    event(
        "card_not_pass_check",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["RefuseReason","非法代制"]]"#,
    ),
    event(
        "user_gifting_card",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["UserCardCode","12312312"],["IsReturnBack",0],["FriendUserName",""],["IsChatRoom",0]]"#,
    ),
    event(
        "card_sku_remind",
        r#"[["CardId","pFS7Fjg8kV1IdDz01r4SQwMkuCKc"],["Detail","the card's quantity is equal to 0"]]"#,
    ),
    event("user_authorization_revoke", r#"[["OpenID",""],["AppID",""],["RevokeInfo","1"]]"#),
];

const fn message(msg_type: &'static str, fields: &'static str) -> Sample {
    Sample { msg_type, event: "", fields }
}

const fn event(event: &'static str, fields: &'static str) -> Sample {
    Sample { msg_type: "event", event, fields }
}

/// Carries an order out and says what became of it.
pub(super) async fn answer(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    let order: Order = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let target = Target::read(&order.url)?;
    let patience = match &order.patience {
        Some(text) => humantime::parse_duration(text).map_err(|error| format!("`patience`: {error}"))?,
        None => PATIENCE,
    };
    if order.check {
        return Ok(check(shared, &target, patience).await);
    }
    let (push, keys, tries) = {
        let mut world = shared.world();
        let tries = world.switches.number(PUSH_TRIES).unwrap_or(3);
        (Push::write(&mut world, &order)?, keys(&world), tries)
    };
    let mut faults = Vec::new();
    for tried in 1..=tries {
        match target.post(&push, patience).await {
            Ok((status, reply)) => {
                let reply = read_reply(&keys, order.mode, &reply);
                let is_ok = status == StatusCode::OK && reply.is_ok();
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
    Ok(json!({"ok": false, "tries": tries, "error": faults.last(), "shown": UNAVAILABLE}))
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
    query: Vec<(&'static str, String)>,
    body: String,
}

impl Push {
    fn write(world: &mut World, order: &Order) -> Result<Self, String> {
        let openid = match &order.openid {
            Some(openid) => {
                world.number(openid).map_err(|_| format!("`{openid}` is no openid of this account"))?;
                openid.clone()
            }
            None => world.openids.of(0),
        };
        let keys = keys(world);
        let to_user_name = world.original_id();
        let plain = fields_of(world, &to_user_name, &openid, &order.message)?;
        let (timestamp, nonce) = (world.now().to_string(), world.digits(10));
        let mut query = vec![
            ("signature", signature(&keys.token, &timestamp, &nonce)),
            ("timestamp", timestamp.clone()),
            ("nonce", nonce.clone()),
            ("openid", openid),
        ];
        if order.mode == Mode::Plain {
            return Ok(Self { query, body: xml(&plain) });
        }
        let key = keys.aes_key.as_ref().map(AesKey::read).ok_or("there is no EncodingAESKey")?;
        let key = key.map_err(|error| error.to_string())?;
        let sealed = encrypt(&key, &keys.appid, world.random_bytes(), xml(&plain).as_bytes());
        query.push(("encrypt_type", "aes".to_owned()));
        query.push(("msg_signature", msg_signature(&keys.token, &timestamp, &nonce, &sealed)));
        let encrypted = ("Encrypt".to_owned(), Value::from(sealed));
        let fields = match order.mode {
            Mode::Compatible => plain.into_iter().chain([encrypted]).collect(),
            _ => vec![("ToUserName".to_owned(), Value::from(to_user_name)), encrypted],
        };
        Ok(Self { query, body: xml(&fields) })
    }
}

/// A push's fields in the platform's order: those that every push has, its kind's, and whatever else
/// was given.
fn fields_of(
    world: &mut World,
    to_user_name: &str,
    openid: &str,
    given: &Map<String, Value>,
) -> Result<Vec<(String, Value)>, String> {
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let event = text("Event").unwrap_or_default();
    let msg_type = text("MsgType").unwrap_or(if event.is_empty() { "text" } else { "event" });
    let mut fields: Vec<(String, Value)> = vec![
        ("ToUserName".to_owned(), to_user_name.into()),
        ("FromUserName".to_owned(), openid.into()),
        ("CreateTime".to_owned(), world.now().into()),
        ("MsgType".to_owned(), msg_type.into()),
    ];
    if msg_type == "event" {
        if event.is_empty() {
            return Err("an event needs \"Event\", as in \"subscribe\"".to_owned());
        }
        fields.push(("Event".to_owned(), event.into()));
    }
    let sample = SAMPLES.iter().find(|sample| sample.msg_type == msg_type && sample.event == event);
    let sample: Vec<(String, Value)> =
        sample.and_then(|sample| serde_json::from_str(sample.fields).ok()).unwrap_or_default();
    fields.extend(sample);
    if msg_type != "event" && !fields.iter().any(|(name, _)| name == "MsgId") {
        fields.push(("MsgId".to_owned(), Value::from(0)));
    }
    for (name, value) in given {
        match fields.iter_mut().find(|(field, _)| field == name) {
            Some((_, field)) => *field = value.clone(),
            None => fields.push((name.clone(), value.clone())),
        }
    }
    // Who scanned a code to follow has its ticket, who came by another way has none.
    let by_code = |(name, value): &(String, Value)| {
        name == "EventKey" && value.as_str().is_some_and(|key| key.starts_with("qrscene_"))
    };
    if fields.iter().any(by_code) && !fields.iter().any(|(name, _)| name == "Ticket") {
        fields.push(("Ticket".to_owned(), world.ticket().into()));
    }
    for (name, value) in &mut fields {
        match name.as_str() {
            "MsgId" if value == &Value::from(0) => *value = world.next_message_id().into(),
            "Ticket" if value == "" => *value = world.ticket().into(),
            "OpenID" if value == "" => *value = openid.into(),
            "AppID" if value == "" => *value = world.options.appid.as_str().into(),
            _ => {}
        }
    }
    Ok(fields)
}

/// Tags joined by newlines, text in CDATA, numbers bare, no declaration: as the platform writes it.
fn xml(fields: &[(String, Value)]) -> String {
    let inner: Vec<String> = fields.iter().map(|(name, value)| element(name, value)).collect();
    format!("<xml>{}\n</xml>", inner.join("\n"))
}

fn element(name: &str, value: &Value) -> String {
    let is_number = |name: &str| {
        FIELDS.iter().any(|field| field.name == name && matches!(field.kind, Kind::Integer | Kind::Decimal))
    };
    let inner = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| element(name, value)).collect(),
        Value::Array(items) => items.iter().map(|item| element("item", item)).collect(),
        Value::String(text) if is_number(name) && text.parse::<f64>().is_ok() => text.clone(),
        Value::String(text) => cdata(text),
        other => other.to_string(),
    };
    format!("<{name}>{inner}</{name}>")
}

/// What was replied, decrypted: nothing, `success`, or a passive reply.
fn read_reply(keys: &Keys, mode: Mode, reply: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(reply).trim().to_owned();
    if text.is_empty() || text == "success" {
        return Ok(text);
    }
    if !text.starts_with("<xml>") {
        return Err("the reply is neither `success`, nothing, nor XML".to_owned());
    }
    if mode == Mode::Plain {
        return Ok(text);
    }
    // A reply has its own timestamp and nonce.
    let open = || {
        let field = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            let (inner, _) = rest.split_once(&format!("</{name}>"))?;
            Some(inner.trim_start_matches("<![CDATA[").trim_end_matches("]]>").to_owned())
        };
        let encrypted = Encrypted::parse(text.as_bytes()).ok()?.encrypt;
        let expected = msg_signature(&keys.token, &field("TimeStamp")?, &field("Nonce")?, &encrypted);
        if field("MsgSignature")? != expected {
            return None;
        }
        let key = AesKey::read(keys.aes_key.as_ref()?).ok()?;
        decrypt(&key, &keys.appid, &encrypted).ok()
    };
    let bytes = open().ok_or("the reply must be encrypted and signed as the push was")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
        let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let authority = url.host_str().map(|host| format!("{host}:{}", self.port)).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(target)
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
            let body = Limited::new(response.into_body(), LONGEST_REPLY).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
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
    fn every_sample_is_a_list_of_fields_that_are_declared() {
        for sample in SAMPLES {
            let fields: Vec<(String, Value)> = serde_json::from_str(sample.fields).unwrap();
            for (name, _) in fields {
                assert!(FIELDS.iter().any(|field| field.name == name), "{} {name}", sample.event);
            }
        }
    }

    #[test]
    fn a_push_is_written_as_the_platform_writes_it() {
        let fields = [("MsgType", json!("event")), ("Scale", json!(20)), ("Latitude", json!("31.267813"))];
        let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(
            xml(&fields),
            "<xml><MsgType><![CDATA[event]]></MsgType>\n<Scale>20</Scale>\n<Latitude>31.267813</Latitude>\n</xml>"
        );
    }

    #[test]
    fn a_sandbox_pushes_to_this_machine_only() {
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
