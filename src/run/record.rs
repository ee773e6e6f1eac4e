//! The record of a run: its id, what it was started with, and who runs it.

use crate::{
    bulk::{Attempt, HEARTBEAT_TTL, Resolution},
    host::Host,
    script::{HandlerCall, Source},
    store::{AutomationRecord, RunEnd, RunPayload, RunRecord, RunState, StartedBy, Store, StoreError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf};

/// Letters of ids: none that is taken for another.
const LETTERS: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";

/// Letters of an id.
const LENGTH: usize = 6;

/// What a run was started with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct RunOptions {
    /// The account's name in the configuration; the environment's where there is none.
    pub account: Option<String>,
    /// Where the platform was said to be on the command line.
    pub base_urls: Vec<String>,
    /// On the sandbox of its own process.
    pub sandbox: bool,
    /// `--param` by name.
    pub params: BTreeMap<String, String>,
    /// The most calls under way together.
    pub in_flight: usize,
    /// Changes at the most.
    pub max_changes: Option<u64>,
    /// Failures at the most, in a thousandth of a per cent.
    pub max_errors: Option<u32>,
    /// Whether it waits for the next day's quota.
    pub allow_pause: bool,
    /// Where the person stood.
    pub folder: PathBuf,
    /// It was a text on the command line, whose value is printed.
    pub prints_value: bool,
    /// It was a line of a session, whose variables are gone with it.
    #[serde(default)]
    pub of_session: bool,
    /// Its text or a parameter held a secret, which is not kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_a_secret: bool,
    /// The handler of an automation that it calls, with everything that it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<HandlerCall>,
}

impl RunOptions {
    /// What started the run.
    #[must_use]
    pub const fn started_by(&self) -> StartedBy {
        if self.call.is_some() {
            StartedBy::Automation
        } else if self.of_session {
            StartedBy::Session
        } else {
            StartedBy::Command
        }
    }

    /// The options in a run's record.
    pub fn decode(run: &str, texts: &RunPayload) -> Result<Self, StoreError> {
        decode("mpscript_run", run, "options", &texts.options, "a run's options as JSON")
    }

    /// What stands in the way of going on with a run that was started with these.
    #[must_use]
    pub fn resume_blocker(&self) -> Option<&'static str> {
        if self.of_session {
            return Some("was a line of a session, whose variables are gone with it");
        }
        self.held_a_secret.then_some("held a secret in its text or its parameters, and that was not kept")
    }
}

/// A run that starts_at.
pub struct NewRun<'a> {
    /// The script and its imports.
    pub source: &'a Source,
    /// What it is started with.
    pub options: &'a RunOptions,
    /// The account, as the client names it.
    pub account: &'a str,
    /// Whether it changes nothing.
    pub is_dry: bool,
    /// The run that it undoes.
    pub undoes: Option<&'a str>,
}

/// Records a run that starts_at; `None` when it would take back a run that somebody goes on with at this moment.
///
/// # Errors
/// When the store fails.
pub async fn begin(host: &Host, store: &Store, new: &NewRun<'_>) -> Result<Option<Attempt>, StoreError> {
    fence_dead_runs(host, store).await?;
    let now = host.clock.now_ms();
    let text = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
    // One that this process has not used yet is no less secret.
    store.tokens(new.account).await?.iter().for_each(|token| host.secrets.learn_token(token));
    let whole = text(serde_json::to_string(new.source));
    let source = host.secrets.mask(&whole);
    let mut options = new.options.clone();
    options.held_a_secret = source != whole;
    let whole = text(serde_json::to_string(&options));
    options.held_a_secret |= host.secrets.mask(&whole) != whole;
    let options = host.secrets.mask(&text(serde_json::to_string(&options)));
    let texts = RunPayload { source, options, report: String::new() };
    loop {
        let letters =
            std::iter::repeat_with(|| fastrand::choice(LETTERS).map_or('2', |letter| char::from(*letter)));
        let id: String = letters.take(LENGTH).collect();
        let record = RunRecord {
            id: id.clone(),
            account: new.account.to_owned(),
            script: new.source.name.clone(),
            state: RunState::Running,
            is_dry: new.is_dry,
            started_at: now,
            heartbeat_at: now,
            owner: owner(host),
            undoes: new.undoes.unwrap_or_default().to_owned(),
            started_by: new.options.started_by(),
            ..RunRecord::default()
        };
        if !store.add_run(&record, &texts).await? {
            continue;
        }
        // Whoever goes on with a run looks for this record after theirs is written: one of the two gives way.
        if let Some(undoes) = new.undoes.filter(|_| !new.is_dry)
            && store.run_state(undoes).await? == Some(RunState::Running)
        {
            let note = "the run was gone on with";
            store
                .end_run(&RunEnd {
                    run: &id,
                    attempt: 1,
                    state: RunState::Error,
                    note,
                    now,
                    ..RunEnd::default()
                })
                .await?;
            return Ok(None);
        }
        return Ok(Some(Attempt { run: id, account: record.account, attempt: 1, resolution: None }));
    }
}

/// Goes on with a recorded run; `None` when somebody else has begun to meanwhile, or to take it back.
///
/// # Errors
/// When the store fails.
pub async fn resume(
    host: &Host,
    store: &Store,
    run: &RunRecord,
    resolution: Option<Resolution>,
) -> Result<Option<Attempt>, StoreError> {
    fence_dead_runs(host, store).await?;
    let taken = store.start_attempt(&run.id, run.attempt, &owner(host), host.clock.now_ms()).await?;
    if taken && store.active_undo_of(&run.id).await?.is_some() {
        let end = RunEnd {
            run: &run.id,
            attempt: run.attempt + 1,
            state: RunState::Interrupted,
            note: &run.note,
            now: host.clock.now_ms(),
            ..RunEnd::default()
        };
        store.end_run(&end).await?;
        return Ok(None);
    }
    Ok(taken.then(|| Attempt {
        run: run.id.clone(),
        account: run.account.clone(),
        attempt: run.attempt + 1,
        resolution,
    }))
}

/// The `ctx.state` that the runs of an automation have saved; empty before the first save.
pub async fn automation_state(store: &Store, automation: &str) -> Result<Map<String, Value>, StoreError> {
    let record = store.automation(automation).await?.unwrap_or_default();
    if record.state.is_empty() {
        return Ok(Map::default());
    }
    decode("mpscript_automation", automation, "state", &record.state, "a JSON object")
}

/// The script and its imports in a run's record.
pub fn decode_source(run: &str, texts: &RunPayload) -> Result<Source, StoreError> {
    decode("mpscript_run", run, "source", &texts.source, "a script and its imports as JSON")
}

/// The last good source in an automation's record.
pub(super) fn decode_last_good(record: &AutomationRecord) -> Result<Source, StoreError> {
    decode(
        "mpscript_automation",
        &record.name,
        "good",
        &record.last_good_source,
        "a script and its imports as JSON",
    )
}

/// Decodes what a column holds as JSON. What can't be decoded is an error that names the row, never an empty value, which
/// the next write would put in its place.
fn decode<T: DeserializeOwned>(
    table: &'static str,
    row: &str,
    column: &'static str,
    json: &str,
    expected: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Decode {
        table,
        row: row.to_owned(),
        column,
        expected: expected.to_owned(),
        found: error.to_string(),
    })
}

/// What runs have claimed whose process is gone is free at once; and should one only have slept, it does nothing more.
///
/// # Errors
/// When the store fails.
pub async fn fence_dead_runs(host: &Host, store: &Store) -> Result<(), StoreError> {
    for run in store.running_runs().await? {
        if observed_state(host, &run) != run.state {
            store.fence_run(&run).await?;
        }
    }
    Ok(())
}

/// How a run stands: one whose process is gone is `interrupted`.
#[must_use]
pub fn observed_state(host: &Host, run: &RunRecord) -> RunState {
    if run.state != RunState::Running {
        return run.state;
    }
    let (process, start_id) = run.owner.split_once(' ').unwrap_or((&run.owner, ""));
    let is_silent = host.clock.now_ms() - run.heartbeat_at > HEARTBEAT_TTL;
    if is_silent || host.is_dead(process, start_id) { RunState::Interrupted } else { RunState::Running }
}

/// The process in a record: its name and its start id.
fn owner(host: &Host) -> String {
    format!("{} {}", host.process, host.start_id)
}
