//! `mpscript check`, and how commands load a script.

use crate::{
    base::{Diagnostic, EpochMs, closest_match, plain_line},
    cli::{
        args::CheckArguments,
        config::default_zone,
        failure::{Failure, usage_error},
        output::{exit, render},
    },
    host::Host,
    run::{
        refuse_link_out, registry,
        schedule::{Schedule, misleading_name, trigger::Trigger},
        scripts_in,
    },
    script::{
        Automation, HANDLER, MAX_SCRIPT_BYTES, Origin, Overlap, Program, ScriptFailure, Timing, check,
        decode_script, docs,
    },
};
use anyhow::Context;
use std::{
    cmp::Ordering,
    io,
    path::{Path, PathBuf},
};

/// Fires of a trigger that are shown.
const SHOWN_FIRES: usize = 5;

/// Fires of two triggers that are compared: for some weeks of a trigger of every quarter of an hour.
const COMPARED_FIRES: usize = 5_000;

pub(crate) fn execute(host: &Host, arguments: &CheckArguments) -> anyhow::Result<u8> {
    let mut code = exit::DONE;
    for CheckedFile { file, folder } in files(host, &arguments.files)? {
        let origin = origin(host, &file)?;
        let allowed = match &folder {
            Some(folder) => refuse_link_out(&host.folder.join(folder), &host.folder.join(&file)),
            None => Ok(()),
        };
        let checked = match allowed {
            Ok(()) => check_script(host, &origin, arguments.config.as_deref()),
            Err(diagnostic) => Err(vec![Failure::script(diagnostic)]),
        };
        match checked {
            Ok(summary) => host.out.line(&summary),
            Err(failures) => {
                for failure in &failures {
                    render::show_error(host, &failure.diagnostic);
                }
                code = failures.iter().map(|failure| failure.code).fold(code, u8::max);
            }
        }
    }
    Ok(code)
}

/// A summary of a sound script, or everything that is wrong with it.
fn check_script(host: &Host, origin: &Origin, config: Option<&Path>) -> Result<String, Vec<Failure>> {
    let one = |error: anyhow::Error| vec![Failure::from(error)];
    let program = load(origin).map_err(|failure| {
        check::load_errors(origin, failure).iter().map(Failure::from_script_failure).collect::<Vec<_>>()
    })?;
    let (zone, source) = default_zone(host, config).map_err(one)?;
    let automation = registry::read(&program, zone).map_err(|diagnostic| {
        // Of several files, a message without a place must say which one it is about.
        let is_placed = diagnostic.span.is_some();
        let note = format!("in {}", program.name());
        vec![Failure::script(if is_placed { diagnostic } else { diagnostic.note(note) })]
    })?;
    let problems = check::check(&program);
    if !problems.is_empty() {
        return Err(problems.into_iter().map(|problem| Failure::script(problem.diagnostic)).collect());
    }
    let automation = automation.map(|(automation, triggers)| {
        let mut text = describe(&automation, &triggers, host.clock.now());
        let has_default_zone = automation
            .triggers
            .iter()
            .any(|trigger| trigger.zone.is_none() && matches!(trigger.timing, Timing::Cron(_)));
        if has_default_zone {
            text.push_str(&format!("\n  default zone: {source}"));
        }
        text
    });
    let mut text = summary(&program, &automation.unwrap_or_default());
    for warning in check::warnings(&program) {
        text.push_str("\n  warning: ");
        text.push_str(&warning.one_line());
    }
    Ok(text)
}

/// A file that is checked.
struct CheckedFile {
    file: PathBuf,
    /// The folder that is checked, if the file itself was not named.
    folder: Option<PathBuf>,
}

/// The named files, and those in the named folders.
fn files(host: &Host, named: &[PathBuf]) -> anyhow::Result<Vec<CheckedFile>> {
    let mut files = Vec::new();
    for path in named {
        let folder = host.folder.join(path);
        if !folder.is_dir() {
            files.push(CheckedFile { file: path.clone(), folder: None });
            continue;
        }
        let found = scripts_in(&folder).with_context(|| format!("can't list {}", path.display()))?;
        if found.is_empty() {
            let message = format!("there is no script in {}", path.display());
            return Err(usage_error(message, "automations are its files that end in .rhai"));
        }
        files.extend(found.into_iter().filter_map(|file| {
            Some(CheckedFile { file: path.join(file.file_name()?), folder: Some(path.clone()) })
        }));
    }
    Ok(files)
}

/// What a sound script consists of.
fn summary(program: &Program, automation: &str) -> String {
    let list = |title: &str, names: Vec<String>| {
        if names.is_empty() { String::new() } else { format!("\n  {title}: {}", names.join(", ")) }
    };
    format!(
        "{}: ok{automation}{}{}{}",
        plain_line(program.name()),
        list("parameters", check::params(program)),
        list("imports", program.imports().map(str::to_owned).collect()),
        if automation.is_empty() { String::new() } else { list("functions", docs::functions_used(program)) }
    )
}

/// An automation's triggers with their next fires, and its parameters.
fn describe(automation: &Automation, triggers: &[Trigger], now: EpochMs) -> String {
    let mut text = String::new();
    for trigger in triggers {
        let handler =
            if trigger.handler == HANDLER { String::new() } else { format!(" calls {}", trigger.handler) };
        text.push_str(&format!("\n  {}{handler}", trigger.schedule));
        let mut at = now;
        for _ in 0..SHOWN_FIRES {
            let Some(next) = trigger.schedule.after(at) else { break };
            text.push_str(&format!("\n    {}", trigger.schedule.show(next)));
            at = next;
        }
        if let Schedule::Cron { zone, .. } = &trigger.schedule
            && let Some(warning) = misleading_name(*zone)
        {
            text.push_str(&format!("\n    warning: {warning}"));
        }
    }
    if triggers.is_empty() {
        text.push_str("\n  no triggers: it runs by hand");
    }
    for Coincidence { first, second, at } in coincidences(triggers, now) {
        let is_same = first.handler == second.handler;
        let fate = match automation.overlap {
            Overlap::Parallel if is_same => "it runs twice at a time (overlap: \"parallel\")",
            Overlap::Parallel => "they run at the same time (overlap: \"parallel\")",
            _ if !is_same => "they run one after another",
            Overlap::Forbid => "one of the two is skipped (overlap: \"forbid\")",
            Overlap::Replace => "one of the two is stopped (overlap: \"replace\")",
            Overlap::Queue => "it runs twice (overlap: \"queue\")",
        };
        let when = first.schedule.show(at);
        let due = match (&first.handler, &second.handler) {
            (handler, _) if is_same => format!("`{handler}` is due twice at {when}"),
            (one, other) => format!("`{one}` and `{other}` are due at {when}"),
        };
        let (one, other) = (&first.schedule, &second.schedule);
        text.push_str(&format!("\n  {due}, by {one} and by {other}: {fate}"));
    }
    for (name, parameter) in &automation.params {
        let init = parameter.init().map_or("must be given".to_owned(), |init| format!("{init} by default"));
        let help = if parameter.help.is_empty() { String::new() } else { format!(": {}", parameter.help) };
        text.push_str(&format!("\n  parameter {name} ({}, {init}){help}", parameter.kind.words()));
    }
    text
}

/// Two triggers that are due at the same instant.
struct Coincidence<'a> {
    first: &'a Trigger,
    second: &'a Trigger,
    /// The first such instant.
    at: EpochMs,
}

/// The triggers that coincide with another one, as far as their next fires show.
fn coincidences(triggers: &[Trigger], now: EpochMs) -> Vec<Coincidence<'_>> {
    let mut found = Vec::new();
    for (number, first) in triggers.iter().enumerate() {
        for second in &triggers[number + 1..] {
            let (mut one, mut other) = (first.schedule.after(now), second.schedule.after(now));
            for _ in 0..COMPARED_FIRES {
                let (Some(at), Some(other_at)) = (one, other) else { break };
                match at.cmp(&other_at) {
                    Ordering::Less => one = first.schedule.after(at),
                    Ordering::Greater => other = second.schedule.after(other_at),
                    Ordering::Equal => {
                        found.push(Coincidence { first, second, at });
                        break;
                    }
                }
            }
        }
    }
    found
}

/// Where a script comes from; `-` is standard input.
pub(super) fn origin(host: &Host, file: &Path) -> anyhow::Result<Origin> {
    if file != Path::new("-") {
        return Ok(Origin::File { named: file.to_owned(), path: host.folder.join(file) });
    }
    let bytes = (host.read_input)(MAX_SCRIPT_BYTES + 1).context("can't read standard input")?;
    if bytes.len() as u64 > MAX_SCRIPT_BYTES {
        return Err(Failure::script(Diagnostic::new(format!(
            "standard input is no script: it is longer than {MAX_SCRIPT_BYTES} bytes"
        )))
        .into());
    }
    let text = decode_script(bytes)
        .map_err(|reason| Failure::script(Diagnostic::new(format!("can't read standard input: {reason}"))))?;
    Ok(Origin::Text { name: "-".to_owned(), text, folder: host.folder.clone() })
}

/// Compiles a script with its imports.
pub(super) fn compile(origin: &Origin) -> anyhow::Result<Program> {
    load(origin).map_err(|failure| Failure::from_script_failure(&failure).into())
}

fn load(origin: &Origin) -> Result<Program, ScriptFailure> {
    Program::load(origin).map_err(|mut failure| {
        if let Some(near) = misspelt_file(origin) {
            failure.diagnostic.hint = Some(format!("did you mean `{}`?", near.display()));
        }
        failure
    })
}

/// The script that was probably meant by the name of a file that is not there.
fn misspelt_file(origin: &Origin) -> Option<PathBuf> {
    let Origin::File { named, path } = origin else { return None };
    let is_absent = path.metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    if is_absent { nearest_script(named, path.parent()?) } else { None }
}

/// The script in a folder whose name is like that of a file that is not there, as a person would name it. Names are compared
/// without `.rhai`, which all of them share.
pub(super) fn nearest_script(named: &Path, folder: &Path) -> Option<PathBuf> {
    let has_ending = named.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("rhai"));
    let name = if has_ending { named.file_stem() } else { named.file_name() }?.to_str()?;
    let files = scripts_in(folder).ok()?;
    let stems = files.iter().filter_map(|file| file.file_stem()?.to_str());
    let near = closest_match(name, stems)?;
    Some(named.with_file_name(format!("{near}.rhai")))
}
