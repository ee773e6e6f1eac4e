//! The fields of cards, from their rules.

use super::plain::row;
use crate::api::card::{ADVANCED_INFO, BASE_INFO, Holds, Rule, TYPES};

/// The tables with their titles.
fn tables() -> Vec<(String, &'static [Rule])> {
    let of_all = [("base_info".to_owned(), BASE_INFO), ("advanced_info".to_owned(), ADVANCED_INFO)];
    let of_types = TYPES.iter().map(|of| {
        let coupon = if of.is_coupon { ", no longer to be made since 2021-04-01" } else { "" };
        (format!("{} ({}{coupon})", of.name, of.zh), of.fields)
    });
    of_all.into_iter().chain(of_types).collect()
}

/// One table for a terminal: `base_info`, `MEMBER_CARD`.
pub(super) fn table(name: &str) -> Option<String> {
    let (title, rules) = tables().into_iter().find(|(title, _)| title.split(' ').next() == Some(name))?;
    let mut text = format!("{title}\n\n");
    for (name, holds) in rows(rules) {
        text.push_str(&row(&name, &holds));
    }
    if rules.is_empty() || !title.contains("_info") {
        text.push_str("\n  what all cards have: mpscript docs base_info, mpscript docs advanced_info\n");
    }
    Some(text.trim_end().to_owned())
}

/// All tables as Markdown.
pub(super) fn markdown() -> String {
    let mut text = String::from(
        "\n## Fields of cards\n\n\
         Checked before a card is sent. Lengths are in bytes of UTF-8: a Chinese character has three. Fields that \
         are not here are kept as they are. With a builder, `quantity` stands for `sku.quantity`, the fields of \
         `date_info` stand beside the others, and `code_type` is CODE_TYPE_QRCODE when it is left out.\n",
    );
    for (title, rules) in tables() {
        text.push_str(&format!("\n### {title}\n\n| field | holds |\n|---|---|\n"));
        for (name, holds) in rows(rules) {
            text.push_str(&format!("| `{name}` | {holds} |\n"));
        }
    }
    text
}

/// Every field with what it holds; inner ones by their path.
fn rows(rules: &[Rule]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for rule in rules {
        let needed = if rule.required { ", required" } else { "" };
        all.push((rule.name.to_owned(), format!("{}{needed}", describe(rule.holds))));
        if let Holds::Object(inner) | Holds::Objects(inner) = rule.holds {
            all.extend(rows(inner).into_iter().map(|(name, holds)| (format!("{}.{name}", rule.name), holds)));
        }
    }
    all
}

fn describe(holds: Holds) -> String {
    match holds {
        Holds::Text(max) => format!("text, {max} bytes"),
        Holds::AnyText => "text".to_owned(),
        Holds::Picture => "the address that media::upload_image gave".to_owned(),
        Holds::Word(words, _) => words.join(", "),
        Holds::Number(min, i64::MAX, _) => format!("a number from {min}"),
        Holds::Number(min, max, _) => format!("a number from {min} to {max}"),
        Holds::Flag => "true or false".to_owned(),
        Holds::Object(_) => "a map".to_owned(),
        Holds::Pictures => "a list of such addresses".to_owned(),
        Holds::Numbers => "a list of numbers".to_owned(),
        Holds::Words(words, _) => format!("a list of {}", words.join(", ")),
        Holds::Objects(_) => "a list of maps".to_owned(),
        Holds::Dates => "DATE_TYPE_FIX_TIME_RANGE with begin_timestamp and end_timestamp (Unix seconds), \
                         DATE_TYPE_FIX_TERM with fixed_term and fixed_begin_term (days), or DATE_TYPE_PERMANENT \
                         (member cards)"
            .to_owned(),
    }
}
