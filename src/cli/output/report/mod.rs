//! The report of a run as a file: JSON, HTML.

pub(crate) mod chart;
pub(crate) mod html;
pub(crate) mod write;
