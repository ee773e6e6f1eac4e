//! What makes a script run: its thread, its environment, its record and report; and the daemon that starts runs when
//! their triggers fire.
//!
//! Must never know terminals and colours: output goes to an `Output`, progress to a `Board`.

pub mod account_choice;
mod bounded_output;
mod config;
pub mod daemon;
mod execution;
pub mod http;
pub mod kept;
mod memory_guard;
mod output_log;
#[cfg(target_os = "linux")]
mod process_memory;
pub mod record;
pub mod registry;
pub mod runner;
pub mod schedule;
mod session;
pub mod worker;

pub use config::RunConfig;
pub use execution::{Execution, Outcome, hide_script_panics, runtime};
pub use http::TokenService;
pub use memory_guard::MemoryLimit;
pub use output_log::MAX_LOG_BYTES;
pub use record::automation_state;
pub use registry::{refuse_link_out, scripts_in};
pub use session::{LineMode, Session, SessionError};
