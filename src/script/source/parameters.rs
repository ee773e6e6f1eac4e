//! Typed parameters of automations: their types, their allowed values, and the values that were given.

use crate::{
    base::{Diagnostic, closest_match},
    script::host::value::to_json,
};
use rhai::Dynamic;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A parameter of an automation.
#[derive(Clone, Debug, Default)]
pub struct Parameter {
    /// Its type.
    pub kind: Kind,
    /// Its default; without one it is required.
    pub(crate) init: Option<Dynamic>,
    /// What it is for.
    pub help: String,
    pub(crate) min: Option<Dynamic>,
    pub(crate) max: Option<Dynamic>,
    /// The allowed values; empty if any is allowed.
    pub(crate) one_of: Vec<Dynamic>,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// A text.
    #[default]
    Text,
}

impl Kind {
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("int", Self::Int),
        ("float", Self::Float),
        ("bool", Self::Bool),
        ("string", Self::Text),
        ("text", Self::Text),
    ];

    pub(crate) fn from_value(value: &Dynamic) -> Option<Self> {
        match () {
            () if value.is_int() => Some(Self::Int),
            () if value.is_float() => Some(Self::Float),
            () if value.is_bool() => Some(Self::Bool),
            () if value.is_string() => Some(Self::Text),
            () => None,
        }
    }

    /// The type as messages name it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Bool => "true or false",
            Self::Text => "a text",
        }
    }

    fn read(self, given: &str) -> Option<Dynamic> {
        match self {
            Self::Int => given.parse::<i64>().ok().map(Dynamic::from),
            Self::Float => given.parse::<f64>().ok().filter(|number| number.is_finite()).map(Dynamic::from),
            Self::Bool => given.parse::<bool>().ok().map(Dynamic::from),
            Self::Text => Some(given.to_owned().into()),
        }
    }
}

impl Parameter {
    /// Its default value, as text.
    #[must_use]
    pub fn init(&self) -> Option<String> {
        self.init.as_ref().map(ToString::to_string)
    }

    /// Checks that it may have this value; the error says why not.
    pub(crate) fn check(&self, name: &str, value: &Dynamic) -> Result<(), String> {
        if Kind::from_value(value) != Some(self.kind) {
            return Err(format!("parameter `{name}` must be {}", self.kind.words()));
        }
        #[allow(clippy::cast_precision_loss, reason = "bounds are small numbers")]
        let number =
            |value: &Dynamic| value.as_float().ok().or(value.as_int().ok().map(|value| value as f64));
        if let (Some(min), Some(value)) = (self.min.as_ref().and_then(number), number(value))
            && value < min
        {
            return Err(format!("parameter `{name}` must be at least {min}"));
        }
        if let (Some(max), Some(value)) = (self.max.as_ref().and_then(number), number(value))
            && value > max
        {
            return Err(format!("parameter `{name}` must be at most {max}"));
        }
        let is_same = |one: &Dynamic| one.to_string() == value.to_string();
        if !self.one_of.is_empty() && !self.one_of.iter().any(is_same) {
            let all: Vec<String> = self.one_of.iter().map(ToString::to_string).collect();
            return Err(format!("parameter `{name}` must be one of {}", all.join(", ")));
        }
        Ok(())
    }

    /// The values of all parameters, as they were given or by default.
    ///
    /// # Errors
    /// When an unknown parameter is given, a required one is not, or a value is not allowed.
    pub fn values(
        parameters: &BTreeMap<String, Self>,
        given: &BTreeMap<String, String>,
    ) -> Result<Map<String, Value>, Diagnostic> {
        if let Some(unknown) = given.keys().find(|name| !parameters.contains_key(*name)) {
            let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
            let hint = match closest_match(unknown, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "it has none: params: #{ NAME: … } makes one".to_owned(),
                None => format!("it has {}", names.join(", ")),
            };
            return Err(Diagnostic::new(format!("the automation has no parameter `{unknown}`")).hint(hint));
        }
        let mut values = Map::new();
        for (name, parameter) in parameters {
            let give = format!("give it with --param {name}=VALUE");
            let value = match (given.get(name), &parameter.init) {
                (Some(given), _) => parameter.kind.read(given).ok_or_else(|| {
                    let kind = parameter.kind.words();
                    Diagnostic::new(format!("parameter `{name}` must be {kind}, but `{given}` was given"))
                        .hint(format!("give it with --param {name}=VALUE"))
                })?,
                (None, Some(init)) => init.clone(),
                (None, None) => {
                    return Err(Diagnostic::new(format!("parameter `{name}` is not given")).hint(give));
                }
            };
            parameter.check(name, &value).map_err(|message| Diagnostic::new(message).hint(give))?;
            values.insert(name.clone(), to_json(&value));
        }
        Ok(values)
    }
}
