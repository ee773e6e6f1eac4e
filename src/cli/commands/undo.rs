//! `mpscript undo`: undoes what a run changed, as a run of its own.

use super::{
    check::compile,
    confirm::is_yes,
    recorded::{Recorded, read_run, target_of, with_store},
    run_recorded::{Purpose, RunPlan, run_recorded},
};
use crate::{
    bulk::plan_undo,
    cli::{
        args::{RunFlags, UndoArguments},
        failure::usage_error,
        output::{exit, log},
    },
    host::Host,
    run::record::{self, RunOptions},
    script::{Origin, Source, undo_script},
    store::RunState,
};
use std::{collections::BTreeMap, sync::Arc};

pub(crate) fn execute(host: &Host, arguments: &UndoArguments) -> anyhow::Result<u8> {
    log::start(host, log::Verbosity::from_flag(arguments.flags.verbose));
    let recorded = read_run(host, &arguments.target, &arguments.run)?;
    let options = recorded.lasting_options()?;
    refuse_if_not_undoable(&recorded)?;
    let run = &recorded.run;
    let plan = with_store(host, &arguments.target, |runtime, store| {
        Ok(runtime.block_on(async {
            // A suspended process must not continue the run meanwhile.
            record::fence_dead_runs(host, store).await?;
            plan_undo(store, &run.id).await
        })?)
    })?;
    for lasting in &plan.irreversible {
        host.err.line(&format!("can't be undone: {lasting}"));
    }
    let script = undo_script(&plan);
    if script.is_empty() {
        host.out.line(&format!("run {} has changed nothing that can be undone", run.id));
        return Ok(exit::DONE);
    }
    confirm(host, arguments, &run.id, &script)?;
    let source = Source { name: format!("undo {}", run.id), text: script, imports: Vec::new() };
    let options = RunOptions {
        params: BTreeMap::default(),
        max_changes: None,
        max_errors: None,
        prints_value: false,
        call: None,
        ..options
    };
    let target = target_of(&arguments.target, &options);
    // The undo itself has been confirmed.
    let flags = RunFlags { yes: true, ..arguments.flags.clone() };
    let code = run_recorded(
        host,
        RunPlan {
            program: Arc::new(compile(&Origin::Recorded(source))?),
            options,
            flags: &flags,
            target: &target,
            is_dry: arguments.dry_run,
            purpose: Purpose::Undo { run },
        },
    )?;
    if code == exit::DONE && !arguments.dry_run {
        host.out.line(&format!("run {} is undone; its undo is the newest run in mpscript runs", run.id));
    }
    Ok(code)
}

fn refuse_if_not_undoable(recorded: &Recorded) -> anyhow::Result<()> {
    let run = &recorded.run;
    if recorded.state == RunState::Running {
        let hint = format!("stop it first: mpscript stop {}", run.id);
        return Err(usage_error(format!("run {} is running", run.id), hint));
    }
    if let Some(undo) = &recorded.undone_by {
        let shown =
            format!("mpscript show {0} shows what it did, mpscript undo {0} undoes it in turn", undo.run);
        return Err(usage_error(format!("run {} {}", run.id, undo.describe()), undo.hint(&shown)));
    }
    Ok(())
}

/// Shows what is going to be undone, and asks unless `--yes` is given; a dry run needs no confirmation.
fn confirm(host: &Host, arguments: &UndoArguments, id: &str, script: &str) -> anyhow::Result<()> {
    if arguments.dry_run {
        host.err.write(script);
        return Ok(());
    }
    if arguments.flags.yes {
        return Ok(());
    }
    if !host.in_is_terminal {
        let message = format!("run {id} is not undone without a confirmation");
        return Err(usage_error(message, "give --yes, or --dry-run to see what would be undone"));
    }
    host.err.write(&format!("{script}Undo what run {id} did? [y/N] "));
    if !is_yes(&(host.read_line)().unwrap_or_default()) {
        return Err(usage_error(format!("run {id} was not undone"), "answer y, or give --yes"));
    }
    Ok(())
}
