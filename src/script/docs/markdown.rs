//! The whole reference as Markdown.

use super::{
    entry::{Entry, entries, facts},
    errors::{CLASSES, of},
    values::values,
};
use crate::api::{
    card::{ADVANCED_INFO, BASE_INFO, Holds, Rule, TYPES},
    errcode::TABLE,
};

/// The reference as Markdown; `table` stands before the functions.
#[must_use]
pub fn reference(table: &str) -> String {
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
    text.push_str("\n## Values\n");
    for value in values() {
        text.push_str(&format!("\n### {}\n\n{}\n\n| field | |\n|---|---|\n", value.name, value.doc));
        for (name, doc) in value.fields {
            text.push_str(&format!("| `{name}` | {} |\n", cell(&doc)));
        }
    }
    text.push_str(&cards());
    text.push_str(&errors());
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
        let codes: Vec<String> = of(spec)
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

/// What a card's fields hold.
fn cards() -> String {
    let mut text = String::from(
        "\n## Fields of cards\n\n\
         Checked before a card is sent. Lengths are in bytes of UTF-8: a Chinese character has three. Fields that \
         are not here are kept as they are.\n",
    );
    let mut table = |title: &str, rules: &[Rule]| {
        text.push_str(&format!("\n### {title}\n\n| field | holds |\n|---|---|\n"));
        for rule in rules {
            rows(&mut text, "", rule);
        }
    };
    table("base_info", BASE_INFO);
    table("advanced_info", ADVANCED_INFO);
    for of in TYPES {
        let coupon = if of.is_coupon { ", no longer to be made since 2021-04-01" } else { "" };
        table(&format!("{} ({}{coupon})", of.name, of.zh), of.fields);
    }
    text
}

fn rows(text: &mut String, before: &str, rule: &Rule) {
    let name = format!("{before}{}", rule.name);
    let needed = if rule.required { ", required" } else { "" };
    let (holds, inner): (String, &[Rule]) = match rule.holds {
        Holds::Text(most) => (format!("text, {most} bytes"), &[]),
        Holds::AnyText => ("text".to_owned(), &[]),
        Holds::Picture => ("the address that `media::upload_image` gave".to_owned(), &[]),
        Holds::Word(words, _) => (words.join(", "), &[]),
        Holds::Number(least, i64::MAX, _) => (format!("a number from {least}"), &[]),
        Holds::Number(least, most, _) => (format!("a number from {least} to {most}"), &[]),
        Holds::Flag => ("true or false".to_owned(), &[]),
        Holds::Object(rules) => ("a map".to_owned(), rules),
        Holds::Pictures => ("a list of such addresses".to_owned(), &[]),
        Holds::Numbers => ("a list of numbers".to_owned(), &[]),
        Holds::Words(words, _) => (format!("a list of {}", words.join(", ")), &[]),
        Holds::Objects(rules) => ("a list of maps".to_owned(), rules),
        Holds::Dates => (
            "DATE_TYPE_FIX_TIME_RANGE with `begin_timestamp` and `end_timestamp` (Unix seconds), DATE_TYPE_FIX_TERM \
             with `fixed_term` and `fixed_begin_term` (days), or DATE_TYPE_PERMANENT (member cards)"
                .to_owned(),
            &[],
        ),
    };
    text.push_str(&format!("| `{name}` | {holds}{needed} |\n"));
    for rule in inner {
        rows(text, &format!("{name}."), rule);
    }
}

fn errors() -> String {
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
            cell(meaning.hint)
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
