//! One run of an automation on a thread of its own, from its connected account to its outcome.

use super::{
    Execution, Outcome, RunConfig,
    record::{self, NewRun, RunOptions},
};
use crate::{
    base::{Cancel, Diagnostic},
    bulk::{Attempt, Limits, ProgressBoard},
    client::Client,
    host::Host,
    script::{HandlerCall, HandlerResult, Output, Program},
    store::{Store, StoreError},
};
use std::{
    sync::{Arc, OnceLock, mpsc::Sender},
    thread::{self, JoinHandle},
};
use tokio::runtime::Runtime;

/// Wakes the thread that waits between two steps.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// An account that a run can call, and what the run is recorded with.
pub struct ConnectedAccount {
    /// The configuration of the run.
    pub config: RunConfig,
    /// Which account it is, and at which address.
    pub options: RunOptions,
}

/// Connects an account of the configuration, with a cancellation and an output of the run's own.
pub type Connector =
    Arc<dyn Fn(Option<&str>, &Cancel, Arc<dyn Output>) -> Result<ConnectedAccount, Diagnostic> + Send + Sync>;

/// A run that is ready to start.
pub(super) struct HandlerRun {
    pub program: Arc<Program>,
    pub call: HandlerCall,
    pub connected: ConnectedAccount,
    pub cancel: Cancel,
    /// The run's id, for what it prints; set once the run is recorded.
    pub run: Arc<OnceLock<String>>,
}

/// A run that has ended.
pub(super) struct RunFinished {
    pub run: String,
    pub call: HandlerCall,
    pub outcome: Result<Outcome<HandlerResult>, StoreError>,
}

/// Records a run that is about to start.
pub(super) async fn begin(
    host: &Host,
    store: &Store,
    plan: &HandlerRun,
) -> Result<Option<Attempt>, StoreError> {
    let account = plan.connected.config.client.as_ref().map(Client::account_key).unwrap_or_default();
    let new = NewRun {
        source: &plan.program.source(),
        options: &plan.connected.options,
        account,
        is_dry: false,
        undoes: None,
    };
    record::begin(host, store, &new).await
}

/// Starts a recorded run on a thread, which sends its outcome through `finished`.
pub(super) fn start(
    runtime: &Arc<Runtime>,
    plan: HandlerRun,
    attempt: Attempt,
    finished: &Sender<RunFinished>,
    waker: &Waker,
) -> std::io::Result<JoinHandle<()>> {
    let (runtime, finished, waker) = (Arc::clone(runtime), finished.clone(), Arc::clone(waker));
    let id = attempt.run.clone();
    let body = move || {
        let HandlerRun { program, call, connected, .. } = plan;
        let client = connected.config.client.clone();
        let limits = Limits::new(connected.options.max_changes, connected.options.max_errors);
        let run = Execution {
            config: connected.config,
            limits,
            attempt: Some(attempt),
            dry: None,
            // Unattended: it waits for the next day's quota instead of ending.
            may_wait: true,
            // `on_failure` may run beside a later run: saving the state that it was given would overwrite that run's.
            saves_state: call.error.is_none(),
            board: Arc::new(ProgressBoard::default()),
        };
        let outcome = run.run_handler(&runtime, &program, &call);
        if let Ok(client) = client {
            runtime.block_on(client.finish());
        }
        // The receiver is dropped when the daemon has stopped.
        let _ = finished.send(RunFinished { run: id, call, outcome });
        waker();
    };
    thread::Builder::new().name("run".to_owned()).spawn(body)
}
