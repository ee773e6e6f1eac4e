//! The limits of every engine: of the one that runs a script and of those that only parse.

use rhai::Engine;

/// Levels of calls: a third of what the stack holds in a debug build.
const CALL_LEVELS: usize = 128;

/// Levels of expressions and blocks at the top of a file: each operator of a chain is one.
pub(crate) const EXPRESSION_LEVELS: usize = 128;

/// The same in functions and closures.
pub(crate) const FUNCTION_LEVELS: usize = 64;

/// Every limit is set here, since the engine's defaults differ between debug and release builds.
pub(crate) fn set_limits(engine: &mut Engine) {
    engine
        .set_max_call_levels(CALL_LEVELS)
        .set_max_expr_depths(EXPRESSION_LEVELS, FUNCTION_LEVELS)
        .set_max_functions(2_000)
        .set_max_variables(2_000)
        .set_max_modules(1_000)
        .set_max_strings_interned(1_024)
        // Work is bounded by cancellation, which `on_progress` checks in callbacks too.
        .set_max_operations(0)
        // With a limit here the engine would measure the whole array at every push.
        .set_max_string_size(0)
        .set_max_array_size(0)
        .set_max_map_size(0);
}
