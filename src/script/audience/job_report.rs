//! What a job did so far: counts, failures and calls, from which its report is made.

use crate::{
    bulk::{Counters, Failure, Job, OperationReport, RunState},
    client::{Client, SentCalls},
    script::host::env::RunEnv,
};
use std::{mem, sync::Arc};

/// The counts of a running job.
pub(crate) struct JobReport {
    pub job: Arc<Job>,
    /// Followers that could not be read or changed.
    pub failed: Vec<Failure>,
    calls_before: Vec<SentCalls>,
}

impl JobReport {
    /// Starts to count the calls of `client`; `failed` was recorded by an earlier attempt.
    pub(crate) fn new(job: Arc<Job>, failed: Vec<Failure>, client: &Client) -> Self {
        Self { job, failed, calls_before: client.tally().snapshot() }
    }

    pub(crate) fn count_matched(&self, count: usize) {
        Counters::add(&self.job.counts.matched, count);
    }

    /// Counts followers whose details were refused. Any of them may have matched, so they count as matched and failed.
    pub(crate) fn count_unreadable(&mut self, failed: Vec<Failure>) {
        self.count_matched(failed.len());
        Counters::add(&self.job.counts.failed, failed.len());
        self.failed.extend(failed);
    }

    /// Makes the report and posts it on the progress board.
    pub(crate) fn post(&mut self, env: &RunEnv, client: &Client, state: RunState) -> OperationReport {
        let sent = client.tally().since(&self.calls_before).into_iter();
        let calls = sent.map(|sent| (sent.spec.call(), sent.count)).collect();
        let failed = mem::take(&mut self.failed);
        let report = OperationReport::from_job(&self.job, state, env.policy.dry.is_some(), failed, calls);
        env.io.board.end(report.clone());
        report
    }
}
