//! A position of the engine as a place in a text.

use crate::base::SourceSpan;
use rhai::Position;

/// The word at a position: what a caret should span.
pub(crate) fn place(file: &str, text: &str, position: Position) -> Option<SourceSpan> {
    let line = position.line()?;
    let column = position.position().unwrap_or(1).max(1);
    let rest = text.lines().nth(line - 1).unwrap_or_default().chars().skip(column - 1);
    let width = rest.take_while(|char| char.is_alphanumeric() || *char == '_').count().max(1);
    Some(SourceSpan { file: file.to_owned(), source: text.to_owned(), line, column, width })
}
