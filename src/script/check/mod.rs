//! What is wrong with a script, found without running it: unknown functions, unknown fields of
//! values, comparisons that can never be true, parameters of the wrong kind.
//!
//! Every problem would fail at run time or do nothing, and a warning is of what works otherwise than it looks; what can't be
//! known is ignored.

mod calls;
mod captures;
pub(crate) mod comparisons;
mod definitions;
mod fields;
mod file;
mod handlers;
mod inference;
mod known_values;
mod observed;
mod operators;
mod params;
mod switches;
mod values;

use self::file::File;
use crate::{
    base::Diagnostic,
    script::{
        host::error::{ErrorKind, ScriptFailure},
        source::program::Program,
    },
};
use std::collections::BTreeMap;

pub use params::names as params;

/// Everything that is wrong with a script and its imports.
#[must_use]
pub fn check(program: &Program) -> Vec<ScriptFailure> {
    troubles(program, None)
}

/// The same, with the parameters of a run that is about to begin.
#[must_use]
pub fn problems(program: &Program, given: &BTreeMap<String, String>) -> Vec<ScriptFailure> {
    troubles(program, Some(given))
}

/// What works otherwise than it looks in a script and its imports.
#[must_use]
pub fn warnings(program: &Program) -> Vec<Diagnostic> {
    files(program).flat_map(|file| captures::warnings(&file)).collect()
}

fn files(program: &Program) -> impl Iterator<Item = File<'_>> {
    let main = File::new(program, None, &program.ast);
    let imports = program.imports.iter().map(|import| File::new(program, Some(&import.path), &import.ast));
    std::iter::once(main).chain(imports)
}

fn troubles(program: &Program, given: Option<&BTreeMap<String, String>>) -> Vec<ScriptFailure> {
    let files: Vec<File> = files(program).collect();
    let mut troubles = Vec::new();
    for (file, of_values) in files.iter().zip(values::check(&files)) {
        let mut problems = calls::check(file);
        problems.extend(of_values);
        problems.extend(handlers::check(file));
        problems.extend(params::check_defaults(file));
        if let Some(given) = given {
            problems.extend(params::check(file, given));
        }
        problems.sort_by_key(|problem| (problem.position.line(), problem.position.position()));
        // What several cases of a `switch` lead to is seen once for each of them.
        problems.dedup_by(|a, b| a.position == b.position && a.diagnostic.message == b.diagnostic.message);
        troubles.extend(problems.into_iter().map(|problem| {
            let kind = if problem.is_usage { ErrorKind::Configuration } else { ErrorKind::Script };
            ScriptFailure { diagnostic: problem.diagnostic, kind }
        }));
    }
    troubles
}
