//! The progress of a run's jobs: the running one, and the reports of those that ended.

use super::report::OperationReport;
use crate::{base::lock, bulk::model::job::Job};
use std::sync::{Arc, Mutex};

/// The job that is running, and the reports of those that ended.
#[derive(Debug, Default)]
pub struct ProgressBoard {
    current: Mutex<Option<Arc<Job>>>,
    ended: Mutex<Vec<OperationReport>>,
    /// The undo steps that were skipped, in words.
    not_undone: Mutex<Vec<String>>,
}

impl ProgressBoard {
    /// A job begins.
    pub fn begin(&self, job: &Arc<Job>) {
        *lock(&self.current) = Some(Arc::clone(job));
    }

    /// The running job has ended.
    pub fn end(&self, report: OperationReport) {
        *lock(&self.current) = None;
        lock(&self.ended).push(report);
    }

    /// Reports an undo step that was skipped.
    pub fn skip_undo(&self, what: String) {
        lock(&self.not_undone).push(what);
    }

    /// The undo steps that were skipped.
    #[must_use]
    pub fn not_undone(&self) -> Vec<String> {
        lock(&self.not_undone).clone()
    }

    /// The running job.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Job>> {
        lock(&self.current).clone()
    }

    /// The reports of the jobs that ended, in order.
    #[must_use]
    pub fn ended(&self) -> Vec<OperationReport> {
        lock(&self.ended).clone()
    }
}
