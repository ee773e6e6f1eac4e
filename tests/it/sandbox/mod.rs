//! The sandbox as a platform: its rules, faults and answers, seen by a plain HTTP client.

mod authorize;
mod blacklist;
pub(crate) mod browser;
pub(crate) mod conformance;
mod control;
mod diagnostics;
mod errcodes;
mod faults;
mod oauth;
mod push;
mod qrcode;
mod quota;
mod switches;
mod tag;
mod tagging;
mod token;
mod user;
mod wire;
