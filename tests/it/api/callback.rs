//! The server callback on paper: signatures and envelope, held to vectors that others published.

use mpscript::{
    api::callback::{
        AesKey, Encrypted, Error, Keys, Message, decrypt, encrypt, encrypted_reply, msg_signature, signature,
        verify,
    },
    base::Secret,
};

pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
pub(crate) const APPID: &str = "wxb11529c136998cb6";
pub(crate) const TOKEN: &str = "pamtest";

/// A1: what `我是中文abcd123` is encrypted to.
const A1: &str = "jn1L23DB+6ELqJ+6bruv21Y6MD7KeIfP82D6gU39rmkgczbWwt5+3bnyg5K55bgVtVzd832WzZGMhkP72vVOfg==";

/// A3: a whole message.
pub(crate) const A3: &str = "rTNFcsut4LfGuAFKEUVVpwcaCOTJzOd9twZdIW910jb3k+iicx2uvhttIZ3Qg9Qgty3BEF2xbOrz6boTfb30dMomcgrkTqdFPwnhqbk+kIQ7rZiwny9D7NUrTgA5kpX3KsZvrXzUZyP2x9YOlxbgm572lmxKvM7HAQQhIQ/p6HBmoY30bGXFK0BtIu1pW9TjhOYrLQoU18nWYjWqDA1ynkmOytpv7QRI1P1+0NoxL0q2zO1DgeSvnE8CZGo/o5Ap/WHK5W2RAsinpzN4/LjPnmB6U01I5XCoJoC0GK/yMZycd2Oh8Nq6+wBkC1U85oy0ktOY4nLvsQMLrourmMGdZHuTbqpeJ8Ao/5PRYJ+WBvRUwPfGKBL2+2IKZF49vAJqkcGWSHGE76ZN2erXeuNazf/o9o3lIE3q739o4c8t9QGPe31GT2Go/rOz1BsrASwvauNulCh+++yz+CQzBIuikA==";
pub(crate) const A3_SIGNATURE: &str = "4f3ad57b6989f09f4eb392acce4f9e93942ed890";
pub(crate) const A3_TIMESTAMP: &str = "1458300676";
pub(crate) const A3_NONCE: &str = "260774613";

fn token() -> Secret {
    Secret::new(TOKEN)
}

fn key() -> AesKey {
    AesKey::read(&Secret::new(KEY)).unwrap()
}

fn keys() -> Keys {
    Keys { token: token(), aes_key: Some(Secret::new(KEY)), appid: APPID.to_owned() }
}

pub(crate) fn safe_mode(encrypt: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName>\n<Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
    )
}

pub(crate) fn parse(xml: &str) -> Message {
    Message::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

/// A push as the platform spells it, with these elements after `CreateTime`.
pub(crate) fn push(rest: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName>\n\
         <FromUserName><![CDATA[oia2TjjewbmiOUlr6X-1crbLOvLw]]></FromUserName>\n\
         <CreateTime>1395658920</CreateTime>\n{rest}\n</xml>"
    )
}

pub(crate) fn refused(xml: &str) -> String {
    Message::parse(xml.as_bytes()).expect_err(xml).to_string()
}

#[test]
fn signatures_match_the_published_vectors() {
    let s1 = "f21891de399b4e33a1a93c9a7b8a8fffb5a443ff";
    assert_eq!(signature(&Secret::new("test"), "1410685589", "test"), s1);
    assert!(verify(&Secret::new("test"), "1410685589", "test", s1));
    let s2 = "76480565cbe296026c53aaacd1ad523a1ddba24f";
    assert_eq!(signature(&token(), "1409304348", "xxxxxx"), s2);
    let a2 = "82c962d39941aa48552f90ef55aa323dc620cc10";
    assert_eq!(msg_signature(&token(), "1409304348", "xxxxxx", A1), a2);
    assert_eq!(msg_signature(&token(), A3_TIMESTAMP, A3_NONCE, A3), A3_SIGNATURE);
}

#[test]
fn altered_signature_is_refused() {
    let right = signature(&token(), "1409304348", "xxxxxx");
    for wrong in ["", &right[1..], &right.to_uppercase(), &format!("{right} "), &right.replace('7', "8")] {
        assert!(!verify(&token(), "1409304348", "xxxxxx", wrong), "{wrong}");
    }
    assert!(!verify(&token(), "1409304349", "xxxxxx", &right));
    assert!(!verify(&token(), "1409304348", "xxxxxy", &right));
    assert!(!verify(&Secret::new("other"), "1409304348", "xxxxxx", &right));
}

#[test]
fn vector_a1_is_encrypted_and_decrypted() {
    let message = "我是中文abcd123".as_bytes();
    assert_eq!(encrypt(&key(), APPID, *b"aaaabbbbccccdddd", message), A1);
    assert_eq!(decrypt(&key(), APPID, A1).unwrap(), message);
}

#[test]
fn vector_a3_is_opened_and_parsed() {
    let xml = keys().open(safe_mode(A3).as_bytes(), A3_SIGNATURE, A3_TIMESTAMP, A3_NONCE).unwrap();
    // Random, length and AppID are 38 bytes; 21 of padding fill the last 32.
    assert_eq!((38 + xml.len() + 21) % 32, 0);
    let message = Message::parse(&xml).unwrap();
    assert_eq!(message.msg_type(), "text");
    assert_eq!(message.content(), Some("hello"));
    assert_eq!(message.from_user_name(), "asdasdasdsadasd");
    assert_eq!(message.msg_id(), Some(12345));
}

#[test]
fn altered_or_foreign_message_is_not_opened() {
    let open = |keys: &Keys, xml: &str, signature, timestamp, nonce| {
        keys.open(xml.as_bytes(), signature, timestamp, nonce).map_err(|error| error.to_string())
    };
    let signature_error = Err("msg_signature does not fit the message".to_owned());
    let (safe, keys) = (safe_mode(A3), keys());
    assert_eq!(open(&keys, &safe, A3_SIGNATURE, "1458300677", A3_NONCE), signature_error);
    assert_eq!(open(&keys, &safe, A3_SIGNATURE, A3_TIMESTAMP, "260774614"), signature_error);
    assert_eq!(open(&keys, &safe, "", A3_TIMESTAMP, A3_NONCE), signature_error);
    assert_eq!(open(&keys, &safe_mode(A1), A3_SIGNATURE, A3_TIMESTAMP, A3_NONCE), signature_error);
    let other_token = Keys { token: Secret::new("other"), ..keys.clone() };
    assert_eq!(open(&other_token, &safe, A3_SIGNATURE, A3_TIMESTAMP, A3_NONCE), signature_error);
    let other_account = Keys { appid: "wx0000000000000000".to_owned(), ..keys.clone() };
    assert_eq!(
        open(&other_account, &safe, A3_SIGNATURE, A3_TIMESTAMP, A3_NONCE),
        Err("the message is for AppID wxb11529c136998cb6, not wx0000000000000000".to_owned())
    );
    let no_key = Keys { aes_key: None, ..keys.clone() };
    assert_eq!(
        open(&no_key, &safe, A3_SIGNATURE, A3_TIMESTAMP, A3_NONCE),
        Err("no EncodingAESKey is configured".to_owned())
    );
    let other_key =
        Keys { aes_key: Some(Secret::new("Abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")), ..keys.clone() };
    let error = other_key.open(safe.as_bytes(), A3_SIGNATURE, A3_TIMESTAMP, A3_NONCE).unwrap_err();
    assert_eq!(error, Error::Padding);
    assert_eq!(
        open(&keys, "<xml><ToUserName>gh_1</ToUserName></xml>", A3_SIGNATURE, A3_TIMESTAMP, A3_NONCE),
        Err("field `Encrypt` is missing".to_owned())
    );
    let twice = format!("<xml><Encrypt>{A3}</Encrypt><Encrypt>{A1}</Encrypt></xml>");
    assert_eq!(
        open(&keys, &twice, A3_SIGNATURE, A3_TIMESTAMP, A3_NONCE),
        Err("field `Encrypt` is there twice".to_owned())
    );
}

#[test]
fn invalid_aes_key_is_refused_and_never_shown() {
    for wrong in ["", "abc", &KEY[1..], &format!("{KEY}="), &KEY.replace('a', "!"), &KEY.replace("abc", "中")]
    {
        let error = AesKey::read(&Secret::new(wrong)).expect_err(wrong);
        let characters = wrong.chars().count();
        assert_eq!(
            error.to_string(),
            format!("the EncodingAESKey is not 43 letters and digits: it has {characters} characters")
        );
    }
    assert_eq!(format!("{:?}", key()), "***");
    let shown = format!("{:?}", keys());
    assert!(!shown.contains(TOKEN) && !shown.contains(KEY), "{shown}");
}

/// Encrypts whole blocks as they are, without length, AppID or padding.
fn encrypt_raw(plain: &[u8]) -> String {
    use aes::cipher::{Array, BlockModeEncrypt, KeyIvInit};
    use base64::{Engine, engine::general_purpose::STANDARD};
    let key: [u8; 32] = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    )
    .decode(format!("{KEY}="))
    .unwrap()
    .try_into()
    .unwrap();
    let iv: [u8; 16] = key[..16].try_into().unwrap();
    let mut bytes = plain.to_vec();
    let (blocks, rest) = Array::slice_as_chunks_mut(&mut bytes);
    assert!(rest.is_empty());
    cbc::Encryptor::<aes::Aes256>::new(&key.into(), &iv.into()).encrypt_blocks(blocks);
    STANDARD.encode(bytes)
}

#[test]
fn invalid_padding_length_or_base64_is_refused() {
    let content = |length: u32, message: &[u8], appid: &str| {
        [&[b'r'; 16][..], &length.to_be_bytes(), message, appid.as_bytes()].concat()
    };
    let padded = |mut content: Vec<u8>, by: u8| {
        content.extend(vec![by; usize::from(by)]);
        content
    };
    // 16 + 4 + 10 + 18: 48 bytes, so 16 of padding are right.
    let right = content(10, b"0123456789", APPID);
    assert_eq!(decrypt(&key(), APPID, &encrypt_raw(&padded(right.clone(), 16))).unwrap(), b"0123456789");
    // A whole block of padding, and the least.
    let full = content(26, &[b'm'; 26], APPID);
    assert_eq!(decrypt(&key(), APPID, &encrypt_raw(&padded(full, 32))).unwrap(), [b'm'; 26]);
    let min = content(25, &[b'm'; 25], APPID);
    assert_eq!(decrypt(&key(), APPID, &encrypt_raw(&padded(min, 1))).unwrap(), [b'm'; 25]);

    let bad_tail = |tail: [u8; 16]| decrypt(&key(), APPID, &encrypt_raw(&[&right[..], &tail].concat()));
    let mut uneven = [16; 16];
    uneven[0] = 15;
    for tail in [[0; 16], [33; 16], [255; 16], uneven] {
        assert_eq!(bad_tail(tail), Err(Error::Padding), "{tail:?}");
    }
    // Padding as other libraries do it: to 16.
    let to_sixteen = padded(content(10, b"0123456789", &APPID[..2]), 16);
    assert_eq!(to_sixteen.len() % 32, 16);
    assert!(matches!(decrypt(&key(), APPID, &encrypt_raw(&to_sixteen)), Err(Error::Ciphertext { .. })));
    for said in [29, 4_294_967_295] {
        let wrong = padded(content(said, b"0123456789", APPID), 16);
        assert_eq!(decrypt(&key(), APPID, &encrypt_raw(&wrong)), Err(Error::Length { said, there: 28 }));
    }
    // A length that takes a part of the AppID with it.
    let wrong = padded(content(12, b"0123456789", APPID), 16);
    assert!(matches!(decrypt(&key(), APPID, &encrypt_raw(&wrong)), Err(Error::Appid { .. })));
    // Nothing but padding.
    assert_eq!(decrypt(&key(), APPID, &encrypt_raw(&[32; 32])), Err(Error::Padding));
    for nonsense in ["", "!!!", "AAAA", &A1[..A1.len() - 4], "中文"] {
        let result = decrypt(&key(), APPID, nonsense);
        assert!(matches!(result, Err(Error::Ciphertext { .. })), "{nonsense}: {result:?}");
    }
}

#[test]
fn encrypted_reply_has_the_platform_s_form() {
    let reply = encrypted_reply(&token(), 1_409_304_348, "xxxxxx", A1);
    assert_eq!(
        reply,
        format!(
            "<xml><Encrypt><![CDATA[{A1}]]></Encrypt>\
             <MsgSignature><![CDATA[82c962d39941aa48552f90ef55aa323dc620cc10]]></MsgSignature>\
             <TimeStamp>1409304348</TimeStamp><Nonce><![CDATA[xxxxxx]]></Nonce></xml>"
        )
    );
    let sealed = keys().seal("<xml>你好</xml>", 1_409_304_348, "xxxxxx", *b"aaaabbbbccccdddd").unwrap();
    let encrypt = Encrypted::parse(sealed.as_bytes()).unwrap().encrypt;
    let signature = msg_signature(&token(), "1409304348", "xxxxxx", &encrypt);
    let opened = keys().open(sealed.as_bytes(), &signature, "1409304348", "xxxxxx").unwrap();
    assert_eq!(String::from_utf8(opened).unwrap(), "<xml>你好</xml>");
}

#[test]
fn compatible_mode_is_parsed_and_safe_mode_is_refused() {
    let compatible = push(&format!(
        "<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[hello]]></Content>\n<MsgId>1</MsgId>\n\
         <Encrypt><![CDATA[{A3}]]></Encrypt>"
    ));
    assert_eq!(parse(&compatible).content(), Some("hello"));
    assert_eq!(parse(&compatible).text("Encrypt"), Some(A3));
    let encrypted = Encrypted::parse(compatible.as_bytes()).unwrap();
    assert_eq!(encrypted.to_user_name.as_deref(), Some("gh_7f083739789a"));
    assert_eq!(encrypted.encrypt, A3);
    assert_eq!(refused(&safe_mode(A3)), "the message is encrypted");
}
