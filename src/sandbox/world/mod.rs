//! The state of the simulated account, and its switches and faults.

pub(crate) mod api_error;
pub(crate) mod faults;
pub(crate) mod openid;
pub(crate) mod options;
pub(crate) mod switches;
pub(crate) mod world;
