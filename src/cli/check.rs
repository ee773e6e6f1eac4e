//! `mpscript check`, and how commands come by a script.

use super::{Failure, arguments::CheckArguments, exit, render};
use crate::{
    base::Diagnostic,
    host::Host,
    script::{Origin, Program, check},
};
use std::path::Path;

pub(super) fn execute(host: &Host, arguments: &CheckArguments) -> Result<u8, Failure> {
    let mut code = exit::DONE;
    for file in &arguments.files {
        let origin = origin(host, file)?;
        match compile(&origin) {
            Err(failure) => {
                host.err.line(&render::error(host, &failure.diagnostic));
                code = code.max(failure.code);
            }
            Ok(program) => {
                let problems = check::check(&program);
                for problem in &problems {
                    host.err.line(&render::error(host, &problem.diagnostic));
                }
                if problems.is_empty() {
                    host.out.line(&summary(&program));
                } else {
                    code = code.max(exit::SCRIPT);
                }
            }
        }
    }
    Ok(code)
}

/// What a sound script is made of.
fn summary(program: &Program) -> String {
    let list = |title: &str, names: Vec<String>| {
        if names.is_empty() { String::new() } else { format!("\n  {title}: {}", names.join(", ")) }
    };
    format!(
        "{}: ok{}{}",
        program.name,
        list("parameters", check::params(program)),
        list("imports", program.imports().map(str::to_owned).collect())
    )
}

/// Where a script comes from; `-` is standard input.
pub(super) fn origin(host: &Host, file: &Path) -> Result<Origin, Failure> {
    if file != Path::new("-") {
        return Ok(Origin::File { named: file.to_owned(), path: host.folder.join(file) });
    }
    let text = (host.read_input)()
        .map_err(|error| Failure::usage(Diagnostic::new(format!("can't read standard input: {error}"))))?;
    Ok(Origin::Text { name: "-".to_owned(), text, folder: host.folder.clone() })
}

/// Compiles a script with its imports.
pub(super) fn compile(origin: &Origin) -> Result<Program, Failure> {
    Program::load(origin).map_err(|trouble| Failure {
        code: if trouble.is_configuration { exit::USAGE } else { exit::SCRIPT },
        diagnostic: trouble.diagnostic,
    })
}
