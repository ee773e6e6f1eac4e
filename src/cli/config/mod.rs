//! Where accounts, secrets and the store come from, and how a command connects to them.

pub(crate) mod callback;
pub(crate) mod connect;
pub(crate) mod file;
pub(crate) mod init;
pub(crate) mod secret;
pub(crate) mod show;
pub(crate) mod store;
