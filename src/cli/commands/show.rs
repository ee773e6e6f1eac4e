//! `mpscript show`: a run, its status and what it did.

use super::recorded::{Recorded, line, local_time, read_printed, read_run};
use crate::{
    base::{plain_line, plain_text, with_thousands},
    bulk::{OperationGroup, RunReport},
    cli::{
        args::{SETTING_NAMES, ShowArguments},
        output::exit,
    },
    host::Host,
    run::record::RunOptions,
    script::{CallTrigger, HandlerCall},
    store::{OutputLine, RunRecord, RunState, StartedBy, StoreError},
};
use serde_json::json;

pub(crate) fn execute(host: &Host, arguments: &ShowArguments) -> anyhow::Result<u8> {
    let recorded = read_run(host, &arguments.target, &arguments.run)?;
    if arguments.json {
        show_json(host, &recorded)?;
    } else if arguments.source {
        host.out.write(&recorded.source()?.text);
    } else if arguments.log {
        show_log(host, &read_printed(host, &arguments.target, &recorded.run.id)?);
    } else {
        let printed = read_printed(host, &arguments.target, &recorded.run.id)?;
        show_summary(host, &recorded, &printed);
    }
    Ok(exit::DONE)
}

fn show_json(host: &Host, recorded: &Recorded) -> anyhow::Result<()> {
    let run = &recorded.run;
    let call = lasting(recorded.options()?).and_then(|options| options.call);
    let shown = json!({
        "id": run.id,
        "script": run.script,
        "account": run.account,
        "state": recorded.state,
        "dry_run": run.is_dry,
        "attempts": run.attempt,
        "undoes": Some(&run.undoes).filter(|undoes| !undoes.is_empty()),
        "undone_by": recorded.undone_by.as_ref().map(|undo| &undo.run),
        "automation": call.as_ref().map(|call| &call.automation),
        "trigger": call.as_ref().map(|call| &call.trigger),
        "params": call.as_ref().map(|call| &call.params),
        "report": recorded.report()?,
    });
    host.out.line(&serde_json::to_string_pretty(&shown)?);
    Ok(())
}

fn show_log(host: &Host, printed: &[Result<OutputLine, StoreError>]) {
    let mut attempt = 1;
    for one in printed {
        let one = match one {
            Ok(one) => one,
            Err(error) => {
                host.out.line(&plain_line(&format!("a line can't be shown: {error}")));
                continue;
            }
        };
        let at = local_time(one.printed_at);
        if one.attempt != attempt {
            attempt = one.attempt;
            host.out.line(&format!("{at}  -- attempt {attempt} --"));
        }
        // Further lines of one print are aligned with its first.
        let text = plain_text(&one.text).replace('\n', &format!("\n{:width$}  ", "", width = at.len()));
        host.out.line(&format!("{at}  {text}"));
    }
}

fn show_summary(host: &Host, recorded: &Recorded, printed: &[Result<OutputLine, StoreError>]) {
    let run = &recorded.run;
    let (options, report) = (recorded.options(), recorded.report());
    let unprinted = printed.iter().find_map(|line| line.as_ref().err());
    let damaged = options.as_ref().err().into_iter().chain(report.as_ref().err()).chain(unprinted);
    let damaged: Vec<String> = damaged.map(StoreError::to_string).collect();
    let (options, report) = (options.ok().and_then(lasting), report.ok().flatten());
    host.out.line(&line(run, recorded.state));
    for (name, value) in rows(recorded, printed.len(), options.as_ref(), report.as_ref()) {
        host.out.line(&format!("  {name:<9} {}", plain_line(&value)));
    }
    for error in damaged {
        host.out.line(&format!("  {:<9} {}", "damaged", plain_line(&error)));
    }
    for OperationGroup { report: job, count } in report.iter().flat_map(RunReport::operation_groups) {
        let times = if count == 1 { String::new() } else { format!("{} × ", with_thousands(count as u64)) };
        host.out.line(&format!("{times}{}", job.text(SETTING_NAMES)));
    }
    if recorded.undone_by.is_none()
        && let Some(next) = next_step(run, options.as_ref(), recorded.state)
    {
        host.out.line(&format!("  {next}"));
    }
}

/// What is known of a run beside its state and its report, by label.
fn rows(
    recorded: &Recorded,
    printed: usize,
    options: Option<&RunOptions>,
    report: Option<&RunReport>,
) -> Vec<(&'static str, String)> {
    let run = &recorded.run;
    let mut rows = vec![("account", run.account.clone())];
    if let Some(ended_at) = run.ended_at {
        rows.push(("ended", local_time(ended_at)));
    }
    if run.attempt > 1 {
        rows.push(("attempts", run.attempt.to_string()));
    }
    if !run.undoes.is_empty() {
        rows.push(("undoes", run.undoes.clone()));
    }
    if let Some(call) = options.and_then(|options| options.call.as_ref()) {
        rows.push(("automation", describe_call(call)));
    }
    if let Some(undo) = &recorded.undone_by {
        let state = match undo.state {
            RunState::Done | RunState::DoneWithFailures => String::new(),
            state => format!(" ({})", state.in_words()),
        };
        rows.push(("undone by", format!("{}{state}", undo.run)));
    }
    if !run.note.is_empty() {
        rows.push(("because", run.note.clone()));
    }
    match printed {
        0 => {}
        1 => rows.push(("printed", format!("once: mpscript show {} --log", run.id))),
        count => {
            rows.push((
                "printed",
                format!("{} times: mpscript show {} --log", with_thousands(count as u64), run.id),
            ));
        }
    }
    if report.is_none() && !run.is_dry {
        rows.push((
            "changed",
            match &recorded.changed {
                Ok(changed) => format!("{} followers so far", with_thousands(*changed)),
                Err(error) => format!("can't be counted: {error}"),
            },
        ));
    }
    rows
}

/// Options of a run whose world still exists: that of its own sandbox has ended with it.
fn lasting(options: RunOptions) -> Option<RunOptions> {
    Some(options).filter(|options| !options.sandbox)
}

/// The automation that a run belongs to, what started it, and its parameters.
fn describe_call(call: &HandlerCall) -> String {
    let by = match &call.trigger {
        CallTrigger::ByHand => "by hand".to_owned(),
        CallTrigger::Trigger(_) | CallTrigger::FailureOf(_) => format!("by {}", call.trigger),
    };
    let params: Vec<String> = call.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let with = if params.is_empty() { String::new() } else { format!(", with {}", params.join(" ")) };
    format!("{}, {by}{with}", call.automation)
}

/// What can be done with a run that is running, or has not ended well.
fn next_step(run: &RunRecord, options: Option<&RunOptions>, state: RunState) -> Option<String> {
    let id = &run.id;
    if state == RunState::Running {
        return Some(format!("mpscript stop {id} stops it at its next checkpoint"));
    }
    options.filter(|_| !run.is_dry)?;
    if state.is_completed() {
        return None;
    }
    Some(match run.started_by {
        StartedBy::Session => format!("mpscript undo {id} undoes it"),
        StartedBy::Command | StartedBy::Automation | StartedBy::Unknown => {
            format!("mpscript resume {id} resumes it; mpscript undo {id} undoes it")
        }
    })
}
