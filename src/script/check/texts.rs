//! `${…}` in a text between double quotes, which stays as it is written.

use super::{
    file::{File, Problem},
    observed::Observed,
};
use crate::script::source::parse::variables_of;

/// A text that has what would be replaced between back-ticks: an expression of variables that are in scope.
pub(super) fn problem(file: &File, observed: &Observed) -> Option<Problem> {
    let Observed::Text { text, in_scope, position } = observed else { return None };
    let line = file.text().lines().nth(position.line()? - 1)?;
    // What is between back-ticks has been replaced, and a raw text is meant as it is.
    if line.chars().nth(position.position()?.checked_sub(1)?) != Some('"') {
        return None;
    }
    let inner = interpolations(text).find(|inner| {
        variables_of(inner).is_some_and(|variables| {
            !variables.is_empty() && variables.iter().all(|name| in_scope.contains(name))
        })
    })?;
    let message = format!("`${{{inner}}}` is not replaced in a text between double quotes");
    let hint = "write the text between back-ticks: `… ${x} …`".to_owned();
    Some(Problem::new(file, *position, message, Some(hint)))
}

/// What stands between `${` and `}`.
fn interpolations(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| {
        let mut depth = 0_usize;
        let end = rest.char_indices().find(|(_, char)| match char {
            '{' => {
                depth += 1;
                false
            }
            '}' if depth > 0 => {
                depth -= 1;
                false
            }
            '}' => true,
            _ => false,
        });
        end.map(|(end, _)| &rest[..end])
    })
}
