//! Endpoints and server callbacks on paper: requests, answers and vectors that others published.

pub(crate) mod callback;
mod callback_message;
mod wire;
