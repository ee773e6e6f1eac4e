//! Opens a terminal operation: its step in the run's journal says whether it runs or is replayed.

use super::{
    execution::{JobExecution, PriorAttempt},
    terminal_op::{Completed, Failed, TerminalOp},
};
use crate::{
    api::Resend,
    bulk::{JournalError, OperationReport, RecordedJson, Replay, RunState, Step, StepIdentity},
    script::host::error::{ScriptError, ScriptResult},
    store::StepKind,
};
use serde_json::json;

/// What a terminal operation that is not run again gives the script.
pub(crate) struct ReplayedOp {
    pub report: Box<OperationReport>,
    /// What it returned beside the report; absent if it was left early.
    pub value: Option<RecordedJson>,
}

/// A terminal operation that runs, or one that an earlier attempt of the run has completed.
pub(crate) enum Opened {
    Run(Box<JobExecution>),
    Replayed(ReplayedOp),
}

impl TerminalOp<'_> {
    /// Starts to list, or gives the answer that the run's journal has.
    pub(crate) fn open(&self) -> ScriptResult<Opened> {
        let env = &self.audience.env;
        let journal = |error: JournalError| env.journal_error(&error);
        let target =
            self.target.as_ref().map(|target| format!("{:?}", target.to_string())).unwrap_or_default();
        // It is durable: see `StepIdentity::new`.
        let durable_text = format!("{}.{}({target})", self.audience.durable_text(), self.kind);
        env.refuse_secret(self.kind.as_str(), &durable_text)?;
        let label = format!("{}.{}({target})", self.audience, self.kind);
        let identity = StepIdentity::new(StepKind::Terminal(self.kind), &durable_text, label);
        let identity = identity.on(self.target.clone());
        let (step, row) =
            match env.block_on(env.journal.begin(&identity, Resend::Idempotent)).map_err(journal)? {
                Replay::Fresh(step, _) => (step, None),
                Replay::Abandoned(_) => {
                    self.warn_of_variables("was left early");
                    let report = Box::new(OperationReport::empty(self.kind, RunState::Done));
                    return Ok(Opened::Replayed(ReplayedOp { report, value: None }));
                }
                Replay::Incomplete(step, row) => (step, Some(row)),
                Replay::Completed(answer) => {
                    let Completed { report, value } =
                        env.decode(&answer, "the answer of a terminal operation, as JSON")?;
                    env.io.board.end((*report).clone());
                    if self.kind.is_loop() {
                        self.warn_of_variables("is already complete");
                    }
                    return Ok(Opened::Replayed(ReplayedOp { report, value: Some(answer.part(&value)) }));
                }
                Replay::Failed(ended) => {
                    let failed: Failed = env.decode(&ended, "the error of a terminal operation, as JSON")?;
                    if let Some(report) = failed.report {
                        env.io.board.end(report);
                    }
                    return Err(env.pause_on_quota(failed.error).raise());
                }
            };
        let prior = match row {
            Some(row) => {
                let run = env.journal.run().unwrap_or_default();
                // What is recorded is decoded before anything of it is overwritten.
                let job = self.audience.checkpointed_job();
                let prior = PriorAttempt::from_row(run, &row, &job).map_err(journal)?;
                env.block_on(step.reopen()).map_err(journal)?;
                prior
            }
            None => PriorAttempt::default(),
        };
        match JobExecution::start(self, step.clone(), prior) {
            Ok(job) => Ok(Opened::Run(Box::new(job))),
            Err(error) => {
                if let Some(error) = ScriptError::find_in(&error) {
                    let error = error.bounded(&env.io.secrets);
                    let failed = json!(Failed { error, report: None });
                    env.block_on(step.failed(&failed)).map_err(journal)?;
                }
                Err(error)
            }
        }
    }

    /// Opens a terminal operation without a step of its own: its result may be too large for the journal.
    pub(crate) fn open_unrecorded(&self) -> ScriptResult<JobExecution> {
        JobExecution::start(self, Step::default(), PriorAttempt::default())
    }
}
