//! The hook that the engine calls for each access to a variable: closures get cells of their own for variables of loops, and
//! a variable that grows is bounded.

use crate::script::{
    functions::length_limits::{is_of_limited_size, is_within_limit},
    host::error::ScriptResult,
    source::{
        closures::LoopVariables,
        growth::{GrowingVariables, Growth},
    },
};
use rhai::{AST, Engine, Scope};

/// Registers the hook, if one of these scripts needs it: it costs each access to a variable some nanoseconds.
#[allow(
    deprecated,
    reason = "rhai marks its variable resolver so for being volatile; its exact version is pinned"
)]
pub(super) fn watch_variables<'a>(engine: &mut Engine, asts: impl Iterator<Item = &'a AST> + Clone) {
    let loops = LoopVariables::of(asts.clone());
    let growing = GrowingVariables::of(asts);
    if loops.is_empty() && growing.is_empty() {
        return;
    }
    engine.on_var(move |name, _, mut context| {
        let scope = context.scope_mut();
        if let Some(growth) = growing.growth(name) {
            bound(name, growth, scope)?;
        }
        Ok(loops.own_cell(name, scope))
    });
}

/// Ends the script before a variable that is past the limit grows on. What was added last is past it already, so a value
/// gets to at most twice the limit.
fn bound(name: &str, growth: Growth, scope: &mut Scope) -> ScriptResult<()> {
    let Some(value) = scope.get_mut(name) else { return Ok(()) };
    match growth {
        Growth::InLength => is_within_limit(value),
        Growth::InSize => is_of_limited_size(value),
    }
}
