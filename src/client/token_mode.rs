//! Where an account's tokens come from.

use super::External;

/// Where tokens come from.
#[derive(Clone, Debug, Default)]
pub enum TokenMode {
    /// `stable_token`: the same token for whoever asks.
    #[default]
    Stable,
    /// `token`: each fetch makes a new one and ends the one before.
    Classic,
    /// Somebody else fetches them.
    External(External),
}

impl TokenMode {
    /// `stable`, `classic` or `external`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Classic => "classic",
            Self::External(_) => "external",
        }
    }

    /// Renewals of a refused token a day: the platform's own bound for the stable one (`stable_token`), a
    /// tenth of the 2,000 fetches a day of the classic one.
    #[must_use]
    pub const fn forced_a_day(&self) -> i64 {
        match self {
            Self::Stable => 20,
            Self::Classic | Self::External(_) => 200,
        }
    }
}

impl std::fmt::Display for TokenMode {
    /// The mode, and who gives the tokens; a command may hold a secret, so it is only called one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stable | Self::Classic => f.write_str(self.as_str()),
            Self::External(External::Command(_)) => f.write_str("external, by token_command"),
            Self::External(External::File(path)) => write!(f, "external, from {}", path.display()),
            Self::External(External::Url { base, .. }) => write!(f, "external, from {base}"),
        }
    }
}
