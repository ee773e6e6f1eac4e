//! A terminal operation on an audience before it runs, and what it leaves in the run's journal.

use super::audience::Audience;
use crate::{
    bulk::{OperationReport, Target},
    script::host::error::ScriptError,
    store::TerminalKind,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A terminal operation on an audience, before it runs.
pub(crate) struct TerminalOp<'a> {
    pub audience: &'a Audience,
    pub kind: TerminalKind,
    /// What it is applied to.
    pub target: Option<Target>,
    /// Whether it needs the followers' details.
    pub needs_details: bool,
}

/// What a completed terminal operation leaves in the journal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Completed {
    pub report: Box<OperationReport>,
    /// What it returned to the script, beside the report.
    pub value: Value,
}

/// What a failed one leaves.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failed {
    pub error: ScriptError,
    /// Absent if it failed before it listed anything.
    #[serde(default)]
    pub report: Option<OperationReport>,
}

impl<'a> TerminalOp<'a> {
    /// One that reads openids only.
    pub(crate) fn new(audience: &'a Audience, kind: TerminalKind) -> Self {
        Self { audience, kind, target: None, needs_details: false }
    }

    /// The same with the details of each follower.
    pub(crate) fn with_details(self) -> Self {
        Self { needs_details: true, ..self }
    }

    /// Warns that a loop does not start from its first follower.
    pub(crate) fn warn_of_variables(&self, why: &str) {
        let audience = self.audience;
        let text = format!(
            "warning: the loop over {audience} {why}: variables that it filled in an earlier attempt are empty"
        );
        audience.env.io.output.debug(&text);
    }
}

impl Completed {
    pub(crate) fn new(report: OperationReport, value: Value) -> Self {
        Self { report: Box::new(report), value }
    }
}
