//! Turns diagnostics into text, here only.

use crate::{base::Diagnostic, host::Host};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// An error as a person reads it: the message, the line with a caret, notes, a hint.
pub(crate) fn error(host: &Host, diagnostic: &Diagnostic) -> String {
    let Some(place) = &diagnostic.span else { return without_place(host, diagnostic) };
    let renderer = if host.colour() { Renderer::styled() } else { Renderer::plain() };
    let title = clean(&diagnostic.message);
    let mut group = Group::with_title(Level::ERROR.primary_title(title));
    let line = clean(place.source.lines().nth(place.line - 1).unwrap_or_default());
    let start = byte_of(&line, place.column - 1);
    let end = byte_of(&line, place.column - 1 + place.width).max(start);
    group = group.element(
        Snippet::source(line)
            .line_start(place.line)
            .path(place.file.clone())
            .annotation(AnnotationKind::Primary.span(start..end)),
    );
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(clean(note)));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name("hint").message(clean(hint)));
    }
    renderer.render(&[group])
}

/// The same for an error without a place in a script.
fn without_place(host: &Host, diagnostic: &Diagnostic) -> String {
    let (red, bold, reset) = if host.colour() { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    let mut text = format!("{red}error{reset}{bold}: {}{reset}", clean(&diagnostic.message));
    for note in &diagnostic.notes {
        text.push_str(&format!("\n  {bold}note{reset}: {}", clean(note)));
    }
    if let Some(hint) = &diagnostic.hint {
        text.push_str(&format!("\n  {bold}hint{reset}: {}", clean(hint)));
    }
    text
}

/// The byte at which the `count`-th character begins.
fn byte_of(line: &str, count: usize) -> usize {
    line.char_indices().nth(count).map_or(line.len(), |(at, _)| at)
}

/// Replaces control characters: text from elsewhere must not control the terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() && char != '\n' && char != '\t' { '\u{FFFD}' } else { char })
        .collect()
}

/// Labels with their texts, a line each.
pub(crate) fn rows(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default() + 2;
    rows.iter().map(|(label, text)| format!("{label:<width$}{text}\n")).collect::<Vec<_>>().concat()
}
