//! Automations and the daemon that serves them: fires, backlog, recovery, metrics.

mod accounts;
mod automations;
mod backlog;
mod clocks;
mod cron;
mod damage;
mod fires;
mod folder;
mod isolation;
pub(crate) mod metrics;
mod overlap;
pub(crate) mod proxy;
mod recovery;
mod reload_under_load;
mod schedule_simulation;
mod serve;
mod token_service;
