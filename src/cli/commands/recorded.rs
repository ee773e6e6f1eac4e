//! Recorded runs as commands find and read them: what `runs`, `show`, `stop`, `failed`, `resume` and `undo` share.

use crate::{
    base::{EpochMs, plain_line},
    bulk::RunReport,
    cli::{args::TargetArgs, config::open_existing, failure::usage_error, runtime::start_runtime},
    host::Host,
    run::record::{self, RunOptions},
    script::Source,
    store::{OutputLine, RunPayload, RunRecord, RunState, Store, StoreError, StoreTime, UnreadableRun},
};
use chrono::Local;
use tokio::runtime::Runtime;

/// Runs that are listed.
const MAX_RUNS: i64 = 1_000;

/// A run with everything that is recorded of it.
pub(super) struct Recorded {
    pub run: RunRecord,
    /// Its state as observed: a running run whose process is dead is interrupted.
    pub state: RunState,
    pub texts: RunPayload,
    /// The run that undoes it, or has undone it.
    pub undone_by: Option<Undo>,
    /// How many followers it has changed, according to its journal; the error of one that can't be decoded.
    pub changed: Result<u64, StoreError>,
}

impl Recorded {
    /// What the run was started with.
    pub(super) fn options(&self) -> Result<RunOptions, StoreError> {
        RunOptions::decode(&self.run.id, &self.texts)
    }

    /// What the run was started with, for working on what it did. The world of its own sandbox has ended with it, so
    /// there is nothing to work on.
    pub(super) fn lasting_options(&self) -> anyhow::Result<RunOptions> {
        let options = self.options()?;
        if options.sandbox {
            let message =
                format!("run {} was on a sandbox of its own, whose world has ended with it", self.run.id);
            let hint = "use a sandbox that stays: mpscript sandbox, and then mpscript run … --base-url http://127.0.0.1:PORT";
            return Err(usage_error(message, hint));
        }
        Ok(options)
    }

    /// Its script with the imports.
    pub(super) fn source(&self) -> Result<Source, StoreError> {
        record::decode_source(&self.run.id, &self.texts)
    }

    /// Its report, once an attempt of it has ended.
    pub(super) fn report(&self) -> Result<Option<RunReport>, StoreError> {
        record::decode_report(&self.run.id, &self.texts)
    }
}

/// The undo of a run.
pub(super) struct Undo {
    pub run: String,
    /// As observed.
    pub state: RunState,
}

impl Undo {
    /// What it is to the run that it undoes: `was undone by run x9k2ab`.
    pub(super) fn describe(&self) -> String {
        match self.state {
            RunState::Done | RunState::DoneWithFailures => format!("was already undone by run {}", self.run),
            RunState::Running => format!("is being undone by run {}", self.run),
            RunState::Cancelled
            | RunState::Error
            | RunState::Paused
            | RunState::Parked
            | RunState::Interrupted => {
                format!(
                    "is undone in part: run {}, its undo, did not finish ({})",
                    self.run,
                    self.state.in_words()
                )
            }
        }
    }

    /// What to do to work on the run nevertheless.
    pub(super) fn hint(&self, alternative: &str) -> String {
        let undo = &self.run;
        match self.state {
            RunState::Done | RunState::DoneWithFailures => alternative.to_owned(),
            RunState::Running => format!("wait for it, or stop it: mpscript stop {undo}"),
            RunState::Cancelled
            | RunState::Error
            | RunState::Paused
            | RunState::Parked
            | RunState::Interrupted => {
                format!("mpscript resume {undo} completes the undo, mpscript undo {undo} undoes it in turn")
            }
        }
    }
}

/// The run of this id, or the only one whose id begins with it, with everything that is recorded of it.
pub(super) fn read_run(host: &Host, target: &TargetArgs, id: &str) -> anyhow::Result<Recorded> {
    with_store(host, target, |runtime, store| {
        let now = runtime.block_on(store.time(&host.clock))?;
        let run = find(host, runtime, store, id)?;
        let state = record::observed_state(host, &run, now);
        runtime.block_on(async {
            let texts = store.run_payload(&run.id).await?;
            let changed = match store.changes_of(&run.id).await {
                Err(error) if !matches!(error, StoreError::Decode { .. }) => return Err(error.into()),
                changed => changed.map(i64::unsigned_abs),
            };
            let undo = match store.active_undo_of(&run.id).await? {
                Some(undo) => store.run(&undo).await?,
                None => None,
            };
            let undone_by =
                undo.map(|undo| Undo { state: record::observed_state(host, &undo, now), run: undo.id });
            Ok(Recorded { run, state, texts, undone_by, changed })
        })
    })
}

/// What the script of a run has printed, line by line. One that can't be decoded is an error in its place.
pub(super) fn read_printed(
    host: &Host,
    target: &TargetArgs,
    run: &str,
) -> anyhow::Result<Vec<Result<OutputLine, StoreError>>> {
    with_store(host, target, |runtime, store| Ok(runtime.block_on(store.output(run))?))
}

/// Works on the store in which runs are recorded, and closes it. There must be one.
pub(super) fn with_store<T>(
    host: &Host,
    target: &TargetArgs,
    work: impl FnOnce(&Runtime, &Store) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    with_existing_store(host, target, work)?.ok_or_else(|| {
        usage_error("no run is recorded yet: there is no store", "`mpscript run FILE` makes one")
    })
}

/// The same; `None` if there is no store yet.
pub(super) fn with_existing_store<T>(
    host: &Host,
    target: &TargetArgs,
    work: impl FnOnce(&Runtime, &Store) -> anyhow::Result<T>,
) -> anyhow::Result<Option<T>> {
    let runtime = start_runtime()?;
    let Some(store) = open_existing(host, &runtime, target)? else { return Ok(None) };
    let done = work(&runtime, &store);
    runtime.block_on(store.close());
    done.map(Some)
}

/// The run of this id, or the only one whose id begins with it.
pub(super) fn find(host: &Host, runtime: &Runtime, store: &Store, id: &str) -> anyhow::Result<RunRecord> {
    let Listing { runs: found, now } = list(host, runtime, store, id)?;
    let read = |run: &Listed| run.clone().map_err(|unreadable| unreadable.error.into());
    if let Some(run) = found.iter().find(|run| id_of(run) == id) {
        return read(run);
    }
    match found.as_slice() {
        [only] if !id.is_empty() => read(only),
        [] => Err(usage_error(
            format!("there is no run `{id}` in {}", store.location()),
            "mpscript runs lists them",
        )),
        several => {
            let some: Vec<String> = several.iter().take(5).map(|run| listed_line(host, run, now)).collect();
            let message = format!("several runs begin with `{id}`:\n{}", some.join("\n"));
            Err(usage_error(message, "give more of its letters"))
        }
    }
}

/// The account, addresses and store of a recorded run, unless the command line names others.
pub(super) fn target_of(given: &TargetArgs, options: &RunOptions) -> TargetArgs {
    let mut target = given.clone();
    if target.account.is_none() {
        target.account.clone_from(&options.account);
    }
    if target.base_url.is_empty() {
        target.base_url.clone_from(&options.base_urls);
    }
    target
}

/// Runs, and when they were read.
pub(super) struct Listing {
    pub runs: Vec<Listed>,
    pub now: StoreTime,
}

/// The runs whose ids begin with this, newest first.
pub(super) fn list(
    host: &Host,
    runtime: &Runtime,
    store: &Store,
    prefix: &str,
) -> Result<Listing, StoreError> {
    runtime.block_on(async {
        let now = store.time(&host.clock).await?;
        Ok(Listing { runs: store.runs(prefix, MAX_RUNS).await?, now })
    })
}

/// A run of a list, or why its row can't be shown.
pub(super) type Listed = Result<RunRecord, UnreadableRun>;

fn id_of(run: &Listed) -> &str {
    match run {
        Ok(run) => &run.id,
        Err(unreadable) => &unreadable.id,
    }
}

/// A run of a list in one line.
pub(super) fn listed_line(host: &Host, run: &Listed, now: StoreTime) -> String {
    match run {
        Ok(run) => line(run, record::observed_state(host, run, now)),
        Err(unreadable) => format!("{}  can't be shown: {}", unreadable.id, unreadable.error),
    }
}

/// A run with its observed state in one line.
pub(super) fn line(run: &RunRecord, state: RunState) -> String {
    let dry = if run.is_dry { " (dry run)" } else { "" };
    let started = local_time(run.started_at);
    format!("{}  {started}  {state:<18}  {}{dry}", run.id, plain_line(&run.script))
}

/// A time in this machine's zone.
pub(super) fn local_time(instant: EpochMs) -> String {
    instant.to_utc().with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}
