//! Speaks to the platform: transport, token, limits, retries.
//!
//! It knows what the declarations in `api` say and nothing else of any endpoint. Must never know
//! the sandbox: to this floor it is one more base URL.

mod access;
mod answer;
mod base_url;
mod budget;
mod call;
mod error;
mod external;
mod hosts;
mod ledger;
mod oauth;
mod pace;
mod probe;
mod remaining;
mod repair;
mod tally;
mod timeline;
mod token;
mod token_mode;
mod transport;
mod waits;

pub use base_url::{BaseUrl, BaseUrlError};
pub use budget::RENEWALS_A_MINUTE;
pub use call::{Account, Client, DEFAULT_IN_FLIGHT, Settings};
pub use error::{CallError, Refusal};
pub use external::External;
pub use ledger::Ledger;
pub use pace::MOST_WAVES;
pub use probe::Probe;
pub use remaining::Remaining;
pub use repair::repair;
pub use tally::Tally;
pub use timeline::{Slot, Timeline};
pub use token::LEASE;
pub use token_mode::TokenMode;
pub use transport::ping;
