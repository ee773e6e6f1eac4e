//! The journal of a run: resume, undo, and recovery from crashes.

mod crash_recovery;
mod damage;
mod fingerprints;
pub(crate) mod resume;
mod resume_divergence;
pub(crate) mod undo;
mod undo_dry_run;
mod undo_in_doubt;
