//! What scripts call: a function for each endpoint, and the few that are no endpoints.

mod answers;
pub(crate) mod argument;
pub(crate) mod callback;
pub(crate) mod deep_values;
pub(crate) mod endpoint;
pub(crate) mod kinds;
pub(crate) mod length_limits;
pub(crate) mod list_closures;
pub(crate) mod oauth;
pub(crate) mod param;
pub(crate) mod raw_api;
pub(crate) mod signature;
pub(crate) mod sleep;
pub(crate) mod time_and_text;
