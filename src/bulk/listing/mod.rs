//! Lists of people: pages, details, membership, and lists that are longer than one call takes.

pub(crate) mod changed_by_step;
pub(crate) mod chunked;
pub(crate) mod details;
pub(crate) mod membership;
mod page_overlap;
pub(crate) mod reader;
