//! A terminal operation on an audience, and its step in the run's journal: it runs, or is answered from the journal.

use super::{
    audience::Audience,
    execution::{JobExecution, PriorAttempt},
};
use crate::{
    api::Resend,
    bulk::{Change, EndReport, JournalError, Replay, Step},
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
    },
    store::{StoreError, TerminalKind},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A terminal operation on an audience, before it runs.
pub(crate) struct TerminalOp<'a> {
    pub audience: &'a Audience,
    pub kind: TerminalKind,
    /// What it is applied to: a tag's name, a file.
    pub target: Option<String>,
    /// The tag's id, if the script gave the tag by id.
    pub target_id: Option<i64>,
    /// Whether it needs the followers' details.
    pub needs_details: bool,
    /// What it changes, for the estimate: the id of a tag is not filled in.
    pub change: Option<Change>,
}

/// A terminal operation that runs, or one that an earlier attempt of the run has completed.
pub(crate) enum Opened {
    Run(Box<JobExecution>),
    Replayed(Completed),
}

/// What a completed terminal operation leaves in the journal.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Completed {
    pub report: Box<EndReport>,
    /// What it returned to the script, beside the report.
    pub value: Value,
}

/// What a failed one leaves.
#[derive(Serialize, Deserialize)]
struct Failed {
    error: ScriptError,
    /// Absent if it failed before it listed anything.
    #[serde(default)]
    report: Option<EndReport>,
}

impl<'a> TerminalOp<'a> {
    /// One that changes nothing and reads openids only.
    pub(crate) fn new(audience: &'a Audience, kind: TerminalKind) -> Self {
        Self { audience, kind, target: None, target_id: None, needs_details: false, change: None }
    }

    /// The same with the details of each follower.
    pub(crate) fn with_details(self) -> Self {
        Self { needs_details: true, ..self }
    }

    /// The same with a change to make.
    pub(crate) fn changing(self, change: Change) -> Self {
        Self { change: Some(change), ..self }
    }

    /// Starts to list, or gives the answer that the run's journal has.
    pub(crate) fn open(&self) -> ScriptResult<Opened> {
        let env = &self.audience.env;
        let journal = |error: JournalError| env.journal_error(&error);
        let target = self.target.as_ref().map(|target| format!("{target:?}")).unwrap_or_default();
        let label = format!("{}.{}({target})", self.audience.fingerprint(), self.kind.as_str());
        let (step, row) =
            match env.block_on(env.journal.begin(&label, Resend::Idempotent)).map_err(journal)? {
                Replay::Fresh(step, _) => (step, None),
                Replay::Incomplete(step, row) => {
                    let was_left = env.block_on(step.was_abandoned(&row)).map_err(journal)?;
                    if self.kind.is_loop() && was_left {
                        self.warn_of_variables("was left early");
                        return Ok(Opened::Replayed(Completed::default()));
                    }
                    env.block_on(step.reopen(&label)).map_err(journal)?;
                    (step, Some(row))
                }
                Replay::Completed(answer) => {
                    let completed: Completed =
                        decode(env, &label, "the answer of a terminal operation", answer)?;
                    env.board.end((*completed.report).clone());
                    if self.kind.is_loop() {
                        self.warn_of_variables("is already complete");
                    }
                    return Ok(Opened::Replayed(completed));
                }
                Replay::Failed(ended) => {
                    let failed: Failed = decode(env, &label, "the error of a terminal operation", ended)?;
                    if let Some(report) = failed.report {
                        env.board.end(report);
                    }
                    return Err(failed.error.raise());
                }
            };
        let prior = match row {
            Some(row) => PriorAttempt::from_row(&row).map_err(|error| journal(env.journal.park(error)))?,
            None => PriorAttempt::default(),
        };
        match JobExecution::start(self, step.clone(), prior) {
            Ok(job) => Ok(Opened::Run(Box::new(job))),
            Err(error) => {
                if let Some(error) = ScriptError::find_in(&error) {
                    let failed = json!(Failed { error, report: None });
                    env.block_on(step.failed(&failed)).map_err(journal)?;
                }
                Err(error)
            }
        }
    }

    /// Starts to list without a step in the journal, which the answer may be too large for.
    pub(crate) fn open_unrecorded(&self) -> ScriptResult<JobExecution> {
        JobExecution::start(self, Step::default(), PriorAttempt::default())
    }

    /// Warns that a loop does not start from its first follower.
    pub(crate) fn warn_of_variables(&self, why: &str) {
        let audience = self.audience;
        let text = format!(
            "warning: the loop over {audience} {why}: variables that it filled in an earlier attempt are empty"
        );
        audience.env.output.debug(&text);
    }
}

impl Completed {
    pub(crate) fn new(report: EndReport, value: Value) -> Self {
        Self { report: Box::new(report), value }
    }
}

/// What a failed operation leaves in the journal.
pub(crate) fn failure(error: ScriptError, report: EndReport) -> Value {
    json!(Failed { error, report: Some(report) })
}

/// Decodes what an earlier attempt recorded; if it can't be decoded the run is parked.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(
    env: &RunEnv,
    step: &str,
    expected: &str,
    recorded: Value,
) -> ScriptResult<T> {
    let found = recorded.to_string();
    serde_json::from_value(recorded).map_err(|error| {
        let error = StoreError::Decode {
            table: "mpscript_step",
            row: step.to_owned(),
            column: "answer",
            expected: expected.to_owned(),
            found: format!("{found} ({error})"),
        };
        env.journal_error(&env.journal.park(error.into()))
    })
}
