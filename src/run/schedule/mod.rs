//! When a trigger is due: cron fields, zones, intervals, and what becomes of instants that were missed. Pure: no
//! clock, no store.

pub mod cron;
pub mod due;
mod schedule;
pub mod trigger;

pub use schedule::{Schedule, zone};
