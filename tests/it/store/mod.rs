//! The store: one contract for each database, stores that can't be written, and stores of an earlier version.

mod contract;
pub(crate) mod full_disk;
mod upgrade;
