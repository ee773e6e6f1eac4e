//! From a journal to an undo: what was changed, for whom, and what brings it back.

pub(crate) mod changed_openids;
pub(crate) mod plan;
