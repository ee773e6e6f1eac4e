//! Cron expressions: five fields with their Unix meaning, on a calendar that knows no zones.
//!
//! The `cron` crate finds the dates. It numbers the days of the week from 1, wants seconds, and takes a day only if both of
//! its fields name it, so it is given lists of numbers and names of days, once for each way in which a day can match.
//! Must never know instants: what a local time is in a zone is the business of `schedule.rs`.

use super::foreign_cron;
use crate::base::Diagnostic;
use chrono::{DateTime, NaiveDateTime, Utc};
use std::{collections::BTreeSet, str::FromStr};

/// A parsed cron expression.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    /// It fires at the minutes of any of them.
    calendars: Vec<cron::Schedule>,
}

/// One of the five fields.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// Names of the numbers from `min` on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of month", min: 1, max: 31, names: &[] },
    Field {
        name: "month",
        min: 1,
        max: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    // Sunday is 0 and 7.
    Field { name: "day of week", min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/// Names of whole expressions.
const NICKNAMES: [(&str, &str); 8] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@quarterly", "0 0 1 1,4,7,10 *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// The values of a field, and whether it is unrestricted: whether it begins with `*`.
struct Values {
    all: BTreeSet<u8>,
    is_unrestricted: bool,
}

fn wrong<T>(message: String, hint: impl Into<String>) -> Result<T, Diagnostic> {
    Err(Diagnostic::new(message).hint(hint))
}

impl Cron {
    /// Parses an expression: `0 9 * * 1-5`, `*/5 8-20 * * mon-fri`, `@daily`.
    pub fn read(text: &str) -> Result<Self, Diagnostic> {
        let text = text.trim();
        Self::parse(text)
            .map_err(|error| foreign_cron::explain(text, &|text| Self::parse(text).is_ok()).unwrap_or(error))
    }

    fn parse(text: &str) -> Result<Self, Diagnostic> {
        let expanded = if text.starts_with('@') {
            let Some((_, expanded)) = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text))
            else {
                let names: Vec<&str> = NICKNAMES.iter().map(|(name, _)| *name).collect();
                return wrong(format!("cron knows no `{text}`"), format!("it knows {}", names.join(", ")));
            };
            expanded
        } else {
            text
        };
        let words: Vec<&str> = expanded.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words[..] else { return wrong_count(text, &words) };
        let read = |at: usize, word: &str| FIELDS[at].read(word);
        let (minute, hour) = (read(0, minute)?, read(1, hour)?);
        let (day, month, mut weekday) = (read(2, day)?, read(3, month)?, read(4, weekday)?);
        if weekday.all.remove(&7) {
            weekday.all.insert(0);
        }
        let list = |values: &Values| {
            let numbers: Vec<String> = values.all.iter().map(ToString::to_string).collect();
            numbers.join(",")
        };
        let days_of_week: Vec<&str> =
            weekday.all.iter().map(|day| FIELDS[4].names[usize::from(*day)]).collect();
        let days_of_week = days_of_week.join(",");
        let calendar = |day: &str, weekday: &str| {
            let text = format!("0 {} {} {day} {} {weekday}", list(&minute), list(&hour), list(&month));
            cron::Schedule::from_str(&text)
                .map_err(|error| Diagnostic::new(format!("`{}` can't be used: {error}", text.trim())))
        };
        let calendars = if day.is_unrestricted || weekday.is_unrestricted {
            vec![calendar(&list(&day), &days_of_week)?]
        } else {
            // Cron's rule: with both fields given, a day that either of them names matches.
            vec![calendar(&list(&day), "*")?, calendar("*", &days_of_week)?]
        };
        let cron = Self { text: text.to_owned(), calendars };
        if cron.after(NaiveDateTime::default()).is_none() {
            return wrong(
                format!("`{text}` never comes: no month that it names has such a day"),
                "`L`, the last day of a month, is not supported; 28 is in every month",
            );
        }
        Ok(cron)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first local time after this one at which it fires.
    #[must_use]
    pub fn after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        // The `cron` crate wants a zone. UTC only carries the local time here.
        let local: DateTime<Utc> = local.and_utc();
        let firsts = self.calendars.iter().filter_map(|calendar| calendar.after(&local).next());
        firsts.min().map(|first| first.naive_utc())
    }
}

fn wrong_count<T>(text: &str, words: &[&str]) -> Result<T, Diagnostic> {
    let message = foreign_cron::count(text, words.len());
    // Other dialects write `?` for any value.
    let words: Vec<&str> = words.iter().map(|word| if *word == "?" { "*" } else { word }).collect();
    let rest = words.get(1..).unwrap_or_default().join(" ");
    match words.as_slice() {
        ["0" | "00", _, _, _, _, _] => {
            wrong(message, format!("without the seconds at its beginning: `{rest}`"))
        }
        [seconds, _, _, _, _, _] => wrong(
            message,
            format!(
                "if `{seconds}` is meant for seconds: every: \"30s\" is for those, and cron is without them: `{rest}`"
            ),
        ),
        [_, _, _, _, _, _, year] => {
            let rest = words[1..6].join(" ");
            wrong(message, format!("without seconds at its beginning and the year `{year}`: `{rest}`"))
        }
        _ => wrong(message, "for example `0 9 * * 1-5`: at 9:00 from Monday to Friday"),
    }
}

impl Field {
    /// Parses one field: a list of values, ranges and steps.
    fn read(&self, word: &str) -> Result<Values, Diagnostic> {
        let mut all = BTreeSet::new();
        for part in word.split(',') {
            self.read_part(word, part, &mut all)?;
        }
        Ok(Values { all, is_unrestricted: word.starts_with('*') })
    }

    fn read_part(&self, word: &str, part: &str, all: &mut BTreeSet<u8>) -> Result<(), Diagnostic> {
        let Self { name, min, max, .. } = self;
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (*min, if self.names.len() == 7 { 6 } else { *max }),
            Some((from, to)) => {
                let (first, last) = (self.read_value(word, from)?, self.read_value(word, to)?);
                // `fri-sun` ends with the Sunday after.
                let last = if *max == 7 && last == 0 && first > 0 { 7 } else { last };
                if first > last {
                    let mend = format!("{first}-{max},{min}-{last}");
                    return wrong(
                        format!("{name} `{part}` goes backwards"),
                        format!("over the end and on from the beginning: `{mend}`"),
                    );
                }
                (first, last)
            }
            None => {
                let value = self.read_value(word, range)?;
                if let Some(step) = step {
                    return wrong(
                        format!("{name} `{part}` has a step and no range"),
                        format!("from {value} to the end: `{value}-{max}/{step}`"),
                    );
                }
                (value, value)
            }
        };
        let step = match step.map(|step| (step, step.parse::<u8>())) {
            None => 1,
            Some((_, Ok(step))) if step > 0 && step <= *max => step,
            Some((step, _)) => {
                let hint = match *name {
                    "minute" if step.parse::<u32>().is_ok_and(|step| step > 59) => {
                        format!("an interval that is no part of an hour: every: \"{step}m\"")
                    }
                    _ => format!("a step is a number from 1 to {max}"),
                };
                return wrong(format!("{name} `{part}` has the step `{step}`"), hint);
            }
        };
        all.extend((from..=to).step_by(usize::from(step)));
        Ok(())
    }

    fn read_value(&self, word: &str, value: &str) -> Result<u8, Diagnostic> {
        let Self { name, min, max, names } = self;
        if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(value)) {
            return Ok(u8::try_from(at).unwrap_or_default() + min);
        }
        let named = match names {
            [] => String::new(),
            [first, .., last] => format!(", or {first} to {last}"),
            [only] => format!(", or {only}"),
        };
        let range = format!("{min} to {max}{named}");
        if let Ok(number) = value.parse::<i64>() {
            if let Some(number) = u8::try_from(number).ok().filter(|number| (min..=max).contains(&number)) {
                return Ok(number);
            }
            let hint = match (*name, number) {
                ("hour", 24) => "midnight is hour 0".to_owned(),
                ("minute", 60) => "the next hour's minute 0".to_owned(),
                _ => format!("it is {range}"),
            };
            return wrong(format!("{name} `{value}` is not in {range}"), hint);
        }
        let hint = match value {
            "" => "a comma, a `-` or a `/` has nothing beside it".to_owned(),
            "?" => "write `*`".to_owned(),
            _ if value.contains(['L', 'W', '#']) && !value.contains(char::is_lowercase) => {
                "the last day, the nearest weekday and the n-th weekday are not cron's: look at the date in the script"
                    .to_owned()
            }
            // `Monday`
            _ => match names.iter().find(|name| value.to_lowercase().starts_with(**name)) {
                Some(short) if value.len() > 4 => format!("write `{short}`"),
                _ => format!("it is {range}"),
            },
        };
        wrong(format!("{name} `{word}`: `{value}` is no {name}"), hint)
    }
}
