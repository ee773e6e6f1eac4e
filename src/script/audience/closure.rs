//! A closure that an audience's stage or terminal operation calls for each follower.

#![allow(
    deprecated,
    reason = "rhai marks its stored contexts so for being low-level; its exact version is pinned"
)]

use crate::{
    base,
    script::{
        check::comparisons::never_true,
        host::{
            env::RunEnv,
            error::{ScriptError, ScriptResult},
        },
        source::closures::{definition, expect_parameters, keep_values},
    },
};
use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext, NativeCallContextStore};
use std::sync::Arc;

/// A script's closure with its call context, so that the imports and constants that it uses are still in scope when it
/// is called after the function that it was passed to has returned.
#[derive(Clone)]
pub(crate) struct Closure {
    function: FnPtr,
    call_context: Arc<NativeCallContextStore>,
}

impl Closure {
    /// The closure of a terminal operation, which runs at once: it shares its variables with the code around it.
    pub(crate) fn new(context: &NativeCallContext, function: FnPtr) -> ScriptResult<Self> {
        expect_parameters(context, &function, 1)?;
        let definition = definition(context.namespaces(), &function, 1);
        if let Some(never) = definition.and_then(|definition| never_true(definition, function.curry())) {
            return Err(ScriptError::usage(never.message, never.hint).raise());
        }
        Ok(Self { function, call_context: Arc::new(context.store_data()) })
    }

    /// The closure of a stage, which runs later: it keeps the values that it reads as they are now.
    pub(crate) fn of_stage(context: &NativeCallContext, function: &FnPtr) -> ScriptResult<Self> {
        Self::new(context, keep_values(context.namespaces(), function))
    }

    /// A digest of the plain values that the closure captured; empty if there are none.
    pub(super) fn capture_fingerprint(&self) -> String {
        let values = self.function.curry().iter().map(Dynamic::flatten_clone);
        let plain = values.filter(|value| value.is_string() || value.is_int() || value.is_bool());
        let texts: Vec<String> = plain.map(|value| value.to_string()).collect();
        if texts.is_empty() {
            String::new()
        } else {
            format!(" #{}", base::fingerprint(texts.iter().map(String::as_str)))
        }
    }

    /// Calls the closure, on the script's thread.
    pub(crate) fn call(&self, env: &RunEnv, argument: Dynamic) -> Result<Dynamic, Box<EvalAltResult>> {
        let engine = env.engine.get().and_then(std::sync::Weak::upgrade);
        let Some(engine) = engine else {
            return Err(ScriptError::usage("a closure was called after its script had ended", "").raise());
        };
        let context = self.call_context.create_context(&engine);
        self.function.call_within_context(&context, (argument,))
    }
}
