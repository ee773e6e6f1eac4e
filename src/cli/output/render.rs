//! Turns diagnostics into text, here only.

use crate::{
    base::{Diagnostic, plain_line, plain_text},
    host::Host,
};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Shows an error on standard error.
pub(crate) fn show_error(host: &Host, diagnostic: &Diagnostic) {
    host.err.styled(&format!("{}\n", error(host, diagnostic)));
}

/// An error as a person reads it: the message, the line with a caret, notes, a hint.
fn error(host: &Host, diagnostic: &Diagnostic) -> String {
    let Some(place) = &diagnostic.span else { return without_place(host, diagnostic) };
    let renderer = if host.colour() { Renderer::styled() } else { Renderer::plain() };
    let title = plain_text(&diagnostic.message);
    let mut group = Group::with_title(Level::ERROR.primary_title(title));
    let line = plain_text(place.source.lines().nth(place.line - 1).unwrap_or_default());
    let end = place.column - 1 + place.width;
    let (line, [start, end]) =
        masked(host, &line, [place.column - 1, end].map(|count| byte_of(&line, count)));
    let end = end.max(start);
    group = group.element(
        Snippet::source(line)
            .line_start(place.line)
            .path(plain_line(&place.file).into_owned())
            .annotation(AnnotationKind::Primary.span(start..end)),
    );
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(plain_text(note)));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name("hint").message(plain_text(hint)));
    }
    renderer.render(&[group])
}

/// A line without secrets, and where these places of it are then. It is masked here, since the renderer cuts a long one.
fn masked<const N: usize>(host: &Host, line: &str, places: [usize; N]) -> (String, [usize; N]) {
    let masked = host.secrets.mask(line);
    let places = places.map(|place| {
        // A place within a secret is where its mask begins.
        let before = host.secrets.mask(&line[..place]);
        let same = masked.char_indices().zip(before.chars()).find(|((_, in_line), before)| in_line != before);
        same.map_or(before.len().min(masked.len()), |((at, _), _)| at)
    });
    (masked, places)
}

/// The same for an error without a place in a script.
fn without_place(host: &Host, diagnostic: &Diagnostic) -> String {
    let (red, bold, reset) = if host.colour() { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    let mut text = format!("{red}error{reset}{bold}: {}{reset}", plain_text(&diagnostic.message));
    for note in &diagnostic.notes {
        text.push_str(&format!("\n  {bold}note{reset}: {}", plain_text(note)));
    }
    if let Some(hint) = &diagnostic.hint {
        text.push_str(&format!("\n  {bold}hint{reset}: {}", plain_text(hint)));
    }
    text
}

/// The byte at which the `count`-th character begins.
fn byte_of(line: &str, count: usize) -> usize {
    line.char_indices().nth(count).map_or(line.len(), |(at, _)| at)
}

/// Labels with their texts, a line each.
pub(crate) fn rows(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default() + 2;
    rows.iter().map(|(label, text)| format!("{label:<width$}{text}\n")).collect::<Vec<_>>().concat()
}
