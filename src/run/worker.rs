//! One run of an automation on a thread of its own, from its surroundings to what it came to.

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

/// Tells whoever waits between two steps that there is something to do.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// What a run is surrounded by, and what it is recorded with.
pub struct ConnectedAccount {
    /// What surrounds it.
    pub config: RunConfig,
    /// Which account it is, and where.
    pub options: RunOptions,
}

/// Makes the surroundings of a run on an account of the configuration, with a wish to stop and a place for words of its
/// own.
pub type Connector =
    Arc<dyn Fn(Option<&str>, &Cancel, Arc<dyn Output>) -> Result<ConnectedAccount, Diagnostic> + Send + Sync>;

/// A run that is to be made.
pub(super) struct HandlerRun {
    pub program: Arc<Program>,
    pub call: HandlerCall,
    pub connected: ConnectedAccount,
    pub cancel: Cancel,
    /// The run's name, once it has one, for what it prints.
    pub run: Arc<OnceLock<String>>,
}

/// What became of a run.
pub(super) struct RunFinished {
    pub run: String,
    pub call: HandlerCall,
    pub outcome: Result<Outcome<HandlerResult>, StoreError>,
}

/// Records a run that starts_at.
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

/// Starts a recorded run; what becomes of it is told through `ended`.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(
    runtime: &Arc<Runtime>,
    plan: HandlerRun,
    attempt: Attempt,
    ended: &Sender<RunFinished>,
    wake: &Waker,
) -> std::io::Result<JoinHandle<()>> {
    let (runtime, ended, wake) = (Arc::clone(runtime), ended.clone(), Arc::clone(wake));
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
            // Nobody is there to go on with it: it waits for the next day's quota itself.
            may_wait: true,
            // Who hears of a failure was given what was kept long before.
            saves_state: call.error.is_none(),
            board: Arc::new(ProgressBoard::default()),
        };
        let outcome = run.run_handler(&runtime, &program, &call);
        if let Ok(client) = client {
            runtime.block_on(client.finish());
        }
        // Nobody listens any more once the daemon has stopped.
        let _ = ended.send(RunFinished { run: id, call, outcome });
        wake();
    };
    thread::Builder::new().name("run".to_owned()).spawn(body)
}
