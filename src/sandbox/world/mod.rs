//! The state of the simulated account, and its switches and faults. Knows no endpoint's rules and no HTTP.

pub(crate) mod api_error;
pub(crate) mod call;
pub(crate) mod codes;
pub(crate) mod faults;
pub(crate) mod grants;
pub(crate) mod openid;
pub(crate) mod options;
pub(crate) mod quota;
pub(crate) mod rejected;
pub(crate) mod switches;
pub(crate) mod tokens;
pub(crate) mod world;
