//! A message for a person, as data: what is wrong, where, and what to do next.
//!
//! `cli::output::render` prints it; nothing here knows terminals or colours.

use std::sync::Arc;

/// The part of a script that a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpan {
    /// The file as the person named it.
    pub file: String,
    /// The whole source, to show the line from; all spans of a source share it.
    pub source: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters the caret spans.
    pub width: usize,
}

/// What is wrong, where, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Lower case, no full stop.
    pub message: String,
    /// Where in a script, if it is about one.
    pub span: Option<SourceSpan>,
    /// Facts that help (`rid`, progress so far), one a line.
    pub notes: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A message without a span.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, notes: Vec::new(), hint: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets where in a script it is.
    #[must_use]
    pub fn at(mut self, span: Option<SourceSpan>) -> Self {
        self.span = span;
        self
    }

    /// On one line, with its place and its hint.
    #[must_use]
    pub fn one_line(&self) -> String {
        let place = self.span.as_ref();
        let place = place.map(|place| format!("{}:{}:{}: ", place.file, place.line, place.column));
        let hint = self.hint.as_ref().map(|hint| format!(" ({hint})"));
        format!("{}{}{}", place.unwrap_or_default(), self.message, hint.unwrap_or_default())
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}
