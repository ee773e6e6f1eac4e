//! The engine that runs a program, its handlers, and the lines of a session.

pub(crate) mod display;
pub(crate) mod engine;
pub(crate) mod handler;
pub(crate) mod session;
