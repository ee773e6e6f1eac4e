//! `mpscript check`, and how commands come by a script.

use super::automations::{default_zone, describe};
use crate::{
    base::Diagnostic,
    cli::{
        Failure,
        args::arguments::CheckArguments,
        output::{exit, render},
    },
    host::Host,
    run::{registry, scripts_in},
    script::{Origin, Program, Timing, check, docs},
};
use std::path::{Path, PathBuf};

pub(crate) fn execute(host: &Host, arguments: &CheckArguments) -> Result<u8, Failure> {
    let mut code = exit::DONE;
    let mut zone = None;
    for file in files(host, &arguments.files)? {
        let origin = origin(host, &file)?;
        let checked = compile(&origin).and_then(|program| {
            let (zone, source) = match zone {
                Some(known) => known,
                None => *zone.insert(default_zone(host, arguments.config.as_deref())?),
            };
            let automation = registry::read(&program, zone).map_err(|diagnostic| {
                // Of many files one must know which.
                let is_placed = diagnostic.span.is_some();
                let of = format!("in {}", program.name);
                let diagnostic = if is_placed { diagnostic } else { diagnostic.note(of) };
                Failure { diagnostic, code: exit::SCRIPT }
            })?;
            Ok((program, automation, source))
        });
        match checked {
            Err(failure) => {
                host.err.line(&render::error(host, &failure.diagnostic));
                code = code.max(failure.code);
            }
            Ok((program, automation, source)) => {
                let problems = check::check(&program);
                for problem in &problems {
                    host.err.line(&render::error(host, &problem.diagnostic));
                }
                if problems.is_empty() {
                    let about = automation.map(|(automation, triggers)| {
                        let is_by_default = automation.triggers.iter().any(|trigger| {
                            trigger.zone.is_none() && matches!(trigger.timing, Timing::Cron(_))
                        });
                        let source = if is_by_default {
                            format!("\n  zone where none is given: {source}")
                        } else {
                            String::new()
                        };
                        describe(&automation, &triggers, host.clock.now_ms()) + source.as_str()
                    });
                    host.out.line(&summary(&program, &about.unwrap_or_default()));
                } else {
                    code = code.max(exit::SCRIPT);
                }
            }
        }
    }
    Ok(code)
}

/// The files that are named, and those in the folders that are.
fn files(host: &Host, named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in named {
        let folder = host.folder.join(path);
        if !folder.is_dir() {
            files.push(path.clone());
            continue;
        }
        let found = scripts_in(&folder).map_err(|error| {
            Failure::usage(Diagnostic::new(format!("can't list {}: {error}", path.display())))
        })?;
        if found.is_empty() {
            let message = format!("there is no script in {}", path.display());
            return Err(Failure::usage(
                Diagnostic::new(message).hint("automations are its files that end in .rhai"),
            ));
        }
        files.extend(found.into_iter().filter_map(|file| Some(path.join(file.file_name()?))));
    }
    Ok(files)
}

/// What a sound script is made of.
fn summary(program: &Program, about: &str) -> String {
    let list = |title: &str, names: Vec<String>| {
        if names.is_empty() { String::new() } else { format!("\n  {title}: {}", names.join(", ")) }
    };
    format!(
        "{}: ok{about}{}{}{}",
        program.name,
        list("parameters", check::params(program)),
        list("imports", program.imports().map(str::to_owned).collect()),
        if about.is_empty() { String::new() } else { list("functions", docs::functions_used(program)) }
    )
}

/// Where a script comes from; `-` is standard input.
pub(crate) fn origin(host: &Host, file: &Path) -> Result<Origin, Failure> {
    if file != Path::new("-") {
        return Ok(Origin::File { named: file.to_owned(), path: host.folder.join(file) });
    }
    let text = (host.read_input)()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("can't read standard input: {error}"))))?;
    Ok(Origin::Text { name: "-".to_owned(), text, folder: host.folder.clone() })
}

/// Compiles a script with its imports.
pub(crate) fn compile(origin: &Origin) -> Result<Program, Failure> {
    Program::load(origin).map_err(|trouble| Failure {
        code: if trouble.is_configuration { exit::USAGE } else { exit::SCRIPT },
        diagnostic: trouble.diagnostic,
    })
}
