//! A small HTTP/1.1 server on a TCP address or a Unix socket, whose connections are bounded in number and in time, and
//! which answers no web page of another site.
//!
//! Must never know what it serves.

mod allowed_hosts;
mod connections;
mod peer;
mod server;
mod write_deadline;

pub use allowed_hosts::{AllowedHosts, Foreign, read_name};
pub use connections::{Limits, Urgency};
pub use peer::Peer;
pub use server::{BindAddress, HttpServer, ServerOptions, Service};
