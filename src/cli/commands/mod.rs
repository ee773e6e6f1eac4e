//! One file a command, and beside them what several commands share: `automation_folder`, `configured_accounts`, `confirm`,
//! `recorded` and `run_recorded`.

mod automation_folder;
mod configured_accounts;
mod recorded;
mod run_recorded;
mod served_account;
mod token_serve;

pub(crate) mod check;
pub(crate) mod confirm;
pub(crate) mod docs;
pub(crate) mod doctor;
pub(crate) mod failed;
pub(crate) mod ls;
pub(crate) mod next;
pub(crate) mod pause;
pub(crate) mod quota;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod stop;
pub(crate) mod token;
pub(crate) mod undo;
pub(crate) mod watch;
pub(crate) mod why;
pub(crate) mod worker;
