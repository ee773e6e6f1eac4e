//! What is wrong with how a program uses values whose types are known.

use super::{
    arguments, builders,
    comparisons::never,
    fields,
    file::{File, Problem, Problems},
    inference::observe,
    known_values::definitions,
    observed::Observed,
    switches, texts,
};
use crate::script::{engine::reference::known_functions, source::parse::calls};

/// Adds the problems of each file of a program.
pub(super) fn check(files: &[File], problems: &mut [Problems]) {
    let Some(first) = files.first() else { return };
    // `eval` may set variables and define functions that can't be seen.
    if files.iter().any(|file| calls(file.ast).iter().any(|(_, name)| name == "eval")) {
        return;
    }
    observe(&definitions(first.program), &mut |number, observed| {
        let (file, problems) = (&files[number], &mut problems[number]);
        if let Some(never) = never(&observed) {
            problems.push(Problem::new(file, never.position, never.message, Some(never.hint)));
        }
        problems.extend(fields::problem(file, known_functions(), &observed));
        problems.extend(arguments::problem(file, known_functions(), &observed));
        problems.extend(builders::problem(file, &observed));
        problems.extend(texts::problem(file, &observed));
        if let Observed::Switch { on, position } = &observed {
            problems.extend(switches::check(file, on, *position));
        }
    });
}
