//! The key of an account, by which everything that is stored of it is kept: tokens, counts, runs, automations.

use super::BaseUrl;
use std::{fmt, str::FromStr};

/// The account of something that is stored. Its text is what the store has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountKey {
    /// Not known yet: no account is configured, or it was stored before accounts were distinguished.
    Unknown,
    /// An account of the platform.
    Known {
        /// Its AppID.
        appid: String,
        /// The identity of the address that is preferred.
        address: String,
    },
    /// The account that an automation names is not in the configuration: its fires fail with that reason.
    NotConfigured {
        /// The name.
        name: String,
    },
}

/// A text that is the key of no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is the key of no account: expected `APPID ADDRESS`, `?NAME` or nothing")]
pub struct UnknownAccountKey {
    /// The text.
    pub found: String,
}

impl AccountKey {
    /// What a metric names the account by: its AppID, and its address, which distinguishes a sandbox from the platform.
    #[must_use]
    pub fn labels(&self) -> [(&'static str, String); 2] {
        let (appid, address) = match self {
            Self::Known { appid, address } => (appid.clone(), address.clone()),
            Self::Unknown | Self::NotConfigured { .. } => (self.to_string(), String::new()),
        };
        [("account", appid), ("address", address)]
    }

    /// Whether its address is on this machine, as that of a sandbox.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        let Self::Known { address, .. } = self else { return false };
        BaseUrl::parse(address).is_ok_and(|base| base.is_loopback())
    }

    /// The key for a person.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Unknown => "not known".to_owned(),
            Self::Known { appid, address } => format!("{appid} at {address}"),
            Self::NotConfigured { .. } => "not configured".to_owned(),
        }
    }

    /// A stored key for a person.
    #[must_use]
    pub fn shown(text: &str) -> String {
        text.parse::<Self>().map_or_else(|UnknownAccountKey { found }| found, |key| key.in_words())
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Known { appid, address } => write!(f, "{appid} {address}"),
            Self::NotConfigured { name } => write!(f, "?{name}"),
        }
    }
}

impl FromStr for AccountKey {
    type Err = UnknownAccountKey;

    fn from_str(text: &str) -> Result<Self, UnknownAccountKey> {
        if text.is_empty() {
            return Ok(Self::Unknown);
        }
        if let Some(name) = text.strip_prefix('?') {
            return Ok(Self::NotConfigured { name: name.to_owned() });
        }
        match text.split_once(' ') {
            Some((appid, address)) if !appid.is_empty() && !address.is_empty() => {
                Ok(Self::Known { appid: appid.to_owned(), address: address.to_owned() })
            }
            _ => Err(UnknownAccountKey { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://api.weixin.qq.com";

    fn known() -> AccountKey {
        AccountKey::Known { appid: "wx5a2db0c5a9d0b0c5".to_owned(), address: ADDRESS.to_owned() }
    }

    fn not_configured(name: &str) -> AccountKey {
        AccountKey::NotConfigured { name: name.to_owned() }
    }

    #[test]
    fn key_is_read_from_the_text_that_it_is_written_as() {
        let table = [
            (AccountKey::Unknown, String::new()),
            (known(), format!("wx5a2db0c5a9d0b0c5 {ADDRESS}")),
            (not_configured("东店"), "?东店".to_owned()),
            (not_configured("?东店"), "??东店".to_owned()),
            (not_configured("a b"), "?a b".to_owned()),
        ];
        for (key, text) in table {
            assert_eq!((key.to_string(), text.parse()), (text.clone(), Ok(key)), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_key_is_an_error_that_names_it() {
        for text in ["wx5a2db0c5a9d0b0c5", " https://api.weixin.qq.com", "wx5a2db0c5a9d0b0c5 "] {
            let expected =
                format!("`{text}` is the key of no account: expected `APPID ADDRESS`, `?NAME` or nothing");
            assert_eq!(text.parse::<AccountKey>().map_err(|error| error.to_string()), Err(expected));
        }
    }

    #[test]
    fn key_is_shown_in_words_and_as_labels() {
        let table = [
            (AccountKey::Unknown, "not known", ["", ""]),
            (
                known(),
                "wx5a2db0c5a9d0b0c5 at https://api.weixin.qq.com",
                ["wx5a2db0c5a9d0b0c5", "https://api.weixin.qq.com"],
            ),
            (not_configured("a b"), "not configured", ["?a b", ""]),
        ];
        for (key, words, labels) in table {
            assert_eq!(
                (key.in_words().as_str(), key.labels().map(|(_, value)| value)),
                (words, labels.map(str::to_owned)),
                "{key:?}"
            );
        }
    }
}
