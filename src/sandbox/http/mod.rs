//! The sandbox over HTTP: server, routes, the control API, the authorize page, pushes.

pub(crate) mod authorize;
pub(crate) mod control;
pub(crate) mod push;
pub(crate) mod route;
pub(crate) mod server;
pub(crate) mod shared;
