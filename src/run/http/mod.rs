//! What the process serves over HTTP: the daemon's metrics, and tokens for other programs.

mod coalesced_log;
pub mod metrics;
mod token_service;

pub use token_service::TokenService;
