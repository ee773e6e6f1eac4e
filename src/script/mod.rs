//! Scripts: the only floor that names `rhai`.
//!
//! Here declarations become functions, followers become values, and errors become messages with a position in the source.
//! Must never know HTTP: scripts are synchronous, everything under them is asynchronous, and they meet in `bridge.rs` only.

mod audience;
pub mod check;
pub mod docs;
mod engine;
mod functions;
mod host;
mod source;
mod writes;

pub use engine::call_trigger::{CallTrigger, UnknownCallTrigger};
pub use engine::display::{Rendered, Variable, more};
pub use engine::engine::{STACK, Script};
pub use engine::handler::{HandlerCall, HandlerResult};
pub use engine::session::{Line, Session};
pub use host::env::{Calls, ConfirmWrite, NullOutput, Output, RunEnv, ScriptIo, WritePolicy};
pub use host::error::{ErrorKind, NoClient, ScriptFailure};
pub use host::file::FileAccess;
pub use source::automation::{Automation, CatchUp, CatchUpPolicy, LimitSpec, ON_FAILURE, Overlap};
pub use source::loader::{MAX_SCRIPT_BYTES, decode_script, leads_out};
pub use source::origin::{EXPRESSION, ImportSource, Origin, Source};
pub use source::parameters::{Kind, Parameter};
pub use source::parse::{declared_functions, is_incomplete, is_pure_expression, is_script};
pub use source::program::Program;
pub use source::trigger_spec::{HANDLER, Timing, TriggerSpec};
pub use writes::{retry_script::retry_script, undo_script::undo_script};
