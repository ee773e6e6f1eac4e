//! A handler of an automation: what it is called with, and the call.

use super::{call_trigger::CallTrigger, engine::Script, explain::explain};
use crate::{
    base::EpochMs,
    script::host::{
        error::{ScriptError, ScriptFailure},
        value::{to_dynamic, to_json, to_text, unkeepable},
    },
};
use rhai::{CallFnOptions, Dynamic, EvalAltResult, Map, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map as Json, Value};

/// The most bytes of `ctx.state` as JSON: every run is given it.
const MAX_STATE: usize = 1 << 20;

/// A call of a handler with all its arguments. It is stored with the run, so that a resumed run gets the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandlerCall {
    /// The automation.
    pub automation: String,
    /// The function.
    pub handler: String,
    /// What started it.
    pub trigger: CallTrigger,
    /// The time of its fire.
    #[serde(rename = "scheduled_ms")]
    pub scheduled_at: EpochMs,
    /// The same as a text in the trigger's zone.
    pub scheduled: String,
    /// The parameters.
    #[serde(default, skip_serializing_if = "Json::is_empty")]
    pub params: Json<String, Value>,
    /// The state that earlier runs saved.
    #[serde(default, skip_serializing_if = "Json::is_empty")]
    pub state: Json<String, Value>,
    /// The failure, for the failure hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

/// What a handler returned, and the state that it saves for the next run.
#[derive(Clone, Debug, Default)]
pub struct HandlerResult {
    /// Its value as text, if it has one.
    pub value: Option<String>,
    /// `ctx.state` as it left it.
    pub state: Json<String, Value>,
}

impl HandlerCall {
    /// A call without parameters, state and failure.
    #[must_use]
    pub fn new(
        automation: &str,
        handler: &str,
        trigger: CallTrigger,
        scheduled_at: EpochMs,
        scheduled: String,
    ) -> Self {
        Self {
            automation: automation.to_owned(),
            handler: handler.to_owned(),
            trigger,
            scheduled_at,
            scheduled,
            params: Json::new(),
            state: Json::new(),
            error: None,
        }
    }
}

impl Script {
    /// Calls a handler on this thread, which must be its own and have a stack of [`crate::script::STACK`] bytes.
    ///
    /// # Errors
    /// When it fails or is stopped.
    pub fn call(&self, call: &HandlerCall, run: Option<&str>) -> Result<HandlerResult, ScriptFailure> {
        // Shared, so that what the handler writes into it is seen here.
        let state = to_dynamic(&Value::Object(call.state.clone())).into_shared();
        let mut ctx = Map::new();
        ctx.insert("run".into(), run.map_or(Dynamic::UNIT, |run| run.to_owned().into()));
        ctx.insert("automation".into(), call.automation.clone().into());
        ctx.insert("trigger".into(), call.trigger.to_string().into());
        ctx.insert("scheduled".into(), call.scheduled.clone().into());
        ctx.insert("scheduled_at".into(), call.scheduled_at.as_secs().into());
        ctx.insert("state".into(), state.clone());
        let second = match &call.error {
            Some(error) => to_dynamic(error),
            None => to_dynamic(&Value::Object(call.params.clone())),
        };
        let mut arguments = vec![ctx.into(), second];
        arguments.truncate(self.program.handler_parameters(&call.handler).unwrap_or_default());
        let options = CallFnOptions::new().eval_ast(true);
        let result: Result<Dynamic, Box<EvalAltResult>> =
            self.engine.call_fn_with_options(options, &mut Scope::new(), &self.ast, &call.handler, arguments);
        let value = self
            .env
            .unless_ending(result)
            .map_err(|error| explain(&error, &self.engine, &self.program, &self.env))?;
        let value = (!value.is_unit()).then(|| to_text(&self.engine, value));
        let state = kept(&state.flatten_clone())
            .map_err(|error| explain(&error.raise(), &self.engine, &self.program, &self.env))?;
        Ok(HandlerResult { value, state })
    }
}

/// What of `ctx.state` is saved for the next run: all of it, or an error.
fn kept(state: &Dynamic) -> Result<Json<String, Value>, ScriptError> {
    if let Some(reason) = unkeepable(state, "ctx.state") {
        let message = format!("{reason} and can't be kept: nothing of `ctx.state` was saved");
        let hint = "keep texts, numbers, true or false, arrays and maps; of a tag its `id`";
        return Err(ScriptError::usage(message, hint));
    }
    let state = match to_json(state) {
        Value::Object(state) => state,
        // `ctx.state = ()` clears it.
        Value::Null => Json::new(),
        other => {
            let message = format!("ctx.state is {other}, which is no map: nothing of it was saved");
            return Err(ScriptError::usage(message, "set its fields, as in `ctx.state.runs = 1`"));
        }
    };
    let size = Value::Object(state.clone()).to_string().len();
    if size > MAX_STATE {
        let message =
            format!("ctx.state is {size} bytes as JSON, and {MAX_STATE} are kept: nothing of it was saved");
        let hint = "keep what the next run needs, and write the rest to a file with write_csv";
        return Err(ScriptError::usage(message, hint));
    }
    Ok(state)
}
