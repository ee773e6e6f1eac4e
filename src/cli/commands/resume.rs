//! `mpscript resume`: goes on with a recorded run.

use super::{
    check::compile,
    run::{Plan, perform},
    runs::find,
};
use crate::{
    base::Diagnostic,
    bulk::Verdict,
    cli::{
        Failure,
        args::arguments::{Reach, ResumeArguments, UnsureArgument},
        config::store,
        output::{exit, log},
    },
    host::Host,
    run::{
        record::{self, RunOptions},
        runtime,
    },
    script::{Origin, Source},
    store::{Printed, RunRecord, RunState, RunTexts},
};

pub(crate) fn execute(host: &Host, arguments: &ResumeArguments) -> Result<u8, Failure> {
    log::start(host, arguments.manner.verbose);
    let verdict = verdict(arguments)?;
    let recorded = recorded(host, &arguments.reach, &arguments.run)?;
    let Recorded { run, texts, .. } = &recorded;
    if let Some(by) = &recorded.undone_by {
        let message = format!("run {} was taken back by run {by}", run.id);
        let hint = format!("start its script anew, or take run {by} back first: mpscript undo {by}");
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    }
    let state = record::observed_state(host, run);
    match state {
        RunState::Done | RunState::DoneWithFailures => {
            host.out.line(&format!("run {} has ended: {}", run.id, state.in_words()));
            return Ok(exit::DONE);
        }
        RunState::Running => {
            let process = run.owner.split(' ').next().unwrap_or_default();
            let message = format!("run {} is under way in the process {process}", run.id);
            let hint = format!("mpscript stop {} ends it where it can be gone on with", run.id);
            return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
        }
        RunState::Cancelled
        | RunState::Error
        | RunState::Paused
        | RunState::Parked
        | RunState::Interrupted => {}
    }
    let options = options_of(run, texts)?;
    if run.is_dry {
        let message = format!(
            "run {} was a dry run: it has changed nothing, so there is nothing to go on with",
            run.id
        );
        return Err(Failure::usage(Diagnostic::new(message).hint("start it anew with mpscript run")));
    }
    if let Some(blocker) = options.resume_blocker() {
        let message = format!("run {} {blocker}", run.id);
        let hint = format!("mpscript undo {} takes back what it did", run.id);
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    }
    let source: Source = read(run, &texts.source)?;
    let reach = reach_of(&arguments.reach, &options);
    perform(
        host,
        Plan {
            program: compile(&Origin::Stored(source))?,
            options: RunOptions {
                max_changes: arguments.limits.max_changes.or(options.max_changes),
                max_errors: arguments.limits.max_errors.or(options.max_errors),
                ..options
            },
            manner: &arguments.manner,
            reach: &reach,
            is_dry: false,
            undoes: None,
            repeats: None,
            resumes: Some((run, verdict)),
        },
    )
}

/// A recorded run.
pub(crate) struct Recorded {
    pub run: RunRecord,
    pub texts: RunTexts,
    /// The run that has taken it back.
    pub undone_by: Option<String>,
    /// How many followers it has changed, as its journal has it.
    pub changed: u64,
    /// What its script has printed.
    pub printed: Vec<Printed>,
}

/// A recorded run with all that is known of it.
pub(crate) fn recorded(host: &Host, reach: &Reach, named: &str) -> Result<Recorded, Failure> {
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    let store = store::require(host, &runtime, reach)?;
    let run = find(host, &runtime, &store, named)?;
    let known = runtime.block_on(async {
        let texts = store.run_texts(&run.id).await?;
        let changed = store.changes_of(&run.id).await?.unsigned_abs();
        let (undone_by, printed) = (store.undone_by(&run.id).await?, store.printed(&run.id).await?);
        Ok(Recorded { run, texts, undone_by, changed, printed })
    });
    let recorded = known.map_err(|error| store::failure(&error))?;
    runtime.block_on(store.close());
    Ok(recorded)
}

/// What a run was started with; one whose world is gone can't be worked on.
pub(crate) fn options_of(run: &RunRecord, texts: &RunTexts) -> Result<RunOptions, Failure> {
    let options: RunOptions = read(run, &texts.options)?;
    if options.sandbox {
        let message =
            format!("run {} was on a sandbox of its own, whose world is gone with its process", run.id);
        let hint = "a sandbox that stays: mpscript sandbox, and then mpscript run … --base-url http://127.0.0.1:PORT";
        return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    }
    Ok(options)
}

/// Whom a recorded run reached, unless something else is asked for now.
pub(crate) fn reach_of(asked: &Reach, options: &RunOptions) -> Reach {
    let mut reach = asked.clone();
    if reach.account.is_none() {
        reach.account.clone_from(&options.account);
    }
    if reach.base_url.is_empty() {
        reach.base_url.clone_from(&options.base_urls);
    }
    reach
}

fn read<T: serde::de::DeserializeOwned>(run: &RunRecord, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("the record of run {} can't be read: {error}", run.id);
        Failure::usage(Diagnostic::new(message).hint("was it made by a newer mpscript?"))
    })
}

fn verdict(arguments: &ResumeArguments) -> Result<Option<Verdict>, Failure> {
    let fail = |message: &str, hint: &str| Err(Failure::usage(Diagnostic::new(message).hint(hint)));
    match (arguments.unsure, &arguments.answer) {
        (None, _) => Ok(None),
        (Some(UnsureArgument::Again), None) => Ok(Some(Verdict::Again)),
        (Some(UnsureArgument::Again), Some(_)) => {
            fail("--answer goes with --unsure done", "a call that is made again has an answer of its own")
        }
        (Some(UnsureArgument::Done), None) => {
            Ok(Some(Verdict::Done(serde_json::json!({"errcode": 0, "errmsg": "ok"}))))
        }
        (Some(UnsureArgument::Done), Some(text)) => match serde_json::from_str(text) {
            Ok(answer) => Ok(Some(Verdict::Done(answer))),
            Err(error) => fail(&format!("--answer is no JSON: {error}"), "for example {\"card_id\": \"p…\"}"),
        },
    }
}
