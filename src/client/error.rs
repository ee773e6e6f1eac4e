//! What can go wrong with a call, as data.

use crate::api::{
    Credential,
    errcode::{self, Class},
};

/// A call that did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The platform answered with an errcode.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// There was no answer that could be used.
    #[error("{endpoint} got no answer from {host} in {tries} {}: {reason}", if *.tries == 1 { "try" } else { "tries" })]
    NoAnswer {
        /// The script function.
        endpoint: &'static str,
        /// The host that was asked.
        host: String,
        /// What happened at the last try.
        reason: String,
        /// Tries made.
        tries: u32,
        /// The call may have taken effect all the same.
        unsure: bool,
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
    /// There is no token to call with.
    #[error("there is no access token: {reason}")]
    NoToken {
        /// Why.
        reason: String,
    },
    /// The run was stopped before the call was made.
    #[error("stopped before {endpoint} was called")]
    Cancelled {
        /// The script function.
        endpoint: &'static str,
    },
}

/// An errcode with what is known around it.
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
    /// What the call proved itself by.
    pub credential: Credential,
    /// An earlier try of the call was sent and got no answer: it may have taken effect all the same.
    pub is_unsure: bool,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was refused: {} {}", self.endpoint, self.errcode, self.errmsg)?;
        match errcode::meaning(self.errcode) {
            Some(meaning) if !self.errmsg.contains(meaning.zh) => write!(f, " ({})", meaning.zh)?,
            _ => {}
        }
        // There are two kinds of tokens, and the codes are the same.
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
    /// Splits what the server says into its text and its `rid`; the text's tail (`hint: [..]`) is
    /// a mark for the platform's own staff.
    #[must_use]
    pub fn read_message(errmsg: &str) -> (String, Option<String>) {
        let (text, rid) = match errmsg.rsplit_once("rid: ") {
            Some((text, rid)) => (text, Some(rid.trim().to_owned())),
            None => (errmsg, None),
        };
        let text = text.split(" hint: [").next().unwrap_or_default();
        let text = text.split(", hints: [").next().unwrap_or_default();
        (text.trim().trim_end_matches(',').to_owned(), rid)
    }

    fn hint(&self) -> Option<&'static str> {
        let own = |code| errcode::meaning(code).map(|meaning| meaning.hint).filter(|hint| !hint.is_empty());
        match (self.credential, errcode::class(self.errcode)) {
            (Credential::AppSecret { .. }, Class::Token) => own(40125),
            (Credential::UserToken, Class::Token) => {
                Some("it lasts two hours: oauth::refresh gives another, or the person authorizes again")
            }
            (Credential::UserToken, Class::Configuration) => {
                Some("it may be of snsapi_base: let the person authorize snsapi_userinfo")
            }
            _ => own(self.errcode),
        }
    }

    /// What can be done about it. A bad AppSecret may be called 40001, like a bad token.
    #[must_use]
    pub fn class(&self) -> Class {
        match errcode::class(self.errcode) {
            Class::Token if matches!(self.credential, Credential::AppSecret { .. }) => Class::Configuration,
            // A person's token is renewed by nobody here, and a right that it lacks is its own.
            Class::Token | Class::Configuration if self.credential == Credential::UserToken => Class::Caller,
            class => class,
        }
    }
}

impl CallError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => refusal.hint(),
            Self::NoAnswer { unsure: true, .. } => {
                Some("the call may have taken effect: look before you make it again")
            }
            Self::NoAnswer { .. } => Some(
                "check the network, the proxy (HTTPS_PROXY), --base-url, and that the certificate is one this machine trusts",
            ),
            Self::Unreadable { .. } => {
                Some("something between here and the platform may answer in its place")
            }
            Self::NoTls(_) => {
                Some("install the machine's CA certificates (Debian: apt install ca-certificates)")
            }
            Self::NoToken { .. } => Some("`mpscript doctor` looks at where tokens come from"),
            Self::Cancelled { .. } => None,
        }
    }

    /// Whether the call may have taken effect all the same.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_unsure,
            Self::NoAnswer { unsure, .. } => *unsure,
            Self::Unreadable { .. } => true,
            Self::NoTls(_) | Self::NoToken { .. } | Self::Cancelled { .. } => false,
        }
    }

    /// The same error after a try that may have taken effect.
    pub(super) fn after(self, unsure: Self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(Box::new(Refusal { is_unsure: true, ..*refusal })),
            // What is known of the call counts, not why it was not tried again.
            Self::NoToken { .. } | Self::Cancelled { .. } => unsure,
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

    /// Whether no call will succeed before a person mends something.
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
    fn the_tail_of_a_message_is_cut_whatever_its_age() {
        let rid = Some("658ce562-2e1869db-200c6db8".to_owned());
        let read = |text| Refusal::read_message(text);
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
}
