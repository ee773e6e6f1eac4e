//! Connects, records a run, executes it and shows its outcome: what `run`, `resume`, `undo` and `failed` share.

use super::confirm::confirm_production;
use crate::{
    base::{Cancel, EpochMs},
    bulk::{Attempt, Limits, ProgressBoard, Resolution, RunReport},
    cli::{
        args::{RunFlags, TargetArgs},
        config::{Access, ClientOptions, Connection, connect, file_access, purge_old_runs},
        failure::usage_error,
        output::{About, Console, Progress, ProgressMode, check_report, exit, show_outcome, write_report},
        runtime::start_runtime,
        signals,
    },
    client::{AccountKey, Client},
    host::Host,
    run::{
        Execution, MemoryLimit, Outcome, RunConfig, automation_state,
        record::{self, NewRun, RunOptions},
    },
    script::Program,
    store::{AutomationId, RunRecord, RunState, StartedBy, Store},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::runtime::Runtime;

/// A run that is going to be made.
pub(super) struct RunPlan<'a> {
    pub program: Arc<Program>,
    pub options: RunOptions,
    pub flags: &'a RunFlags,
    pub target: &'a TargetArgs,
    pub is_dry: bool,
    pub purpose: Purpose<'a>,
}

/// What a run is for, and the recorded run that it refers to.
pub(super) enum Purpose<'a> {
    New,
    Undo {
        run: &'a RunRecord,
    },
    /// Retries a part of that run.
    Retry {
        run: &'a RunRecord,
    },
    /// `resolution` is what the person says about the call that is in doubt.
    Resume {
        run: &'a RunRecord,
        resolution: Option<Resolution>,
    },
}

impl Purpose<'_> {
    /// The recorded run that it refers to.
    fn run(&self) -> Option<&RunRecord> {
        match self {
            Self::New => None,
            Self::Undo { run } | Self::Retry { run } | Self::Resume { run, .. } => Some(run),
        }
    }

    /// The start of the run that it resumes.
    fn first_started_at(&self) -> Option<EpochMs> {
        match self {
            Self::Resume { run, .. } => Some(run.started_at),
            _ => None,
        }
    }
}

/// Makes a run, and gives the command's exit code.
pub(super) fn run_recorded(host: &Host, mut plan: RunPlan) -> anyhow::Result<u8> {
    if let Some(path) = &plan.flags.report {
        // A report that can't be written is an error before the first call, not after the last.
        check_report(host, &file_access(host, plan.target)?, path)?;
    }
    let runtime = start_runtime()?;
    #[cfg(debug_assertions)]
    if let Some(point) = host.variable("MPSCRIPT_FAIL_POINT") {
        crate::bulk::arm(point);
    }
    let prepared = PreparedRun::connect(host, &runtime, &plan)?;
    prepared.load_state(&mut plan)?;
    let about = prepared.about(&plan);
    let attempt = prepared.record(&plan)?;
    prepared.begin_report(&plan)?;
    let outcome = prepared.run(&plan, attempt)?;
    let mut code = show_outcome(host, plan.flags, &plan.options, &outcome, &about)?;
    purge_old_runs(host, &runtime, plan.target, prepared.store.as_ref());
    // That the end could not be recorded was reported when it happened.
    if outcome.end_not_recorded.is_some() && code == exit::DONE {
        code = exit::SCRIPT;
    }
    drop((about, prepared));
    // Requests whose answers are no longer needed end with the process.
    runtime.shutdown_background();
    Ok(code)
}

/// A run that is connected, with everything that it needs to be executed.
struct PreparedRun<'a> {
    host: &'a Host,
    runtime: &'a Runtime,
    console: Arc<Console>,
    cancel: Cancel,
    connection: Connection,
    /// Whether calls wait for the next day when the day's quota is used up.
    may_wait: bool,
    /// Where the run is recorded.
    store: Option<Store>,
    /// Where an automation's state is kept. A run on its own sandbox neither reads nor changes it.
    store_of_state: Option<Store>,
}

impl<'a> PreparedRun<'a> {
    fn connect(host: &'a Host, runtime: &'a Runtime, plan: &RunPlan) -> anyhow::Result<Self> {
        let cancel = Cancel::default();
        let console = Console::new(host, progress_mode(host, plan.flags));
        let stopping = Arc::clone(&console);
        signals::watch(runtime, &cancel, move || stopping.show_stopping());
        // A dry run can't be resumed, and has nothing to wait for.
        let may_wait = !plan.is_dry && (plan.options.allow_pause || plan.flags.allow_pause);
        let options =
            ClientOptions { in_flight: plan.options.in_flight, waits_for_reset: may_wait, store: None };
        let connection = connect(host, runtime, plan.target, Access::Call, options, &cancel)?;
        let store = connection.store_of_runs(host, runtime, plan.target);
        let store_of_state = store.clone().filter(|_| !plan.target.sandbox);
        Ok(Self { host, runtime, console, cancel, connection, may_wait, store, store_of_state })
    }

    /// Writes the report of a run that has not ended: a process that is killed leaves this one, not that of an earlier run.
    fn begin_report(&self, plan: &RunPlan) -> anyhow::Result<()> {
        let Some(path) = &plan.flags.report else { return Ok(()) };
        let begun = RunReport::from_operations(Vec::new(), BTreeMap::new(), Duration::ZERO);
        let begun = RunReport { state: RunState::Running, ..begun };
        write_report(self.host, path, &begun, &About::default())
    }

    /// Gives the automation's state to its handler; a resumed run has the state that it was started with.
    fn load_state(&self, plan: &mut RunPlan) -> anyhow::Result<()> {
        if let (Some(call), Some(store)) = (&mut plan.options.call, &self.store_of_state)
            && !matches!(plan.purpose, Purpose::Resume { .. })
        {
            let account = self.connection.client.as_ref().map(Client::account_key).unwrap_or_default();
            let automation = AutomationId::new(account, &call.automation);
            call.state = self.runtime.block_on(automation_state(store, &automation))?;
        }
        Ok(())
    }

    fn about(&self, plan: &RunPlan) -> About<'a> {
        About {
            script: plan.program.name().to_owned(),
            started_at: self.host.clock.now(),
            first_started_at: plan.purpose.first_started_at(),
            journal: self.store.clone().map(|store| (self.runtime, store)),
        }
    }

    /// Records the run, or a new attempt of the run that is resumed; `None` if there is no store.
    fn record(&self, plan: &RunPlan) -> anyhow::Result<Option<Attempt>> {
        if let Some(run) = plan.purpose.run() {
            check_account(run, self.connection.client()?.account_key())?;
            if run.started_by == StartedBy::Automation && !plan.flags.quiet {
                let account = AccountKey::shown(&run.account);
                self.console.note(&format!("account: {account}, which run {} worked on", run.id));
            }
        }
        let Some(store) = &self.store else { return Ok(None) };
        let owner = &self.host.process;
        let attempt = match &plan.purpose {
            Purpose::Resume { run, resolution } => {
                self.runtime.block_on(record::resume(self.host, store, run, resolution.clone(), owner))
            }
            other => {
                let account = self.connection.client.as_ref().map(Client::account_key).unwrap_or_default();
                let undoes = match other {
                    Purpose::Undo { run } => Some(run.id.as_str()),
                    _ => None,
                };
                let new = NewRun {
                    source: &plan.program.source(),
                    options: &plan.options,
                    account,
                    is_dry: plan.is_dry,
                    undoes,
                    started_by: plan.options.started_by(),
                    owner,
                };
                self.runtime.block_on(record::begin(self.host, store, &new))
            }
        };
        let attempt = attempt?.ok_or_else(|| {
            let message = "another process is resuming or undoing the run at this moment";
            usage_error(message, "mpscript runs shows its state")
        })?;
        if self.console.mode() == ProgressMode::Bars && !plan.target.sandbox {
            self.console.note(&format!("run {0} (mpscript show {0} shows it at any time)", attempt.run));
        }
        Ok(Some(attempt))
    }

    fn run(&self, plan: &RunPlan, attempt: Option<Attempt>) -> anyhow::Result<Outcome<String>> {
        let board = Arc::new(ProgressBoard::default());
        let progress = Progress::start(&self.console, &board, self.connection.client.as_ref().ok());
        let execution = Execution {
            config: self.config(plan),
            limits: Limits::new(plan.options.max_changes, plan.options.max_errors),
            attempt,
            dry: plan.is_dry.then(Arc::default),
            may_wait: self.may_wait,
            saves_state: self.store_of_state.is_some(),
            board,
        };
        let outcome = match &plan.options.call {
            None => execution.run_program(self.runtime, &plan.program),
            Some(call) => execution
                .run_handler(self.runtime, &plan.program, call)
                .map(|outcome| outcome.and_then(|answer| answer.value)),
        };
        drop(progress);
        if let Ok(client) = &self.connection.client {
            self.runtime.block_on(client.finish());
        }
        Ok(outcome?)
    }

    fn config(&self, plan: &RunPlan) -> RunConfig {
        let (host, cancel) = (self.host, &self.cancel);
        let production = self.connection.production.clone().filter(|_| !plan.flags.yes);
        let client = self.connection.client.clone();
        RunConfig {
            callback: self.connection.callback.clone(),
            store: self.store.clone(),
            confirm: production.map(|account| confirm_production(host, &self.console, account, cancel)),
            memory: MemoryLimit::given(plan.flags.run_memory, MemoryLimit::HalfOfAvailable),
            ..RunConfig::new(
                host,
                &plan.options,
                &self.connection.files,
                client,
                cancel,
                Arc::<Console>::clone(&self.console),
            )
        }
    }
}

/// Nothing with `--quiet`.
fn progress_mode(host: &Host, flags: &RunFlags) -> ProgressMode {
    if flags.quiet { ProgressMode::Off } else { ProgressMode::of(host) }
}

/// Resume, undo and retry must target the account that the original run used.
fn check_account(run: &RunRecord, account: &str) -> anyhow::Result<()> {
    if run.account == account {
        return Ok(());
    }
    let message = format!("run {} is of the account {}, and this is {account}", run.id, run.account);
    Err(usage_error(message, "name its account with --account and its address with --base-url"))
}
