//! A text with its name in messages, and the positions in it.

use crate::base::SourceSpan;
use rhai::Position;
use std::sync::Arc;

/// The text of a file or of a line, with its name in messages.
pub(crate) struct NamedSource {
    pub name: String,
    pub text: Arc<str>,
}

impl NamedSource {
    /// The word at a position: what a caret should span.
    pub(crate) fn span_at(&self, position: Position) -> Option<SourceSpan> {
        let line = position.line()?;
        let column = position.position().unwrap_or(1).max(1);
        let rest = self.text.lines().nth(line - 1).unwrap_or_default().chars().skip(column - 1);
        let width = rest.take_while(|char| char.is_alphanumeric() || *char == '_').count().max(1);
        Some(SourceSpan { file: self.name.clone(), source: Arc::clone(&self.text), line, column, width })
    }
}
