//! The plain data of jobs, which every other folder of this floor stands on. Must never know what works on it.

pub(crate) mod batch;
pub(crate) mod change;
pub(crate) mod change_text;
pub(crate) mod counts;
pub(crate) mod cursor;
pub(crate) mod effect;
pub(crate) mod estimate;
pub(crate) mod failure;
pub(crate) mod job;
pub(crate) mod person;
pub(crate) mod source;
pub(crate) mod target;
