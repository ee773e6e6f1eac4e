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

pub use execution::{Outcome, Run, Setting, runtime, scripts_in, state_of};
pub use http::{Listen, Listening, TokenService};
pub use output_log::MOST_KEPT;
pub use session::{NotBegun, Session};
