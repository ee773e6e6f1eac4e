//! Variables that are declared nowhere, of a file that was parsed without refusing them.

use super::file::{File, Problem};
use crate::script::source::{parse::calls_eval, undeclared::undeclared};

pub(super) fn check(file: &File) -> Vec<Problem> {
    // `eval` may declare variables that can't be seen.
    if calls_eval(file.ast) {
        return Vec::new();
    }
    let undeclared = undeclared(file.ast).into_iter();
    undeclared.map(|found| Problem::new(file, found.position, found.message(), Some(found.hint))).collect()
}
