//! `mpscript undo`: takes back what a run changed, as a run of its own.

use super::{
    check::compile,
    resume::{Recorded, options_of, reach_of, recorded},
    run::{Plan, perform},
};
use crate::{
    base::Diagnostic,
    bulk::way_back,
    cli::{
        Failure,
        args::arguments::UndoArguments,
        config::store,
        output::{exit, log},
    },
    host::Host,
    run::{
        record::{self, RunOptions},
        runtime,
    },
    script::{Origin, Source},
    store::RunState,
};

pub(crate) fn execute(host: &Host, arguments: &UndoArguments) -> Result<u8, Failure> {
    log::start(host, arguments.manner.verbose);
    let Recorded { run, texts, undone_by, .. } = recorded(host, &arguments.reach, &arguments.run)?;
    let options = options_of(&run, &texts)?;
    let fail = |message: String, hint: &str| Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    if record::observed_state(host, &run) == RunState::Running {
        return fail(format!("run {} is under way", run.id), "stop it first: mpscript stop RUN");
    }
    if let Some(by) = undone_by {
        let message = format!("run {} was taken back by run {by} already", run.id);
        let hint = format!(
            "mpscript show {by} tells how that went; resume {by} goes on with it if it was cut off, undo {by} takes \
             it back in turn"
        );
        return fail(message, &hint);
    }
    let way = {
        let runtime = runtime().map_err(|error| {
            Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}")))
        })?;
        let store = store::require(host, &runtime, &arguments.reach)?;
        let way = runtime.block_on(async {
            // One that only sleeps must not go on meanwhile.
            record::fence_dead_runs(host, &store).await?;
            way_back(&store, &run.id, arguments.dry_run).await
        });
        let way = way.map_err(|error| store::failure(&error))?;
        runtime.block_on(store.close());
        way
    };
    for lasting in &way.lasting {
        host.err.line(&format!("can't be taken back: {lasting}"));
    }
    if way.script.is_empty() {
        host.out.line(&format!("run {} has changed nothing that can be taken back", run.id));
        return Ok(exit::DONE);
    }
    if arguments.dry_run {
        host.err.write(&way.script);
    } else if !arguments.manner.yes {
        if !host.in_is_terminal {
            return fail(
                format!("run {} is not undone without being asked for", run.id),
                "give --yes, or --dry-run to see what would be taken back",
            );
        }
        host.err.write(&format!("{}Take back what run {} did? [y/N] ", way.script, run.id));
        let answer = (host.read_line)().unwrap_or_default();
        if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            return fail(format!("run {} was not undone", run.id), "answer y, or give --yes");
        }
    }
    let source = Source { name: format!("undo {}", run.id), text: way.script, imports: Vec::new() };
    let options = RunOptions {
        params: std::collections::BTreeMap::default(),
        max_changes: None,
        max_errors: None,
        prints_value: false,
        of_session: false,
        call: None,
        ..options
    };
    let reach = reach_of(&arguments.reach, &options);
    // The person was asked already.
    let manner = crate::cli::args::arguments::Manner { yes: true, ..arguments.manner.clone() };
    let code = perform(
        host,
        Plan {
            program: compile(&Origin::Stored(source))?,
            options,
            manner: &manner,
            reach: &reach,
            is_dry: arguments.dry_run,
            undoes: Some(&run),
            repeats: None,
            resumes: None,
        },
    )?;
    if code == exit::DONE && !arguments.dry_run {
        host.out.line(&format!(
            "run {} is taken back; the run that did so is the newest in mpscript runs",
            run.id
        ));
    }
    Ok(code)
}
