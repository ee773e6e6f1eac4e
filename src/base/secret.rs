//! Text that must not be seen, and the sieve that takes it out of other text.

use serde::{Deserialize, Deserializer};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
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

/// The secrets known so far; masks them in text that came from elsewhere (a server may echo what
/// it was sent). Clones share what is known.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<RwLock<Vec<Secret>>>);

impl Redactor {
    /// How many secrets are remembered; the oldest token has long expired by then.
    const MOST: usize = 64;

    /// From now on, `secret` is masked.
    pub fn learn(&self, secret: &Secret) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if secret.reveal().len() < LEAST_SEARCHED || known.contains(secret) {
            return;
        }
        if known.len() == Self::MOST {
            // The first is the AppSecret, which stays.
            known.remove(1);
        }
        known.push(secret.clone());
    }

    /// `text` without any known secret.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut known: Vec<&str> = known.iter().map(Secret::reveal).collect();
        // The longest first: one that begins like another must not leave its tail.
        known.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        known.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}
