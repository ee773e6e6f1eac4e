//! Forms that other crons read: what to write here instead. Must never know how an expression is parsed.

use crate::base::{Diagnostic, TypedSign};
use chrono_tz::Tz;

/// What a word of an expression is that is not one of the five fields.
fn describe_word(word: &str) -> String {
    match word {
        _ if is_zone(word) => format!("the zone is a key of its own: tz: \"{word}\""),
        _ => format!("`{word}` is no part of it: the automation's handler is what runs"),
    }
}

fn is_zone(word: &str) -> bool {
    word.parse::<Tz>().is_ok()
}

/// Whether a word names days of the week, or leaves them open as Quartz does.
fn names_weekdays(word: &str) -> bool {
    word == "?" || word.starts_with(char::is_alphabetic)
}

/// What is wrong with an expression that is another cron's; `is_cron` is whether a text is an expression of this cron.
pub(super) fn explain(text: &str, is_cron: &dyn Fn(&str) -> bool) -> Option<Diagnostic> {
    let sign = text.chars().filter(|char| !char.is_whitespace()).find_map(TypedSign::new);
    if let Some(sign) = sign {
        return Some(Diagnostic::new(format!("`{text}`: {}", sign.describe())));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let wrong = |message: String, hint: String| Some(Diagnostic::new(message).hint(hint));
    if let Some(at) = words.iter().position(|word| word.starts_with('#')) {
        let rest = words[..at].join(" ");
        let hint = if rest.is_empty() {
            "a trigger that is not wanted is left out".to_owned()
        } else {
            format!("without it: `{rest}`")
        };
        return wrong(format!("`{text}` has a comment, which is no part of it"), hint);
    }
    if let Some(at) = words.iter().position(|word| word.contains('=')) {
        let (name, value) = words[at].split_once('=')?;
        let rest = [&words[..at], &words[at + 1..]].concat().join(" ");
        let message = format!("`{}` is no part of a cron expression", words[at]);
        return match name {
            "CRON_TZ" | "TZ" => {
                wrong(message, format!("the zone is a key of its own: cron: \"{rest}\", tz: \"{value}\""))
            }
            _ => wrong(message, format!("without it: `{rest}`")),
        };
    }
    if let Some(inside) = text.strip_prefix("cron(").and_then(|text| text.strip_suffix(')')) {
        let inside: Vec<&str> =
            inside.split_whitespace().take(5).map(|word| if word == "?" { "*" } else { word }).collect();
        return wrong(
            format!("`{text}` is another scheduler's form"),
            format!("write `{}`", inside.join(" ")),
        );
    }
    if let Some(interval) = interval(text) {
        return wrong(
            format!("`{text}` is an interval"),
            format!("write every: \"{interval}\" instead of cron"),
        );
    }
    if let Some((hour, minute)) = words.iter().find_map(|word| time_of_day(word)) {
        let message =
            format!("`{text}` names a time of the day, and cron has 5 fields: minute hour day month weekday");
        return wrong(message, format!("every day at {hour}:{minute:02} is `{minute} {hour} * * *`"));
    }
    let random = words.iter().find(|word| word.contains('~') || word.starts_with('H'));
    if let Some(word) = random {
        let hint = "choose the minute yourself; jitter: \"10m\" beside cron spreads the fires";
        return wrong(format!("`{word}` is a moment that Jenkins and some crons choose"), hint.to_owned());
    }
    let shown = |words: &[&str]| {
        words.iter().map(|word| if *word == "?" { "*" } else { word }).collect::<Vec<_>>().join(" ")
    };
    match words.as_slice() {
        // Words after a whole expression: a zone, a user, a command.
        [nickname, rest @ ..] if nickname.starts_with('@') && !rest.is_empty() && is_cron(nickname) => {
            wrong(format!("`{text}` has more than `{nickname}`"), describe_word(rest[0]))
        }
        // Five fields and the year.
        [first @ .., _]
            if words.len() == 6
                && (words[2] == "?" || names_weekdays(words[4]))
                && is_cron(&shown(first)) =>
        {
            wrong(count(text, 6), format!("without the year at its end: `{}`", shown(first)))
        }
        [_, _, _, _, _, sixth, ..] if !is_weekday(sixth, is_cron) && is_cron(&shown(&words[..5])) => {
            let rest = shown(&words[..5]);
            wrong(count(text, words.len()), format!("{}; without it: `{rest}`", describe_word(sixth)))
        }
        _ => None,
    }
}

/// The count of fields, as the message for it says.
pub(super) fn count(text: &str, fields: usize) -> String {
    let fields = if fields == 1 { "1 field".to_owned() } else { format!("{fields} fields") };
    format!("`{text}` has {fields}, and cron has 5: minute hour day month weekday")
}

fn is_weekday(word: &str, is_cron: &dyn Fn(&str) -> bool) -> bool {
    word == "?" || is_cron(&format!("0 0 * * {word}"))
}

/// `@every 5m`, `rate(5 minutes)`, `every 5 minutes`, `5m`.
fn interval(text: &str) -> Option<String> {
    let inner = text
        .strip_prefix("@every ")
        .or_else(|| text.strip_prefix("every "))
        .or_else(|| text.strip_prefix("rate(").and_then(|text| text.strip_suffix(')')))
        .unwrap_or(text);
    let interval = humantime::parse_duration(&inner.replace(' ', "")).ok()?;
    Some(humantime::format_duration(interval).to_string())
}

/// `09:00`, `9:30:00`.
fn time_of_day(word: &str) -> Option<(u8, u8)> {
    let mut parts = word.split(':');
    let (hour, minute) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (hour < 24 && minute < 60).then_some((hour, minute))
}
