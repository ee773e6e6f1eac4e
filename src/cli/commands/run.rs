//! `mpscript run`.

use super::{
    automations::{self, by_hand},
    check::{compile, origin},
};
use crate::{
    base::{Cancel, Diagnostic, closest_match, with_thousands},
    bulk::{Attempt, Board, Limits, RunReport, RunState, Verdict},
    cli::{
        Failure,
        args::arguments::{Manner, Reach, RunArguments},
        config::{connect, store},
        output::{
            exit, log,
            progress::{Progress, Words},
            render,
            report::write::{self, About},
        },
        signals,
    },
    host::Host,
    run::{
        Execution, Outcome, RunConfig, automation_state,
        record::{self, NewRun, RunOptions},
        runtime,
    },
    script::{ConfirmWrite, Output, Program, ScriptFailure, check},
    store::{RunRecord, Store},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::runtime::Runtime;

/// A run that is to be made.
pub(crate) struct Plan<'a> {
    pub program: Program,
    pub options: RunOptions,
    pub manner: &'a Manner,
    pub reach: &'a Reach,
    pub is_dry: bool,
    /// The recorded run that it takes back.
    pub undoes: Option<&'a RunRecord>,
    /// The recorded run of which it does a part again.
    pub repeats: Option<&'a RunRecord>,
    /// The recorded run that it goes on with, and what a person says of its unsure call.
    pub resumes: Option<(&'a RunRecord, Option<Verdict>)>,
}

pub(crate) fn execute(host: &Host, arguments: &RunArguments) -> Result<u8, Failure> {
    log::start(host, arguments.manner.verbose);
    let origin = if let Some(text) = &arguments.expression {
        let (name, text) = ("-e".to_owned(), text.clone());
        crate::script::Origin::Text { name, text, folder: host.folder.clone() }
    } else {
        let named = arguments.file.as_deref().unwrap_or(Path::new("-"));
        let automation = automations::file_of(host, named, arguments.dir.as_deref(), &arguments.reach)?;
        origin(host, automation.as_deref().unwrap_or(named))?
    };
    let program = compile(&origin)?;
    let automation = program.automation().map_err(|trouble| of_trouble(&trouble))?;
    let call = automation
        .as_ref()
        .map(|automation| by_hand(host, &program, automation, &arguments.params))
        .transpose()?;
    let params = if call.is_some() { BTreeMap::new() } else { params(&program, &arguments.params)? };
    if let Some(trouble) = check::problems(&program, &params).into_iter().next() {
        return Err(of_trouble(&trouble));
    }
    let own = automation.map(|automation| automation.limits).unwrap_or_default();
    let options = RunOptions {
        account: arguments.reach.account.clone(),
        base_urls: arguments.reach.base_url.clone(),
        sandbox: arguments.reach.sandbox,
        params,
        in_flight: arguments.in_flight,
        // What a person asks for counts more than what the script says of itself.
        max_changes: arguments.limits.max_changes.or(own.changes),
        max_errors: arguments.limits.max_errors.or(own.errors),
        allow_pause: arguments.manner.allow_pause,
        folder: host.folder.clone(),
        prints_value: arguments.expression.is_some(),
        of_session: false,
        held_a_secret: false,
        call,
    };
    perform(
        host,
        Plan {
            program,
            options,
            manner: &arguments.manner,
            reach: &arguments.reach,
            is_dry: arguments.dry_run,
            undoes: None,
            repeats: None,
            resumes: None,
        },
    )
}

/// Makes a run, records it, and shows what it comes to.
pub(crate) fn perform(host: &Host, plan: Plan) -> Result<u8, Failure> {
    let Plan { program, mut options, manner, reach, is_dry, undoes, repeats, resumes } = plan;
    if let Some(path) = &manner.report {
        // Found out before the first call, not after the last.
        write::write(&host.folder.join(path), &RunReport::default(), &About::default())?;
    }
    let runtime = runtime()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("the system gives no threads: {error}"))))?;
    #[cfg(debug_assertions)]
    if let Some(point) = host.variable("MPSCRIPT_FAIL_POINT") {
        crate::bulk::arm(point);
    }
    let cancel = Cancel::default();
    let is_drawn = host.err_is_terminal && !manner.quiet;
    let words = Words::new(host, is_drawn);
    let said = Arc::clone(&words);
    signals::watch(&runtime, &cancel, move || said.stopping());
    // A dry run can't be gone on with, and has nothing to wait for.
    let may_wait = !is_dry && (options.allow_pause || manner.allow_pause);
    let calling = connect::Calling { in_flight: options.in_flight, waits_for_reset: may_wait, store: None };
    let reached = connect::reach(host, &runtime, reach, connect::Need::Calls, calling, &cancel)?;
    let store = reached.store_of_runs(host, &runtime, reach);
    // What is tried on a sandbox of its own neither knows nor changes what an automation keeps.
    let store_of_state = store.clone().filter(|_| !reach.sandbox);
    if let (Some(call), Some(store), None) = (&mut options.call, &store_of_state, &resumes) {
        let state = runtime.block_on(automation_state(store, &call.automation));
        call.state = state.map_err(|error| store::failure(&error))?;
    }
    let account = reached.client.as_ref().map(crate::client::Client::account_key).unwrap_or_default();
    let undoes_run = undoes.map(|run| run.id.as_str());
    let new = NewRun { source: &program.source(), options: &options, account, is_dry, undoes: undoes_run };
    if let Some(run) = undoes.or(repeats).or(resumes.as_ref().map(|(run, _)| *run)) {
        of_its_account(run, reached.client()?.account_key())?;
    }
    let about = About {
        script: program.name.clone(),
        started_at: host.clock.now_ms(),
        first_started_at: resumes.as_ref().map(|(run, _)| run.started_at),
        journal: store.clone().map(|store| (&runtime, store)),
    };
    let record = record(host, &runtime, store, &new, resumes)?;
    if let Some((_, attempt)) = record.as_ref().filter(|_| is_drawn && !reach.sandbox) {
        words.debug(&format!("run {} (mpscript show {0} tells of it at any time)", attempt.run));
    }
    let (store, attempt) = record.unzip();
    let gate = gate(host, &words, reached.production.clone(), manner.yes, &cancel);
    let output = Arc::<Words>::clone(&words);
    let config = RunConfig {
        callback: reached.callback.clone(),
        store,
        confirm: gate,
        ..RunConfig::new(host, &options, reached.client.clone(), &cancel, output)
    };
    let board = Arc::new(Board::default());
    let progress = Progress::start(&words, &board, reached.client.as_ref().ok(), is_drawn, manner.quiet);
    let run = Execution {
        config,
        limits: Limits::new(options.max_changes, options.max_errors),
        attempt,
        dry: is_dry.then(Arc::default),
        may_wait,
        saves_state: store_of_state.is_some(),
        board,
    };
    let program = Arc::new(program);
    let outcome = match &options.call {
        None => run.run_program(&runtime, &program),
        Some(call) => {
            run.run_handler(&runtime, &program, call).map(|outcome| outcome.map(|answer| answer.value))
        }
    };
    drop(progress);
    if let Ok(client) = &reached.client {
        runtime.block_on(client.finish());
    }
    let outcome = outcome.map_err(|error| store::failure(&error))?;
    let mut code = finish(host, manner, &options, &outcome, &about)?;
    // It was told when it happened.
    if outcome.end_not_recorded.is_some() && code == exit::DONE {
        code = exit::SCRIPT;
    }
    drop(about);
    // Calls whose answers nobody waits for any more end with the process.
    runtime.shutdown_background();
    Ok(code)
}

fn of_trouble(trouble: &ScriptFailure) -> Failure {
    let code = if trouble.is_configuration { exit::USAGE } else { exit::SCRIPT };
    Failure { diagnostic: trouble.diagnostic.clone(), code }
}

/// Records the run, or that it is gone on with.
fn record(
    host: &Host,
    runtime: &Runtime,
    store: Option<Store>,
    new: &NewRun,
    resumes: Option<(&RunRecord, Option<Verdict>)>,
) -> Result<Option<(Store, Attempt)>, Failure> {
    let Some(store) = store else { return Ok(None) };
    let attempt = match resumes {
        None => runtime.block_on(record::begin(host, &store, new)),
        Some((run, verdict)) => runtime.block_on(record::resume(host, &store, run, verdict)),
    };
    let Some(attempt) = attempt.map_err(|error| store::failure(&error))? else {
        let message = "somebody else has begun to go on with the run at this moment, or to take it back";
        return Err(Failure::usage(Diagnostic::new(message).hint("mpscript runs shows how it stands")));
    };
    Ok(Some((store, attempt)))
}

/// What is gone on with, taken back or done again is so on the account that it was done on.
fn of_its_account(run: &RunRecord, account: &str) -> Result<(), Failure> {
    if run.account == account {
        return Ok(());
    }
    let message = format!("run {} is of the account {}, and this is {account}", run.id, run.account);
    let hint = "name its account with --account and its address with --base-url";
    Err(Failure::usage(Diagnostic::new(message).hint(hint)))
}

/// A gate that asks once a session, until it is opened.
pub(crate) fn once(gate: Option<ConfirmWrite>) -> Option<ConfirmWrite> {
    let gate = gate?;
    let is_open = AtomicBool::new(false);
    Some(Arc::new(move || {
        if is_open.load(Ordering::SeqCst) {
            return Ok(());
        }
        gate()?;
        is_open.store(true, Ordering::SeqCst);
        Ok(())
    }))
}

/// What asks a person before an account that is marked as production is changed.
pub(crate) fn gate(
    host: &Host,
    words: &Arc<Words>,
    production: Option<String>,
    yes: bool,
    cancel: &Cancel,
) -> Option<ConfirmWrite> {
    let account = production.filter(|_| !yes)?;
    let (host, words, cancel) = (host.clone(), Arc::clone(words), cancel.clone());
    Some(Arc::new(move || {
        let refusal = |message: String| {
            let hint =
                "give --yes to change it without being asked, or --dry-run to see what would be changed";
            Err(Diagnostic::new(message).hint(hint))
        };
        if !host.in_is_terminal {
            return refusal(format!(
                "account `{account}` is marked `production = true`, and nobody can be asked"
            ));
        }
        let question =
            format!("The script is about to change the account `{account}` (production). Go on? [y/N] ");
        match words.ask(&question, || (host.read_answer)(&cancel)) {
            Ok(answer) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
            _ => refusal(format!("account `{account}` was not to be changed")),
        }
    }))
}

/// Prints and writes what a run came to, and gives its exit code.
fn finish(
    host: &Host,
    manner: &Manner,
    options: &RunOptions,
    outcome: &Outcome<String>,
    about: &About,
) -> Result<u8, Failure> {
    let report = &outcome.report;
    if let (Some(value), true) = (&outcome.value, options.prints_value) {
        host.out.line(value);
    }
    if let Some(path) = &manner.report {
        write::write(&host.folder.join(path), report, about)?;
    }
    // On a sandbox of its own there is nothing to go on with.
    let run = report.run.as_deref().filter(|_| !options.sandbox && !report.dry_run && report.has_changed());
    let goes_on = |why: &str| {
        if let Some(run) = run {
            host.err.line(&format!(
                "  mpscript resume {run} goes on with it{why}; mpscript undo {run} takes it back"
            ));
        }
    };
    if report.state == RunState::Cancelled {
        for end in &report.ends {
            host.err.line(&end.to_string());
        }
        host.err.line("stopped");
        goes_on("");
        return Ok(exit::INTERRUPTED);
    }
    if let Some(trouble) = &outcome.trouble {
        // What was done before the error must not be lost with it.
        if let Some(end) = report.ends.last()
            && (end.state == RunState::Error && (end.totals.changed > 0 || !end.failed.is_empty()))
        {
            host.err.line(&end.to_string());
        }
        let diagnostic = match (&outcome.parked, &report.run) {
            // Why it was stopped counts, not what it was about to do.
            (Some(error), Some(run)) if trouble.is_cancelled => {
                &Diagnostic::new(error.to_string()).hint(format!("mpscript show {run} tells how it stands"))
            }
            _ => &trouble.diagnostic,
        };
        host.err.line(&render::error(host, diagnostic));
        return Ok(match report.state {
            RunState::Parked => exit::PARKED,
            RunState::Paused => {
                goes_on(" when there is quota again, after midnight Beijing time");
                exit::PAUSED
            }
            _ if trouble.is_configuration => exit::USAGE,
            _ => {
                goes_on("");
                exit::SCRIPT
            }
        });
    }
    if let Some(error) = &outcome.parked {
        let of = report.run.as_deref().unwrap_or("RUN");
        let hint =
            format!("mpscript show {of} tells how it stands, and mpscript undo {of} takes back what it did");
        host.err.line(&render::error(host, &Diagnostic::new(error.to_string()).hint(hint)));
        return Ok(exit::PARKED);
    }
    if report.dry_run {
        host.err.write(&would(report));
    }
    // Most often a slip: a scene that nobody came by, a file of somebody else's openids.
    for end in report.ends.iter().filter(|end| end.is_of_changes() && end.totals.matched == 0) {
        let said = match end.totals.listed {
            0 => "nobody was listed".to_owned(),
            listed => format!("nobody matched, of {} listed", with_thousands(listed)),
        };
        host.err.line(&format!("warning: {}: {said}", end.title()));
    }
    for what in &report.set_aside {
        host.err.line(&format!("warning: can't be taken back: {what}"));
    }
    let failed = report.failed.len();
    if failed == 0 {
        return Ok(if report.set_aside.is_empty() { exit::DONE } else { exit::FAILURES });
    }
    let (openids, them) = if failed == 1 { ("openid", "names it") } else { ("openids", "lists them") };
    let list = match (&manner.report, &report.run) {
        (Some(_), _) => format!("the report {them}"),
        (None, Some(run)) => format!("mpscript failed {run} {them}"),
        (None, None) => format!("--report FILE {them}"),
    };
    host.err.line(&format!("done, but {} {openids} failed; {list}", with_thousands(failed as u64)));
    Ok(exit::FAILURES)
}

/// What a dry run did not do.
pub(crate) fn would(report: &RunReport) -> String {
    let mut text = "dry run: nothing was changed\n".to_owned();
    if report.would_call.is_empty() {
        text.push_str("  the script would change nothing\n");
    }
    for end in report.ends.iter().filter(|end| end.is_of_changes() && end.totals.changed > 0) {
        let (changed, title) = (with_thousands(end.totals.changed), end.title());
        let followers = if end.totals.changed == 1 { "follower" } else { "followers" };
        text.push_str(&format!("  {changed:>10} {followers} would be changed by {title}"));
        match end.samples.as_slice() {
            [] => text.push('\n'),
            samples => text.push_str(&format!(", as\n             {}\n", samples.join("\n             "))),
        }
    }
    for (call, count) in &report.would_call {
        let calls = if *count == 1 { "call" } else { "calls" };
        let left = report.left_today.get(call).map(|left| format!(" ({} left today)", with_thousands(*left)));
        let left = left.unwrap_or_default();
        text.push_str(&format!(
            "  {:>10} {calls:<5} of {call} would be made{left}\n",
            with_thousands(*count)
        ));
    }
    text
}

/// The parameters by name; one that the script does not ask for is a slip.
fn params(program: &Program, given: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let known = check::params(program);
    let mut params = BTreeMap::new();
    for (name, value) in given {
        if !known.iter().any(|known| known == name) {
            let message = format!("{} has no parameter `{name}`", program.name);
            let hint = match closest_match(name, known.iter().map(String::as_str)) {
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
