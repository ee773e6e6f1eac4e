//! One run of an automation, from its connected account to its outcome, on whichever thread or process executes it.

use super::{
    Execution, Outcome, RunConfig,
    account_choice::AccountChoice,
    bounded_output::BoundedOutput,
    record::{self, NewRun, RunOptions},
};
use crate::{
    base::{Cancel, Diagnostic, ProcessId},
    bulk::{Attempt, JournalError, Limits, ProgressBoard},
    client::{AccountKey, Client},
    host::Host,
    script::{ErrorKind, HandlerCall, HandlerResult, Output, Program, ScriptFailure},
    store::{RunState, StartedBy, Store, StoreError},
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use tokio::runtime::Runtime;

/// An account that a run can call, and what the run is recorded with.
pub struct ConnectedAccount {
    /// The configuration of the run.
    pub config: RunConfig,
    /// Which account it is, and at which address.
    pub options: RunOptions,
}

/// An account that was looked up.
pub struct ResolvedAccount {
    /// The client's key of it.
    pub key: AccountKey,
    /// How it was found.
    pub choice: AccountChoice,
}

/// Finds the accounts of the configuration; `None` is the account of the command.
pub trait Connector: Send + Sync {
    /// Looks up an account, without its AppSecret and without a call. One that is not configured has a key too, by its
    /// name; an error when the configuration can't be read.
    fn resolve(&self, account: Option<&str>) -> Result<ResolvedAccount, Diagnostic>;

    /// Connects an account, with a cancellation and an output of the run's own.
    fn connect(
        &self,
        account: Option<&str>,
        cancel: &Cancel,
        output: Arc<dyn Output>,
    ) -> Result<ConnectedAccount, Diagnostic>;
}

impl ConnectedAccount {
    /// The client's key of the account; empty if no account is configured.
    #[must_use]
    pub fn key(&self) -> &str {
        self.config.client.as_ref().map(Client::account_key).unwrap_or_default()
    }
}

/// A run that is ready to start.
pub struct HandlerRun {
    /// The script.
    pub program: Arc<Program>,
    /// What is called in it.
    pub call: HandlerCall,
    /// The account.
    pub connected: ConnectedAccount,
    /// Stops it at its next safe point.
    pub cancel: Cancel,
    /// The run's id, for what it prints; set once the run is recorded.
    pub run: Arc<OnceLock<String>>,
}

/// How the execution of a run came to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RunOutcome {
    /// It has ended, and its end is recorded.
    Ended(RunEnded),
    /// Its end is not in the store, for this reason: recovery decides.
    NotRecorded(String),
    /// It was not started: its process has ended before, in this way.
    NotStarted(String),
    /// Its process has died while it was running, in this way.
    Died(String),
}

/// What its fire needs to know of a run that has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunEnded {
    /// How it ended.
    pub state: RunState,
    /// What went wrong, on one line; empty if nothing did.
    pub why: String,
    /// What went wrong, as `on_failure` is given it.
    pub message: String,
    /// How many followers it has changed.
    pub changed: u64,
    /// Whether it was parked only because its attempt was fenced or its journal could not be written.
    pub lost_journal: bool,
}

impl RunEnded {
    fn new(outcome: &Outcome<HandlerResult>) -> Self {
        let why = outcome.trouble.as_ref().map(|trouble| trouble.diagnostic.one_line());
        let why = why.or(outcome.parked.as_ref().map(ToString::to_string)).unwrap_or_default();
        Self {
            state: outcome.report.state,
            message: outcome.report.error.clone().unwrap_or_else(|| why.clone()),
            why,
            changed: outcome.report.totals.changed,
            lost_journal: lost_journal(outcome.parked.as_ref()),
        }
    }
}

/// Whether a run was parked only because this process lost its journal: it slept or its clock jumped, so that another
/// process fenced it, or the store failed. What a store can't decode does not change by waiting.
fn lost_journal(parked: Option<&JournalError>) -> bool {
    match parked {
        Some(JournalError::Fenced) => true,
        Some(JournalError::Store(error)) => !matches!(error, StoreError::Decode { .. }),
        _ => false,
    }
}

/// Records a run that is about to start in the process `owner`.
pub(super) async fn begin(
    host: &Host,
    store: &Store,
    plan: &HandlerRun,
    owner: &ProcessId,
) -> Result<Option<Attempt>, StoreError> {
    let new = NewRun {
        source: &plan.program.source(),
        options: &plan.connected.options,
        account: plan.connected.key(),
        is_dry: false,
        undoes: None,
        started_by: StartedBy::Automation,
        owner,
    };
    record::begin(host, store, &new).await
}

/// Executes a recorded run to its end.
pub(super) fn execute(runtime: &Runtime, plan: HandlerRun, attempt: Attempt) -> RunOutcome {
    let HandlerRun { program, call, mut connected, .. } = plan;
    let client = connected.config.client.clone();
    let output = Arc::new(BoundedOutput::new(connected.config.output, &connected.config.secrets));
    connected.config.output = Arc::<BoundedOutput>::clone(&output);
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
    let outcome = run.run_handler(runtime, &program, &call);
    output.finish();
    if let Ok(client) = client {
        runtime.block_on(client.finish());
    }
    match outcome {
        Err(error) => RunOutcome::NotRecorded(format!("the store failed: {error}")),
        Ok(Outcome { end_not_recorded: Some(why), .. }) => {
            RunOutcome::NotRecorded(format!("its end is not recorded: {why}"))
        }
        Ok(Outcome { trouble: Some(ScriptFailure { kind: ErrorKind::NotStarted, diagnostic }), .. }) => {
            RunOutcome::NotStarted(diagnostic.one_line())
        }
        Ok(outcome) => RunOutcome::Ended(RunEnded::new(&outcome)),
    }
}
