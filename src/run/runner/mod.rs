//! What executes the daemon's runs: threads of this process, or processes of their own.
//!
//! Must never know fires, automations and the daemon's decisions: it is given a recorded run and reports its outcome.

mod child;
mod in_process;
mod runner;

pub use child::{ChildProcess, ChildSettings, Refused, StoreAddress, work};
pub use in_process::InProcess;
pub use runner::{Reporter, RunFinished, RunHandle, Runner, Spawned, Waker};
