//! Speaks to the platform: transport, token, limits, retries.
//!
//! It knows what the declarations in `api` say and nothing else of any endpoint. Must never know
//! the sandbox: to this floor it is one more base URL.

mod base_url;
mod call;
mod error;
mod hosts;
mod oauth;
mod repair;
mod tally;
mod token;
mod transport;

pub use base_url::{BaseUrl, BaseUrlError};
pub use call::{Account, Client, DEFAULT_IN_FLIGHT, Settings};
pub use error::{CallError, Refusal};
pub use repair::repair;
pub use tally::Tally;
