//! What comes from outside never makes the program panic, whatever it is.
//!
//! `MPSCRIPT_CASES=1000000 cargo test --release --test it property` holds each property to a million
//! inputs and says so.

use mpscript::{
    api::{
        callback::{AesKey, Encrypted, Message, Reply, decrypt, encrypt},
        oauth::{Authorize, AuthorizeError},
    },
    base::Secret,
    client::repair,
};
use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use std::{env, io::Write};

/// Each property is held to so many inputs, unless `MPSCRIPT_CASES` says otherwise.
const CASES: u32 = 20_000;

fn config() -> ProptestConfig {
    let asked = env::var("MPSCRIPT_CASES").ok();
    let cases = asked.as_ref().map_or(CASES, |cases| cases.parse().expect("MPSCRIPT_CASES is a number"));
    if asked.is_some() {
        // Past the test harness, which would swallow it.
        let property = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(std::io::stderr(), "{property}: {cases} inputs");
    }
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn key() -> AesKey {
    AesKey::read(&Secret::new("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")).unwrap()
}

/// Bytes that are almost a push.
fn almost_xml() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"<xml>".to_vec()),
        Just(b"</xml>".to_vec()),
        Just(b"<MsgType>".to_vec()),
        Just(b"</MsgType>".to_vec()),
        Just(b"<item/>".to_vec()),
        Just(b"<![CDATA[".to_vec()),
        Just(b"]]>".to_vec()),
        Just(b"<?xml version=\"1.0\"?>".to_vec()),
        Just(b"<!DOCTYPE a [".to_vec()),
        Just(b"<!--".to_vec()),
        Just(b"-->".to_vec()),
        Just(b"&amp;&#x10FFFF;&#xD800;".to_vec()),
        Just(b" a='b' ".to_vec()),
        vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// JSON as a text, in which some bytes of the strings are what JSON forbids there.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\\n\\\\\\\"\\/".to_vec()),
        Just(br"\ud83d\ude00".to_vec()),
        Just(br"\ud83d".to_vec()),
        Just(br"\ude00\u00".to_vec()),
        Just(br"\q\u".to_vec()),
        (any::<u8>())
            .prop_filter("it would end the string", |byte| !b"\"\\".contains(byte))
            .prop_map(|byte| vec![byte]),
    ];
    let string = vec(piece, 0..12).prop_map(|pieces| [b"\"", pieces.concat().as_slice(), b" \""].concat());
    vec(string, 0..4).prop_map(|strings| [b"{\"a\":[", strings.join(&b", "[..]).as_slice(), b"]}"].concat())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_bytes_are_parsed_or_refused(bytes in prop_oneof![vec(any::<u8>(), 0..64), almost_xml()]) {
        let _ = Encrypted::parse(&bytes);
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert!(serde_json::to_value(&message).unwrap().is_object());
        }
    }

    #[test]
    fn arbitrary_element_content_is_parsed_or_refused(bytes in prop_oneof![vec(any::<u8>(), 0..64), almost_xml()]) {
        let xml = [b"<xml><MsgType>text</MsgType><Content>", bytes.as_slice(), b"</Content></xml>"].concat();
        if let Ok(message) = Message::parse(&xml) {
            prop_assert_eq!(message.msg_type(), "text");
        }
    }

    #[test]
    fn reply_round_trips_any_text(content in "\\PC{1,40}|[\\]>\\[<&!CDAT]{1,40}") {
        let message = Message::parse(
            b"<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>text</MsgType></xml>",
        )
        .unwrap();
        let xml = Reply::Text { content: content.clone() }.to_xml(&message, 1).unwrap();
        let read = Message::parse(xml.as_bytes()).unwrap();
        prop_assert_eq!(read.content(), Some(content.as_str()));
    }

    #[test]
    fn envelope_round_trips_any_message(
        message in vec(any::<u8>(), 0..200),
        random in any::<[u8; 16]>(),
        appid in "[a-z0-9]{0,40}",
    ) {
        let encrypted = encrypt(&key(), &appid, random, &message);
        prop_assert_eq!(decrypt(&key(), &appid, &encrypted), Ok(message));
        prop_assert!(decrypt(&key(), "another appid", &encrypted).is_err());
    }

    #[test]
    fn arbitrary_ciphertext_is_decrypted_or_refused(
        blocks in vec(any::<[u8; 32]>(), 0..6),
        text in "[A-Za-z0-9+/=]{0,90}|\\PC{0,20}",
    ) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let _ = decrypt(&key(), "wx", &text);
        let _ = decrypt(&key(), "wx", &STANDARD.encode(blocks.concat()));
    }

    #[test]
    fn arbitrary_bytes_are_repaired_or_stay_invalid(bytes in vec(any::<u8>(), 0..80)) {
        let repaired = repair(&bytes);
        if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
            prop_assert_eq!(serde_json::from_slice::<Value>(&repaired).unwrap(), value);
        }
        let _ = serde_json::from_slice::<Value>(&repaired);
        prop_assert!(String::from_utf8(repaired).is_ok());
    }

    #[test]
    fn json_with_arbitrary_strings_is_repaired(bytes in almost_json()) {
        let value = serde_json::from_slice::<Value>(&repair(&bytes));
        prop_assert!(value.is_ok(), "{:?}: {}", value, String::from_utf8_lossy(&bytes));
    }

    /// Whatever is asked for: an address with the five parameters in the page's order, whose
    /// `redirect_uri` reads back as it was given, or an error.
    #[test]
    fn authorize_address_is_well_formed_or_refused(
        front in prop_oneof![Just("https://"), Just("http://"), Just("")],
        rest in any::<String>(),
        scope in prop_oneof![Just("snsapi_base".to_owned()), Just("snsapi_userinfo".to_owned()), any::<String>()],
        state in prop_oneof!["[a-zA-Z0-9]{1,128}", any::<String>()],
    ) {
        let redirect_uri = format!("{front}{rest}");
        let authorize = Authorize { redirect_uri: redirect_uri.clone(), scope, state };
        match authorize.url("https://open.weixin.qq.com", "wx0") {
            Ok(url) => {
                let query = url.strip_suffix("#wechat_redirect").unwrap().split_once('?').unwrap().1;
                let pairs: Vec<(String, String)> =
                    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
                prop_assert_eq!(names, ["appid", "redirect_uri", "response_type", "scope", "state"]);
                prop_assert_eq!(&pairs[1].1, &redirect_uri);
                prop_assert!(url.is_ascii() && !url.contains(' '));
            }
            Err(AuthorizeError::RedirectUri(given)) => prop_assert_eq!(given, redirect_uri),
            Err(_) => {}
        }
    }
}
