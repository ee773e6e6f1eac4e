//! What the process answers over HTTP: figures of the daemon, and tokens for other programs.

pub mod metrics;
mod server;
mod token_service;

pub use server::{Listen, Listening};
pub use token_service::TokenService;
