//! Calls the platform: transport, token, limits, retries.
//!
//! It knows of an endpoint what its declaration in `api` says, and nothing else. Must never know the sandbox: for this
//! floor that is one more base URL.

mod account_key;
mod base_url;
mod brokered;
mod call;
mod concurrency;
mod config;
mod envelope;
mod error;
mod hosts;
mod info;
mod json_repair;
mod ledger;
mod minute_quotas;
mod probe;
mod quota_left;
mod sender;
mod tally;
mod timeline;
mod token;
mod transport;
mod wait;

pub use account_key::{AccountKey, UnknownAccountKey};
pub use base_url::{BaseUrl, BaseUrlError};
pub use brokered::ClientSettings;
pub use call::Client;
pub use config::{Account, ClientConfig, DEFAULT_IN_FLIGHT};
pub use envelope::BrokenRecord;
pub use error::{CallError, Refusal};
pub use json_repair::repair;
pub use ledger::Ledger;
pub use minute_quotas::MAX_PROBES;
pub use probe::Probe;
pub use quota_left::Remaining;
pub use sender::account_key;
pub use tally::{SentCalls, Tally};
pub use timeline::{Bucket, Timeline};
pub use token::{
    broker::{Answer, Broker, BrokeredError, Question},
    budget::purge_budgets,
    cache::LEASE_TTL,
    external::External,
    mode::TokenMode,
};
pub use transport::ping;
