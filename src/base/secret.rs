//! Secrets, and the redactor that masks them in other text.

use super::lock::{read_lock, write_lock};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, RwLock},
};
use url::Url;

/// What is shown instead of a secret.
const MASK: &str = "***";

/// Secrets shorter than this are not masked in other text: every `a` would be.
const MIN_MASKED_LEN: usize = 6;

/// A password that a person has chosen may be a common word. One of at least this length is not, and is masked.
const MIN_MASKED_PASSWORD: usize = 12;

/// An AppSecret, a token: prints as `***`, and has no `Serialize` of its own.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// The text itself, for the code that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// The secrets of all accounts that this process has seen so far. Masks them in text from outside (a server may echo
/// what it was sent) and in everything that is stored. Clones share the secrets.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<RwLock<KnownSecrets>>);

#[derive(Debug, Default)]
struct KnownSecrets {
    /// Secrets that do not expire: every `AppSecret`, and keys.
    lasting: Vec<Secret>,
    /// Tokens, the oldest first.
    tokens: VecDeque<Secret>,
}

impl KnownSecrets {
    fn mask(&self, text: String) -> String {
        let found = self.lasting.iter().chain(&self.tokens).map(Secret::reveal);
        let mut found: Vec<&str> = found.filter(|secret| text.contains(secret)).collect();
        // The longest first: replacing a secret that is a prefix of another would leave the other's tail.
        found.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.iter().fold(text, |text, secret| text.replace(secret, MASK))
    }
}

impl Redactor {
    /// Tokens that are remembered; the oldest has long expired when it is dropped.
    const MAX_TOKENS: usize = 256;

    /// Masks an AppSecret or a key from now on.
    pub fn learn(&self, secret: &Secret) {
        let mut known = write_lock(&self.0);
        if secret.reveal().len() >= MIN_MASKED_LEN && !known.lasting.contains(secret) {
            known.lasting.push(secret.clone());
        }
    }

    /// Masks a password that a person has chosen from now on, if it can't be a common word.
    pub fn learn_password(&self, password: &Secret) {
        if password.reveal().len() >= MIN_MASKED_PASSWORD {
            self.learn(password);
        }
    }

    /// Masks the password in a database's address from now on, as it is written and as it is meant: in a URL's authority or
    /// parameters, or after `password=` in libpq's keyword syntax.
    pub fn learn_password_of(&self, address: &Secret) {
        let Ok(url) = Url::parse(address.reveal()) else {
            for rest in address.reveal().split("password=").skip(1) {
                let password = rest.split_whitespace().next().unwrap_or_default();
                self.learn_password(&Secret::new(password.trim_matches('\'')));
            }
            return;
        };
        let parameters = url.query().into_iter().flat_map(|query| query.split('&'));
        let parameters = parameters.filter_map(|parameter| parameter.strip_prefix("password="));
        for written in url.password().into_iter().chain(parameters) {
            self.learn_password(&Secret::new(written));
            self.learn_password(&Secret::new(percent_decode_str(written).decode_utf8_lossy()));
        }
        for (_, meant) in url.query_pairs().filter(|(name, _)| name == "password") {
            self.learn_password(&Secret::new(meant));
        }
    }

    /// Masks a token from now on.
    pub fn learn_token(&self, token: &Secret) {
        let mut known = write_lock(&self.0);
        if token.reveal().len() < MIN_MASKED_LEN || known.tokens.contains(token) {
            return;
        }
        if known.tokens.len() == Self::MAX_TOKENS {
            known.tokens.pop_front();
        }
        known.tokens.push_back(token.clone());
    }

    /// What kind of secret a text holds, if it holds one.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&'static str> {
        let known = read_lock(&self.0);
        let holds = |secret: &Secret| text.contains(secret.reveal());
        if known.lasting.iter().any(holds) {
            Some("the AppSecret of an account, or a key")
        } else if known.tokens.iter().any(holds) {
            Some("an access token")
        } else {
            None
        }
    }

    /// `text` without any known secret.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        read_lock(&self.0).mask(text.to_owned())
    }

    /// A text of at most this many bytes, and how much was cut. A text that is cut is masked before: a part of a secret could
    /// not be found any more.
    #[must_use]
    pub fn cut(&self, text: &str, most: usize) -> String {
        if text.len() <= most {
            return text.to_owned();
        }
        let mut masked = self.mask(text);
        if masked.len() > most {
            let end = masked.floor_char_boundary(most);
            let cut = masked.len() - end;
            masked.truncate(end);
            masked.push_str(&format!("… {cut} more bytes"));
        }
        masked
    }

    /// Each of the texts without any known secret.
    #[must_use]
    pub fn mask_all(&self, texts: Vec<String>) -> Vec<String> {
        let known = read_lock(&self.0);
        texts.into_iter().map(|text| known.mask(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_of_a_database_is_masked_as_written_and_as_meant() {
        let written = "geheim%E5%AF%86%40code";
        for address in [
            format!("postgres://me:{written}@db/runs"),
            format!("postgres://db/runs?user=me&password={written}"),
        ] {
            let secrets = Redactor::default();
            secrets.learn_password_of(&Secret::new(address));
            assert_eq!(secrets.mask(&format!("{written} geheim密@code")), "*** ***");
        }
        let secrets = Redactor::default();
        secrets.learn_password_of(&Secret::new("host=db password='geheimwort-lang' user=me"));
        assert_eq!(secrets.mask("geheimwort-lang"), "***");
    }

    #[test]
    fn text_is_cut_at_a_character_after_it_was_masked() {
        let secrets = Redactor::default();
        secrets.learn(&Secret::new("0123456789abcdef"));
        assert_eq!(secrets.cut("微信", 6), "微信");
        assert_eq!(secrets.cut("微信公众号", 7), "微信… 9 more bytes");
        assert_eq!(secrets.cut("微0123456789abcdef信", 10), "微***信");
        assert_eq!(secrets.cut("微0123456789abcdef信", 5), "微**… 4 more bytes");
    }
}
