//! The key of everything that is kept of an automation: its account and its name.

use super::Statement;
use std::fmt;

/// Which automation, and for which account: one that is served for several accounts has fires, a state and a pause for
/// each.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AutomationId {
    /// The account, as the client names it; empty where it is not known.
    pub account: String,
    /// The automation's name: its file's stem.
    pub name: String,
}

impl AutomationId {
    /// The automation of this name, for this account.
    #[must_use]
    pub fn new(account: &str, name: &str) -> Self {
        Self { account: account.to_owned(), name: name.to_owned() }
    }

    /// The statement with the account and the name as its next two parameters.
    pub(super) fn given_to(&self, statement: Statement) -> Statement {
        statement.with(self.account.as_str()).with(self.name.as_str())
    }
}

/// The key for errors: `ACCOUNT, NAME`.
impl fmt::Display for AutomationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.account, self.name)
    }
}
