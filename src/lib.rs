//! mpscript: a scriptable automation runtime for WeChat Official Accounts (微信公众号).
//!
//! The folders are floors, listed here from the lowest to the highest; a module imports only
//! lower floors. ARCHITECTURE.md tells what each one is for and what it must never know.

pub mod base;
pub mod host;

pub mod api;

pub mod store;

pub mod client;
pub mod sandbox;

pub mod bulk;

pub mod script;

pub mod run;

pub mod cli;
