//! Scripts: the only floor that names `rhai`.
//!
//! Here the declarations become functions, followers become values, and errors become messages
//! with a place in the source. Must never know HTTP: scripts are synchronous, everything under
//! them is not, and they meet in `bridge.rs` alone.

mod any;
mod argument;
mod audience;
mod automation;
mod automation_keys;
mod blacklist;
mod bridge;
mod callback;
mod changes;
pub mod check;
pub mod docs;
mod dry;
mod endpoint;
mod engine;
mod env;
mod error;
mod file;
mod functions;
mod handler;
mod jobs;
mod literal;
mod oauth;
mod param;
mod params;
mod parse;
mod program;
mod reckon;
mod session;
mod shown;
mod sized;
mod sleep;
mod stdlib;
mod steps;
mod table;
mod text;
mod value;
mod walk;
mod way_back;
mod writes;

pub use automation::{
    Automation, CatchUp, CatchUpPolicy, HANDLER, ON_FAILURE, Overlap, OwnLimits, Timing, TriggerText,
};
pub use engine::{STACK, Script};
pub use env::{CallbackKeys, Env, Gate, NoClient, Nowhere, Output};
pub use error::Trouble;
pub use handler::{Answer, Call};
pub use params::{Kind, Parameter};
pub use parse::{declared_functions, is_incomplete, is_look, is_script};
pub use program::{ImportSource, Origin, Program, Source};
pub use session::{Line, Session};
pub use shown::{Shown, Variable, more};
