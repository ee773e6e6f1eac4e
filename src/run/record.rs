//! The record of a run: its id, what it was started with, and which process runs it.

use super::account_choice::ServedAs;
use crate::{
    base::ProcessId,
    bulk::{Attempt, HEARTBEAT_TTL, Resolution, RunReport},
    host::Host,
    script::{HandlerCall, Source},
    store::{
        AutomationId, AutomationRecord, JsonColumn, Quoting, RunEnd, RunPayload, RunRecord, RunState,
        StartedBy, Store, StoreError, StoreTime, UnreadableRun,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf};

/// The alphabet of run ids, without characters that are easily confused.
const ID_ALPHABET: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";

/// The length of a run id.
const ID_LENGTH: usize = 6;

/// What a run was started with. What most runs have is left out of their records; a name that is none of these is refused:
/// it may be a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct RunOptions {
    /// The account's name in the configuration; `None` for the account of the environment.
    #[serde(default, skip_serializing_if = "is_default")]
    pub account: Option<String>,
    /// `--base-url`: the platform's addresses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub base_urls: Vec<String>,
    /// Whether it runs on a sandbox in its own process.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sandbox: bool,
    /// `--param` by name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub params: BTreeMap<String, String>,
    /// The most calls in flight at the same time.
    pub in_flight: usize,
    /// The most changes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_changes: Option<u64>,
    /// The highest error rate, in thousandths of a per cent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_errors: Option<u32>,
    /// Whether it waits for the next day's quota.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_pause: bool,
    /// The working directory.
    pub folder: PathBuf,
    /// What the script may read and write files under, beside the folders of the configuration.
    #[serde(default, skip_serializing_if = "is_default")]
    pub roots: Vec<PathBuf>,
    /// Whether the script was given on the command line, so that its value is printed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prints_value: bool,
    /// Whether its script or a parameter held a secret, which is masked in the record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub held_a_secret: bool,
    /// The handler call of an automation's run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub call: Option<HandlerCall>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl RunOptions {
    /// What starts a run with these options that is no line of a session.
    #[must_use]
    pub const fn started_by(&self) -> StartedBy {
        if self.call.is_some() { StartedBy::Automation } else { StartedBy::Command }
    }

    /// The options in a run's record.
    pub fn decode(run: &str, texts: &RunPayload) -> Result<Self, StoreError> {
        run_column(run, "options", "a run's options as JSON").decode(&texts.options)
    }

    /// The handler call of an automation's run.
    pub fn recorded_call(&self, run: &str) -> Result<HandlerCall, StoreError> {
        self.call.clone().ok_or_else(|| StoreError::Decode {
            table: "mpscript_run",
            row: run.to_owned(),
            column: "options",
            expected: "the handler call of an automation's run".to_owned(),
            found: "options without one".to_owned(),
        })
    }

    /// Why a run with these options can't be resumed, if it can't.
    #[must_use]
    pub const fn resume_blocker(&self, started_by: StartedBy) -> Option<&'static str> {
        match started_by {
            StartedBy::Session => Some("was a line of a session, whose variables are not stored"),
            StartedBy::Command | StartedBy::Automation | StartedBy::Unknown if self.held_a_secret => {
                Some("held a secret in its text or its parameters, and that was not kept")
            }
            StartedBy::Command | StartedBy::Automation | StartedBy::Unknown => None,
        }
    }
}

/// A run to be recorded.
pub struct NewRun<'a> {
    /// The script and its imports.
    pub source: &'a Source,
    /// Its options.
    pub options: &'a RunOptions,
    /// The client's key of the account.
    pub account: &'a str,
    /// Whether it changes nothing.
    pub is_dry: bool,
    /// The run that it undoes.
    pub undoes: Option<&'a str>,
    /// What starts it.
    pub started_by: StartedBy,
    /// The process that executes it.
    pub owner: &'a ProcessId,
}

/// Records a new run; `None` when it is an undo of a run that is being resumed at the same time.
pub async fn begin(host: &Host, store: &Store, new: &NewRun<'_>) -> Result<Option<Attempt>, StoreError> {
    fence_dead_runs(host, store).await?;
    let now = host.clock.now();
    let heartbeat_at = store.time(&host.clock).await?;
    // The account's stored tokens are secrets too, even those that this process has not used.
    store.tokens(new.account).await?.iter().for_each(|token| host.secrets.learn_token(token));
    let texts = masked_texts(host, store, new)?;
    loop {
        let id = random_id();
        let record = RunRecord {
            account: new.account.to_owned(),
            script: new.source.name.clone(),
            is_dry: new.is_dry,
            owner: new.owner.to_string(),
            undoes: new.undoes.unwrap_or_default().to_owned(),
            ..RunRecord::started(&id, new.started_by, now, heartbeat_at)
        };
        if !store.add_run(&record, &texts).await? {
            continue;
        }
        // An undo and a resumption of the same run exclude each other: each looks for the other's record after it has
        // written its own.
        if let Some(undoes) = new.undoes.filter(|_| !new.is_dry)
            && store.run_state(undoes).await? == Some(RunState::Running)
        {
            let end = RunEnd {
                run: &id,
                attempt: 1,
                state: RunState::Error,
                note: "the run was resumed",
                report: "",
                now,
                saved_state: None,
            };
            store.end_run(&end).await?;
            return Ok(None);
        }
        return Ok(Some(Attempt { run: id, account: record.account, attempt: 1, resolution: None }));
    }
}

/// What a run's record holds of its script and options, with secrets masked.
fn masked_texts(host: &Host, store: &Store, new: &NewRun) -> Result<RunPayload, StoreError> {
    let whole = encode(store, new.source)?;
    let source = host.secrets.mask(&whole);
    let mut options = new.options.clone();
    options.held_a_secret = source != whole;
    let whole = encode(store, &options)?;
    options.held_a_secret |= host.secrets.mask(&whole) != whole;
    let options = host.secrets.mask(&encode(store, &options)?);
    Ok(RunPayload { source, options, report: String::new() })
}

/// Encodes what a column holds as JSON. It fails for a path that is not UTF-8.
fn encode<T: Serialize>(store: &Store, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Other {
        location: store.location().to_owned(),
        reason: format!("the run can't be written as JSON: {error}"),
    })
}

fn random_id() -> String {
    let letter = || fastrand::choice(ID_ALPHABET).map_or('2', |letter| char::from(*letter));
    std::iter::repeat_with(letter).take(ID_LENGTH).collect()
}

/// Starts the next attempt of a recorded run, which `owner` executes; `None` when another process has resumed it since, or is undoing it.
pub async fn resume(
    host: &Host,
    store: &Store,
    run: &RunRecord,
    resolution: Option<Resolution>,
    owner: &ProcessId,
) -> Result<Option<Attempt>, StoreError> {
    fence_dead_runs(host, store).await?;
    let (owner, now) = (owner.to_string(), store.time(&host.clock).await?);
    let is_ours = store.start_attempt(&run.id, run.attempt, &owner, now).await?;
    if is_ours && store.active_undo_of(&run.id).await?.is_some() {
        let end = RunEnd {
            run: &run.id,
            attempt: run.attempt + 1,
            state: RunState::Interrupted,
            note: &run.note,
            report: "",
            now: host.clock.now(),
            saved_state: None,
        };
        store.end_run(&end).await?;
        return Ok(None);
    }
    Ok(is_ours.then(|| Attempt {
        run: run.id.clone(),
        account: run.account.clone(),
        attempt: run.attempt + 1,
        resolution,
    }))
}

/// The `ctx.state` that the runs of an automation have saved; empty before the first save.
pub async fn automation_state(
    store: &Store,
    automation: &AutomationId,
) -> Result<Map<String, Value>, StoreError> {
    let record = store.automation(automation).await?.filter(|record| !record.state.is_empty());
    let Some(record) = record else { return Ok(Map::default()) };
    automation_column(&automation.to_string(), "state", "a JSON object").decode(&record.state)
}

/// Removes the `ctx.state` that a run was given from its record: once it is done, it is not resumed, and the record of
/// every run would keep a copy.
pub(super) async fn forget_state(store: &Store, run: &str) -> Result<(), StoreError> {
    let mut options = RunOptions::decode(run, &store.run_payload(run).await?)?;
    if let Some(call) = &mut options.call {
        call.state.clear();
    }
    store.replace_options(run, &encode(store, &options)?).await
}

/// Parks a run that no process executes, because its record can't be used for another attempt. The record stays as it is.
pub(super) async fn park(store: &Store, run: &RunRecord, note: &str) -> Result<(), StoreError> {
    if run.state != RunState::Running {
        return store.park_run(run, note).await;
    }
    store.fence_run(run).await?;
    store.park_run(&RunRecord { state: RunState::Interrupted, ..run.clone() }, note).await
}

/// The script and its imports in a run's record.
pub fn decode_source(run: &str, texts: &RunPayload) -> Result<Source, StoreError> {
    run_column(run, "source_id", "a script and its imports as JSON").decode(&texts.source)
}

/// The report in a run's record, once an attempt of it has ended.
pub fn decode_report(run: &str, texts: &RunPayload) -> Result<Option<RunReport>, StoreError> {
    if texts.report.is_empty() {
        return Ok(None);
    }
    run_column(run, "report", "a run's report as JSON").decode(&texts.report).map(Some)
}

/// How the daemon that served an automation last finds its account; `None` where an earlier version recorded nothing of it.
pub fn decode_served_as(record: &AutomationRecord) -> Result<Option<ServedAs>, StoreError> {
    if record.served_as.is_empty() {
        return Ok(None);
    }
    automation_column(&record.id.to_string(), "served_as", "how an account is found, as JSON")
        .decode(&record.served_as)
        .map(Some)
}

/// The last good source in an automation's record.
pub(super) fn decode_last_good(record: &AutomationRecord) -> Result<Source, StoreError> {
    automation_column(&record.id.to_string(), "last_good_source", "a script and its imports as JSON")
        .decode(&record.last_good_source)
}

fn run_column<'a>(row: &'a str, name: &'static str, expected: &'static str) -> JsonColumn<'a> {
    JsonColumn { table: "mpscript_run", row, name, expected, quoting: Quoting::Never }
}

fn automation_column<'a>(row: &'a str, name: &'static str, expected: &'static str) -> JsonColumn<'a> {
    JsonColumn { table: "mpscript_automation", row, name, expected, quoting: Quoting::Never }
}

/// Fences the runs whose processes are dead, which releases their write locks at once. A process that only slept can
/// write nothing more. A run whose record can't be decoded is left as it is.
pub async fn fence_dead_runs(host: &Host, store: &Store) -> Result<(), StoreError> {
    let now = store.time(&host.clock).await?;
    for run in store.running_runs().await? {
        let run = match run {
            Ok(run) => run,
            Err(UnreadableRun { id, error }) => {
                tracing::warn!("run {id} is left as it is, whether it is running or not: {error}");
                continue;
            }
        };
        if observed_state(host, &run, now) != run.state {
            store.fence_run(&run).await?;
        }
    }
    Ok(())
}

/// The state of a run, where one that is recorded as running is `Interrupted` if its process is dead or has missed its
/// heartbeats. `now` is from before its record was read.
#[must_use]
pub fn observed_state(host: &Host, run: &RunRecord, now: StoreTime) -> RunState {
    if run.state != RunState::Running {
        return run.state;
    }
    let has_expired = now.since(run.heartbeat_at) > HEARTBEAT_TTL;
    // Of an owner that names no process nothing is known: only its heartbeats tell.
    let is_dead = run.owner.parse().is_ok_and(|process| host.is_dead(&process));
    if has_expired || is_dead { RunState::Interrupted } else { RunState::Running }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decode(options: &Value) -> Result<RunOptions, String> {
        let texts = RunPayload { source: String::new(), options: options.to_string(), report: String::new() };
        RunOptions::decode("7k3mnq", &texts).map_err(|error| error.to_string())
    }

    #[test]
    fn option_of_an_unknown_name_is_refused() {
        let call = json!({"automation": "店", "handler": "run", "trigger": "hand", "scheduled_ms": 0, "scheduled": ""});
        let options = json!({"in_flight": 8, "folder": "/店", "max_changes": 5, "call": call});
        let known = decode(&options).expect("every name is known");
        assert_eq!(known.max_changes, Some(5));
        assert_eq!(known.call.map(|call| call.automation).as_deref(), Some("店"));
        for (at, name) in [("", "max_changes"), ("", "call"), ("/call", "automation")] {
            let mut renamed = options.clone();
            let fields = renamed.pointer_mut(at).and_then(Value::as_object_mut).expect("it is an object");
            let value = fields.remove(name).expect("it is there");
            fields.insert(format!("{name}x"), value);
            let error = decode(&renamed).unwrap_err();
            let expected = "`options` in row `7k3mnq` of mpscript_run can't be read: expected a run's options as JSON, \
                            found JSON that has another form (line 1, column ";
            assert!(error.starts_with(expected), "{at}/{name}: {error}");
        }
        for name in ["params", "sandbox", "held_a_secret", "max_errors", "allow_pause", "roots"] {
            let mut options = options.clone();
            options.as_object_mut().expect("it is an object").insert(format!("{name}x"), json!(true));
            assert!(decode(&options).is_err(), "{name}");
        }
    }
}
