//! What is known of a value before anything runs: its type, as functions and fields declare it.

use crate::api::FieldKind;
use rhai::{Array, Dynamic, Map};
use std::collections::BTreeMap;

/// A field of a value: its name, its type as functions declare theirs, and what it holds.
pub(crate) type DeclaredField = (&'static str, &'static str, &'static str);

/// Values with fields of their own.
const RECORDS: [&str; 7] = ["User", "Report", "Tag", "Token", "Grant", "Message", "Error"];

/// The keys of a map, beside those with known types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keys {
    /// It may have others.
    #[default]
    Open,
    /// It has no others that the program writes.
    Written,
    /// It has no others that a function gives it.
    Declared,
}

/// What is known of a map. A key may be missing, which is `()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapType {
    pub fields: BTreeMap<String, ValueType>,
    pub keys: Keys,
}

impl MapType {
    /// A map that is of this type or of the other.
    fn or(&self, other: &Self) -> Self {
        let keys = match (self.keys, other.keys) {
            (Keys::Open, _) | (_, Keys::Open) => Keys::Open,
            (Keys::Declared, Keys::Declared) => Keys::Declared,
            (Keys::Written, _) | (_, Keys::Written) => Keys::Written,
        };
        if keys == Keys::Open {
            // One that may have other keys may have any value there.
            let both =
                self.fields.iter().filter_map(|(key, value)| Some((key, value.or(other.fields.get(key)?))));
            let fields = both.map(|(key, value)| (key.clone(), value.flat())).collect();
            return Self { fields, keys };
        }
        let all = self.fields.keys().chain(other.fields.keys());
        let fields = all.map(|key| {
            let both = match (self.fields.get(key), other.fields.get(key)) {
                (Some(own), Some(value)) if own == value => own.clone(),
                (Some(own), Some(value)) => own.or(value).flat(),
                // It may be missing, and what is compared with it may be meant so.
                (Some(_), None) | (None, _) => ValueType::Unknown,
            };
            (key.clone(), both)
        });
        Self { fields: fields.collect(), keys }
    }
}

/// A value's type, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// Nothing is set to it so far.
    #[default]
    Undetermined,
    Unit,
    Text,
    Integer,
    Float,
    Flag,
    /// An array with the type of its entries.
    List(Box<Self>),
    Map(MapType),
    /// One of [`RECORDS`].
    Record(&'static str),
    Audience,
    /// A closure or a function of a file, by its number and name.
    Function(usize, String),
    /// Any, or several.
    Unknown,
}

impl ValueType {
    /// Reads a declared type: `int`, `Array<Tag>`, `Result<String, …>`, `Map{url: String}` for a map with these keys.
    pub(crate) fn declared(name: &str) -> Self {
        let result = ["Result<", "RhaiResultOf<"].iter().find_map(|result| name.split_once(result));
        let name = result.map_or(name, |(_, inner)| inner.split([',', '>']).next().unwrap_or(inner));
        let name = name.trim().trim_start_matches("&mut ").trim_start_matches('&');
        if let Some(entry) = name.strip_prefix("Array<").and_then(|rest| rest.strip_suffix('>')) {
            return Self::List(Box::new(Self::declared(entry)));
        }
        if let Some(fields) = name.strip_prefix("Map{").and_then(|rest| rest.strip_suffix('}')) {
            let fields = declared_fields(fields).map(|(key, value)| (key.to_owned(), Self::declared(value)));
            return Self::Map(MapType { fields: fields.collect(), keys: Keys::Declared });
        }
        match name.rsplit("::").next().unwrap_or(name) {
            "()" => Self::Unit,
            "int" | "i64" | "INT" => Self::Integer,
            "float" | "f64" | "FLOAT" => Self::Float,
            "bool" => Self::Flag,
            "String" | "ImmutableString" | "str" => Self::Text,
            "Array" => Self::List(Box::new(Self::Unknown)),
            "Map" => Self::any_map(),
            "Audience" => Self::Audience,
            name => RECORDS
                .iter()
                .find(|record| **record == name)
                .map_or(Self::Unknown, |record| Self::Record(record)),
        }
    }

    /// The type of a field of the platform's.
    pub(crate) fn of_field(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Text => Self::Text,
            FieldKind::Integer => Self::Integer,
            FieldKind::Flag => Self::Flag,
            FieldKind::TextList => Self::List(Box::new(Self::Text)),
            FieldKind::IntegerList => Self::List(Box::new(Self::Integer)),
            FieldKind::Token => Self::Record("Token"),
            FieldKind::Map => Self::any_map(),
            FieldKind::File | FieldKind::UserList => Self::Unknown,
        }
    }

    /// The type of a value that is there.
    pub(crate) fn of_value(value: &Dynamic) -> Self {
        if value.is_string() {
            Self::Text
        } else if value.is_int() {
            Self::Integer
        } else if value.is_float() {
            Self::Float
        } else if value.is_bool() {
            Self::Flag
        } else if value.is_unit() {
            Self::Unit
        } else if let Some(entries) = value.read_lock::<Array>() {
            Self::list(entries.iter().map(Self::of_value))
        } else if let Some(map) = value.read_lock::<Map>() {
            Self::map(map.iter().map(|(key, value)| (key.to_string(), Self::of_value(value))))
        } else {
            Self::Unknown
        }
    }

    /// A list of these entries.
    pub(crate) fn list(entries: impl Iterator<Item = Self>) -> Self {
        let entry = entries.map(Self::flat).fold(Self::Undetermined, |all, entry| all.or(&entry));
        Self::List(Box::new(entry))
    }

    /// A map of these entries and no others.
    pub(crate) fn map(entries: impl Iterator<Item = (String, Self)>) -> Self {
        let fields = entries.map(|(key, value)| (key, value.flat())).collect();
        Self::Map(MapType { fields, keys: Keys::Written })
    }

    /// A map of which nothing is known.
    pub(crate) fn any_map() -> Self {
        Self::Map(MapType::default())
    }

    /// The type as a value in a map: what nests further is not followed.
    pub(crate) fn flat(self) -> Self {
        match self {
            Self::Map(_) | Self::Function(..) => Self::Unknown,
            Self::List(entry) if matches!(*entry, Self::List(_) | Self::Map(_)) => {
                Self::List(Box::new(Self::Unknown))
            }
            other => other,
        }
    }

    /// The type of what is of this type or of the other. `()` beside another type stands for a value that is missing, and is
    /// not counted: nothing is refused because of a comparison with it.
    pub(crate) fn or(&self, other: &Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a.clone(),
            (Self::Undetermined | Self::Unit, known) | (known, Self::Undetermined | Self::Unit) => {
                known.clone()
            }
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.or(b))),
            (Self::Map(a), Self::Map(b)) => Self::Map(a.or(b)),
            _ => Self::Unknown,
        }
    }

    /// The type of what a loop over it gives.
    pub(crate) fn entry(&self) -> Self {
        match self {
            Self::List(entry) => (**entry).clone(),
            Self::Audience => Self::Record("User"),
            Self::Undetermined => Self::Undetermined,
            _ => Self::Unknown,
        }
    }

    /// Whether a value of this type can be equal to one of the other, or below or above it.
    pub(crate) fn is_comparable(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) => a.is_comparable(b),
            (Self::Map(_), Self::Map(_))
            | (Self::Integer | Self::Float, Self::Integer | Self::Float)
            // What is caught may be a text that was thrown.
            | (Self::Record("Error"), _)
            | (_, Self::Record("Error"))
            // A tag stands for its id.
            | (Self::Record("Tag"), Self::Integer)
            | (Self::Integer, Self::Record("Tag")) => true,
            (a, b) => !a.is_certain() || !b.is_certain() || a == b,
        }
    }

    /// Whether a function that is declared for values of this type can be called on one of the other.
    pub(crate) fn takes(&self, value: &Self) -> bool {
        match (self, value) {
            (Self::List(_), Self::List(_)) | (Self::Map(_), Self::Map(_)) => true,
            (own, value) => !own.is_certain() || !value.is_certain() || own == value,
        }
    }

    /// Whether it says of a value what it is, and that it is there.
    pub(crate) const fn is_certain(&self) -> bool {
        !matches!(self, Self::Undetermined | Self::Unit | Self::Function(..) | Self::Unknown)
    }

    /// The type in words, with its article.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::Integer => "an integer".to_owned(),
            Self::Float => "a float".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::List(entry) if entry.is_certain() => format!("an array of {}", entry.plural()),
            Self::List(_) => "an array".to_owned(),
            Self::Map(_) => "a map".to_owned(),
            Self::Record("User") => "a follower".to_owned(),
            Self::Record(name) => with_article(name),
            Self::Audience => "an audience".to_owned(),
            Self::Function(..) => "a closure".to_owned(),
            Self::Undetermined | Self::Unit | Self::Unknown => "()".to_owned(),
        }
    }

    /// The type as messages about calls name it: `string`.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::Float => "float".to_owned(),
            Self::Flag => "bool".to_owned(),
            Self::List(_) => "array".to_owned(),
            Self::Map(_) => "map".to_owned(),
            Self::Record(name) => name.to_lowercase(),
            Self::Audience => "audience".to_owned(),
            Self::Function(..) => "closure".to_owned(),
            Self::Unit => "()".to_owned(),
            Self::Undetermined | Self::Unknown => "value".to_owned(),
        }
    }

    /// Several of it, in words.
    pub(crate) fn plural(&self) -> String {
        match self {
            Self::Text => "strings".to_owned(),
            Self::Integer => "integers".to_owned(),
            Self::Float => "floats".to_owned(),
            Self::List(_) => "arrays".to_owned(),
            Self::Map(_) => "maps".to_owned(),
            Self::Record("User") => "followers".to_owned(),
            Self::Record(name) => format!("{name}s"),
            other => other.describe(),
        }
    }
}

/// The name of a kind of value with its article: `an Error`.
pub(crate) fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// The keys of a declared map with their types, as they are written between its braces.
fn declared_fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut depth = 0_usize;
    let fields = text.split(move |char| {
        match char {
            '{' | '<' => depth += 1,
            '}' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        char == ',' && depth == 0
    });
    fields.filter_map(|field| field.split_once(':')).map(|(key, value)| (key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared_map<const N: usize>(fields: [(&str, ValueType); N]) -> ValueType {
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        ValueType::Map(MapType { fields, keys: Keys::Declared })
    }

    #[test]
    fn declared_type_is_read() {
        for (declared, expected) in [
            ("int", ValueType::Integer),
            ("Result<i64, Box<EvalAltResult>>", ValueType::Integer),
            ("rhai::ImmutableString", ValueType::Text),
            ("Array<Tag>", ValueType::List(Box::new(ValueType::Record("Tag")))),
            ("Array", ValueType::List(Box::new(ValueType::Unknown))),
            ("Follower", ValueType::Unknown),
            ("Map", ValueType::any_map()),
            ("Map{url: String}", declared_map([("url", ValueType::Text)])),
            (
                "Map{url: String, dns: Array<Map{ip: String, n: int}>}",
                declared_map([
                    ("url", ValueType::Text),
                    (
                        "dns",
                        ValueType::List(Box::new(declared_map([
                            ("ip", ValueType::Text),
                            ("n", ValueType::Integer),
                        ]))),
                    ),
                ]),
            ),
        ] {
            assert_eq!(ValueType::declared(declared), expected, "{declared}");
        }
    }

    #[test]
    fn value_of_one_of_two_types_is_of_neither() {
        assert_eq!(ValueType::Text.or(&ValueType::Integer), ValueType::Unknown);
        assert_eq!(ValueType::Text.or(&ValueType::Unit), ValueType::Text);
        assert_eq!(ValueType::Undetermined.or(&ValueType::Text), ValueType::Text);
    }

    #[test]
    fn one_of_two_maps_has_the_keys_of_both() {
        let map =
            |keys: &[&str]| ValueType::map(keys.iter().map(|key| ((*key).to_owned(), ValueType::Integer)));
        let both = ValueType::map(["甲", "乙"].into_iter().map(|key| (key.to_owned(), ValueType::Unknown)));
        assert_eq!(map(&["甲"]).or(&map(&["乙"])), both);
        assert_eq!(map(&["甲"]).or(&ValueType::any_map()), ValueType::any_map());
    }
}
