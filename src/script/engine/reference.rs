//! An engine with every function, for checks and the reference. Nothing runs on it.

use super::engine;
use crate::{
    base::{Cancel, Diagnostic},
    bulk::ProgressBoard,
    script::host::{
        catalog::{Function, functions},
        env::{NullOutput, RunEnv},
        error::NoClient,
    },
};
use rhai::Engine;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// Every function that there is, operators and getters left out.
pub(crate) fn known_functions() -> &'static [Function] {
    static KNOWN: OnceLock<Vec<Function>> = OnceLock::new();
    KNOWN.get_or_init(|| functions(&reference_engine()))
}

/// An engine with every function, to look names up in. Nothing runs on it.
pub(crate) fn reference_engine() -> Engine {
    // A handle is needed to be one; a runtime without threads costs nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let handle = match &runtime {
        Ok(runtime) => runtime.handle().clone(),
        Err(error) => unreachable!("a runtime without drivers asks nothing of the system: {error}"),
    };
    let no_client = Err(NoClient(Diagnostic::new("nothing is called while a script is checked")));
    let env = RunEnv::new(
        no_client,
        1,
        handle,
        Cancel::default(),
        BTreeMap::new(),
        Arc::new(ProgressBoard::default()),
        Arc::new(NullOutput),
    );
    engine::build(&Arc::new(env))
}
