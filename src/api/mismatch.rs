//! Explains why JSON is not what a type declares: which field, what it is, and what it must be.
//!
//! A value is read again, with its place kept, only after it was refused. Its own texts are never part of the
//! explanation, since they may be secrets.

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::Value;
use std::{
    cell::RefCell,
    fmt::{self, Display},
};

/// The longest name of a field that is shown, in characters: it may come from the answer.
const MAX_NAME: usize = 40;

/// A step on the way from the whole to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A field of an object.
    Field(String),
    /// An entry of an array, from 0.
    Entry(usize),
}

/// Where JSON is not what a type declares, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field; the whole when empty.
    pub place: Vec<Segment>,
    /// What it is; nothing when it is missing.
    pub found: Option<String>,
    /// What it must be, where that is known.
    pub expected: Option<String>,
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str("it")?;
        } else {
            f.write_str("`")?;
            for (number, segment) in self.place.iter().enumerate() {
                match segment {
                    Segment::Field(name) => {
                        let is_long = name.chars().nth(MAX_NAME).is_some();
                        // Not a part of it: a part of a secret could not be masked any more.
                        let name =
                            if is_long { "…".to_owned() } else { name.replace(char::is_control, "") };
                        write!(f, "{}{name}", if number == 0 { "" } else { "." })?;
                    }
                    Segment::Entry(index) => write!(f, "[{index}]")?,
                }
            }
            f.write_str("`")?;
        }
        write!(f, " is {}", self.found.as_deref().unwrap_or("missing"))?;
        self.expected.as_ref().map_or(Ok(()), |expected| write!(f, " and must be {expected}"))
    }
}

/// Why a value is not a `T`; `None` when it is one.
#[must_use]
pub fn explain<T: DeserializeOwned>(json: &Value) -> Option<Mismatch> {
    let (place, fault) = read::<T>(json).err()?;
    Some(match fault {
        DecodeFault::Wrong { found, expected } => {
            Mismatch { place, found: Some(found), expected: Some(expected) }
        }
        DecodeFault::Other => {
            Mismatch { place, found: Some("not what it must be".to_owned()), expected: None }
        }
        DecodeFault::Missing(name) => {
            // What must be there is what null is refused for in its place.
            let mut with_null = json.clone();
            let object = place.iter().try_fold(&mut with_null, |at, segment| match segment {
                Segment::Field(name) => at.get_mut(name),
                Segment::Entry(index) => at.get_mut(index),
            });
            let place: Vec<Segment> =
                place.iter().cloned().chain([Segment::Field(name.to_owned())]).collect();
            if let Some(Value::Object(object)) = object {
                object.insert(name.to_owned(), Value::Null);
            }
            let expected = match read::<T>(&with_null) {
                Err((at, DecodeFault::Wrong { expected, .. })) if at == place => Some(expected),
                _ => None,
            };
            Mismatch { place, found: None, expected }
        }
    })
}

fn read<T: DeserializeOwned>(json: &Value) -> Result<T, (Vec<Segment>, DecodeFault)> {
    let place = RefCell::default();
    T::deserialize(Placed { json, place: &place }).map_err(|fault| (place.into_inner(), fault))
}

/// Why a visitor refuses a value.
#[derive(Debug)]
enum DecodeFault {
    Missing(&'static str),
    Wrong { found: String, expected: String },
    Other,
}

impl std::error::Error for DecodeFault {}

impl Display for DecodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Error for DecodeFault {
    fn custom<T: Display>(_message: T) -> Self {
        Self::Other
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Wrong { found: describe_found(found).to_owned(), expected: describe_expected(expected) }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

fn describe_found(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a fraction",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}

fn describe_expected(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "i64" | "u64" | "i32" | "u32" | "u16" | "usize" => "an integer".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        words if words.starts_with("struct ") => "an object".to_owned(),
        _ => words,
    }
}

/// A value whose place is kept; after an error it is that of the value that was refused.
#[derive(Clone, Copy)]
struct Placed<'a> {
    json: &'a Value,
    place: &'a RefCell<Vec<Segment>>,
}

impl<'a> Placed<'a> {
    /// The value at the next place below `depth`.
    fn at(json: &'a Value, place: &'a RefCell<Vec<Segment>>, depth: usize, segment: Segment) -> Self {
        let mut segments = place.borrow_mut();
        segments.truncate(depth);
        segments.push(segment);
        Placed { json, place }
    }
}

impl<'de> Deserializer<'de> for Placed<'_> {
    type Error = DecodeFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFault> {
        let depth = self.place.borrow().len();
        match self.json {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => visitor.visit_i64(number),
                (None, Some(number)) => visitor.visit_u64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(entries) => {
                visitor.visit_seq(Entries { rest: entries.iter().enumerate(), place: self.place, depth })
            }
            Value::Object(fields) => {
                visitor.visit_map(ObjectFields { rest: fields.iter(), next: None, place: self.place, depth })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeFault> {
        if self.json.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeFault> {
        self.json.clone().deserialize_enum(name, variants, visitor).map_err(|_| DecodeFault::Other)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct Entries<'a> {
    rest: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    place: &'a RefCell<Vec<Segment>>,
    depth: usize,
}

impl<'de> SeqAccess<'de> for Entries<'_> {
    type Error = DecodeFault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeFault> {
        let Some((index, json)) = self.rest.next() else {
            self.place.borrow_mut().truncate(self.depth);
            return Ok(None);
        };
        seed.deserialize(Placed::at(json, self.place, self.depth, Segment::Entry(index))).map(Some)
    }
}

struct ObjectFields<'a> {
    rest: serde_json::map::Iter<'a>,
    next: Option<(&'a String, &'a Value)>,
    place: &'a RefCell<Vec<Segment>>,
    depth: usize,
}

impl<'de> MapAccess<'de> for ObjectFields<'_> {
    type Error = DecodeFault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeFault> {
        self.place.borrow_mut().truncate(self.depth);
        self.next = self.rest.next();
        let Some((name, _)) = self.next else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DecodeFault> {
        let Some((name, json)) = self.next.take() else { return Err(DecodeFault::Other) };
        seed.deserialize(Placed::at(json, self.place, self.depth, Segment::Field(name.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        answer::OpenidPage,
        tag::Tags,
        user::{User, Users},
    };
    use serde_json::json;

    fn why<T: DeserializeOwned>(json: &Value) -> Option<String> {
        explain::<T>(json).map(|mismatch| mismatch.to_string())
    }

    #[test]
    fn mismatch_names_the_field_what_it_is_and_what_it_must_be() {
        for (json, expected) in [
            (json!({"errcode": 0, "errmsg": "ok"}), "`tags` is missing and must be an array"),
            (json!({"tags": "海象"}), "`tags` is a string and must be an array"),
            (
                json!({"tags": [{"id": 1, "name": "甲"}, {"name": "乙"}]}),
                "`tags[1].id` is missing and must be an integer",
            ),
            (json!({"tags": [{"id": "1", "name": "甲"}]}), "`tags[0].id` is a string and must be an integer"),
            (
                json!({"tags": [{"id": 1.5, "name": "甲"}]}),
                "`tags[0].id` is a fraction and must be an integer",
            ),
            (json!({"tags": [null]}), "`tags[0]` is null and must be an object"),
            (json!("海象"), "it is a string and must be an object"),
        ] {
            assert_eq!(why::<Tags>(&json).as_deref(), Some(expected));
        }
        assert_eq!(
            why::<OpenidPage>(&json!({"count": 2, "data": {"openid": ["甲", {}]}})).as_deref(),
            Some("`data.openid[1]` is an object and must be a string")
        );
        assert_eq!(
            why::<Users>(&json!({"user_info_list": [{"tagid_list": [2, "x"]}]})).as_deref(),
            Some("`user_info_list[0].tagid_list[1]` is a string and must be an integer")
        );
    }

    #[test]
    fn value_of_the_declared_type_has_no_mismatch() {
        assert_eq!(
            why::<Tags>(&json!({"tags": [{"id": 1, "name": "甲", "count": null, "more": [{}]}]})),
            None
        );
        assert_eq!(why::<User>(&json!({"openid": "甲", "subscribe": null, "新": {"x": 1}})), None);
    }
}
