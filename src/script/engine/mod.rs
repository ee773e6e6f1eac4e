//! The engine that runs a program, its handlers, and the lines of a session.

pub(crate) mod call_trigger;
pub(crate) mod display;
pub(crate) mod engine;
pub(crate) mod explain;
pub(crate) mod handler;
pub(crate) mod reference;
pub(crate) mod session;
mod variables;
