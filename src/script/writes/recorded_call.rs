//! A call's step of the journal: how replay reaches it, and how its outcome is recorded, for every function that writes by a
//! single call.

use crate::{
    api::Resend,
    bulk::{CommitAck, RecordedEffect, Replay, Step, StepIdentity, StepRow},
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
    },
    store::StoreError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What became of a call that was not refused, as the journal records it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum CallOutcome {
    /// It was made, and this is its answer.
    Made(Value),
    /// What it was to make was there already: another program made it first. This is what the account shows of it.
    Raced(Value),
}

impl CallOutcome {
    /// The answer, which the call's caller gets.
    pub(super) const fn answer(&self) -> &Value {
        match self {
            Self::Made(answer) | Self::Raced(answer) => answer,
        }
    }

    /// The answer alone.
    pub(super) fn into_answer(self) -> Value {
        match self {
            Self::Made(answer) | Self::Raced(answer) => answer,
        }
    }

    /// As the journal may hold it; see [`redact`].
    fn redacted(&self, env: &RunEnv) -> Self {
        match self {
            Self::Made(answer) => Self::Made(redact(env, answer)),
            Self::Raced(answer) => Self::Raced(redact(env, answer)),
        }
    }
}

/// Whether an answer has the shape that a call's caller needs.
pub(super) type Accepts<'a> = &'a dyn Fn(&Value) -> serde_json::Result<()>;

/// A call that the script has reached.
pub(super) enum ReachedCall {
    /// The journal has its outcome.
    Recorded(CallOutcome),
    /// It starts, once its entry is durable.
    Fresh(Step, CommitAck),
    /// An earlier attempt began it, and the script never got its outcome; with the effect that it recorded.
    Incomplete(Step, Box<StepRow>, Option<RecordedEffect>),
}

/// Begins the step of a call, or replays it. A recorded error is raised again.
pub(super) fn reach(
    env: &RunEnv,
    identity: &StepIdentity,
    resend: Resend,
    accepts: Accepts<'_>,
) -> ScriptResult<ReachedCall> {
    let begun = env.block_on(env.journal.begin(identity, resend));
    match begun.map_err(|error| env.journal_error(&error))? {
        Replay::Completed(recorded) => {
            let outcome: CallOutcome = env.decode(&recorded, "the outcome of a call, as JSON")?;
            accepts(outcome.answer()).map_err(|error| {
                let error = recorded.mismatch("the outcome of this call, as JSON", &error);
                env.journal_error(&env.journal.park(error.into()))
            })?;
            Ok(ReachedCall::Recorded(outcome))
        }
        Replay::Abandoned(row) => {
            let run = env.journal.run().unwrap_or_default();
            let error = StoreError::Decode {
                table: "mpscript_step",
                row: format!("{run}/{}", row.step),
                column: "kind",
                expected: "a loop, which alone can be left before its end".to_owned(),
                found: format!("`{}`", row.kind),
            };
            Err(env.journal_error(&env.journal.park(error.into())))
        }
        Replay::Failed(error) => {
            let error: ScriptError = env.decode(&error, "the error of a call, as JSON")?;
            Err(env.pause_on_quota(error).raise())
        }
        Replay::Fresh(step, durable) => Ok(ReachedCall::Fresh(step, durable)),
        Replay::Incomplete(step, row) => {
            // What is recorded is decoded before anything of it is overwritten.
            let effect = recorded_effect(env, &row)?;
            Ok(ReachedCall::Incomplete(step, row, effect))
        }
    }
}

/// The effect that an earlier attempt recorded of a call. One that can't be decoded parks the run.
pub(super) fn recorded_effect(env: &RunEnv, row: &StepRow) -> ScriptResult<Option<RecordedEffect>> {
    let run = env.journal.run().unwrap_or_default();
    RecordedEffect::read(run, row).map_err(|error| env.journal_error(&env.journal.park(error.into())))
}

/// Whether a call that is made may have been made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PriorCall {
    /// It was not, or what it did is seen on the account.
    Settled,
    /// An earlier attempt sent it, and recorded no outcome.
    InDoubt,
}

/// Records the outcome of a call. The error of one that an earlier attempt may have made leaves it in doubt.
pub(super) fn record(
    env: &RunEnv,
    step: &Step,
    outcome: &ScriptResult<CallOutcome>,
    prior: PriorCall,
) -> ScriptResult<()> {
    let written = env.block_on(async {
        match outcome {
            Ok(outcome) => step.done(&json!(outcome.redacted(env))).await?.wait().await,
            Err(error) => match ScriptError::find_in(error) {
                Some(error) => {
                    let in_doubt = error.in_doubt || prior == PriorCall::InDoubt;
                    let error = ScriptError { in_doubt, ..error };
                    step.failed(&redact(env, &error.bounded(&env.io.secrets).to_json())).await.map(drop)
                }
                None => Ok(()),
            },
        }
    });
    written.map_err(|error| env.journal_error(&error))
}

/// A request or an answer as the journal may hold it: `***` replaces every field that is named a token or a secret, and
/// every known secret in a text. A replayed call answers with the `***`.
pub(super) fn redact(env: &RunEnv, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let is_secret = ["token", "secret"].iter().any(|word| name.to_lowercase().contains(word));
                let kept = match value {
                    Value::String(_) if is_secret => json!("***"),
                    value => redact(env, value),
                };
                (name.clone(), kept)
            });
            Value::Object(fields.collect())
        }
        Value::Array(entries) => entries.iter().map(|entry| redact(env, entry)).collect(),
        Value::String(text) => json!(env.io.secrets.mask(text)),
        _ => value.clone(),
    }
}
