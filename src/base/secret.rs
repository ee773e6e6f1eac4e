//! Text that must not be seen, and the sieve that takes it out of other text.

use super::lock::{read_lock, write_lock};
use serde::{Deserialize, Deserializer};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, RwLock},
};

/// What a secret looks like wherever it is shown.
const MASK: &str = "***";

/// A secret shorter than this is not searched for in other text: masking every `a` helps nobody.
const LEAST_SEARCHED: usize = 6;

/// An AppSecret, a token: prints as `***`, and has no `Serialize` of its own.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// The text itself, for the one place that sends it.
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

/// The secrets that a process knows of so far, of all its accounts; masks them in text that came from elsewhere (a server
/// may echo what it was sent) and in whatever is kept. Clones share what is known.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<RwLock<KnownSecrets>>);

#[derive(Debug, Default)]
struct KnownSecrets {
    /// What stays a secret: each `AppSecret`, and keys.
    lasting: Vec<Secret>,
    /// Tokens, the oldest first.
    tokens: VecDeque<Secret>,
}

impl Redactor {
    /// How many tokens are remembered; the oldest one has long expired by then.
    const MOST_TOKENS: usize = 256;

    /// From now on, an AppSecret or a key is masked.
    pub fn learn(&self, secret: &Secret) {
        let mut known = write_lock(&self.0);
        if secret.reveal().len() >= LEAST_SEARCHED && !known.lasting.contains(secret) {
            known.lasting.push(secret.clone());
        }
    }

    /// From now on, a token is masked.
    pub fn learn_token(&self, token: &Secret) {
        let mut known = write_lock(&self.0);
        if token.reveal().len() < LEAST_SEARCHED || known.tokens.contains(token) {
            return;
        }
        if known.tokens.len() == Self::MOST_TOKENS {
            known.tokens.pop_front();
        }
        known.tokens.push_back(token.clone());
    }

    /// `text` without any known secret.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let known = read_lock(&self.0);
        let mut known: Vec<&str> = known.lasting.iter().chain(&known.tokens).map(Secret::reveal).collect();
        // The longest first: one that begins like another must not leave its tail.
        known.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        known.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}
