//! Where an account's access tokens come from.

use super::{broker::Broker, external::External};

/// Where tokens come from.
#[derive(Clone, Debug, Default)]
pub enum TokenMode {
    /// `stable_token`: every caller gets the same token.
    #[default]
    Stable,
    /// `token`: each fetch creates a new token and invalidates the previous one.
    Classic,
    /// Another program fetches them.
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

    /// The process that makes the calls which need the AppSecret, if this one has none.
    pub(crate) fn broker(&self) -> Option<&Broker> {
        match self {
            Self::External(External::Broker(broker)) => Some(broker),
            _ => None,
        }
    }

    /// Limit of forced renewals a day: the platform's own for the stable token (`stable_token`), a tenth of the 2,000
    /// fetches a day for the classic one.
    #[must_use]
    pub const fn max_forced_a_day(&self) -> i64 {
        match self {
            Self::Stable => 20,
            Self::Classic | Self::External(_) => 200,
        }
    }
}

impl std::fmt::Display for TokenMode {
    /// The mode and the source. A command is not shown, since it may contain a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stable | Self::Classic => f.write_str(self.as_str()),
            Self::External(External::Command(_)) => f.write_str("external, by token_command"),
            Self::External(External::File(path)) => write!(f, "external, from {}", path.display()),
            Self::External(External::Url { base, .. }) => write!(f, "external, from {base}"),
            Self::External(External::Broker(_)) => f.write_str("external, from the daemon"),
        }
    }
}
