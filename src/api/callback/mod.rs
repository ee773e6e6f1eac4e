//! The server callback (服务器配置): what the platform pushes to the developer's URL, and what may
//! be answered.
//!
//! Pure data: texts go in and come out, and the caller brings the keys, the time and the
//! randomness. Must never know who listens on the URL.
//!
//! - [`verify`], [`msg_signature`]: whether a request comes from the platform.
//! - [`Keys::open`], [`Keys::seal`]: the encrypted envelope (消息加解密说明).
//! - [`Message`]: a pushed message or event.
//! - [`Reply`]: a passive reply (被动回复用户消息).

mod envelope;
mod error;
mod message;
mod reply;
mod signature;
mod xml;

pub use envelope::{AesKey, Encrypted, Keys, decrypt, encrypt, encrypted_reply};
pub use error::Error;
pub(crate) use message::{ENTRY, is_repeated, repeated_in};
pub use message::{EventScene, FIELDS, Kind, Message, PushField};
pub use reply::{Article, MAX_ARTICLES, REPLY_TEXT_BYTES, Reply};
pub use signature::{msg_signature, signature, verify};
pub use xml::{MAX_BYTES, MAX_DEPTH, cdata};
