//! `mpscript runs`: the recorded runs, newest first.

use super::recorded::{Listed, Listing, list, listed_line, with_existing_store};
use crate::{
    cli::{args::RunsArguments, output::exit},
    host::Host,
    run::record,
    store::{StoreTime, UnreadableRun},
};
use chrono::SecondsFormat;
use serde_json::{Value, json};

pub(crate) fn execute(host: &Host, arguments: &RunsArguments) -> anyhow::Result<u8> {
    let listing =
        with_existing_store(host, &arguments.target, |runtime, store| Ok(list(host, runtime, store, "")?))?;
    let runs = listing.iter().flat_map(|Listing { runs, now }| runs.iter().map(|run| (run, *now)));
    if arguments.json {
        let runs: Vec<Value> = runs.map(|(run, now)| as_json(host, run, now)).collect();
        host.out.line(&serde_json::to_string_pretty(&runs)?);
        return Ok(exit::DONE);
    }
    let lines: Vec<String> = runs.map(|(run, now)| listed_line(host, run, now)).collect();
    if lines.is_empty() {
        host.out.line("no run is recorded yet");
    }
    for line in lines {
        host.out.line(&line);
    }
    Ok(exit::DONE)
}

fn as_json(host: &Host, run: &Listed, now: StoreTime) -> Value {
    let run = match run {
        Ok(run) => run,
        Err(UnreadableRun { id, error }) => return json!({"id": id, "error": error.to_string()}),
    };
    json!({
        "id": run.id,
        "script": run.script,
        "state": record::observed_state(host, run, now),
        "dry_run": run.is_dry,
        "started": run.started_at.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true),
    })
}
