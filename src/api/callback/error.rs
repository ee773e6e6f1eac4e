//! What can be wrong with a push, its keys, or a reply to it.

/// What is wrong with a push, its keys, or a reply to it. No variant holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More bytes than [`super::MAX_BYTES`].
    #[error("the XML has {bytes} bytes, and a push has at most {max}")]
    TooLong {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// Elements in elements, further than [`super::MAX_DEPTH`].
    #[error("the XML is nested deeper than {max} elements")]
    TooDeep {
        /// How deep it may be.
        max: usize,
    },
    /// Not well-formed, or of another shape than the platform's.
    #[error("can't read the XML at byte {at}: {reason}")]
    NotXml {
        /// The byte, from 0.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A document type, or an instruction for programs: the platform sends neither.
    #[error("the XML has {what}, which no push has")]
    Forbidden {
        /// What it has.
        what: &'static str,
    },
    /// An entity beyond the five that XML predefines.
    #[error("the XML refers to the entity `{name}`, which no push does")]
    Entity {
        /// The entity's name.
        name: String,
    },
    /// A field that two readers could read differently.
    #[error("field `{field}` is there twice")]
    Twice {
        /// The field.
        field: String,
    },
    /// Something that must be there is not.
    #[error("field `{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A push in safe mode (安全模式) was read as a message.
    #[error("the message is encrypted")]
    Encrypted,
    /// The keys have no EncodingAESKey.
    #[error("no EncodingAESKey is configured")]
    NoAesKey,
    /// The EncodingAESKey is malformed.
    #[error("the EncodingAESKey is not 43 letters and digits: it has {characters} characters")]
    AesKey {
        /// How many characters it has.
        characters: usize,
    },
    /// The `msg_signature` is another.
    #[error("msg_signature does not fit the message")]
    Signature,
    /// Not Base64, or no whole blocks.
    #[error("`Encrypt` is no encrypted message: {reason}")]
    Ciphertext {
        /// Why not.
        reason: String,
    },
    /// Decrypted, and not as it was encrypted: another key, most likely.
    #[error("the decrypted message has no valid padding")]
    Padding,
    /// Decrypted, and the length in it points beyond its end.
    #[error("the decrypted message says that it has {said} bytes, but there are {there}")]
    Length {
        /// What its four bytes say.
        said: u32,
        /// What is there, the AppID included.
        there: usize,
    },
    /// The message is for another account.
    #[error("the message is for AppID {found}, not {own}")]
    Appid {
        /// The AppID at the message's end; what is no text in it is replaced.
        found: String,
        /// The account's own.
        own: String,
    },
    /// A reply of a kind that there is not.
    #[error("there is no reply of MsgType `{msg_type}`")]
    ReplyType {
        /// What was given.
        msg_type: String,
    },
    /// A reply has a field that its kind does not have.
    #[error("a reply of MsgType `{msg_type}` has no field `{field}`")]
    ReplyField {
        /// The kind.
        msg_type: &'static str,
        /// What was given.
        field: String,
        /// The kind's fields.
        fields: &'static [&'static str],
    },
    /// A reply lacks a field that its kind needs, or the field is empty.
    #[error("a reply of MsgType `{msg_type}` needs the field `{field}`")]
    ReplyNeeds {
        /// The kind.
        msg_type: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field of a reply holds something of another kind.
    #[error("field `{field}` of the reply must be {wanted}")]
    ReplyValue {
        /// The field.
        field: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// A text longer than [`super::REPLY_TEXT_BYTES`].
    #[error("the reply's text has {bytes} bytes, and may have {max}")]
    ReplyTooLong {
        /// Bytes of UTF-8.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// No article, or more than [`super::MAX_ARTICLES`].
    #[error("the reply has {articles} articles, and must have 1 to {max}")]
    ReplyArticles {
        /// How many it has.
        articles: usize,
        /// How many it may have.
        max: usize,
    },
}

impl Error {
    /// What to do next, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Encrypted => "decrypt it first: its XML is in `Encrypt`",
            Self::NoAesKey => "the console shows it under 设置与开发 > 基本配置 > 服务器配置",
            Self::AesKey { .. } => {
                "copy it once more from 设置与开发 > 基本配置 > 服务器配置: 43 characters, without the `=`"
            }
            Self::Signature => {
                "is the callback's token the one of 服务器配置, and are msg_signature, timestamp and nonce \
                 of the same request?"
            }
            Self::Padding | Self::Length { .. } => {
                "is the EncodingAESKey the one of 服务器配置? a key that was changed there may still be in use \
                 for a while"
            }
            Self::Appid { .. } => "is the message from another account's URL?",
            Self::ReplyType { .. } => {
                "it is text, image, voice, video, music, news or transfer_customer_service"
            }
            Self::ReplyField { field, fields, .. } => {
                return Some(match crate::base::closest_match(field, fields.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if fields.is_empty() => "it has none".to_owned(),
                    None => format!("its fields are {}", fields.join(", ")),
                });
            }
            Self::ReplyTooLong { .. } => {
                "a Chinese character has three bytes; send the rest as another message"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
