//! One execution of a script: opens its journal, heartbeat and output log, runs it on a thread of its own, and closes
//! and records it.

use super::{config::RunConfig, memory_guard::MemoryGuard, output_log::OutputLog};
use crate::{
    api,
    base::{Cancel, Clock, Diagnostic, Redactor, Setting, Stopwatch},
    bulk::{Attempt, DryRun, Journal, JournalError, Limits, ProgressBoard, RunReport, kind_of},
    client::{Client, SentCalls},
    host::on_deep_stack,
    script::{
        Calls, ErrorKind, HandlerCall, HandlerResult, NoClient, Output, Program, RunEnv, STACK, Script,
        ScriptFailure, ScriptIo, WritePolicy,
    },
    store::{AutomationId, EffectKind, RunEnd, RunState, SavedState, Store, StoreError},
};
use serde_json::Value;
use std::{collections::BTreeMap, convert::identity, io, sync::Arc, thread, time::Duration};
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::task::AbortOnDropHandle;

/// How long the end of a run waits for its output log: less than the heartbeat TTL, after which the run would be
/// presumed dead.
const OUTPUT_LOG_TIMEOUT: Duration = Duration::from_secs(5);

/// A run before it starts: everything but the script.
pub struct Execution {
    /// The account, paths, clock and output.
    pub config: RunConfig,
    /// Limits of changes and failures.
    pub limits: Limits,
    /// The attempt of the recorded run that this is; `None` where nothing is recorded.
    pub attempt: Option<Attempt>,
    /// Set for a dry run: nothing is changed, the report says what would be.
    pub dry: Option<Arc<DryRun>>,
    /// Whether it may wait: for the next day's quota, and for another run that holds a write lock that it needs.
    pub may_wait: bool,
    /// Whether what an automation's handler leaves in `ctx.state` is saved.
    pub saves_state: bool,
    /// Where jobs show their progress.
    pub board: Arc<ProgressBoard>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What it did.
    pub report: RunReport,
    /// What the script returned.
    pub value: Option<T>,
    /// How it failed, if it did.
    pub trouble: Option<ScriptFailure>,
    /// Why it waits for a person, if it does.
    pub parked: Option<JournalError>,
    /// Why its end is not in the store, if it is not.
    pub end_not_recorded: Option<String>,
}

impl<T> Outcome<T> {
    /// The same with what is made of its value, if that is anything.
    pub fn and_then<U>(self, change: impl FnOnce(T) -> Option<U>) -> Outcome<U> {
        let Self { report, value, trouble, parked, end_not_recorded } = self;
        Outcome { report, value: value.and_then(change), trouble, parked, end_not_recorded }
    }
}

/// A runtime for everything that runs under scripts.
pub fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("calls").enable_all().build()
}

/// The new `ctx.state` of an automation, saved in the same transaction as the end of the run that made it.
struct StateUpdate {
    automation: AutomationId,
    json: String,
}

impl Execution {
    /// Runs a script to its end; its value is that of its last line, as text.
    pub fn run_program(
        self,
        runtime: &Runtime,
        program: &Arc<Program>,
    ) -> Result<Outcome<String>, StoreError> {
        let outcome = self.execute(runtime, |env| Script::new(program, &env).run())?;
        Ok(outcome.and_then(identity))
    }

    /// Calls a handler of an automation.
    pub fn run_handler(
        self,
        runtime: &Runtime,
        program: &Arc<Program>,
        call: &HandlerCall,
    ) -> Result<Outcome<HandlerResult>, StoreError> {
        let run = self.attempt.as_ref().map(|attempt| attempt.run.clone());
        let account = self.attempt.as_ref().map(|attempt| attempt.account.clone()).unwrap_or_default();
        let saves_state = self.saves_state;
        self.run_with_state(
            runtime,
            |env| Script::new(program, &env).call(call, run.as_deref()),
            |answer: &HandlerResult| {
                (saves_state && answer.state != call.state).then(|| StateUpdate {
                    automation: AutomationId { account, name: call.automation.clone() },
                    json: Value::Object(answer.state.clone()).to_string(),
                })
            },
        )
    }

    /// Does some work to its end, on a thread with the stack that scripts need.
    pub fn execute<T: Send>(
        self,
        runtime: &Runtime,
        work: impl FnOnce(Arc<RunEnv>) -> Result<T, ScriptFailure> + Send,
    ) -> Result<Outcome<T>, StoreError> {
        self.run_with_state(runtime, work, |_| None)
    }

    /// Like `execute`; on success `new_state` extracts the automation's new `ctx.state`, saved in the same transaction
    /// as the run's end.
    fn run_with_state<T: Send>(
        self,
        runtime: &Runtime,
        work: impl FnOnce(Arc<RunEnv>) -> Result<T, ScriptFailure> + Send,
        new_state: impl FnOnce(&T) -> Option<StateUpdate>,
    ) -> Result<Outcome<T>, StoreError> {
        let memory = self.config.memory;
        let (open, env) = self.open(runtime)?;
        let guard = MemoryGuard::start(memory, &env);
        let result = run_on_thread(env, work);
        drop(guard);
        let Closed { mut report, parked, record } = open.close(&result);
        let (value, trouble) = match result {
            Ok(value) => (Some(value), None),
            Err(trouble) => (None, Some(trouble)),
        };
        let end_not_recorded = record.and_then(|record| {
            report.run = Some(record.attempt.run.clone());
            let saves = report.state.is_completed() && !report.dry_run;
            let state = value.as_ref().filter(|_| saves).and_then(new_state);
            runtime.block_on(record.end(&report, state))
        });
        Ok(Outcome { report, value, trouble, parked, end_not_recorded })
    }

    /// Opens the journal, the heartbeat of a dry run and the output log.
    fn open(self, runtime: &Runtime) -> Result<(OpenExecution<'_>, Arc<RunEnv>), StoreError> {
        let Self { config, mut limits, attempt, dry, may_wait, board, .. } = self;
        let started = Stopwatch::start();
        let record = config.store.clone().zip(attempt).map(|(store, attempt)| Record {
            store,
            attempt,
            secrets: config.secrets.clone(),
            clock: config.clock.clone(),
        });
        let mut journal = Journal::default();
        let mut heartbeat = None;
        let mut output_log = None;
        if let Some(record) = &record {
            let (store, attempt) = (record.store.clone(), record.attempt.clone());
            let (clock, cancel) = (config.clock.clone(), config.cancel.clone());
            // A dry run has nothing to resume, so it has no journal: only a heartbeat.
            if dry.is_none() {
                let is_resumed = attempt.attempt > 1;
                journal = runtime.block_on(Journal::open(store.clone(), attempt, clock, cancel))?;
                if is_resumed {
                    match runtime.block_on(store.changes_of(&record.attempt.run)) {
                        Ok(used) => limits = limits.with_used(used.unsigned_abs()),
                        Err(error @ StoreError::Decode { .. }) => drop(journal.park(error.into())),
                        Err(error) => return Err(error),
                    }
                }
            } else {
                let _entered = runtime.enter();
                heartbeat = Some(Journal::keep_alive(store, &attempt, clock, cancel));
            }
            output_log = Some(record.open_output_log(runtime, &config.output));
        }
        let output = match &output_log {
            Some((log, _)) => Arc::clone(log) as Arc<dyn Output>,
            None => Arc::clone(&config.output),
        };
        let open = OpenExecution {
            runtime,
            started,
            calls_before: config.client.as_ref().map(|client| client.tally().snapshot()).unwrap_or_default(),
            client: config.client.clone(),
            cancel: config.cancel.clone(),
            board: Arc::clone(&board),
            dry: dry.clone(),
            record,
            journal: journal.clone(),
            heartbeat,
            output_log,
        };
        let calls = Calls {
            client: config.client,
            in_flight: config.in_flight,
            runtime: runtime.handle().clone(),
            cancel: config.cancel,
            callback: config.callback,
        };
        let policy = WritePolicy { limits: Arc::new(limits), dry, confirm: config.confirm, may_wait };
        let io = ScriptIo {
            params: config.params,
            board,
            output,
            files: config.files,
            scratch_folder: config.scratch_folder,
            secrets: config.secrets,
            clock: config.clock,
            setting_names: config.setting_names,
            while_computing: config.while_computing,
        };
        let env = RunEnv::new(calls, journal, config.store, policy, io);
        Ok((open, Arc::new(env)))
    }
}

/// An execution between its start and its end.
struct OpenExecution<'a> {
    runtime: &'a Runtime,
    started: Stopwatch,
    /// Calls that the client had made before; a session's client is older than its lines.
    calls_before: Vec<SentCalls>,
    client: Result<Client, NoClient>,
    cancel: Cancel,
    board: Arc<ProgressBoard>,
    dry: Option<Arc<DryRun>>,
    record: Option<Record>,
    journal: Journal,
    heartbeat: Option<AbortOnDropHandle<()>>,
    output_log: Option<(Arc<OutputLog>, JoinHandle<()>)>,
}

/// An execution that has ended and is not recorded yet.
struct Closed {
    report: RunReport,
    parked: Option<JournalError>,
    record: Option<Record>,
}

impl OpenExecution<'_> {
    /// Closes journal, output log and heartbeat, and reports what was done.
    fn close<T>(self, result: &Result<T, ScriptFailure>) -> Closed {
        let trouble = result.as_ref().err();
        // The outcome of every call is durable before the end is reported, and every in-flight step has been replayed.
        let flushed = self.runtime.block_on(async {
            self.journal.flush().await?;
            if trouble.is_none() { self.journal.verify_replayed().await } else { Ok(()) }
        });
        let parked = self.journal.parked().or(flushed.err());
        if let Some((log, written)) = self.output_log {
            log.close();
            // Lines that the store did not take in time are lost; the log's task has warned of them.
            let _ = self.runtime.block_on(async { tokio::time::timeout(OUTPUT_LOG_TIMEOUT, written).await });
        }
        // A session's variables may hold this journal; nothing may be written to it from now on.
        self.journal.close();
        drop(self.heartbeat);
        let (sent, timeline) = self
            .client
            .as_ref()
            .map(|client| (client.tally().since(&self.calls_before), client.timeline().into()))
            .unwrap_or_default();
        let writes = writes_of(&sent);
        let calls = sent.iter().map(|sent| (sent.spec.call(), sent.count)).collect();
        let elapsed = self.started.elapsed();
        let mut report =
            RunReport { writes, timeline, ..RunReport::from_operations(self.board.ended(), calls, elapsed) };
        report.not_undone = self.board.not_undone();
        let jobs = match report.state {
            RunState::Done if !report.not_undone.is_empty() => RunState::DoneWithFailures,
            state => state,
        };
        (report.state, report.error) = classify(jobs, parked.as_ref(), self.cancel.is_cancelled(), trouble);
        report.dry_run = self.dry.is_some();
        if let (Some(dry), Ok(client)) = (self.dry, &self.client) {
            report.would_call = dry.take_calls();
            report.left_today = self.runtime.block_on(left_of(client, &report.would_call));
        }
        Closed { report, parked, record: self.record }
    }
}

/// The name of the threads of scripts.
const SCRIPT_THREAD: &str = "script";

/// From now on a panic on a script's thread prints nothing: it becomes the script's error.
pub fn hide_script_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name() == Some(SCRIPT_THREAD) {
            tracing::debug!("a script's thread has panicked: {panic}");
        } else {
            before(panic);
        }
    }));
}

/// Does the work on the script's thread.
fn run_on_thread<T: Send>(
    env: Arc<RunEnv>,
    work: impl FnOnce(Arc<RunEnv>) -> Result<T, ScriptFailure> + Send,
) -> Result<T, ScriptFailure> {
    let memory = env.io.setting_names.of(Setting::RunMemory);
    let work = || {
        if let Some(look) = env.io.while_computing {
            look();
        }
        work(env)
    };
    match on_deep_stack(SCRIPT_THREAD, STACK, work) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(internal_error("an internal error of mpscript ended the script")),
        Err(error) => Err(ScriptFailure {
            diagnostic: Diagnostic::new(format!("no thread for the script: {error}")).hint(format!(
                "the limits of processes or of memory may be too low (ulimit -u, TasksMax=, {memory})"
            )),
            kind: ErrorKind::NotStarted,
        }),
    }
}

/// The state of a run that has ended and the error that goes with it. What ends a run first counts: a park stops all that
/// follows, and a cancellation makes the script fail.
fn classify(
    jobs: RunState,
    parked: Option<&JournalError>,
    is_cancelled: bool,
    trouble: Option<&ScriptFailure>,
) -> (RunState, Option<String>) {
    match (parked, trouble) {
        (Some(error), _) => (RunState::Parked, Some(error.to_string())),
        (None, _) if is_cancelled => (RunState::Cancelled, None),
        (None, Some(trouble)) => {
            let state = match trouble.kind {
                ErrorKind::Quota => RunState::Paused,
                ErrorKind::NotStarted => RunState::Interrupted,
                ErrorKind::Script | ErrorKind::Configuration | ErrorKind::Cancelled => RunState::Error,
            };
            (state, Some(trouble.diagnostic.message.clone()))
        }
        (None, None) => (jobs, None),
    }
}

/// The record of the attempt that an execution is.
struct Record {
    store: Store,
    attempt: Attempt,
    /// Masks secrets in what is written.
    secrets: Redactor,
    clock: Clock,
}

impl Record {
    fn open_output_log(
        &self,
        runtime: &Runtime,
        output: &Arc<dyn Output>,
    ) -> (Arc<OutputLog>, JoinHandle<()>) {
        let log = OutputLog::new(&self.attempt, &self.clock, Arc::clone(output), &self.secrets);
        log.open(runtime, &self.store, &self.attempt.run)
    }

    /// Records how the attempt ended; returns why it could not.
    async fn end(&self, report: &RunReport, state: Option<StateUpdate>) -> Option<String> {
        let state = state.map(|state| (state.automation, self.secrets.mask(&state.json)));
        let recorded = match serde_json::to_string(report) {
            Ok(json) => {
                let end = RunEnd {
                    run: &self.attempt.run,
                    attempt: self.attempt.attempt,
                    state: report.state,
                    note: &self.secrets.mask(report.error.as_deref().unwrap_or_default()),
                    report: &self.secrets.mask(&json),
                    now: self.clock.now(),
                    saved_state: state.as_ref().map(|(automation, json)| SavedState { automation, json }),
                };
                self.store.end_run(&end).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(format!("its report can't be written as JSON: {error}")),
        };
        let why = match recorded {
            Ok(true) => return None,
            Ok(false) => "another process has resumed it".to_owned(),
            Err(why) => why,
        };
        tracing::warn!("how the run ended can't be recorded: {why}");
        Some(why)
    }
}

/// Those of some calls that may have changed the account, by what they do.
fn writes_of(sent: &[SentCalls]) -> BTreeMap<EffectKind, u64> {
    let mut writes = BTreeMap::new();
    for SentCalls { spec, count } in sent {
        if let Some(kind) = kind_of(spec) {
            *writes.entry(kind).or_default() += *count;
        }
    }
    writes
}

/// The rest of today's quota of these calls, where it is known.
async fn left_of(client: &Client, calls: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut left = BTreeMap::new();
    for spec in api::all() {
        let call = spec.call();
        if !calls.contains_key(&call) {
            continue;
        }
        match client.remaining(spec).await {
            Ok(Some(remaining)) => {
                left.insert(call, remaining.left);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("what is left today of {call} is not known: {error}"),
        }
    }
    left
}

fn internal_error(message: &str) -> ScriptFailure {
    let hint = "please report it with the script and what is printed above";
    ScriptFailure { diagnostic: Diagnostic::new(message).hint(hint), kind: ErrorKind::Script }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_run_has_the_state_of_what_ended_it() {
        use RunState::{Cancelled, Done, DoneWithFailures, Error, Interrupted, Parked, Paused};
        let failed = internal_error("failed");
        let quota = ScriptFailure { kind: ErrorKind::Quota, ..internal_error("45009") };
        let no_thread = ScriptFailure { kind: ErrorKind::NotStarted, ..internal_error("no thread") };
        let fenced = JournalError::Fenced;
        let fenced_text = fenced.to_string();
        // Jobs, parked, cancelled, trouble; state, error.
        let table = [
            (Done, None, false, None, Done, None),
            (DoneWithFailures, None, false, None, DoneWithFailures, None),
            (Done, None, false, Some(&failed), Error, Some("failed")),
            (DoneWithFailures, None, false, Some(&failed), Error, Some("failed")),
            (Done, None, false, Some(&quota), Paused, Some("45009")),
            (Done, None, false, Some(&no_thread), Interrupted, Some("no thread")),
            (Done, None, true, None, Cancelled, None),
            (Done, None, true, Some(&failed), Cancelled, None),
            (Done, None, true, Some(&quota), Cancelled, None),
            (Done, Some(&fenced), false, None, Parked, Some(fenced_text.as_str())),
            (Done, Some(&fenced), true, Some(&failed), Parked, Some(fenced_text.as_str())),
        ];
        for (jobs, parked, is_cancelled, trouble, state, error) in table {
            let ended = classify(jobs, parked, is_cancelled, trouble);
            assert_eq!((ended.0, ended.1.as_deref()), (state, error));
        }
    }
}
