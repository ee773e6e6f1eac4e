//! Cases of a `switch` that are never reached: of another type than the value that it is about.

use super::{
    file::{File, Problem},
    observed::Typed,
};
use crate::script::{host::value_type::ValueType, source::cases};
use rhai::{Position, SwitchCasesCollection};

pub(super) fn check(
    file: &File,
    on: &Typed,
    cases: &SwitchCasesCollection,
    position: Position,
) -> Vec<Problem> {
    if !matches!(on.value_type, ValueType::Text | ValueType::Integer | ValueType::Float | ValueType::Flag) {
        return Vec::new();
    }
    // The engine keeps no more of a case than the hash of its value, so the text's literals are looked up by theirs.
    let mut problems = Vec::new();
    let text = file.program.text_of(file.path).unwrap_or_default();
    for literal in cases::in_text(text).into_iter().filter(|case| case.position > position) {
        let given = ValueType::of_value(&literal.value);
        if !given.is_certain() || given == on.value_type || !cases.cases.contains_key(&literal.hash) {
            continue;
        }
        let what = on.name.as_deref().map_or("this value".to_owned(), |name| format!("`{name}`"));
        let message =
            format!("{what} is {}, and this case is {}", on.value_type.describe(), given.describe());
        let hint = match (&on.value_type, literal.value.clone().into_immutable_string()) {
            (ValueType::Integer, Ok(text)) if text.parse::<i64>().is_ok() => {
                format!("write {text} without quotes")
            }
            (ValueType::Text, Err(_)) => format!("write \"{}\" in quotes", literal.value),
            (of, _) => format!("write {}", of.describe()),
        };
        problems.push(Problem::new(file, literal.position, message, Some(hint)));
    }
    problems
}
