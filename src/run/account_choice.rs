//! How an account is found: what a command line and an automation say of it, as an automation's record keeps it.

use serde::{Deserialize, Serialize};

/// How an account is found: what a command line says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountChoice {
    /// Its name in the configuration; `None` for the account of the environment, or the configuration's default.
    pub account: Option<String>,
    /// The platform's addresses, if they are not the account's own.
    pub base_urls: Vec<String>,
}

/// How a daemon finds the account that it serves an automation for, as the automation's record keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedAs {
    /// The name that the automation declares; `None` for the account of the command.
    pub declared: Option<String>,
    /// What a command line says of it.
    pub choice: AccountChoice,
}
