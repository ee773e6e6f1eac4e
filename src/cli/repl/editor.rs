//! The line editor of a session, on rustyline: colours, completion, hints, unfinished lines, history.

use super::{
    completion::{Completion, complete, shown_as, signature_at},
    lexer::{Kind, pair_at, tokenize},
    names::CompletionNames,
};
use crate::{
    base::{is_unprintable, read_lock, write_lock},
    script::is_incomplete,
};
use rustyline::{
    CompletionType, Config, Context, EditMode, Editor, Helper,
    completion::{Completer, FilenameCompleter, Pair},
    highlight::{CmdKind, Highlighter},
    hint::{Hint, Hinter, HistoryHinter},
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};
use std::{
    borrow::Cow,
    sync::{Arc, RwLock, RwLockReadGuard},
};

/// Lines that the history keeps.
const MAX_LINES: usize = 10_000;

/// The names that are completed, shared with the tasks that find them.
#[derive(Clone, Default)]
pub(super) struct SharedNames(Arc<RwLock<CompletionNames>>);

impl SharedNames {
    fn read(&self) -> RwLockReadGuard<'_, CompletionNames> {
        read_lock(&self.0)
    }

    /// Changes the names.
    pub(super) fn change(&self, change: impl FnOnce(&mut CompletionNames)) {
        change(&mut write_lock(&self.0));
    }
}

/// Answers rustyline's requests while a line is typed.
pub(super) struct Assistant {
    known: SharedNames,
    files: FilenameCompleter,
    history: HistoryHinter,
    is_coloured: bool,
}

pub(super) type LineEditor = Editor<Assistant, FileHistory>;

/// An editor for lines of this session.
pub(super) fn editor(known: SharedNames, keys: EditMode, is_coloured: bool) -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .max_history_size(MAX_LINES)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .edit_mode(keys)
        .build();
    let mut editor = Editor::with_config(config)?;
    let (files, history) = (FilenameCompleter::new(), HistoryHinter::new());
    editor.set_helper(Some(Assistant { known, files, history, is_coloured }));
    Ok(editor)
}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let known = self.known.read();
        match complete(&line[..position], &known) {
            Completion::File => {
                let (start, mut files) = self.files.complete(line, position, context)?;
                // The terminal would obey the name.
                files.retain(|file| !file.replacement.contains(is_unprintable));
                // Neither scripts nor commands escape a space as a shell does.
                for file in &mut files {
                    file.replacement = file.replacement.replace("\\ ", " ");
                }
                Ok((start, files))
            }
            Completion::Tab => {
                let tab = "\t".to_owned();
                Ok((position, vec![Pair { display: tab.clone(), replacement: tab }]))
            }
            Completion::Words(start, words) => {
                let pair = |word: String| Pair {
                    display: shown_as(&line[..start], &word, &known),
                    replacement: word,
                };
                // The name of a tag may have been chosen elsewhere.
                let words = words.into_iter().filter(|word| !word.contains(is_unprintable));
                Ok((start, words.map(pair).collect()))
            }
        }
    }
}

/// A hint that is shown behind the cursor.
pub(super) struct CursorHint {
    text: String,
    /// Whether the right arrow inserts it.
    is_insertable: bool,
}

impl Hint for CursorHint {
    fn display(&self) -> &str {
        &self.text
    }

    fn completion(&self) -> Option<&str> {
        self.is_insertable.then_some(self.text.as_str())
    }
}

impl Hinter for Assistant {
    type Hint = CursorHint;

    fn hint(&self, line: &str, position: usize, context: &Context<'_>) -> Option<CursorHint> {
        if position < line.len() || line.is_empty() {
            return None;
        }
        if let Some(signature) = signature_at(line, &self.known.read()) {
            return Some(CursorHint { text: format!("   {signature}"), is_insertable: false });
        }
        let text = self.history.hint(line, position, context)?;
        Some(CursorHint { text, is_insertable: true })
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, position: usize) -> Cow<'l, str> {
        if !self.is_coloured || line.starts_with([':', '?']) {
            return Cow::Borrowed(line);
        }
        let tokens = tokenize(line, &self.known.read());
        let pair = pair_at(line, position, &tokens);
        let mut text = String::with_capacity(line.len() * 2);
        for (range, kind) in tokens {
            let is_of_pair = pair.is_some_and(|(one, other)| [one, other].contains(&range.start));
            let style = match kind {
                _ if is_of_pair => "1;4",
                Kind::Comment => "2",
                Kind::Text => "32",
                Kind::Number => "33",
                Kind::Keyword => "35",
                Kind::Call => "36",
                Kind::Unknown => "4;31",
                Kind::Plain => "",
            };
            if style.is_empty() {
                text.push_str(&line[range]);
            } else {
                text.push_str(&format!("\x1b[{style}m{}\x1b[0m", &line[range]));
            }
        }
        Cow::Owned(text)
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.is_coloured { Cow::Owned(format!("\x1b[2m{hint}\x1b[0m")) } else { Cow::Borrowed(hint) }
    }

    fn highlight_char(&self, _line: &str, _position: usize, _kind: CmdKind) -> bool {
        self.is_coloured
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let line = context.input();
        let is_script = !line.starts_with([':', '?']);
        Ok(if is_script && is_incomplete(line) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}
