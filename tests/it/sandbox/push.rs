//! The sandbox pushes to a developer's URL as the platform does: signed, encrypted, retried.

use crate::fixtures::{
    account::Account,
    raw_server::{Act, RawServer, answer},
};
use mpscript::{
    api::callback::{Keys, Message, Reply, verify},
    base::Secret,
    sandbox::{DEFAULT_AES_KEY, DEFAULT_APPID, DEFAULT_CALLBACK_TOKEN},
};
use serde_json::{Value, json};
use url::form_urlencoded;

fn keys() -> Keys {
    Keys {
        token: Secret::new(DEFAULT_CALLBACK_TOKEN),
        aes_key: Some(Secret::new(DEFAULT_AES_KEY)),
        appid: DEFAULT_APPID.to_owned(),
    }
}

/// A parameter of a request's query.
fn query(request: &str, name: &str) -> String {
    let target = request.split(' ').nth(1).unwrap();
    let query = target.split_once('?').unwrap().1;
    let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

/// The message of a push, in whatever mode it came.
fn open(request: &str) -> Message {
    if query(request, "encrypt_type").is_empty() {
        return Message::parse(body(request).as_bytes()).unwrap();
    }
    let (signature, timestamp, nonce) =
        (query(request, "msg_signature"), query(request, "timestamp"), query(request, "nonce"));
    let xml = keys().open(body(request).as_bytes(), &signature, &timestamp, &nonce).unwrap();
    Message::parse(&xml).unwrap()
}

fn says(text: &str) -> Act {
    Act::Answer(answer("200 OK", "", text))
}

fn push(account: &Account, server: &RawServer, order: Value) -> Value {
    let mut order = order;
    order["url"] = json!(format!("http://{}/wx?from=console", server.address()));
    account.control("push", order)
}

#[test]
fn push_is_signed_and_readable_in_every_mode() {
    let account = Account::of(3);
    let openid = account.openids()[1].clone();
    let server = RawServer::start(|_| says("success"));
    for mode in ["plain", "compatible", "safe"] {
        let order =
            json!({"openid": openid, "mode": mode, "message": {"MsgType": "text", "Content": "你好 ]]>"}});
        assert_eq!(
            push(&account, &server, order),
            json!({"ok": true, "tries": 1, "status": 200, "reply": "success"}),
            "{mode}"
        );
    }
    for exchange in server.exchanges() {
        let request = exchange.request;
        let token = Secret::new(DEFAULT_CALLBACK_TOKEN);
        let (timestamp, nonce) = (query(&request, "timestamp"), query(&request, "nonce"));
        assert!(verify(&token, &timestamp, &nonce, &query(&request, "signature")), "{request}");
        assert_eq!(
            (query(&request, "openid"), query(&request, "from")),
            (openid.clone(), "console".to_owned())
        );
        assert!(request.starts_with("POST /wx?") && request.contains("User-Agent: Mozilla/4.0"), "{request}");
        let message = open(&request);
        assert_eq!((message.msg_type(), message.content()), ("text", Some("你好 ]]>")));
        assert_eq!(message.from_user_name(), openid);
        assert!(message.msg_id().is_some_and(|id| id > 1 << 50), "{request}");
    }
    let [plain, compatible, safe] = [0, 1, 2].map(|at| server.exchanges()[at].request.clone());
    assert!(!body(&plain).contains("<Encrypt>") && body(&plain).contains("<Content>"));
    assert!(body(&compatible).contains("<Encrypt>") && body(&compatible).contains("<Content>"));
    assert!(body(&safe).contains("<Encrypt>") && !body(&safe).contains("<Content>"));
}

#[test]
fn pushed_event_has_its_fields_overridden_by_the_given_ones() {
    let account = Account::of(3);
    let server = RawServer::start(|_| says(""));
    let order = json!({"message": {"MsgType": "event", "Event": "SCAN", "EventKey": "123"}});
    assert_eq!(push(&account, &server, order)["reply"], "");
    let message = open(&server.exchanges()[0].request);
    assert_eq!((message.event(), message.event_key()), (Some("SCAN"), Some("123")));
    assert!(message.text("Ticket").is_some() && message.msg_id().is_none());
    let order = json!({"message": {"Event": "subscribe", "EventKey": "qrscene_展台-01"}});
    push(&account, &server, order);
    assert!(open(&server.exchanges()[1].request).text("Ticket").is_some_and(|ticket| ticket.len() == 96));
    let order = json!({"message": {"Event": "pic_weixin"}});
    push(&account, &server, order);
    let request = server.exchanges()[2].request.clone();
    assert!(body(&request).contains("<PicList><item><PicMd5Sum><![CDATA["), "{request}");
    let order = json!({"message": {"Event": "of_2027", "New": "字段"}});
    push(&account, &server, order);
    assert_eq!(open(&server.exchanges()[3].request).text("New"), Some("字段"));
}

#[test]
fn reply_in_safe_mode_must_be_encrypted() {
    let account = Account::of(3);
    let reply = |request: &str| {
        Reply::Text { content: "收到".to_owned() }.to_xml(&open(request), 1_700_000_000).unwrap()
    };
    let sealed = RawServer::start(move |request| {
        says(&keys().seal(&reply(request), 1_700_000_000, "4711", [7; 16]).unwrap())
    });
    let pushed = push(&account, &sealed, json!({"mode": "safe"}));
    assert!(pushed["ok"] == true && pushed["reply"].as_str().unwrap().contains("收到"), "{pushed}");
    let open_reply = RawServer::start(move |request| says(&reply(request)));
    assert_eq!(push(&account, &open_reply, json!({"mode": "plain"}))["ok"], true);
    assert_eq!(push(&account, &open_reply, json!({"mode": "compatible"}))["ok"], true, "either will do");
    let pushed = push(&account, &open_reply, json!({"mode": "safe"}));
    let shown = "该服务号暂时无法提供服务，请稍后再试";
    let error = "the reply must be encrypted; it has no MsgSignature";
    assert_eq!(pushed, json!({"ok": false, "tries": 1, "status": 200, "error": error, "shown": shown}));
    let to_nobody =
        RawServer::start(move |request| says(&reply(request).replace("<ToUserName>", "<ToUserName>x")));
    let error = &push(&account, &to_nobody, json!({}))["error"];
    assert_eq!(error, "the reply's ToUserName and FromUserName must be the message's, swapped");
    let of_no_kind = RawServer::start(move |request| says(&reply(request).replace("[text]", "[txt]")));
    assert!(
        push(&account, &of_no_kind, json!({}))["error"]
            .as_str()
            .unwrap()
            .contains("a MsgType of text, image")
    );
    let failing = RawServer::start(|_| Act::Answer(answer("500 Oops", "", "success")));
    assert_eq!(push(&account, &failing, json!({}))["error"], "the status must be 200, not 500");
    let nonsense = RawServer::start(|_| says("hello"));
    assert_eq!(push(&account, &nonsense, json!({}))["shown"], shown);
}

#[test]
fn unanswered_push_is_retried_with_the_same_id() {
    let account = Account::of(3);
    let server = RawServer::start(|_| Act::Drop);
    let pushed = push(&account, &server, json!({}));
    assert_eq!((&pushed["ok"], &pushed["tries"]), (&json!(false), &json!(3)));
    let ids: Vec<_> = server.exchanges().iter().map(|exchange| open(&exchange.request).msg_id()).collect();
    assert_eq!(ids, [ids[0]; 3]);
    account.control("switches", json!({"push_tries": 4}));
    assert_eq!(push(&account, &server, json!({}))["tries"], 4);
    let mut dropped = false;
    let late =
        RawServer::start(
            move |_| if std::mem::replace(&mut dropped, true) { says("success") } else { Act::Drop },
        );
    let pushed = push(&account, &late, json!({"patience": "2s"}));
    assert_eq!((&pushed["ok"], &pushed["tries"]), (&json!(true), &json!(2)));
}

#[test]
fn url_check_requires_the_echostr() {
    let account = Account::of(3);
    let server = RawServer::start(|request| {
        let token = Secret::new(DEFAULT_CALLBACK_TOKEN);
        let (timestamp, nonce) = (query(request, "timestamp"), query(request, "nonce"));
        let is_genuine = verify(&token, &timestamp, &nonce, &query(request, "signature"));
        says(&if is_genuine { query(request, "echostr") } else { String::new() })
    });
    assert_eq!(push(&account, &server, json!({"check": true})), json!({"ok": true}));
    assert!(server.exchanges()[0].request.starts_with("GET /wx?from=console&signature="));
    let other = RawServer::start(|_| says("success"));
    let error = "the answer must be the bare echostr, with status 200";
    assert_eq!(
        push(&account, &other, json!({"check": true})),
        json!({"ok": false, "status": 200, "error": error})
    );
}

#[test]
fn invalid_push_order_is_refused_with_a_reason() {
    let account = Account::of(3);
    let only_here = "a sandbox pushes to http:// on this machine only, as in http://127.0.0.1:8000/wx";
    for url in ["https://127.0.0.1/", "http://192.168.0.1/", "http://example.com/wx"] {
        assert_eq!(account.refused_control("push", json!({"url": url})), only_here);
    }
    let url = "http://127.0.0.1:9/wx";
    let refused = |order: Value| account.refused_control("push", order);
    assert_eq!(refused(json!({"url": url, "openid": "x"})), "`x` is no openid of this account");
    let event = json!({"url": url, "message": {"MsgType": "event"}});
    assert_eq!(refused(event), "an event needs \"Event\", as in \"subscribe\"");
    let message = |message: Value| refused(json!({"url": url, "message": message}));
    assert!(
        message(json!({"MsgType": "txt"}))
            .starts_with("there is no MsgType `txt`; it is one of event, image")
    );
    assert_eq!(message(json!({"MsgType": 5})), "`MsgType` must be a string");
    assert_eq!(message(json!({"a b": "x"})), "`a b` is no field that a push can have");
    assert_eq!(message(json!({"Content": null})), "`Content` is no field that a push can have");
    assert!(message(json!({"FromUserName": "x"})).contains("give \"openid\" beside \"message\""));
    assert!(refused(json!({"url": url, "mode": "secret"})).contains("unknown variant `secret`"));
    assert!(refused(json!({})).contains("missing field `url`"));
}
