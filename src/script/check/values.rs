//! What is wrong with how a program uses values whose types are known.

use super::{
    comparisons::never,
    fields,
    file::{File, Problem},
    inference::observe,
    known_values::definitions,
    observed::Observed,
    switches,
};
use crate::script::{engine::reference::known_functions, source::parse::calls};

/// The problems of each file of a program.
pub(super) fn check(files: &[File]) -> Vec<Vec<Problem>> {
    let mut problems: Vec<Vec<Problem>> = files.iter().map(|_| Vec::new()).collect();
    let Some(first) = files.first() else { return problems };
    // `eval` may set variables and define functions that can't be seen.
    if files.iter().any(|file| calls(file.ast).iter().any(|(_, name)| name == "eval")) {
        return problems;
    }
    observe(&definitions(first.program), &mut |number, observed| {
        let (file, problems) = (&files[number], &mut problems[number]);
        if let Some(never) = never(&observed) {
            problems.push(Problem::new(file, never.position, never.message, Some(never.hint)));
        }
        problems.extend(fields::problem(file, known_functions(), &observed));
        if let Observed::Switch { on, position } = &observed {
            problems.extend(switches::check(file, on, *position));
        }
    });
    problems
}
