//! Entries of the reference as plain text, for a terminal.

use super::{
    entry::{Entry, facts},
    errors,
};
use crate::script::functions::kinds::ValueKind;

/// The column that texts begin in, after their labels.
const LABEL: usize = 17;

pub(super) fn entry(entry: &Entry) -> String {
    let name = entry.full_name();
    let mut text = String::new();
    for signature in &entry.signatures {
        text.push_str(&format!("{}\n", signature.show(&name)));
    }
    text.push_str(&format!("\n{}\n", indent(&without_marks(&entry.doc))));
    if let Some(spec) = entry.spec {
        if !spec.fields.is_empty() {
            text.push('\n');
        }
        for field in spec.fields {
            let needed = if field.required { "" } else { " May be left out." };
            let doc = field.doc.split_whitespace().collect::<Vec<_>>().join(" ");
            text.push_str(&row(
                field.name,
                &format!("{} ({}){needed}", without_marks(&doc), field.kind.describe()),
            ));
        }
        text.push('\n');
        for (label, fact) in facts(spec) {
            text.push_str(&row(label, &without_marks(&fact)));
        }
        text.push_str("\n  errcodes, beside those of every call (mpscript docs errors)\n");
        for meaning in errors::documented(spec) {
            text.push_str(&row(
                &format!("  {}", meaning.code),
                &format!("{} — {}", meaning.text, meaning.zh),
            ));
        }
    }
    for example in &entry.examples {
        text.push_str(&format!("\n  example\n{}\n", indent(&indent(example))));
    }
    text.trim_end().to_owned()
}

/// The functions of these chapters, a line each.
pub(super) fn list(entries: &[Entry], chapters: &str) -> String {
    let mut text = String::new();
    for entry in entries.iter().filter(|entry| entry.chapter.starts_with(chapters)) {
        let first = entry.doc.lines().next().unwrap_or_default();
        for signature in &entry.signatures {
            text.push_str(&format!("{}\n    {}\n", signature.show(&entry.full_name()), without_marks(first)));
        }
    }
    text.trim_end().to_owned()
}

pub(super) fn value(value: &ValueKind) -> String {
    let mut text = format!("{}\n\n{}\n\n", value.name, indent(&without_marks(value.doc)));
    for field in &value.fields {
        text.push_str(&row(field.name, &without_marks(&field.doc)));
    }
    text.trim_end().to_owned()
}

pub(super) fn row(label: &str, text: &str) -> String {
    // A label that is longer than its column is still followed by two blanks.
    let gap = LABEL.saturating_sub(label.chars().count()).max(2);
    format!("  {label}{}{text}\n", " ".repeat(gap))
}

fn indent(text: &str) -> String {
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("  {line}") });
    lines.collect::<Vec<_>>().join("\n")
}

/// Removes Markdown's back-ticks, which are noise in plain text.
pub(super) fn without_marks(text: &str) -> String {
    text.replace('`', "")
}
