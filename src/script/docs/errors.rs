//! The errcodes with their meanings.

use crate::{
    api::{
        Spec,
        errcode::{Class, Meaning, TABLE, meaning},
    },
    base::SettingNames,
};

/// Every errcode, a line each: number, class, the server's text, its meaning.
#[must_use]
pub fn errors(names: SettingNames) -> String {
    let mut text = String::from("errcode     class          text\n");
    for meaning in TABLE {
        text.push_str(&format!(
            "{:<11} {:<14} {} — {}\n",
            meaning.code,
            meaning.class.as_str(),
            meaning.text,
            meaning.zh
        ));
        if !meaning.hint.is_empty() {
            text.push_str(&format!("{:27}hint: {}\n", "", meaning.hint.text(names)));
        }
    }
    text.push('\n');
    for (class, words) in CLASSES {
        text.push_str(&format!("{:<14} {words}\n", class.as_str()));
    }
    text.trim_end().to_owned()
}

/// What each class means for the caller.
pub(super) const CLASSES: [(Class, &str); 6] = [
    (Class::Busy, "the platform is busy: the call is tried again by itself"),
    (Class::Token, "the token is no longer good: it is renewed and the call made again by itself"),
    (Class::Quota, "the day's calls are used up"),
    (Class::Rate, "the minute's calls are used up: the call waits for the next minute by itself"),
    (Class::Caller, "the request itself is wrong"),
    (
        Class::Configuration,
        "the account or this program is set up wrong; no call will succeed before that is mended",
    ),
];

/// One code.
pub(super) fn one(meaning: &Meaning, names: SettingNames) -> String {
    let class = CLASSES.iter().find(|(class, _)| *class == meaning.class).map_or("", |(_, words)| words);
    let mut text =
        format!("{}  {} — {}\n  {}: {class}", meaning.code, meaning.text, meaning.zh, meaning.class.as_str());
    if !meaning.hint.is_empty() {
        text.push_str(&format!("\n  hint: {}", meaning.hint.text(names)));
    }
    text
}

/// The codes that an endpoint's page documents.
pub(super) fn documented(spec: &Spec) -> Vec<&'static Meaning> {
    spec.errors.iter().filter_map(|code| meaning(*code)).collect()
}
