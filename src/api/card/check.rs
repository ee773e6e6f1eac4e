//! Holds a card to its rules: what the platform would refuse is found before it is sent.

use super::{
    Card,
    rules::{ADVANCED_INFO, BASE_INFO, Holds, Rule, TYPES},
};
use crate::{
    api::{errcode, media::PICTURE_HOSTS},
    base::{closest_match, millis_as_secs},
};
use serde_json::{Map, Value};
use std::fmt;
use url::Url;

/// The longest address of a picture, in bytes.
const PICTURE_URL_BYTES: usize = 128;

/// Fields that a member card's owner may name (40124).
const MAX_CUSTOM_FIELDS: usize = 3;

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `member_card.base_info.title`.
    pub at: String,
    /// What is wrong there.
    pub problem: Problem,
    /// What the platform answers to it.
    pub errcode: i64,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is not there.
    Missing,
    /// It is required, and is a text with nothing but blanks in it.
    Blank,
    /// A time in milliseconds, which is this one in seconds.
    Milliseconds(i64),
    /// It is missing, and a field of this name is there instead.
    Misspelt(String),
    /// It holds something of another kind than this.
    Kind(&'static str),
    /// Its bytes, and the most that are allowed.
    TooLong(usize, usize),
    /// A word that it does not know, what may have been meant, and all that it knows.
    Word(String, Option<&'static str>, &'static [&'static str]),
    /// A number that is out of these bounds.
    Range(i64, i64),
    /// No address of an uploaded picture.
    Picture,
    /// Something else, in words.
    Other(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.at;
        match &self.problem {
            Problem::Missing => {
                write!(f, "`{at}` is missing")?;
                // What a builder of the standard library makes of these has other names.
                if at.rsplit('.').next() == Some("sku") {
                    f.write_str(": sku: #{quantity: 100}, or quantity: 100 with a builder")?;
                }
                if at.rsplit('.').next() == Some("date_info") {
                    f.write_str(
                        ": fixed_term: 30 (days), or begin_timestamp and end_timestamp (Unix seconds), with a builder",
                    )?;
                }
            }
            Problem::Blank => write!(f, "`{at}` is required and is blank")?,
            Problem::Milliseconds(seconds) => {
                write!(f, "`{at}` looks like milliseconds; the platform wants seconds: {seconds}")?;
            }
            Problem::Misspelt(given) => write!(f, "`{at}` is missing; did you mean it by `{given}`?")?,
            Problem::Kind(wanted) => write!(f, "`{at}` must be {wanted}")?,
            Problem::TooLong(bytes, max) => {
                write!(
                    f,
                    "`{at}` has {bytes} bytes, and {max} are the most ({} Chinese characters)",
                    max / 3
                )?;
            }
            Problem::Word(word, Some(near), _) => {
                write!(f, "`{at}` can't be `{word}`; did you mean `{near}`?")?;
            }
            Problem::Word(word, None, words) => {
                write!(f, "`{at}` can't be `{word}`; it is one of {}", words.join(", "))?;
            }
            Problem::Range(min, i64::MAX) => write!(f, "`{at}` is {min} at the least")?,
            Problem::Range(min, max) => write!(f, "`{at}` is from {min} to {max}")?,
            Problem::Picture => {
                write!(f, "`{at}` is no picture's address: media::upload_image(\"logo.png\").url gives one")?;
            }
            Problem::Other(words) => write!(f, "`{at}` {words}")?,
        }
        write!(f, " ({})", self.errcode)
    }
}

/// Everything that is wrong with a card at any time, in the order of its declaration; [`ended`] says what is wrong with it
/// now.
#[must_use]
pub fn check(card: &Card) -> Vec<Fault> {
    find_faults(card).found
}

/// The end of a card's time, if that has passed at `now` (Unix seconds).
#[must_use]
pub fn ended(card: &Card, now: i64) -> Option<Fault> {
    let object = card.card_type()?.name.to_lowercase();
    let end = card.0.get(&object)?.get("base_info")?.get("date_info")?.get("end_timestamp")?.as_i64()?;
    let at = format!("{object}.base_info.date_info.end_timestamp");
    (end <= now).then_some(Fault {
        at,
        problem: Problem::Other("has passed"),
        errcode: errcode::BAD_DATE_RANGE,
    })
}

/// Names in a card that are no declared fields and much like one that is not there. They are sent as they
/// are: the platform may have added them.
#[must_use]
pub fn suspects(card: &Card) -> Vec<(String, &'static str)> {
    find_faults(card).suspects
}

/// A name in a card that is no declared field, and the field that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MisspeltField {
    /// The name as it is written.
    pub given: String,
    /// The declared field.
    pub meant: String,
}

/// The names in a card that are much like a field that is not there.
#[must_use]
pub fn misspelt(card: &Card) -> Vec<MisspeltField> {
    let Faults { found, suspects } = find_faults(card);
    let required = found.into_iter().filter_map(|fault| match fault.problem {
        Problem::Misspelt(given) => {
            Some(MisspeltField { given, meant: fault.at.rsplit('.').next().unwrap_or_default().to_owned() })
        }
        _ => None,
    });
    let optional =
        suspects.into_iter().map(|(given, meant)| MisspeltField { given, meant: meant.to_owned() });
    required.chain(optional).collect()
}

/// Of the names in one map with the fields of a card of this type, those that are much like a field that is not there. `beside`
/// are names that the map may have too.
#[must_use]
pub fn misspelt_names(card_type: &str, names: &[&str], beside: &[&'static str]) -> Vec<MisspeltField> {
    let Some(of) = TYPES.iter().find(|of| of.name == card_type) else { return Vec::new() };
    let declared = of.fields.iter().chain(BASE_INFO).map(|rule| rule.name);
    let declared: Vec<&str> = declared.chain(beside.iter().copied()).collect();
    let given = names.iter().filter(|name| !declared.contains(name));
    let found = given.filter_map(|name| {
        let absent = declared.iter().filter(|field| !names.contains(field));
        let near = absent.max_by(|a, b| similarity(name, a).total_cmp(&similarity(name, b)))?;
        let is_slip = similarity(name, near) >= MISSPELT && without_digits(name) != without_digits(near);
        is_slip.then(|| MisspeltField { given: (*name).to_owned(), meant: (*near).to_owned() })
    });
    found.collect()
}

fn similarity(name: &str, field: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(name, field)
}

/// A numbered name is another field of the same kind.
fn without_digits(name: &str) -> String {
    name.chars().filter(|char| !char.is_ascii_digit()).collect()
}

/// The names of a card, beside `card_type`, that are no declared fields. They are sent as they are.
#[must_use]
pub fn undeclared(card: &Card) -> Vec<String> {
    let Some(of) = card.card_type() else { return Vec::new() };
    let fields = |map: Option<&Value>| map.and_then(Value::as_object).cloned().unwrap_or_default();
    let own = fields(card.0.get(&of.name.to_lowercase()));
    let base_info = fields(own.get("base_info"));
    let is_own = |name: &&String| {
        ["base_info", "advanced_info"].contains(&name.as_str())
            || of.fields.iter().any(|rule| rule.name == *name)
    };
    let of_base = |name: &&String| BASE_INFO.iter().any(|rule| rule.name == *name);
    let strays =
        own.keys().filter(|name| !is_own(name)).chain(base_info.keys().filter(|name| !of_base(name)));
    strays.cloned().collect()
}

fn find_faults(card: &Card) -> Faults {
    let mut faults = Faults::default();
    let Some(of) = card.card_type() else {
        let problem = match card.0.get("card_type") {
            None => {
                return faults.with("card_type", Problem::Missing, errcode::REQUIRED_FIELD_MISSING);
            }
            Some(Value::String(word)) => Problem::Word(word.clone(), closest_match(word, NAMES), &NAMES),
            Some(_) => Problem::Kind("a string"),
        };
        return faults.with("card_type", problem, errcode::INVALID_CARD_TYPE);
    };
    let object = of.name.to_lowercase();
    let Some(fields) = card.0.get(&object) else {
        return faults.with(&object, Problem::Missing, errcode::REQUIRED_FIELD_MISSING);
    };
    let Some(fields) = fields.as_object() else {
        return faults.with(&object, Problem::Kind("a map"), errcode::MALFORMED_BODY);
    };
    let base_info = Rule { name: "base_info", holds: Holds::Object(BASE_INFO), required: true };
    let advanced_info = Rule { name: "advanced_info", holds: Holds::Object(ADVANCED_INFO), required: false };
    faults.object(&object, &[base_info, advanced_info], fields, &Map::new());
    // A builder puts what it does not know into base_info.
    let strays = fields.get("base_info").and_then(Value::as_object).cloned().unwrap_or_default();
    faults.object(&object, of.fields, fields, &strays);
    if let Some(base_info) = fields.get("base_info").and_then(Value::as_object) {
        faults.between_fields(&format!("{object}.base_info"), base_info, of.name);
    }
    let custom_fields = fields.keys().filter(|name| name.starts_with("custom_field")).count();
    if custom_fields > MAX_CUSTOM_FIELDS {
        faults.add(
            &object,
            Problem::Other("has more than three custom fields"),
            errcode::TOO_MANY_CUSTOM_FIELDS,
        );
    }
    faults
}

/// How long a card may be good.
const DATE_TYPES: [&str; 3] = ["DATE_TYPE_FIX_TIME_RANGE", "DATE_TYPE_FIX_TERM", "DATE_TYPE_PERMANENT"];

/// The names of all types.
const NAMES: [&str; TYPES.len()] = {
    let mut names = [""; TYPES.len()];
    let mut at = 0;
    while at < TYPES.len() {
        names[at] = TYPES[at].name;
        at += 1;
    }
    names
};

/// A name that is as like a missing field's as this was meant to be it; others are kept as they are.
const MISSPELT: f64 = 0.8;

/// Names in the flat map of a builder from which it makes a field, so that a slip in one is a slip in that field.
const MADE_FROM: [(&str, &[&str]); 2] =
    [("sku", &["quantity"]), ("date_info", &["fixed_term", "begin_timestamp", "end_timestamp"])];

/// Whether a name is much like that of a field, or like one from which a builder makes the field.
fn is_slip(name: &str, field: &str) -> bool {
    let made_from = MADE_FROM.iter().find(|(made, _)| *made == field).map_or(&[][..], |(_, from)| from);
    std::iter::once(&field).chain(made_from).any(|meant| similarity(name, meant) >= MISSPELT)
}

#[derive(Default)]
struct Faults {
    found: Vec<Fault>,
    /// Names that are sent as they are, with what they are like.
    suspects: Vec<(String, &'static str)>,
}

impl Faults {
    fn with(mut self, at: &str, problem: Problem, errcode: i64) -> Self {
        self.add(at, problem, errcode);
        self
    }

    fn add(&mut self, at: &str, problem: Problem, errcode: i64) {
        self.found.push(Fault { at: at.to_owned(), problem, errcode });
    }

    /// `strays` holds names that may have been meant for a field of this object.
    fn object(&mut self, at: &str, rules: &[Rule], fields: &Map<String, Value>, strays: &Map<String, Value>) {
        for rule in rules {
            let at = format!("{at}.{}", rule.name);
            if let Some(value) = fields.get(rule.name) {
                if rule.required && value.as_str().is_some_and(|text| text.trim().is_empty()) {
                    self.add(&at, Problem::Blank, errcode::REQUIRED_FIELD_MISSING);
                    continue;
                }
                self.value(&at, rule.holds, value);
                continue;
            }
            let is_known = |name: &str| {
                rules.iter().chain(BASE_INFO).any(|rule| rule.name == name) || name == "base_info"
            };
            let slip =
                fields.keys().chain(strays.keys()).find(|name| !is_known(name) && is_slip(name, rule.name));
            match slip {
                Some(slip) if rule.required => {
                    self.add(&at, Problem::Misspelt(slip.clone()), errcode::REQUIRED_FIELD_MISSING);
                }
                // It may be a field that the platform has added.
                Some(slip) => self.suspects.push((slip.clone(), rule.name)),
                None if rule.required => self.add(&at, Problem::Missing, errcode::REQUIRED_FIELD_MISSING),
                None => {}
            }
        }
    }

    fn value(&mut self, at: &str, holds: Holds, value: &Value) {
        match holds {
            Holds::AnyText => {
                self.text(at, value);
            }
            Holds::Text(max) => {
                let Some(text) = self.text(at, value) else { return };
                if text.len() > max {
                    self.add(at, Problem::TooLong(text.len(), max), errcode::ARGUMENT_TOO_LONG);
                }
            }
            Holds::Picture => self.picture(at, value),
            Holds::Word(words, errcode) => self.word(at, words, errcode, value),
            Holds::Number(min, max, errcode) => match value.as_i64() {
                None => self.add(at, Problem::Kind("an integer"), errcode::MALFORMED_BODY),
                Some(number) if !(min..=max).contains(&number) => {
                    self.add(at, Problem::Range(min, max), errcode);
                }
                Some(_) => {}
            },
            Holds::Flag if value.is_boolean() => {}
            Holds::Flag => self.add(at, Problem::Kind("true or false"), errcode::MALFORMED_BODY),
            Holds::Object(rules) => match value.as_object() {
                Some(fields) => self.object(at, rules, fields, &Map::new()),
                None => self.add(at, Problem::Kind("a map"), errcode::MALFORMED_BODY),
            },
            // Samples show a list and a text.
            Holds::Pictures if value.is_string() => self.picture(at, value),
            Holds::Pictures => self.entries(at, value, Self::picture),
            Holds::Numbers => self.entries(at, value, |faults, at, entry| {
                if entry.as_i64().is_none() {
                    faults.add(at, Problem::Kind("an integer"), errcode::INVALID_LOCATION);
                }
            }),
            Holds::Words(words, errcode) => {
                self.entries(at, value, |faults, at, entry| faults.word(at, words, errcode, entry));
            }
            Holds::Objects(rules) => self.entries(at, value, |faults, at, entry| match entry.as_object() {
                Some(fields) => faults.object(at, rules, fields, &Map::new()),
                None => faults.add(at, Problem::Kind("a map"), errcode::MALFORMED_BODY),
            }),
            Holds::Dates => match value.as_object() {
                Some(fields) => self.dates(at, fields),
                None => self.add(at, Problem::Kind("a map"), errcode::MALFORMED_BODY),
            },
        }
    }

    fn entries(&mut self, at: &str, value: &Value, check: impl Fn(&mut Self, &str, &Value)) {
        match value.as_array() {
            None => self.add(at, Problem::Kind("an array"), errcode::MALFORMED_BODY),
            Some(entries) => {
                for (number, entry) in entries.iter().enumerate() {
                    check(self, &format!("{at}[{number}]"), entry);
                }
            }
        }
    }

    fn text<'a>(&mut self, at: &str, value: &'a Value) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            self.add(at, Problem::Kind("a string"), errcode::MALFORMED_BODY);
        }
        text
    }

    fn word(&mut self, at: &str, words: &'static [&'static str], errcode: i64, value: &Value) {
        let Some(word) = self.text(at, value) else { return };
        if !words.contains(&word) {
            let near = closest_match(word, words.iter().copied());
            self.add(at, Problem::Word(word.to_owned(), near, words), errcode);
        }
    }

    fn picture(&mut self, at: &str, value: &Value) {
        let Some(text) = value.as_str() else {
            return self.add(at, Problem::Picture, errcode::MALFORMED_BODY);
        };
        let host = Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
        if !host.is_some_and(|host| PICTURE_HOSTS.iter().any(|known| host.ends_with(known))) {
            return self.add(at, Problem::Picture, errcode::INVALID_IMAGE_URL);
        }
        if text.len() > PICTURE_URL_BYTES {
            self.add(at, Problem::Other("is longer than 128 bytes"), errcode::INVALID_IMAGE_SIZE);
        }
    }

    /// A card is good from one instant to another, for some days from when a user takes it, or for ever.
    fn dates(&mut self, at: &str, fields: &Map<String, Value>) {
        let mut number = |name: &str, min: i64| match fields.get(name).map(Value::as_i64) {
            Some(Some(number)) => {
                let millis = millis_as_secs(number).filter(|_| name.ends_with("_timestamp"));
                let (problem, errcode) = match millis {
                    Some(seconds) => (Problem::Milliseconds(seconds), errcode::INVALID_TIME),
                    None if number >= min => return Some(number),
                    None => (Problem::Range(min, i64::MAX), errcode::BAD_DATE_RANGE),
                };
                self.add(&format!("{at}.{name}"), problem, errcode);
                None
            }
            Some(None) => {
                self.add(
                    &format!("{at}.{name}"),
                    Problem::Kind("a whole number (times are Unix seconds)"),
                    errcode::INVALID_TIME,
                );
                None
            }
            None => None,
        };
        let begin = number("begin_timestamp", 0);
        let end = number("end_timestamp", 0);
        number("fixed_term", 1);
        number("fixed_begin_term", 0);
        let kind = match fields.get("type") {
            Some(Value::String(kind)) if kind.trim().is_empty() => {
                return self.add(&format!("{at}.type"), Problem::Blank, errcode::REQUIRED_FIELD_MISSING);
            }
            Some(Value::String(kind)) => kind.as_str(),
            // Old samples have numbers.
            Some(Value::Number(kind)) if kind.as_i64() == Some(1) => "1",
            Some(Value::Number(kind)) if kind.as_i64() == Some(2) => "2",
            Some(_) => {
                return self.add(&format!("{at}.type"), Problem::Kind("a string"), errcode::INVALID_TIME);
            }
            None => {
                return self.add(&format!("{at}.type"), Problem::Missing, errcode::REQUIRED_FIELD_MISSING);
            }
        };
        let needed: &[&str] = match kind {
            "DATE_TYPE_FIX_TIME_RANGE" | "1" => &["begin_timestamp", "end_timestamp"],
            "DATE_TYPE_FIX_TERM" | "2" => &["fixed_term", "fixed_begin_term"],
            "DATE_TYPE_PERMANENT" => &[],
            other => {
                let problem = Problem::Word(other.to_owned(), closest_match(other, DATE_TYPES), &DATE_TYPES);
                return self.add(&format!("{at}.type"), problem, errcode::INVALID_TIME);
            }
        };
        for name in needed.iter().filter(|name| !fields.contains_key(**name)) {
            self.add(&format!("{at}.{name}"), Problem::Missing, errcode::REQUIRED_FIELD_MISSING);
        }
        if let (Some(begin), Some(end)) = (begin, end)
            && begin >= end
        {
            self.add(
                &format!("{at}.end_timestamp"),
                Problem::Other("must be after begin_timestamp"),
                errcode::BAD_DATE_RANGE,
            );
        }
    }

    /// What one field says of another.
    fn between_fields(&mut self, at: &str, base_info: &Map<String, Value>, card_type: &str) {
        let text = |name: &str, field: &str| base_info.get(name)?.get(field)?.as_str();
        if text("date_info", "type") == Some("DATE_TYPE_PERMANENT") && card_type != "MEMBER_CARD" {
            let problem = Problem::Other("can be DATE_TYPE_PERMANENT for a member card only");
            self.add(&format!("{at}.date_info.type"), problem, errcode::BAD_DATE_RANGE);
        }
        let quantity = base_info.get("sku").and_then(|sku| sku.get("quantity")).and_then(Value::as_i64);
        let is_deposited = base_info.get("get_custom_code_mode").is_some();
        match quantity {
            Some(0) if !is_deposited => {
                let problem =
                    Problem::Other("is 1 at the least, unless codes are deposited (get_custom_code_mode)");
                self.add(&format!("{at}.sku.quantity"), problem, errcode::INVALID_CARD_QUANTITY);
            }
            Some(1..) if is_deposited => {
                let problem = Problem::Other("must be 0 with get_custom_code_mode");
                self.add(&format!("{at}.sku.quantity"), problem, errcode::INVALID_CARD_QUANTITY);
            }
            _ => {}
        }
        let has_locations =
            base_info.get("location_id_list").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if has_locations && base_info.get("use_all_locations") == Some(&Value::Bool(true)) {
            let problem = Problem::Other("can't be given together with use_all_locations");
            self.add(&format!("{at}.location_id_list"), problem, errcode::INVALID_LOCATION);
        }
    }
}
