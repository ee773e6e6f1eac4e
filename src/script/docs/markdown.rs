//! The whole reference as Markdown.

use super::{
    cards,
    entry::{Entry, entries, facts},
    errors::{CLASSES, documented},
};
use crate::{
    api::errcode::TABLE,
    base::SettingNames,
    script::functions::kinds::{ValueKind, automation_parts, kinds},
};

/// The reference as Markdown; `table` is inserted before the functions, and settings are called by these names.
#[must_use]
pub fn reference(table: &str, names: SettingNames) -> String {
    let mut text = String::from(
        "# Reference\n\n\
         Every function of a script, made from the declarations in the program (`mpscript docs`). Types are \
         Rhai's; `?` is any. What a call takes beyond its parameters (token, retries, paging) happens by itself.\n",
    );
    if !table.is_empty() {
        text.push_str(&format!("\n{}\n", table.trim()));
    }
    let mut chapter = String::new();
    for entry in entries() {
        if entry.chapter != chapter {
            chapter.clone_from(&entry.chapter);
            let title = if entry.module.is_empty() { chapter.clone() } else { format!("`{chapter}`") };
            text.push_str(&format!("\n## {title}\n"));
        }
        text.push_str(&function(&entry));
    }
    text.push_str("\n## Automations\n");
    text.extend(automation_parts().iter().map(|part| fields(part, "key")));
    text.push_str("\n## Values\n");
    text.extend(kinds().iter().map(|value| fields(value, "field")));
    text.push_str(&cards::markdown());
    text.push_str(&errors(names));
    text
}

fn fields(value: &ValueKind, kind: &str) -> String {
    let mut text = format!("\n### {}\n\n{}\n\n| {kind} | |\n|---|---|\n", value.name, value.doc);
    for field in &value.fields {
        text.push_str(&format!("| `{}` | {} |\n", field.name, cell(&field.doc)));
    }
    text
}

fn function(entry: &Entry) -> String {
    let name = entry.full_name();
    let mut text = format!("\n### {name}\n\n```text\n");
    for signature in &entry.signatures {
        text.push_str(&format!("{}\n", signature.show(&name)));
    }
    text.push_str(&format!("```\n\n{}\n", entry.doc));
    if let Some(spec) = entry.spec {
        if !spec.fields.is_empty() {
            text.push_str("\n| parameter | | |\n|---|---|---|\n");
        }
        for field in spec.fields {
            let needed = if field.required { "" } else { ", may be left out" };
            text.push_str(&format!(
                "| `{}` | {}{needed} | {} |\n",
                field.name,
                field.kind.describe(),
                cell(field.doc)
            ));
        }
        text.push('\n');
        for (label, fact) in facts(spec) {
            text.push_str(&format!("- {label}: {fact}\n"));
        }
        let codes: Vec<String> = documented(spec)
            .iter()
            .map(|meaning| format!("{} {} ({})", meaning.code, meaning.text, meaning.zh))
            .collect();
        text.push_str(&format!("- errcodes: {}\n", codes.join("; ")));
    }
    for example in &entry.examples {
        text.push_str(&format!("\n```rhai\n{example}\n```\n"));
    }
    text
}

fn errors(names: SettingNames) -> String {
    let mut text = String::from(
        "\n## Errcodes\n\n| errcode | class | text | meaning | what to do |\n|---|---|---|---|---|\n",
    );
    for meaning in TABLE {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} |\n",
            meaning.code,
            meaning.class.as_str(),
            cell(meaning.text),
            cell(meaning.zh),
            cell(&meaning.hint.text(names))
        ));
    }
    text.push('\n');
    for (class, words) in CLASSES {
        text.push_str(&format!("- {}: {words}\n", class.as_str()));
    }
    text
}

/// A text in a cell of a table: one line, no bars.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
