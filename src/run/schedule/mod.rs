//! When a trigger is due: cron expressions, time zones, intervals, and which missed instants are caught up. Pure: no
//! clock, no store.

pub mod cron;
pub mod due;
mod foreign_cron;
mod schedule;
pub mod trigger;

pub use schedule::{Schedule, misleading_name, zone};
