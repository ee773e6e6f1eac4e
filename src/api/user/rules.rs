//! The rules of people: what an openid is, whom a call may name, and how long a remark may be.

use crate::api::Violation;

/// A remark must be shorter than this many bytes of UTF-8 (40092). Whether exactly this many pass
/// is not known.
pub const REMARK_BYTES: usize = 30;

/// Whom an openid of a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// It is not of an openid's form.
    Malformed,
    /// It is well-formed and belongs to another account, or to no person.
    Foreign,
    /// A person who does not follow the account any more.
    Unsubscribed,
    /// A follower.
    Follower,
}

/// The longest text that is sent as an openid, in bytes: the platform's have 28.
const MAX_OPENID: usize = 64;

/// Digits that are more than these are no phone number.
const MAX_PHONE_DIGITS: usize = 20;

/// What a text is that can't be an openid. It does not quote the text, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpenid {
    /// There is nothing.
    #[error("an empty text")]
    Empty,
    /// A sign, a blank, a control character, a letter of another alphabet.
    #[error("a text with other characters than A-Z a-z 0-9 _ -")]
    Characters,
    /// Digits only.
    #[error("what looks like a phone number")]
    PhoneNumber,
    /// No id of the platform is as long.
    #[error("a text of more than {MAX_OPENID} characters")]
    TooLong,
}

/// Whether a text could be an openid, as far as its characters and its length say. This refuses what no platform would
/// take, before it is sent; the platform decides about the rest.
///
/// # Errors
/// It could not.
pub fn could_be_openid(text: &[u8]) -> Result<(), NotOpenid> {
    let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    match text {
        [] => Err(NotOpenid::Empty),
        text if !text.iter().all(is_of_it) => Err(NotOpenid::Characters),
        text if text.len() < MAX_PHONE_DIGITS && text.iter().all(u8::is_ascii_digit) => {
            Err(NotOpenid::PhoneNumber)
        }
        text if text.len() > MAX_OPENID => Err(NotOpenid::TooLong),
        _ => Ok(()),
    }
}

/// Whether a text is of an openid's form: 28 letters, digits, `-` and `_`, the first an `o`.
#[must_use]
pub fn is_openid(text: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || [b'-', b'_'].contains(&byte);
    text.len() == 28 && text.starts_with('o') && text.bytes().all(is_of_it)
}

/// Whether this person can be given this remark.
///
/// # Errors
/// The openid names no follower, or the remark is too long.
pub fn check_remark(holder: Holder, remark: &str) -> Result<(), Violation> {
    match holder {
        Holder::Malformed | Holder::Foreign => Err(Violation::InvalidOpenid),
        Holder::Unsubscribed => Err(Violation::NotSubscribed),
        Holder::Follower => check_remark_length(remark),
    }
}

/// Whether a remark is short enough; one of exactly 30 bytes is refused.
///
/// # Errors
/// It is not.
pub fn check_remark_length(remark: &str) -> Result<(), Violation> {
    if remark.len() >= REMARK_BYTES { Err(Violation::RemarkTooLong) } else { Ok(()) }
}

/// Whether these can be put on the blacklist: it is defined for followers only.
///
/// # Errors
/// An openid names no follower; one that is not of this account is reported first.
pub fn check_block(holders: impl Iterator<Item = Holder> + Clone) -> Result<(), Violation> {
    check_unblock(holders.clone())?;
    let mut holders = holders;
    if holders.any(|holder| holder == Holder::Unsubscribed) { Err(Violation::InvalidOpenid) } else { Ok(()) }
}

/// Whether these can be taken off the blacklist: they need not follow the account.
///
/// # Errors
/// An openid is malformed, or another account's.
pub fn check_unblock(mut holders: impl Iterator<Item = Holder>) -> Result<(), Violation> {
    let violation = holders.find_map(|holder| match holder {
        Holder::Malformed => Some(Violation::MalformedOpenid),
        Holder::Foreign => Some(Violation::ForeignOpenid),
        Holder::Unsubscribed | Holder::Follower => None,
    });
    violation.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Holder::{Follower, Foreign, Malformed, Unsubscribed};

    #[test]
    fn text_that_could_be_no_openid_is_recognized_by_its_form() {
        let cases = [
            ("o6_bmjrPTlm6_2sgVt7hMZOPfL2M", Ok(())),
            ("abc", Ok(())),
            ("12345678901234567890", Ok(())),
            ("", Err(NotOpenid::Empty)),
            ("13800138000", Err(NotOpenid::PhoneNumber)),
            ("oABC ", Err(NotOpenid::Characters)),
            ("oABC\r", Err(NotOpenid::Characters)),
            ("张三", Err(NotOpenid::Characters)),
        ];
        for (text, expected) in cases {
            assert_eq!(could_be_openid(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(could_be_openid(&[b'o'; 65]), Err(NotOpenid::TooLong));
    }

    #[test]
    fn remark_checks_the_openid_before_the_length() {
        let long = "一二三四五六七八九十";
        let check = |holder, remark: &str| check_remark(holder, remark).map_err(Violation::errcode);
        assert_eq!(check(Follower, "一二三四五六七八九"), Ok(()));
        assert_eq!(check(Follower, long), Err(40092));
        assert_eq!(check(Unsubscribed, long), Err(43004));
        assert_eq!((check(Malformed, long), check(Foreign, long)), (Err(40003), Err(40003)));
    }

    #[test]
    fn blacklist_takes_followers_and_releases_any_openid() {
        let check = |holders: [Holder; 2]| {
            let errcode = |result: Result<(), Violation>| result.err().map(Violation::errcode);
            (errcode(check_block(holders.into_iter())), errcode(check_unblock(holders.into_iter())))
        };
        assert_eq!(check([Follower, Follower]), (None, None));
        assert_eq!(check([Follower, Unsubscribed]), (Some(40003), None));
        assert_eq!(check([Unsubscribed, Foreign]), (Some(49003), Some(49003)));
        assert_eq!(check([Malformed, Foreign]), (Some(40003), Some(40003)));
    }
}
