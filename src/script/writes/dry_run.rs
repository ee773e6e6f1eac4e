//! Rehearsal of a single call: a dry run answers it in place of the platform.

use crate::{
    api::{Spec, Violation, errcode},
    bulk::{DryRun, RehearseError, WriteCall},
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
    },
};
use serde_json::Value;

/// Rehearses a call: returns what the platform would answer, and counts the requests that a real run would make.
pub(crate) fn rehearse(env: &RunEnv, dry_run: &DryRun, call: &dyn WriteCall) -> ScriptResult<Value> {
    let account = env.observer()?;
    let answer = env.block_on(call.rehearse(&account, dry_run)).map_err(|error| match error {
        RehearseError::Refused(violation) => refused(call.spec(), violation).raise(),
        RehearseError::Observe(error) => env.observe_error(&error).raise(),
    })?;
    dry_run.would_call(call.spec(), u64::try_from(call.requests()).unwrap_or(u64::MAX));
    Ok(answer)
}

/// A refusal as it is reported when the platform has refused the call.
fn refused(spec: &Spec, violation: Violation) -> ScriptError {
    let code = violation.errcode();
    let errmsg = errcode::text(code).to_owned();
    let meaning = errcode::meaning(code).map(|meaning| format!(" ({})", meaning.zh)).unwrap_or_default();
    let message = format!("{} would be refused: {code} {errmsg}{meaning}", spec.name);
    let hint = "this is a dry run: the platform was not asked, but would answer so";
    ScriptError {
        errcode: Some(code),
        errmsg,
        endpoint: spec.name.to_owned(),
        ..ScriptError::usage(message, hint)
    }
}
