//! The calls of one endpoint that a job is estimated to make.

use crate::base::with_thousands;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One line of what is shown and reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// `"METHOD path"`.
    pub call: String,
    /// Calls, at the most.
    pub calls: u64,
    /// Calls that are left today, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} calls of {}", with_thousands(self.calls), self.call)?;
        match self.left {
            Some(left) => write!(f, " ({} left today)", with_thousands(left)),
            None => Ok(()),
        }
    }
}
