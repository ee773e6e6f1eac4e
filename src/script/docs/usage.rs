//! The functions of the reference that a script uses.

use super::entry::{Entry, entries};
use crate::script::source::{parse::calls, program::Program};
use std::collections::BTreeSet;

/// Those that a script and its imports call, in order.
#[must_use]
pub fn functions_used(program: &Program) -> Vec<String> {
    let known: BTreeSet<String> = entries().iter().map(Entry::full_name).collect();
    let names = program.asts().flat_map(calls).map(|(module, name)| match module {
        Some(module) => format!("{module}::{name}"),
        None => name,
    });
    let used: BTreeSet<String> = names.filter(|name| known.contains(name)).collect();
    used.into_iter().collect()
}
