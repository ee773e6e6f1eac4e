//! The integration tests: one binary, one module for each thing that is held to its documents.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod house;
mod readme;
mod sandbox_authorize;
mod sandbox_blacklist;
mod sandbox_control;
mod sandbox_faults;
mod sandbox_oauth;
mod sandbox_quota;
mod sandbox_switches;
mod sandbox_tag;
mod sandbox_tagging;
mod sandbox_token;
mod sandbox_user;
mod sandbox_wire;
mod support;
mod wire;
