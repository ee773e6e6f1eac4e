//! The two signatures of a push: who sends it, and what it carries.

use crate::base::Secret;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// The `signature` of a request to the developer's URL: the SHA-1, in lower-case hexadecimal, of
/// token, timestamp and nonce, sorted by their bytes and joined.
///
/// `timestamp` and `nonce` are the query's texts as they came. It does not cover the body: a push
/// in compatible or safe mode is held to its [`msg_signature`].
/// Source: 接入概述, 第二步：验证消息的确来自微信服务器.
#[must_use]
pub fn signature(token: &Secret, timestamp: &str, nonce: &str) -> String {
    sha1_of_sorted([token.reveal(), timestamp, nonce])
}

/// Whether a `signature` of the query is the platform's. Takes as long for a wrong one as for the
/// right one.
#[must_use]
pub fn verify(token: &Secret, timestamp: &str, nonce: &str, given: &str) -> bool {
    is_same(&signature(token, timestamp, nonce), given)
}

/// The `msg_signature` of an encrypted message: like [`signature`], with the text of `Encrypt` as
/// the fourth part.
/// Source: 消息加解密说明.
#[must_use]
pub fn msg_signature(token: &Secret, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    sha1_of_sorted([token.reveal(), timestamp, nonce, encrypt])
}

/// Compares without telling by its duration how much was right.
pub(super) fn is_same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

fn sha1_of_sorted<const N: usize>(mut parts: [&str; N]) -> String {
    parts.sort_unstable();
    let mut sha1 = Sha1::new();
    for part in parts {
        sha1.update(part);
    }
    let mut hex = String::with_capacity(40);
    for byte in sha1.finalize() {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex
}
