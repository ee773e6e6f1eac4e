//! The engine: its limits, its functions, and one run of a script on it.

use super::{explain::explain, variables::watch_variables};
use crate::script::{
    audience::{audience, terminals},
    functions::{
        callback, deep_values, endpoint, length_limits, list_closures, param, raw_api, sleep, time_and_text,
    },
    host::{
        env::RunEnv,
        error::{self, ScriptFailure},
        limits::set_limits,
        stdlib,
        value::{self, to_text},
    },
    source::{parse_trace::ParseTrace, program::Program},
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

/// How many operations of a script lie between two calls of `while_computing`: some milliseconds.
const OPERATIONS_PER_LOOK: u64 = 1 << 16;

/// An engine with every function of ours.
pub(crate) fn build(env: &Arc<RunEnv>) -> Engine {
    // The language's own functions are the same for all, and making them takes longer than all of ours.
    static STANDARD: LazyLock<Shared<Module>> = LazyLock::new(|| StandardPackage::new().as_shared_module());
    let mut engine = Engine::new_raw();
    engine.register_global_module(Shared::clone(&STANDARD));
    set_limits(&mut engine);
    ParseTrace::record(&mut engine);
    let (print, debug) = (Arc::clone(&env.io.output), Arc::clone(&env.io.output));
    engine.on_print(move |text| print.print(text));
    engine.on_debug(move |text, source, position| {
        let at = position.line().map(|line| format!("{}:{line}: ", source.unwrap_or("script")));
        debug.debug(&format!("{}{text}", at.unwrap_or_default()));
    });
    let interrupted = Arc::clone(env);
    engine.on_progress(move |operations| {
        if operations.is_multiple_of(OPERATIONS_PER_LOOK)
            && let Some(look) = interrupted.io.while_computing
        {
            look();
        }
        interrupted.interruption()
    });
    error::register(&mut engine);
    value::register(&mut engine, env.io.setting_names);
    endpoint::register(&mut engine, env);
    raw_api::register(&mut engine, env);
    audience::register(&mut engine, env);
    terminals::register(&mut engine);
    length_limits::register(&mut engine);
    list_closures::register(&mut engine);
    deep_values::register(&mut engine);
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
    pub(crate) env: Arc<RunEnv>,
}

impl Script {
    /// Joins a program, an engine and an environment.
    #[must_use]
    pub fn new(program: &Arc<Program>, env: &Arc<RunEnv>) -> Self {
        let mut engine = build(env);
        engine.set_module_resolver(program.resolver());
        watch_variables(&mut engine, program.asts());
        let engine = Arc::new(engine);
        let _ = env.engine.set(Arc::downgrade(&engine));
        Self { engine, ast: program.ast.clone(), program: Arc::clone(program), env: Arc::clone(env) }
    }

    /// Runs the script on this thread, which must be its own and have a stack of [`STACK`] bytes.
    /// Gives the value of its last line as text, if it has one.
    ///
    /// # Errors
    /// When the script fails or is stopped.
    pub fn run(&self) -> Result<Option<String>, ScriptFailure> {
        let result: Result<Dynamic, Box<EvalAltResult>> =
            self.engine.eval_ast_with_scope(&mut Scope::new(), &self.ast);
        match self.env.unless_ending(result) {
            Ok(value) if value.is_unit() => Ok(None),
            Ok(value) => Ok(Some(to_text(&self.engine, value))),
            Err(error) => Err(explain(&error, &self.engine, &self.program, &self.env)),
        }
    }
}
