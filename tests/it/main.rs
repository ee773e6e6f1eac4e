//! The integration tests: one binary, so that it is linked once, and a folder for each part of the program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod api;
mod audience;
mod cli;
mod client;
mod daemon;
mod fixtures;
mod journal;
mod project;
mod repl;
mod sandbox;
mod script;
mod store;
