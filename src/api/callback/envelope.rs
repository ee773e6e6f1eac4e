//! The encrypted envelope of compatible and safe mode (消息加解密说明).
//!
//! AES-256 in CBC mode. The key is the EncodingAESKey read as Base64, the first half of the key is
//! the initialisation vector. What is encrypted: 16 random bytes, the message's length in four
//! bytes (big-endian), the message, the AppID; padded as PKCS#7 does, but to multiples of 32 bytes
//! where AES itself has blocks of 16, so that no library's padding fits.

use super::{
    Error, msg_signature,
    signature::{is_same, verify},
    xml::{self, Content, cdata},
};
use crate::base::Secret;
use aes::{
    Aes256,
    cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::fmt;

/// The EncodingAESKey's characters.
const KEY_CHARACTERS: usize = 43;

/// What the message is padded to, in bytes.
const PADDED_TO: usize = 32;

/// Random bytes before the message: two equal messages look different.
const RANDOM_BYTES: usize = 16;

/// Random bytes and length.
const HEAD: usize = RANDOM_BYTES + 4;

/// The last character of an EncodingAESKey has two unused bits, which are seldom zero; the default
/// decoder refuses that.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An EncodingAESKey, read. Prints as `***`.
#[derive(Clone)]
pub struct AesKey([u8; 32]);

impl AesKey {
    /// Reads the 43 characters that the console shows.
    ///
    /// # Errors
    /// [`Error::AesKey`], which tells their number and none of them.
    pub fn read(encoding_aes_key: &Secret) -> Result<Self, Error> {
        let text = encoding_aes_key.reveal();
        let fault = Error::AesKey { characters: text.chars().count() };
        if text.len() != KEY_CHARACTERS {
            return Err(fault);
        }
        let bytes = BASE64.decode(text).map_err(|_| fault.clone())?;
        bytes.try_into().map(Self).map_err(|_| fault)
    }

    fn iv(&self) -> [u8; 16] {
        let mut iv = [0; 16];
        iv.copy_from_slice(&self.0[..16]);
        iv
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Decrypts the text of `Encrypt`: gives the message, which is XML.
///
/// The caller compares the [`msg_signature`] first, so that a forged message is not decrypted
/// ([`Keys::open`] does both).
///
/// # Errors
/// When it is no Base64 or no whole blocks, when padding or length are wrong (another key), and
/// when the AppID at its end is not `appid`.
pub fn decrypt(key: &AesKey, appid: &str, encrypt: &str) -> Result<Vec<u8>, Error> {
    let mut bytes =
        BASE64.decode(encrypt).map_err(|error| Error::Ciphertext { reason: error.to_string() })?;
    if bytes.is_empty() || !bytes.len().is_multiple_of(PADDED_TO) {
        let reason = format!("it has {} bytes, and not a multiple of {PADDED_TO}", bytes.len());
        return Err(Error::Ciphertext { reason });
    }
    // A multiple of 32 has no remainder of blocks of 16.
    let (blocks, _) = Array::slice_as_chunks_mut(&mut bytes);
    cbc::Decryptor::<Aes256>::new(&key.0.into(), &key.iv().into()).decrypt_blocks(blocks);
    let content = unpad(&bytes)?;
    let (head, rest) = content.split_at_checked(HEAD).ok_or(Error::Padding)?;
    let mut length = [0; 4];
    length.copy_from_slice(&head[RANDOM_BYTES..]);
    let said = u32::from_be_bytes(length);
    let (message, found) = usize::try_from(said)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(Error::Length { said, there: rest.len() })?;
    if found != appid.as_bytes() {
        let found = String::from_utf8_lossy(found).chars().take(64).collect();
        return Err(Error::Appid { found, own: appid.to_owned() });
    }
    Ok(message.to_vec())
}

/// Encrypts a message: gives the text of `Encrypt`. `random` must be cryptographically
/// secure, and used once.
///
/// # Panics
/// Never: a message of 4 GiB does not fit into memory as a reply.
#[must_use]
pub fn encrypt(key: &AesKey, appid: &str, random: [u8; RANDOM_BYTES], message: &[u8]) -> String {
    let length = u32::try_from(message.len()).unwrap_or_else(|_| unreachable!("a reply is short"));
    let mut bytes = [&random[..], &length.to_be_bytes(), message, appid.as_bytes()].concat();
    // 1 to 32: a whole block of padding where the content ends with a block.
    let padding = PADDED_TO - bytes.len() % PADDED_TO;
    let padded = bytes.len() + padding;
    bytes.resize(padded, u8::try_from(padding).unwrap_or_default());
    let (blocks, _) = Array::slice_as_chunks_mut(&mut bytes);
    cbc::Encryptor::<Aes256>::new(&key.0.into(), &key.iv().into()).encrypt_blocks(blocks);
    BASE64.encode(bytes)
}

/// Takes the padding off: 1 to 32 bytes, each of which is their number.
fn unpad(bytes: &[u8]) -> Result<&[u8], Error> {
    let last = *bytes.last().ok_or(Error::Padding)?;
    let count = usize::from(last);
    if !(1..=PADDED_TO).contains(&count) {
        return Err(Error::Padding);
    }
    let (content, padding) =
        bytes.len().checked_sub(count).map(|at| bytes.split_at(at)).ok_or(Error::Padding)?;
    if padding.iter().any(|byte| *byte != last) {
        return Err(Error::Padding);
    }
    Ok(content)
}

/// The body of a push in safe mode (安全模式), or the encrypted half of one in compatible mode
/// (兼容模式).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    /// The account's original id (`gh_…`). No signature covers it; the AppID inside counts.
    pub to_user_name: Option<String>,
    /// The encrypted message.
    pub encrypt: String,
}

impl Encrypted {
    /// Reads `ToUserName` and `Encrypt`; plain fields beside them are passed over, since no
    /// signature covers them.
    ///
    /// # Errors
    /// When it is no XML of the platform's, or has no `Encrypt`.
    pub fn parse(xml: &[u8]) -> Result<Self, Error> {
        let (mut to_user_name, mut encrypt) = (None, None);
        for (name, content) in xml::parse(xml)? {
            let slot = match name.as_str() {
                "ToUserName" => &mut to_user_name,
                "Encrypt" => &mut encrypt,
                _ => continue,
            };
            match content {
                Content::Text(text) => *slot = Some(text),
                Content::List(_) => return Err(Error::Twice { field: name }),
                Content::Group(_) => {}
            }
        }
        let encrypt = encrypt.ok_or(Error::Missing { field: "Encrypt" })?;
        Ok(Self { to_user_name, encrypt })
    }
}

/// An encrypted reply as the body of the answer: `Encrypt`, `MsgSignature`, `TimeStamp`, `Nonce`.
///
/// `timestamp` is in Unix seconds. Source: 消息加解密说明.
#[must_use]
pub fn encrypted_reply(token: &Secret, timestamp: i64, nonce: &str, encrypt: &str) -> String {
    let signature = msg_signature(token, &timestamp.to_string(), nonce, encrypt);
    format!(
        "<xml><Encrypt>{}</Encrypt><MsgSignature>{}</MsgSignature><TimeStamp>{timestamp}</TimeStamp><Nonce>{}</Nonce></xml>",
        cdata(encrypt),
        cdata(&signature),
        cdata(nonce)
    )
}

/// What an account's callback is configured with (服务器配置), and who the account is.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The Token (令牌).
    pub token: Secret,
    /// The EncodingAESKey (消息加解密密钥); plaintext mode (明文模式) needs none.
    pub aes_key: Option<Secret>,
    /// The account's AppID; it may be empty where there is no `aes_key`.
    pub appid: String,
}

impl Keys {
    /// Whether a request to the developer's URL is the platform's: [`verify`].
    #[must_use]
    pub fn verify(&self, timestamp: &str, nonce: &str, signature: &str) -> bool {
        verify(&self.token, timestamp, nonce, signature)
    }

    /// Opens the body of an encrypted push: compares `msg_signature`, then decrypts `Encrypt` and
    /// compares the AppID. `timestamp` and `nonce` are the query's texts. Gives the message's XML.
    ///
    /// # Errors
    /// When there is no valid EncodingAESKey, the body has no `Encrypt`, the signature is another,
    /// or it does not decrypt to a message for this account.
    pub fn open(
        &self,
        xml: &[u8],
        msg_signature: &str,
        timestamp: &str,
        nonce: &str,
    ) -> Result<Vec<u8>, Error> {
        let key = self.aes_key()?;
        let encrypt = Encrypted::parse(xml)?.encrypt;
        if !is_same(&super::msg_signature(&self.token, timestamp, nonce, &encrypt), msg_signature) {
            return Err(Error::Signature);
        }
        decrypt(&key, &self.appid, &encrypt)
    }

    /// Encrypts a reply's XML and gives the body of the answer. `timestamp` is in Unix seconds;
    /// `random` as for [`encrypt`].
    ///
    /// # Errors
    /// When there is no valid EncodingAESKey.
    pub fn seal(
        &self,
        xml: &str,
        timestamp: i64,
        nonce: &str,
        random: [u8; RANDOM_BYTES],
    ) -> Result<String, Error> {
        let encrypt = encrypt(&self.aes_key()?, &self.appid, random, xml.as_bytes());
        Ok(encrypted_reply(&self.token, timestamp, nonce, &encrypt))
    }

    fn aes_key(&self) -> Result<AesKey, Error> {
        self.aes_key.as_ref().ok_or(Error::NoAesKey).and_then(AesKey::read)
    }
}
