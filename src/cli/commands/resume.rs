//! `mpscript resume`: resumes a recorded run.

use super::{
    check::compile,
    recorded::{Recorded, read_run, target_of},
    run_recorded::{Purpose, RunPlan, run_recorded},
};
use crate::{
    base::{ProcessId, UnknownProcess},
    bulk::Resolution,
    cli::{
        args::{ResolveArgument, ResumeArguments},
        failure::usage_error,
        output::{exit, log},
    },
    host::Host,
    run::record::RunOptions,
    script::Origin,
    store::RunState,
};
use std::sync::Arc;

pub(crate) fn execute(host: &Host, arguments: &ResumeArguments) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::from_flag(arguments.flags.verbose));
    let resolution = resolution(arguments)?;
    let recorded = read_run(host, &arguments.target, &arguments.run)?;
    let (run, state) = (&recorded.run, recorded.state);
    if recorded.undone_by.is_none() && state.is_completed() {
        host.out.line(&format!("run {} has ended: {}", run.id, state.in_words()));
        return Ok(exit::DONE);
    }
    let options = resumable_options(&recorded)?;
    let target = target_of(&arguments.target, &options);
    run_recorded(
        host,
        RunPlan {
            program: Arc::new(compile(&Origin::Recorded(recorded.source()?))?),
            options: RunOptions {
                max_changes: arguments.limits.max_changes.or(options.max_changes),
                max_errors: arguments.limits.max_errors.or(options.max_errors),
                ..options
            },
            flags: &arguments.flags,
            target: &target,
            is_dry: false,
            purpose: Purpose::Resume { run, resolution },
        },
    )
}

/// What the run was started with, or why it can't be resumed.
fn resumable_options(recorded: &Recorded) -> anyhow::Result<RunOptions> {
    let run = &recorded.run;
    let id = &run.id;
    if let Some(undo) = &recorded.undone_by {
        let again = format!("start its script again, or undo run {0} first: mpscript undo {0}", undo.run);
        return Err(usage_error(format!("run {id} {}", undo.describe()), undo.hint(&again)));
    }
    if recorded.state == RunState::Running {
        let process = match run.owner.parse::<ProcessId>() {
            Ok(process) => format!("the process {}", process.name()),
            Err(UnknownProcess { found }) => format!("an unknown process, `{found}`"),
        };
        let hint = format!("mpscript stop {id} stops it at its next checkpoint");
        return Err(usage_error(format!("run {id} is running in {process}"), hint));
    }
    let options = recorded.lasting_options()?;
    if run.is_dry {
        let message =
            format!("run {id} was a dry run: it has changed nothing, so there is nothing to resume");
        return Err(usage_error(message, "start it again with mpscript run"));
    }
    if let Some(blocker) = options.resume_blocker(run.started_by) {
        let hint = format!("mpscript undo {id} undoes what it did");
        return Err(usage_error(format!("run {id} {blocker}"), hint));
    }
    Ok(options)
}

/// How the person resolves the call that is in doubt.
fn resolution(arguments: &ResumeArguments) -> anyhow::Result<Option<Resolution>> {
    Ok(match (arguments.resolve, &arguments.answer) {
        (None, _) => None,
        (Some(ResolveArgument::Retry), None) => Some(Resolution::Retry),
        (Some(ResolveArgument::Retry), Some(_)) => {
            let hint = "a call that is made again has an answer of its own";
            return Err(usage_error("--answer goes with --resolve completed", hint));
        }
        (Some(ResolveArgument::Completed), None) => Some(Resolution::completed()),
        (Some(ResolveArgument::Completed), Some(text)) => {
            let answer = serde_json::from_str(text).map_err(|error| {
                usage_error(format!("--answer is not JSON: {error}"), "for example {\"card_id\": \"p…\"}")
            })?;
            Some(Resolution::Completed(answer))
        }
    })
}
