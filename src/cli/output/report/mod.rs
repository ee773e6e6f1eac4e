//! The report of a run as a file: JSON, a table, or a page.

mod about;
mod chart;
mod html;
mod write;

pub(crate) use about::About;
pub(crate) use write::{check_report, write_report};
