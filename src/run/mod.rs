//! What makes a script run: its thread, its environment, its report.
//!
//! Must never know terminals and colours: words go to an `Output`, progress to a `Board`.

pub mod daemon;
mod execution;
pub mod http;
mod output_log;
pub mod record;
pub mod registry;
pub mod schedule;
mod session;
pub mod worker;

pub use execution::{Execution, Outcome, RunConfig, runtime, scripts_in, state_of};
pub use http::{BindAddress, HttpServer, TokenService};
pub use output_log::MAX_LOG_BYTES;
pub use session::{Session, SessionError};
