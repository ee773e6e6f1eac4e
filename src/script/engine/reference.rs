//! An engine with every function, for checks and the reference. Nothing runs on it.

use super::engine;
use crate::{
    base::{Cancel, Clock, Diagnostic, Redactor, SettingNames},
    bulk::{Journal, ProgressBoard},
    script::host::{
        catalog::{Function, functions},
        env::{Calls, NullOutput, RunEnv, ScriptIo, WritePolicy},
        error::NoClient,
        file::FileAccess,
    },
};
use rhai::Engine;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

/// Every function that there is, operators and getters left out.
pub(crate) fn known_functions() -> &'static [Function] {
    static KNOWN: OnceLock<Vec<Function>> = OnceLock::new();
    KNOWN.get_or_init(|| functions(&reference_engine()))
}

/// An engine with every function, to look names up in. Nothing runs on it.
pub(crate) fn reference_engine() -> Engine {
    // The environment needs a handle; a runtime without threads costs nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let handle = match &runtime {
        Ok(runtime) => runtime.handle().clone(),
        Err(error) => unreachable!("a runtime without drivers asks nothing of the system: {error}"),
    };
    let no_client = Err(NoClient(Diagnostic::new("nothing is called while a script is checked")));
    let calls =
        Calls { client: no_client, in_flight: 1, runtime: handle, cancel: Cancel::default(), callback: None };
    let io = ScriptIo {
        params: BTreeMap::new(),
        board: Arc::new(ProgressBoard::default()),
        output: Arc::new(NullOutput),
        files: FileAccess::default(),
        scratch_folder: PathBuf::from("."),
        secrets: Redactor::default(),
        clock: Clock::system(),
        setting_names: SettingNames::default(),
        while_computing: None,
    };
    let env = RunEnv::new(calls, Journal::default(), None, WritePolicy::default(), io);
    engine::build(&Arc::new(env))
}
