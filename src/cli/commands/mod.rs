//! One file a command.

pub(crate) mod automations;
pub(crate) mod check;
pub(crate) mod docs;
pub(crate) mod doctor;
pub(crate) mod quota;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod token_serve;
pub(crate) mod undo;
pub(crate) mod watch;
