//! `mpscript runs`, `show`, `stop` and `failed`: what was run, and how it stands.

use super::{
    automations::BY_HAND,
    resume::{Recorded, options_of, reach_of, recorded},
    run::{Plan, perform},
};
use crate::{
    base::{Diagnostic, no_formula, with_thousands},
    bulk::{Failure as FailedOpenid, RunReport},
    cli::{
        Failure,
        args::arguments::{FailedArguments, Reach, RunsArguments, ShowArguments, StopArguments},
        config::store,
        output::{exit, log},
    },
    host::Host,
    run::{
        record::{self, RunOptions},
        runtime,
    },
    script::{HandlerCall, Origin, Source},
    store::{RunRecord, RunState, RunTexts, Store},
};
use chrono::{DateTime, Local};
use serde_json::{Value, json};
use std::{collections::BTreeMap, thread, time::Duration};
use tokio::runtime::Runtime;

/// Runs that are listed.
const MOST: i64 = 1_000;

/// How long `stop` waits for a run to have stopped.
const PATIENCE: u32 = 150;

fn with_store<T>(
    host: &Host,
    reach: &Reach,
    work: impl FnOnce(&Runtime, &Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let store = store::require(host, &runtime, reach)?;
    let done = work(&runtime, &store);
    runtime.block_on(store.close());
    done
}

/// The run of this id, or the only one whose id begins so.
pub(crate) fn find(host: &Host, runtime: &Runtime, store: &Store, named: &str) -> Result<RunRecord, Failure> {
    let found = runtime.block_on(store.runs(named, MOST)).map_err(|error| store::failure(&error))?;
    if let Some(run) = found.iter().find(|run| run.id == named) {
        return Ok(run.clone());
    }
    let fail = |message: String, hint: &str| Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    match found.as_slice() {
        [only] if !named.is_empty() => Ok(only.clone()),
        [] => fail(format!("there is no run `{named}` in {}", store.place()), "mpscript runs lists them"),
        several => {
            let some: Vec<String> = several.iter().take(5).map(|run| line(host, run)).collect();
            fail(
                format!("several runs begin with `{named}`:\n{}", some.join("\n")),
                "give more of its letters",
            )
        }
    }
}

/// A time as the person's clock shows it.
fn local(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default().with_timezone(&Local);
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn line(host: &Host, run: &RunRecord) -> String {
    let dry = if run.is_dry { " (dry run)" } else { "" };
    format!(
        "{}  {}  {:<18}  {}{dry}",
        run.id,
        local(run.started_at),
        record::observed_state(host, run),
        run.script
    )
}

pub(crate) fn list(host: &Host, arguments: &RunsArguments) -> Result<u8, Failure> {
    let runs = with_store(host, &arguments.reach, |runtime, store| {
        runtime.block_on(store.runs("", MOST)).map_err(|error| store::failure(&error))
    })?;
    if arguments.json {
        let runs: Vec<Value> = runs
            .iter()
            .map(|run| {
                let started = DateTime::from_timestamp_millis(run.started_at).unwrap_or_default();
                json!({
                    "id": run.id,
                    "script": run.script,
                    "state": record::observed_state(host, run),
                    "dry_run": run.is_dry,
                    "started": started.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
                })
            })
            .collect();
        host.out.line(&serde_json::to_string_pretty(&runs).unwrap_or_default());
        return Ok(exit::DONE);
    }
    if runs.is_empty() {
        host.out.line("nothing was run yet");
    }
    for run in &runs {
        host.out.line(&line(host, run));
    }
    Ok(exit::DONE)
}

/// Which automation a run is of, what has started it, and with which parameters.
fn of_call(call: &HandlerCall) -> String {
    let by = if call.trigger == BY_HAND { "by hand".to_owned() } else { format!("by {}", call.trigger) };
    let params: Vec<String> = call.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let with = if params.is_empty() { String::new() } else { format!(", with {}", params.join(" ")) };
    format!("{}, {by}{with}", call.automation)
}

pub(crate) fn show(host: &Host, arguments: &ShowArguments) -> Result<u8, Failure> {
    let Recorded { run, texts, undone_by, changed, printed } =
        recorded(host, &arguments.reach, &arguments.run)?;
    let read = |text: &str| serde_json::from_str::<RunReport>(text).ok();
    if arguments.json {
        let report = read(&texts.report).map_or(Value::Null, |report| json!(report));
        let call = options_of(&run, &texts).ok().and_then(|options| options.call);
        let shown = json!({
            "id": run.id,
            "script": run.script,
            "account": run.account,
            "state": record::observed_state(host, &run),
            "dry_run": run.is_dry,
            "attempts": run.attempt,
            "undoes": Some(&run.undoes).filter(|undoes| !undoes.is_empty()),
            "undone_by": undone_by,
            "automation": call.as_ref().map(|call| &call.automation),
            "trigger": call.as_ref().map(|call| &call.trigger),
            "params": call.as_ref().map(|call| &call.params),
            "report": report,
        });
        host.out.line(&serde_json::to_string_pretty(&shown).unwrap_or_default());
        return Ok(exit::DONE);
    }
    if arguments.source {
        let source: Source = serde_json::from_str(&texts.source).unwrap_or_default();
        host.out.write(&source.text);
        return Ok(exit::DONE);
    }
    if arguments.log {
        let mut attempt = 1;
        for one in &printed {
            if one.attempt != attempt {
                attempt = one.attempt;
                host.out.line(&format!("{}  -- attempt {attempt} --", local(one.at)));
            }
            let at = local(one.at);
            // Further lines of one print stand under its first.
            let text = one.text.replace('\n', &format!("\n{:width$}  ", "", width = at.len()));
            host.out.line(&format!("{at}  {text}"));
        }
        return Ok(exit::DONE);
    }
    host.out.line(&line(host, &run));
    let mut rows = vec![("account", run.account.clone())];
    if run.ended_at > 0 {
        rows.push(("ended", local(run.ended_at)));
    }
    if run.attempt > 1 {
        rows.push(("attempts", run.attempt.to_string()));
    }
    if !run.undoes.is_empty() {
        rows.push(("undoes", run.undoes.clone()));
    }
    if let Some(call) = options_of(&run, &texts).ok().and_then(|options| options.call) {
        rows.push(("automation", of_call(&call)));
    }
    let is_undone = undone_by.is_some();
    if let Some(by) = undone_by {
        rows.push(("undone by", by));
    }
    if !run.note.is_empty() {
        rows.push(("because", run.note.clone()));
    }
    if !printed.is_empty() {
        let times = if printed.len() == 1 {
            "once"
        } else {
            &format!("{} times", with_thousands(printed.len() as u64))
        };
        rows.push(("printed", format!("{times}: mpscript show {} --log", run.id)));
    }
    let stands = record::observed_state(host, &run);
    let report = read(&texts.report);
    if report.is_none() && !run.is_dry {
        rows.push(("changed", format!("{} followers so far", with_thousands(changed))));
    }
    for (name, value) in rows {
        host.out.line(&format!("  {name:<9} {value}"));
    }
    for (end, count) in report.iter().flat_map(RunReport::ends_together) {
        let times = if count == 1 { String::new() } else { format!("{} × ", with_thousands(count as u64)) };
        host.out.line(&format!("{times}{end}"));
    }
    if let Some(next) = next_step(&run, &texts, stands).filter(|_| !is_undone) {
        host.out.line(&format!("  {next}"));
    }
    Ok(exit::DONE)
}

/// What a person may do with a run that has not ended well.
fn next_step(run: &RunRecord, texts: &RunTexts, stands: RunState) -> Option<String> {
    if stands == RunState::Running {
        return Some(format!("mpscript stop {} stops it where it can be gone on with", run.id));
    }
    let options = options_of(run, texts).ok().filter(|_| !run.is_dry)?;
    let id = &run.id;
    match options.of_session {
        _ if stands.is_completed() => None,
        true => Some(format!("mpscript undo {id} takes it back")),
        false => Some(format!("mpscript resume {id} goes on with it; mpscript undo {id} takes it back")),
    }
}

pub(crate) fn stop(host: &Host, arguments: &StopArguments) -> Result<u8, Failure> {
    with_store(host, &arguments.reach, |runtime, store| {
        let run = find(host, runtime, store, &arguments.run)?;
        let stands = record::observed_state(host, &run);
        if stands != RunState::Running {
            host.out.line(&format!("run {} is not under way: {}", run.id, stands.in_words()));
            return Ok(exit::DONE);
        }
        runtime.block_on(store.ask_to_stop(&run.id)).map_err(|error| store::failure(&error))?;
        for _ in 0..PATIENCE {
            thread::sleep(Duration::from_millis(100));
            let now = find(host, runtime, store, &run.id)?;
            let stands = record::observed_state(host, &now);
            if stands != RunState::Running {
                host.out.line(&format!("run {}: {}", run.id, stands.in_words()));
                return Ok(exit::DONE);
            }
        }
        let message = format!("run {} was asked to stop, and has not yet", run.id);
        Err(Failure::usage(Diagnostic::new(message).hint("mpscript runs shows when it has")))
    })
}

/// Those whom a run could not do, with the job that could not.
fn failures(report: &RunReport) -> impl Iterator<Item = (String, &FailedOpenid)> {
    report.ends.iter().flat_map(|end| end.failed.iter().map(|failed| (end.title(), failed)))
}

pub(crate) fn failed(host: &Host, arguments: &FailedArguments) -> Result<u8, Failure> {
    log::start(host, arguments.manner.verbose);
    let Recorded { run, texts, undone_by, .. } = recorded(host, &arguments.reach, &arguments.run)?;
    let Ok(report) = serde_json::from_str::<RunReport>(&texts.report) else {
        let message = format!("run {} has no report: it was cut off", run.id);
        let hint = format!("mpscript resume {} goes on with it", run.id);
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    };
    if arguments.retry {
        if let Some(by) = undone_by {
            let message = format!("run {} was taken back by run {by}: nobody is left to be changed", run.id);
            let hint = "start its script anew, or take that run back first: mpscript undo";
            return Err(Failure::usage(Diagnostic::new(message).hint(format!("{hint} {by}"))));
        }
        let options = options_of(&run, &texts)?;
        let text = match retry(&report) {
            Ok(text) if text.is_empty() => {
                host.out.line("nobody failed");
                return Ok(exit::DONE);
            }
            Ok(text) => text,
            Err(diagnostic) => return Err(Failure::usage(diagnostic)),
        };
        let source = Source { name: format!("failed {}", run.id), text, imports: Vec::new() };
        let reach = reach_of(&arguments.reach, &options);
        return perform(
            host,
            Plan {
                program: crate::cli::commands::check::compile(&Origin::Stored(source))?,
                options: RunOptions { params: BTreeMap::default(), of_session: false, call: None, ..options },
                manner: &arguments.manner,
                reach: &reach,
                is_dry: false,
                undoes: None,
                repeats: Some(&run),
                resumes: None,
            },
        );
    }
    if arguments.csv {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let code = |failed: &FailedOpenid| failed.errcode.map(|code| code.to_string()).unwrap_or_default();
        // Writing into memory does not fail.
        let _ = writer.write_record(["openid", "end", "errcode", "errmsg", "rid"]);
        for (end, failed) in failures(&report) {
            let rid = failed.rid.as_deref().unwrap_or_default();
            let cells = [&failed.openid, &end, &code(failed), &failed.errmsg, rid];
            let _ = writer.write_record(cells.map(no_formula));
        }
        host.out.write(&String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()));
        return Ok(exit::DONE);
    }
    let mut count = 0;
    for (end, failed) in failures(&report) {
        let code = failed.errcode.map(|code| format!("{code} ")).unwrap_or_default();
        let rid = failed.rid.as_ref().map(|rid| format!(" (rid {rid})")).unwrap_or_default();
        host.out.line(&format!("{}  {end}: {code}{}{rid}", failed.openid, failed.errmsg));
        count += 1;
    }
    if count == 0 {
        host.out.line("nobody failed");
    } else {
        let next = match retry(&report) {
            Ok(_) => format!("; mpscript failed {} --retry tries them again", run.id),
            Err(_) => String::new(),
        };
        host.err.line(&format!("{} failed{next}", with_thousands(count)));
    }
    Ok(exit::DONE)
}

/// A script that does the same once more to those who failed, or why there is none.
fn retry(report: &RunReport) -> Result<String, Diagnostic> {
    if report.dry_run {
        let message = "it was a dry run: nobody was to be changed";
        return Err(Diagnostic::new(message).hint("mpscript run, without --dry-run, does it"));
    }
    let mut text = String::new();
    for end in report.ends.iter().filter(|end| !end.failed.is_empty()) {
        // Whether they pass the script's filters only the script knows.
        if end.failed.iter().any(|failed| failed.is_of_details) {
            let message = format!(
                "{}: the details of some were refused, so it is not known whether they match",
                end.title()
            );
            return Err(Diagnostic::new(message)
                .hint("run the script again: whom it has changed already costs no call"));
        }
        let openids: Vec<&str> = end.failed.iter().map(|failed| failed.openid.as_str()).collect();
        let openids = json!(openids);
        let target = end.target_id.map_or_else(|| json!(end.target), |id| json!(id));
        text.push_str(&match end.end.as_str() {
            "tag" | "untag" => format!("openids({openids}).{}({target});\n", end.end),
            "block" | "unblock" => format!("openids({openids}).{}();\n", end.end),
            other => {
                let message =
                    format!("`{other}` can't be done again for some: what it does is in the script");
                return Err(Diagnostic::new(message).hint("run the script again, with a filter for them"));
            }
        });
    }
    Ok(text)
}
