//! `mpscript run`.

use super::{
    Failure,
    arguments::RunArguments,
    check::{compile, origin},
    exit, log,
    progress::Progress,
    reach, render, watch_signals,
};
use crate::{
    base::{Cancel, Diagnostic, WholeFile, grouped, nearest},
    bulk::{Board, Limits, RunReport},
    host::Host,
    run::{Outcome, Run, runtime},
    script::{Program, check},
};
use std::{collections::BTreeMap, io::Write, path::Path, sync::Arc};

pub(super) fn execute(host: &Host, arguments: &RunArguments) -> Result<u8, Failure> {
    log::start(host, arguments.verbose);
    let origin = match &arguments.expression {
        Some(text) => crate::script::Origin::Text {
            name: "-e".to_owned(),
            text: text.clone(),
            folder: host.folder.clone(),
        },
        None => origin(host, arguments.file.as_deref().unwrap_or(Path::new("-")))?,
    };
    let program = Arc::new(compile(&origin)?);
    let params = params(&program, &arguments.params)?;
    if let Some(trouble) = check::problems(&program, &params).into_iter().next() {
        let code = if trouble.is_configuration { exit::USAGE } else { exit::SCRIPT };
        return Err(Failure { diagnostic: trouble.diagnostic, code });
    }
    if let Some(path) = &arguments.report {
        // Found out before the first call, not after the last.
        write_report(&host.folder.join(path), &RunReport { state: "running", ..RunReport::default() })?;
    }
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let cancel = Cancel::default();
    watch_signals::watch(&runtime, &cancel, &host.err);
    let reached =
        reach::reach(host, &runtime, &arguments.reach, reach::Need::Calls, arguments.in_flight, &cancel)?;
    let board = Arc::new(Board::default());
    let (progress, output) = Progress::start(host, &board, arguments.quiet);
    let run = Run {
        program,
        client: reached.client.clone(),
        callback: reached.callback.clone(),
        in_flight: arguments.in_flight,
        limits: Limits::new(arguments.max_changes, arguments.max_errors),
        folder: host.folder.clone(),
        scratch_folder: host.scratch_folder(),
        clock: host.clock.clone(),
        cancel: cancel.clone(),
        params,
        board,
        output,
    };
    let outcome = run.execute(&runtime);
    drop(progress);
    if let Ok(client) = &reached.client {
        runtime.block_on(client.finish());
    }
    let code = finish(host, arguments, &outcome, cancel.is_cancelled())?;
    // Calls whose answers nobody waits for any more end with the process.
    runtime.shutdown_background();
    Ok(code)
}

/// Prints and writes what a run came to, and gives its exit code.
fn finish(host: &Host, arguments: &RunArguments, outcome: &Outcome, cancelled: bool) -> Result<u8, Failure> {
    if let (Some(value), Some(_)) = (&outcome.value, &arguments.expression) {
        host.out.line(value);
    }
    if let Some(path) = &arguments.report {
        write_report(&host.folder.join(path), &outcome.report)?;
    }
    if cancelled {
        for end in &outcome.report.ends {
            host.err.line(&end.to_string());
        }
        host.err.line("stopped");
        return Ok(exit::INTERRUPTED);
    }
    if let Some(trouble) = &outcome.trouble {
        // What was done before the error must not be lost with it.
        if let Some(end) = outcome.report.ends.last()
            && (end.state == "error" && (end.totals.changed > 0 || !end.failed.is_empty()))
        {
            host.err.line(&end.to_string());
        }
        host.err.line(&render::error(host, &trouble.diagnostic));
        return Ok(if trouble.is_configuration { exit::USAGE } else { exit::SCRIPT });
    }
    // Most often a slip: a scene that nobody came by, a file of somebody else's openids.
    for end in outcome.report.ends.iter().filter(|end| end.is_of_changes() && end.totals.matched == 0) {
        let said = match end.totals.listed {
            0 => "nobody was listed".to_owned(),
            listed => format!("nobody matched, of {} listed", grouped(listed)),
        };
        host.err.line(&format!("warning: {}: {said}", end.title()));
    }
    let failed = outcome.report.failed.len();
    if failed == 0 {
        return Ok(exit::DONE);
    }
    let (openids, list) = if failed == 1 { ("openid", "names it") } else { ("openids", "lists them") };
    let list = if arguments.report.is_some() {
        format!("the report {list}")
    } else {
        format!("--report FILE {list}")
    };
    host.err.line(&format!("done, but {} {openids} failed; {list}", grouped(failed as u64)));
    Ok(exit::FAILURES)
}

/// The parameters by name; one that the script does not ask for is a slip.
fn params(program: &Program, given: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let known = check::params(program);
    let mut params = BTreeMap::new();
    for (name, value) in given {
        if !known.iter().any(|known| known == name) {
            let message = format!("{} has no parameter `{name}`", program.name);
            let hint = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => {
                    "it has none: param(\"NAME\", DEFAULT) in the script makes one".to_owned()
                }
                None => format!("it has {}", known.join(", ")),
            };
            return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
        }
        if params.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::usage(Diagnostic::new(format!("parameter `{name}` is given twice"))));
        }
    }
    Ok(params)
}

/// Writes the report, so that no half of one is ever seen.
fn write_report(path: &Path, report: &RunReport) -> Result<(), Failure> {
    let fail = |error: std::io::Error| {
        let message = format!("can't write the report {}: {error}", path.display());
        Failure::usage(
            Diagnostic::new(message).hint("give a file in a folder that exists and can be written"),
        )
    };
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    let written = WholeFile::create(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.finish()
    });
    written.map_err(fail)
}
