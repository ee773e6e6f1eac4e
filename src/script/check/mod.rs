//! What is wrong with a script, found without running it: unknown functions, variables and fields of values, arguments
//! that are always refused, comparisons that can never be true, statements that are never reached or do nothing,
//! parameters of the wrong kind.
//!
//! Every problem would fail at run time or do nothing, and a warning is of what works otherwise than it looks; what can't be
//! known is ignored.

mod absent_keys;
mod arguments;
mod builders;
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
mod stages;
mod switches;
mod texts;
mod unreachable;
mod values;
mod variables;

use self::file::{File, Problems};
use crate::{
    base::Diagnostic,
    script::{
        host::error::{ErrorKind, ScriptFailure},
        source::{named_source::NamedSource, origin::Origin, program::Program, recovery::syntax_errors},
    },
};
use std::collections::BTreeMap;

pub use params::names as params;

/// Problems of a program that are shown; of the others is said at how many places they are.
const MAX_SHOWN: usize = 100;

/// What is wrong with a script and its imports: the first problems, and a line about the others.
#[must_use]
pub fn check(program: &Program) -> Vec<ScriptFailure> {
    troubles(program, None, MAX_SHOWN)
}

/// The first thing that is wrong with a script and its imports.
#[must_use]
pub fn first(program: &Program) -> Option<ScriptFailure> {
    troubles(program, None, 1).into_iter().next()
}

/// The same, with the parameters of a run that is about to begin.
#[must_use]
pub fn problems(program: &Program, given: &BTreeMap<String, String>) -> Vec<ScriptFailure> {
    troubles(program, Some(given), MAX_SHOWN)
}

/// Everything that is wrong with a script that can't be loaded because of `first`: its other syntax errors, or, where only
/// variables are missing, what [`check`] finds.
#[must_use]
pub fn load_errors(origin: &Origin, first: ScriptFailure) -> Vec<ScriptFailure> {
    let mut found = match Program::load_leniently(origin) {
        Ok(program) => check(&program),
        Err(error) => match &error.diagnostic.span {
            Some(span) => syntax_errors(&NamedSource { name: span.file.clone(), text: span.source.clone() }),
            None => Vec::new(),
        },
    };
    let place = |failure: &ScriptFailure| {
        failure.diagnostic.span.as_ref().map(|span| (span.file.clone(), span.line, span.column))
    };
    let line = |failure: &ScriptFailure| place(failure).map(|(file, line, _)| (file, line));
    // The parser may have noticed the same at another column.
    let same = |failure: &ScriptFailure| {
        let is_same_message = failure.diagnostic.message == first.diagnostic.message;
        place(failure) == place(&first) || (is_same_message && line(failure) == line(&first))
    };
    if let Some(at) = found.iter().position(same) {
        found[at] = first;
    } else {
        let behind = found.iter().position(|failure| place(failure) > place(&first));
        found.insert(behind.unwrap_or(found.len()), first);
    }
    found
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

fn troubles(program: &Program, given: Option<&BTreeMap<String, String>>, most: usize) -> Vec<ScriptFailure> {
    let files: Vec<File> = files(program).collect();
    let keys = calls::keys_of(program);
    let mut found: Vec<Problems> = files.iter().map(|_| Problems::new(most)).collect();
    for (file, problems) in files.iter().zip(&mut found) {
        problems.extend(calls::check(file, &keys));
    }
    values::check(&files, &mut found);
    let (mut troubles, mut more) = (Vec::new(), 0);
    for (file, mut problems) in files.iter().zip(found) {
        problems.extend(handlers::check(file));
        problems.extend(stages::check(file));
        problems.extend(unreachable::check(file));
        problems.extend(variables::check(file));
        problems.extend(params::check_defaults(file));
        if let Some(given) = given {
            problems.extend(params::check(file, given));
        }
        let (first, others) = problems.into_shown();
        let shown = first.len().min(most - troubles.len());
        more += others + first.len() - shown;
        troubles.extend(first.into_iter().take(shown).map(|problem| {
            let kind = if problem.is_usage { ErrorKind::Configuration } else { ErrorKind::Script };
            ScriptFailure { diagnostic: problem.diagnostic(), kind }
        }));
    }
    if more > 0 {
        let message = format!("there is more that is wrong, at {more} other places in {}", program.name());
        let hint = "it is shown once some of this is mended";
        troubles.push(ScriptFailure::in_script(Diagnostic::new(message).hint(hint)));
    }
    troubles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{ImportSource, Origin, Source};

    fn program(text: String) -> Program {
        let source = Source { name: "错.rhai".to_owned(), text, imports: Vec::new() };
        Program::load(&Origin::Recorded(source))
            .map_err(|failure| failure.diagnostic)
            .expect("it has no syntax error")
    }

    /// A function that is wrong in so many places.
    fn wrong(places: usize) -> Program {
        program(format!("fn 函数(p) {{\n{}}}", "p.b();\n".repeat(places)))
    }

    #[test]
    fn script_that_is_wrong_all_over_is_shown_with_its_first_hundred_problems() {
        let found = check(&wrong(5_000));
        let (more, first) = found.split_last().expect("there are problems");
        let lines: Vec<usize> =
            first.iter().filter_map(|failure| Some(failure.diagnostic.span.as_ref()?.line)).collect();
        assert_eq!(lines, (2..=101).collect::<Vec<usize>>());
        assert_eq!(more.diagnostic.message, "there is more that is wrong, at 4900 other places in 错.rhai");
    }

    #[test]
    fn problems_share_the_text_of_their_file() {
        let found = check(&wrong(2));
        let sources: Vec<_> = found
            .iter()
            .filter_map(|failure| Some(failure.diagnostic.span.as_ref()?.source.as_ptr()))
            .collect();
        assert!(sources.len() == 2 && sources[0] == sources[1]);
    }

    #[test]
    fn first_problem_is_found_alone() {
        let found = first(&wrong(5_000)).map(|failure| failure.diagnostic.span.map(|span| span.line));
        assert_eq!(found, Some(Some(2)));
    }

    #[test]
    fn imports_that_are_too_long_together_are_refused() {
        let import = |name: &str| ImportSource {
            path: name.to_owned(),
            file: format!("{name}.rhai"),
            text: format!("fn f() {{\n{}}}", "print(1);\n".repeat(25_000)),
        };
        let source = |text: &str| Source {
            name: "主.rhai".to_owned(),
            text: text.to_owned(),
            imports: vec![import("甲"), import("乙")],
        };
        let refusal =
            |text| Program::load(&Origin::Recorded(source(text))).err().map(|failure| failure.diagnostic);
        assert_eq!(refusal("import \"甲\" as a;"), None);
        let refused = refusal("import \"甲\" as a;\nimport \"乙\" as b;").expect("they are too long");
        assert_eq!(refused.message, "with this import, the script has more than 200000 words and signs");
        assert_eq!(refused.span.map(|span| span.line), Some(2));
    }
}
