//! The store: one contract for each database, stores that can't be written, damaged rows, and stores of an earlier version.

mod contract;
mod damage;
pub(crate) mod full_disk;
mod retention;
mod servers;
mod sources;
mod upgrade;
