//! The store: one contract for each database, and stores that can't be written.

mod contract;
pub(crate) mod full_disk;
