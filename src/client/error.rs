//! What can go wrong with a call, as data.

use crate::{
    api::{
        Credential,
        errcode::{self, Class},
        ip_whitelist,
    },
    base::{Advice, Setting, plain_line},
};
use std::{net::IpAddr, time::Duration};

/// A call that did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The platform answered with an errcode.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// There was no answer.
    #[error("{endpoint} got no answer from {host} in {tries} {}: {reason}", if *.tries == 1 { "try" } else { "tries" })]
    NoAnswer {
        /// The script function.
        endpoint: &'static str,
        /// The host that was asked.
        host: String,
        /// The failure of the last attempt.
        reason: String,
        /// Attempts made.
        tries: u32,
        /// The call may have taken effect although no answer came.
        in_doubt: bool,
    },
    /// A host turned the call away because there were too many (HTTP status 429). It has taken no effect.
    #[error("{endpoint} was turned away by {host} in {tries} {}: HTTP status 429, too many requests{}",
        if *.tries == 1 { "try" } else { "tries" }, describe_wait(*.wait))]
    Throttled {
        /// The script function.
        endpoint: &'static str,
        /// The host that was asked.
        host: String,
        /// Attempts made.
        tries: u32,
        /// The wait that the last answer asked for (`Retry-After`).
        wait: Option<Duration>,
    },
    /// The answer was not what the declaration says.
    #[error("{endpoint} got an answer that is not what the platform documents: {reason}")]
    Unreadable {
        /// The script function.
        endpoint: &'static str,
        /// What was found instead.
        reason: String,
    },
    /// HTTPS can't be set up on this machine.
    #[error("HTTPS can't be set up: {0}")]
    NoTls(String),
    /// There is no token to make the call with.
    #[error("there is no access token: {reason}")]
    NoToken {
        /// Why.
        reason: String,
    },
    /// The run was cancelled before the call was made.
    #[error("stopped before {endpoint} was called")]
    Cancelled {
        /// The script function.
        endpoint: &'static str,
    },
}

/// An answer with an errcode, and its context.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The script function.
    pub endpoint: &'static str,
    /// The code.
    pub errcode: i64,
    /// The server's text, without its tail.
    pub errmsg: String,
    /// The request's id, for the platform's support (`rid`).
    pub rid: Option<String>,
    /// With 45171: who failed.
    pub failed: Vec<String>,
    /// The credential that the call was made with.
    pub credential: Credential,
    /// An earlier attempt of the call was sent and not answered, so it may have taken effect.
    pub is_in_doubt: bool,
}

fn describe_wait(wait: Option<Duration>) -> String {
    let text = |wait| format!("; it asks to wait {}", humantime::format_duration(wait));
    wait.map(text).unwrap_or_default()
}

/// The longest `errmsg` that is kept, in characters; the platform's own have fewer than 200.
const MAX_ERRMSG: usize = 500;

/// The longest `rid` that is kept, in characters.
const MAX_RID: usize = 100;

/// The beginning of a text from outside, as one plain line.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", plain_line(&text[..at])),
        None => plain_line(text).into_owned(),
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was refused: {} {}", self.endpoint, self.errcode, self.errmsg)?;
        match errcode::meaning(self.errcode) {
            Some(meaning) if !self.errmsg.contains(meaning.zh) => write!(f, " ({})", meaning.zh)?,
            _ => {}
        }
        // The account's token and a person's token have the same errcodes.
        match (errcode::class(self.errcode), self.credential) {
            (Class::Token, Credential::UserToken) => {
                f.write_str(": the person's token (网页授权 access_token)")
            }
            (Class::Token, Credential::AccessToken) => f.write_str(": the account's token (access_token)"),
            _ => Ok(()),
        }
    }
}

impl Refusal {
    /// Splits `errmsg` into its text and its `rid`, and drops the tail (`hint: [..]`), which only the platform's staff can
    /// read. Both are cut and are one plain line: what stands between here and the platform may answer anything.
    #[must_use]
    pub fn parse_message(errmsg: &str) -> (String, Option<String>) {
        let (text, rid) = match errmsg.rsplit_once("rid: ") {
            Some((text, rid)) => (text, Some(rid.trim().to_owned())),
            None => (errmsg, None),
        };
        let text = text.split(" hint: [").next().unwrap_or_default();
        let text = text.split(", hints: [").next().unwrap_or_default();
        let text = cut(text.trim().trim_end_matches(','), MAX_ERRMSG);
        (text, rid.map(|rid| cut(&rid, MAX_RID)))
    }

    fn hint(&self) -> Option<Advice> {
        let own = |code| errcode::meaning(code).map(|meaning| meaning.hint).filter(|hint| !hint.is_empty());
        match (self.credential, errcode::class(self.errcode)) {
            (Credential::AppSecret { .. }, Class::Token) => own(errcode::INVALID_APPSECRET),
            (Credential::UserToken, Class::Token) => Some(Advice::plain(
                "it lasts two hours: oauth::refresh gives another, or the person authorizes again",
            )),
            (Credential::UserToken, Class::Configuration) => {
                Some(Advice::plain("it may be of snsapi_base: let the person authorize snsapi_userinfo"))
            }
            _ => own(self.errcode),
        }
    }

    /// The errcode's class for this credential. A wrong AppSecret may get 40001, as a wrong token does.
    #[must_use]
    pub fn class(&self) -> Class {
        match errcode::class(self.errcode) {
            Class::Token if matches!(self.credential, Credential::AppSecret { .. }) => Class::Configuration,
            // The client does not renew a person's token, and a missing right is that token's own.
            Class::Token | Class::Configuration if self.credential == Credential::UserToken => Class::Caller,
            class => class,
        }
    }
}

impl CallError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Refused(refusal) => return refusal.hint(),
            Self::NoAnswer { in_doubt: true, .. } => {
                Advice::plain("the call may have taken effect: look before you make it again")
            }
            Self::NoAnswer { .. } => Advice::naming(
                Setting::BaseUrl,
                "check the network, the proxy (HTTPS_PROXY), {}, and that the certificate is one this machine trusts",
            ),
            Self::Unreadable { .. } => {
                Advice::plain("something between here and the platform may answer in its place")
            }
            Self::Throttled { .. } => Advice::naming(
                Setting::InFlight,
                "wait as long, or make fewer calls at once ({}); a proxy in between may count them too",
            ),
            Self::NoTls(_) => {
                Advice::plain("install the machine's CA certificates (Debian: apt install ca-certificates)")
            }
            Self::NoToken { .. } => Advice::plain("`mpscript doctor` looks at where tokens come from"),
            Self::Cancelled { .. } => return None,
        })
    }

    /// Whether the call may have taken effect although it failed.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_in_doubt,
            Self::NoAnswer { in_doubt, .. } => *in_doubt,
            Self::Unreadable { .. } => true,
            Self::Throttled { .. } | Self::NoTls(_) | Self::NoToken { .. } | Self::Cancelled { .. } => false,
        }
    }

    /// This error when an earlier attempt of the same call is in doubt.
    pub(super) fn after(self, in_doubt: Self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(Box::new(Refusal { is_in_doubt: true, ..*refusal })),
            // That the call is in doubt matters more than why it was not retried.
            Self::NoToken { .. } | Self::Cancelled { .. } => in_doubt,
            error => error,
        }
    }

    /// The errcode, if the platform gave one.
    #[must_use]
    pub fn errcode(&self) -> Option<i64> {
        match self {
            Self::Refused(refusal) => Some(refusal.errcode),
            _ => None,
        }
    }

    /// The address that the platform refused because it is not in the account's IP白名单, where it named it.
    #[must_use]
    pub fn refused_address(&self) -> Option<IpAddr> {
        match self {
            Self::Refused(refusal) if refusal.errcode == errcode::IP_NOT_IN_WHITELIST => {
                ip_whitelist::refused_address(&refusal.errmsg)
            }
            _ => None,
        }
    }

    /// Whether every call will fail until the configuration is corrected.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.class() == Class::Configuration,
            Self::NoTls(_) | Self::NoToken { .. } => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_tail_is_cut_in_old_and_new_forms() {
        let rid = Some("658ce562-2e1869db-200c6db8".to_owned());
        let read = |text| Refusal::parse_message(text);
        assert_eq!(
            read("invalid tag name hint: [AfNFr0mre-4H1qbA] rid: 658ce562-2e1869db-200c6db8"),
            ("invalid tag name".to_owned(), rid.clone()),
        );
        assert_eq!(read("invalid appid, rid: 658ce562-2e1869db-200c6db8"), ("invalid appid".to_owned(), rid));
        assert_eq!(read("invalid openid hint: [n0HMJA0558vr19]"), ("invalid openid".to_owned(), None));
        let of_sns = "code been used, hints: [ req_id: mZ19ca0020th54 ]";
        assert_eq!(read(of_sns), ("code been used".to_owned(), None));
        assert_eq!(read("invalid appid"), ("invalid appid".to_owned(), None));
    }

    #[test]
    fn long_message_is_cut_and_plain() {
        let (text, rid) =
            Refusal::parse_message(&format!("\u{1b}[2J{} rid: {}", "长".repeat(9_999), "6".repeat(999)));
        assert_eq!(text, format!("\u{fffd}[2J{}…", "长".repeat(496)));
        assert_eq!(rid, Some(format!("{}…", "6".repeat(100))));
    }
}
