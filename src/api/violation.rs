//! What the platform refuses a request for, once it is well-formed: the rules of `tag`, `user`, `blacklist`, `qrcode`,
//! `card` and `quota` end in one of these.
//!
//! The rules are pure functions over plain data. The sandbox asks them of its world, a dry run of what it has read from
//! the account, so that both refuse the same request with the same code.

use super::errcode;

/// A rule of the platform that a request breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A list is empty, or longer than one call takes; the declaration names the code.
    ListSize(i64),
    /// A text that is not of an openid's form.
    MalformedOpenid,
    /// A well-formed openid of another account.
    ForeignOpenid,
    /// The same, where the endpoint does not tell it from a malformed one.
    InvalidOpenid,
    /// The person does not follow the account; tagging answers so.
    Unsubscribed,
    /// The same; a remark answers so.
    NotSubscribed,
    /// A tag's name is blank.
    BlankTagName,
    /// A tag's name is that of one of the platform's own groups.
    ReservedTagName,
    /// Another tag has the name, or the renamed tag has it already.
    TagNameTaken,
    /// A tag's name is longer than 30 bytes.
    TagNameTooLong,
    /// The account has as many tags as it may have.
    TooManyTags,
    /// The follower has as many tags as they may have.
    TooManyTagsOfFollower,
    /// There is no such tag.
    UnknownTag,
    /// The tag is the platform's own.
    SystemTag,
    /// The tag has too many followers to be deleted.
    TooManyFollowersOfTag,
    /// A remark is too long.
    RemarkTooLong,
    /// There is no such kind of QR code.
    QrCodeKind,
    /// A QR code's scene or validity is out of bounds.
    QrCodeInfo,
    /// A card has a `null`.
    NullField,
    /// Coupons can no longer be made.
    Coupon,
    /// The AppID is another account's.
    ForeignAppid,
}

impl Violation {
    /// The code that the platform answers.
    #[must_use]
    pub const fn errcode(self) -> i64 {
        match self {
            Self::ListSize(errcode) => errcode,
            Self::MalformedOpenid | Self::InvalidOpenid => errcode::INVALID_OPENID,
            Self::ForeignOpenid => errcode::FOREIGN_OPENID,
            Self::Unsubscribed => errcode::UNSUBSCRIBED,
            Self::NotSubscribed => errcode::NOT_SUBSCRIBED,
            Self::BlankTagName | Self::ReservedTagName | Self::TagNameTaken => errcode::INVALID_TAG_NAME,
            Self::TagNameTooLong => errcode::TAG_NAME_TOO_LONG,
            Self::TooManyTags => errcode::TOO_MANY_TAGS,
            Self::TooManyTagsOfFollower => errcode::TOO_MANY_TAGS_OF_FOLLOWER,
            Self::UnknownTag => errcode::INVALID_TAG_ID,
            Self::SystemTag => errcode::SYSTEM_TAG,
            Self::TooManyFollowersOfTag => errcode::TOO_MANY_FOLLOWERS_OF_TAG,
            Self::RemarkTooLong => errcode::INVALID_REMARK,
            Self::QrCodeKind => errcode::INVALID_ACTION_NAME,
            Self::QrCodeInfo => errcode::INVALID_ACTION_INFO,
            Self::NullField => errcode::MALFORMED_BODY,
            Self::Coupon => errcode::INVALID_CARD_TYPE,
            Self::ForeignAppid => errcode::INVALID_APPID,
        }
    }
}
