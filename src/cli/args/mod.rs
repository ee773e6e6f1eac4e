//! What can be typed on the command line.

pub(crate) mod arguments;
pub(crate) mod automations;
