//! The engine: its limits, its functions, and one run of a script on it.

use crate::script::{
    audience::{audience, terminals},
    functions::{callback, endpoint, length_limits, param, raw_api, sleep, time_and_text},
    host::{
        env::Env,
        error::{self, Trouble, explain},
        stdlib, value,
    },
    source::program::Program,
    writes::compensations,
};
use rhai::{
    AST, Dynamic, Engine, EvalAltResult, Module, Scope, Shared,
    packages::{Package, StandardPackage},
};
use std::sync::{Arc, LazyLock};

/// The stack of a script's thread. A level of calls takes up to 53 KB of it in a debug build, and
/// running out of it would end the process.
pub const STACK: usize = 32 << 20;

/// Levels of calls: a third of what the stack holds in a debug build.
const CALL_LEVELS: usize = 128;

/// Every limit is set here, since the engine's defaults differ between debug and release builds.
pub(crate) fn set_limits(engine: &mut Engine) {
    engine
        .set_max_call_levels(CALL_LEVELS)
        .set_max_expr_depths(128, 64)
        .set_max_functions(2_000)
        .set_max_variables(2_000)
        .set_max_modules(1_000)
        .set_max_strings_interned(1_024)
        // Work is bounded by the wish to stop, which `on_progress` sees in callbacks too.
        .set_max_operations(0)
        // A limit here would measure an array anew at every push.
        .set_max_string_size(0)
        .set_max_array_size(0)
        .set_max_map_size(0);
}

/// An engine with every function of ours.
pub(crate) fn build(env: &Arc<Env>) -> Engine {
    // The language's own functions are the same for all, and making them takes longer than all of ours.
    static STANDARD: LazyLock<Shared<Module>> = LazyLock::new(|| StandardPackage::new().as_shared_module());
    let mut engine = Engine::new_raw();
    engine.register_global_module(Shared::clone(&STANDARD));
    set_limits(&mut engine);
    let (print, debug) = (Arc::clone(&env.output), Arc::clone(&env.output));
    engine.on_print(move |text| print.print(text));
    engine.on_debug(move |text, source, position| {
        let at = position.line().map(|line| format!("{}:{line}: ", source.unwrap_or("script")));
        debug.debug(&format!("{}{text}", at.unwrap_or_default()));
    });
    let cancel = env.cancel.clone();
    engine.on_progress(move |_| cancel.is_cancelled().then_some(Dynamic::UNIT));
    error::register(&mut engine);
    value::register(&mut engine);
    endpoint::register(&mut engine, env);
    raw_api::register(&mut engine, env);
    audience::register(&mut engine, env);
    terminals::register(&mut engine);
    length_limits::register(&mut engine);
    compensations::register(&mut engine, env);
    callback::register(&mut engine, env);
    param::register(&mut engine, env);
    sleep::register(&mut engine, env);
    time_and_text::register(&mut engine, env);
    stdlib::register(&mut engine);
    engine
}

/// A script on its engine, ready to run.
pub struct Script {
    pub(crate) engine: Arc<Engine>,
    pub(crate) ast: AST,
    pub(crate) program: Arc<Program>,
}

impl Script {
    /// Joins a program, an engine and an environment.
    #[must_use]
    pub fn new(program: &Arc<Program>, env: &Arc<Env>) -> Self {
        let mut engine = build(env);
        engine.set_module_resolver(program.resolver());
        let engine = Arc::new(engine);
        let _ = env.engine.set(Arc::downgrade(&engine));
        Self { engine, ast: program.ast.clone(), program: Arc::clone(program) }
    }

    /// Runs the script on this thread, which must be its own and have a stack of [`STACK`] bytes.
    /// Gives the value of its last line as text, if it has one.
    ///
    /// # Errors
    /// When the script fails or is stopped.
    pub fn run(&self) -> Result<Option<String>, Trouble> {
        let result: Result<Dynamic, Box<EvalAltResult>> =
            self.engine.eval_ast_with_scope(&mut Scope::new(), &self.ast);
        match result {
            Ok(value) if value.is_unit() => Ok(None),
            Ok(value) => Ok(Some(show(&self.engine, value))),
            Err(error) => Err(explain(&error, &self.engine, &self.program)),
        }
    }
}

/// A value as `print` would show it.
pub(crate) fn show(engine: &Engine, value: Dynamic) -> String {
    let mut scope = Scope::new();
    scope.push("value", value);
    engine.eval_with_scope::<String>(&mut scope, "`${value}`").unwrap_or_default()
}
