//! One execution of a script: its thread, its environment, its journal and its report.

use super::output_log::OutputLog;
use crate::{
    api,
    base::{Cancel, Clock, Diagnostic, Stopwatch},
    bulk::{Attempt, Board, DryRun, Journal, JournalError, Limits, RunReport, RunState},
    client::Client,
    script::{Answer, Call, CallbackKeys, Env, Gate, NoClient, Output, Program, STACK, Script, Trouble},
    store::{RunEnd, Store, StoreError},
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::runtime::Runtime;

/// How long the end of a run waits for its words to be kept: less than after which it is taken for dead.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// What surrounds a run, and is the same for all lines of a session.
#[derive(Clone)]
pub struct RunConfig {
    /// Calls the platform, or says why it can't.
    pub client: Result<Client, NoClient>,
    /// What the account's server callback is configured with, if it is.
    pub callback: Option<CallbackKeys>,
    /// The most calls under way together.
    pub in_flight: usize,
    /// Where the person stands: relative paths of a script begin there.
    pub folder: PathBuf,
    /// Where a job keeps for a while what memory is too small for.
    pub scratch_folder: PathBuf,
    /// What time it is.
    pub clock: Clock,
    /// The wish to stop, of the client too.
    pub cancel: Cancel,
    /// `--param` by name.
    pub params: BTreeMap<String, String>,
    /// Where runs are recorded.
    pub store: Option<Store>,
    /// Is asked before the first change.
    pub gate: Option<Gate>,
    /// Where words go.
    pub output: Arc<dyn Output>,
}

/// What a run is made of, but for what it does.
pub struct Execution {
    /// What surrounds it.
    pub setting: RunConfig,
    /// What it may do at the most.
    pub limits: Limits,
    /// Which attempt of which recorded run it is, if it is recorded.
    pub attempt: Option<Attempt>,
    /// Nothing is changed: it is only said what would be.
    pub dry: Option<Arc<DryRun>>,
    /// It may wait: for the next day when the day's quota is used up, and for another run that writes the same.
    pub may_pause: bool,
    /// What an automation's handler leaves in `ctx.state` is kept.
    pub saves_state: bool,
    /// Where jobs show how far they are.
    pub board: Arc<Board>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What it did.
    pub report: RunReport,
    /// What it gave.
    pub value: Option<T>,
    /// How it failed, if it did.
    pub trouble: Option<Trouble>,
    /// Why it waits for a person, if it does.
    pub parked: Option<JournalError>,
    /// Why its end is not in the store, if it is not.
    pub end_not_recorded: Option<String>,
}

impl<T> Outcome<T> {
    /// The same with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> Option<U>) -> Outcome<U> {
        let Self { report, value, trouble, parked, end_not_recorded } = self;
        Outcome { report, value: value.and_then(change), trouble, parked, end_not_recorded }
    }
}

/// What the runs of an automation have kept.
///
/// # Errors
/// When the store fails.
pub async fn state_of(store: &Store, automation: &str) -> Result<Map<String, Value>, StoreError> {
    let record = store.automation(automation).await?.unwrap_or_default();
    Ok(serde_json::from_str(&record.state).unwrap_or_default())
}

/// The scripts of a folder itself, not of those within it, in order.
///
/// # Errors
/// When it can't be listed.
pub fn scripts_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Editors leave hidden files beside the one that they save.
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|extension| extension == "rhai") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A runtime for everything that runs under scripts.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("calls").enable_all().build()
}

impl Execution {
    /// Runs a script to its end; what it gives is the value of its last line, as text.
    ///
    /// # Errors
    /// When the run's journal can't be read.
    pub fn run_program(
        self,
        runtime: &Runtime,
        program: &Arc<Program>,
    ) -> Result<Outcome<String>, StoreError> {
        let outcome = self.execute(runtime, |env| Script::new(program, &env).run())?;
        Ok(outcome.map(|value| value))
    }

    /// Calls a handler of an automation.
    ///
    /// # Errors
    /// When the run's journal can't be read.
    pub fn run_handler(
        self,
        runtime: &Runtime,
        program: &Arc<Program>,
        call: &Call,
    ) -> Result<Outcome<Answer>, StoreError> {
        let run = self.attempt.as_ref().map(|attempt| attempt.run.clone());
        let keeps = self.saves_state;
        self.execute_keeping(
            runtime,
            |env| Script::new(program, &env).call(call, run.as_deref()),
            |answer: &Answer| {
                let text =
                    (keeps && answer.state != call.state).then(|| serde_json::to_string(&answer.state));
                Some((call.automation.clone(), text?.ok()?))
            },
        )
    }

    /// Does some work to its end, on a thread with the stack that scripts need.
    ///
    /// # Errors
    /// When the run's journal can't be read.
    pub fn execute<T: Send>(
        self,
        runtime: &Runtime,
        work: impl FnOnce(Arc<Env>) -> Result<T, Trouble> + Send,
    ) -> Result<Outcome<T>, StoreError> {
        self.execute_keeping(runtime, work, |_| None)
    }

    /// The same, where what it gives tells which automation's runs keep what, if it ends well.
    fn execute_keeping<T: Send>(
        self,
        runtime: &Runtime,
        work: impl FnOnce(Arc<Env>) -> Result<T, Trouble> + Send,
        kept: impl FnOnce(&T) -> Option<(String, String)>,
    ) -> Result<Outcome<T>, StoreError> {
        let watch = Stopwatch::start();
        let RunConfig { client, cancel, clock, store, .. } = self.setting.clone();
        let board = Arc::clone(&self.board);
        let dry = self.dry;
        let record = store.zip(self.attempt);
        let (journal, limits) = match &record {
            // A dry run does nothing that could be gone on with.
            Some((store, attempt)) if dry.is_none() => runtime.block_on(async {
                let used = if attempt.attempt > 1 { store.changes_of(&attempt.run).await? } else { 0 };
                let journal =
                    Journal::open(store.clone(), attempt.clone(), clock.clone(), cancel.clone()).await?;
                Ok((journal, self.limits.with_used(used.unsigned_abs())))
            })?,
            _ => (Journal::default(), self.limits),
        };
        let alive = record.as_ref().filter(|_| dry.is_some()).map(|(store, attempt)| {
            let _entered = runtime.enter();
            Journal::keep_alive(store.clone(), attempt, clock.clone(), cancel.clone())
        });
        let setting = self.setting;
        let words = record.as_ref().map(|(store, attempt)| {
            let client = setting.client.as_ref().ok().cloned();
            OutputLog::open(runtime, store, attempt, &clock, (Arc::clone(&setting.output), client))
        });
        let output = words.as_ref().map_or(setting.output, |(words, _)| Arc::clone(words) as Arc<dyn Output>);
        let mut env = Env::new(
            setting.client,
            setting.in_flight,
            runtime.handle().clone(),
            setting.cancel,
            setting.params,
            self.board,
            output,
        );
        env.callback = setting.callback;
        env.limits = Arc::new(limits);
        env.folder = setting.folder;
        env.scratch_folder = setting.scratch_folder;
        env.clock = setting.clock;
        env.journal = journal.clone();
        env.dry.clone_from(&dry);
        env.may_pause = self.may_pause;
        env.gate = setting.gate;
        env.store = setting.store;
        let env = Arc::new(env);
        let before = client.as_ref().map(|client| client.tally().snapshot()).unwrap_or_default();
        let result = thread::scope(|scope| {
            let thread = thread::Builder::new().name("script".to_owned()).stack_size(STACK);
            match thread.spawn_scoped(scope, || work(env)).map(thread::ScopedJoinHandle::join) {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(broken("the script met a fault in mpscript itself")),
                Err(error) => Err(broken(&format!("no thread for the script: {error}"))),
            }
        });
        // What the last calls came to is on disk before anybody is told; what was half done has been come to again.
        let flushed = runtime.block_on(async {
            journal.flush().await?;
            if result.is_ok() { journal.meet_all().await } else { Ok(()) }
        });
        let parked = journal.parked().or(flushed.err());
        if let Some((words, written)) = words {
            words.close();
            // What the store does not take in time was said elsewhere.
            let _ = runtime.block_on(async { tokio::time::timeout(KEPT_WITHIN, written).await });
        }
        // What a session keeps of a line may hold its journal.
        journal.close();
        drop(alive);
        let (calls, timeline) = client
            .as_ref()
            .map(|client| (calls_since(client, &before), client.timeline().into()))
            .unwrap_or_default();
        let elapsed_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut report = RunReport { timeline, ..RunReport::of(board.ended(), calls, elapsed_ms) };
        let (value, trouble) = match result {
            Ok(value) => (Some(value), None),
            Err(trouble) => (None, Some(trouble)),
        };
        report.set_aside = board.what_is_set_aside();
        judge(&mut report, parked.as_ref(), trouble.as_ref(), cancel.is_cancelled());
        report.dry_run = dry.is_some();
        if let (Some(dry), Ok(client)) = (dry, &client) {
            report.would_call = dry.take_calls();
            report.left_today = runtime.block_on(left_of(client, &report.would_call));
        }
        let end_not_recorded = record.as_ref().and_then(|(store, attempt)| {
            report.run = Some(attempt.run.clone());
            let kept =
                value.as_ref().filter(|_| report.state.is_completed() && !report.dry_run).and_then(kept);
            let mask =
                |text: &str| client.as_ref().map_or_else(|_| text.to_owned(), |client| client.mask(text));
            runtime.block_on(record_end(store, attempt, (&report, &mask), kept.as_ref(), clock.now_ms()))
        });
        Ok(Outcome { report, value, trouble, parked, end_not_recorded })
    }
}

/// The calls that were made since. A session's client has made some for lines before this one.
fn calls_since(client: &Client, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut calls = client.tally().snapshot();
    calls.retain(|call, count| {
        *count -= before.get(call).copied().unwrap_or_default();
        *count > 0
    });
    calls
}

/// What a run has come to, and why.
fn judge(
    report: &mut RunReport,
    parked: Option<&JournalError>,
    trouble: Option<&Trouble>,
    is_cancelled: bool,
) {
    if let Some(error) = parked {
        report.state = RunState::Parked;
        report.error = Some(error.to_string());
    } else if is_cancelled {
        report.state = RunState::Cancelled;
    } else if let Some(trouble) = trouble {
        report.state = if trouble.is_of_quota { RunState::Paused } else { RunState::Error };
        report.error = Some(trouble.diagnostic.message.clone());
    } else if report.state == RunState::Done && !report.set_aside.is_empty() {
        report.state = RunState::DoneWithFailures;
    }
}

/// Writes down what an attempt came to; says why it is not, if so.
async fn record_end(
    store: &Store,
    attempt: &Attempt,
    (report, mask): (&RunReport, &impl Fn(&str) -> String),
    kept: Option<&(String, String)>,
    now: i64,
) -> Option<String> {
    let kept = kept.map(|(automation, kept)| (automation, mask(kept)));
    let end = RunEnd {
        run: &attempt.run,
        attempt: attempt.attempt,
        state: report.state,
        note: &mask(report.error.as_deref().unwrap_or_default()),
        report: &mask(&serde_json::to_string(report).unwrap_or_default()),
        now,
        kept: kept.as_ref().map(|(automation, kept)| (automation.as_str(), kept.as_str())),
    };
    let why = match store.end_run(&end).await {
        Ok(true) => return None,
        Ok(false) => "another process has taken it over".to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::warn!("how the run ended can't be recorded: {why}");
    Some(why)
}

/// What is left today of these calls, where that is known.
async fn left_of(client: &Client, calls: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut left = BTreeMap::new();
    for spec in api::all() {
        let call = format!("{} {}", spec.method.as_str(), spec.path);
        if calls.contains_key(&call)
            && let Some(remaining) = client.remaining(spec).await
        {
            left.insert(call, remaining.left);
        }
    }
    left
}

fn broken(message: &str) -> Trouble {
    let hint = "please report it with the script and what is printed above";
    Trouble {
        diagnostic: Diagnostic::new(message).hint(hint),
        is_configuration: false,
        is_cancelled: false,
        is_of_quota: false,
    }
}
