//! Cases of a `switch` that are never reached: of another type than the value that it is about.

use super::{
    file::{File, Problem},
    observed::Typed,
};
use crate::script::host::value_type::ValueType;
use rhai::Position;

/// The cases of the `switch` at a position that have another type than what it is on.
pub(super) fn check(file: &File, on: &Typed, position: Position) -> Vec<Problem> {
    if !matches!(on.value_type, ValueType::Text | ValueType::Integer | ValueType::Float | ValueType::Flag) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for case in file.cases().get(&position).into_iter().flatten() {
        let given = ValueType::of_value(&case.value);
        if !given.is_certain() || given == on.value_type {
            continue;
        }
        let what = on.name.as_deref().map_or("this value".to_owned(), |name| format!("`{name}`"));
        let message =
            format!("{what} is {}, and this case is {}", on.value_type.describe(), given.describe());
        let hint = match (&on.value_type, case.value.clone().into_immutable_string()) {
            (ValueType::Integer, Ok(text)) if text.parse::<i64>().is_ok() => {
                format!("write {text} without quotes")
            }
            (ValueType::Text, Err(_)) => format!("write \"{}\" in quotes", case.value),
            (of, _) => format!("write {}", of.describe()),
        };
        problems.push(Problem::new(file, case.position, message, Some(hint)));
    }
    problems
}
