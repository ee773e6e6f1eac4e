//! What the process serves over HTTP: the daemon's metrics, and tokens for other programs.

pub mod metrics;
mod server;
mod token_service;

pub use server::{BindAddress, HttpServer};
pub use token_service::TokenService;
