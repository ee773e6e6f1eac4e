//! Runs as processes of their own: whatever a script does to its process, the daemon and the other runs go on.
//!
//! The daemon starts its own program as `mpscript worker`, writes an [`Order`](protocol::Order) to its standard input,
//! and answers there what it asks for tokens; the process reports on its standard output. It has no AppSecret, not in its
//! environment either.
//!
//! Must never know fires and automations beyond the call that is ordered.

mod confine;
mod lines;
mod process;
mod protocol;
mod worker;

pub use process::{ChildProcess, ChildSettings};
pub use protocol::StoreAddress;
pub use worker::{Refused, work};
