//! Scripts: the only floor that names `rhai`.
//!
//! Here the declarations become functions, followers become values, and errors become messages
//! with a place in the source. Must never know HTTP: scripts are synchronous, everything under
//! them is not, and they meet in `bridge.rs` alone.

mod audience;
pub mod check;
pub mod docs;
mod engine;
mod functions;
mod host;
mod source;
mod writes;

pub use engine::display::{Shown, Variable, more};
pub use engine::engine::{STACK, Script};
pub use engine::handler::{Answer, Call};
pub use engine::session::{Line, Session};
pub use host::env::{CallbackKeys, Env, Gate, Nowhere, Output};
pub use host::error::{NoClient, Trouble};
pub use source::automation::{
    Automation, CatchUp, CatchUpPolicy, HANDLER, ON_FAILURE, Overlap, OwnLimits, Timing, TriggerText,
};
pub use source::parameters::{Kind, Parameter};
pub use source::parse::{declared_functions, is_incomplete, is_look, is_script};
pub use source::program::{ImportSource, Origin, Program, Source};
