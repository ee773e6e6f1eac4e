//! What the files of a program define, and what their variables, parameters and results are found to hold.

use super::absent_keys::KeyHabits;
use crate::script::{host::value_type::ValueType, source::body::Body};
use rhai::Position;
use std::collections::{BTreeMap, BTreeSet};

/// A function of a file, or a closure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FunctionKey {
    /// The number of the file in the program.
    pub file: usize,
    pub name: String,
    pub parameters: usize,
}

/// What has one type wherever it is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A variable, by its declaration.
    Variable {
        file: usize,
        at: Position,
        name: String,
    },
    Parameter(FunctionKey, usize),
    /// What a function is called on as a method.
    This(FunctionKey),
    Result(FunctionKey),
}

/// What becomes of the value of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ValueUse {
    /// It is that of the block or the function, or of the whole script.
    #[default]
    Taken,
    Dropped,
}

/// A file of a program.
#[derive(Default)]
pub(super) struct FileDefinitions {
    pub bodies: Vec<Body>,
    /// How many variables its closures capture.
    pub captured: BTreeMap<String, usize>,
    /// What becomes of the value of its last statement.
    pub last_value: ValueUse,
    /// The files that it imports, by the names that it gives them; `None` where two have one name.
    pub imports: BTreeMap<String, Option<usize>>,
}

impl FileDefinitions {
    pub(super) fn has_function(&self, name: &str, parameters: usize) -> bool {
        self.functions(name).any(|body| body.parameters.len() == parameters)
    }

    /// The functions of this name, or the closure.
    pub(super) fn functions<'s, 'n>(&'s self, name: &'n str) -> impl Iterator<Item = &'s Body> + use<'s, 'n> {
        self.bodies.iter().filter(move |body| body.name.as_deref() == Some(name))
    }
}

/// A program, as far as types depend on it.
#[derive(Default)]
pub(super) struct Definitions {
    pub files: Vec<FileDefinitions>,
    /// The types that the engine's functions take first and return, by module, name and number of arguments.
    pub returns: BTreeMap<(String, String, usize), Vec<(ValueType, ValueType)>>,
    /// Names by which a closure may be held, so that a method of this name may be that closure.
    pub holders: BTreeSet<String>,
    /// The types of values' fields, by the kind of value and the name.
    pub fields: BTreeMap<(&'static str, &'static str), ValueType>,
    /// Whether the program throws anything but texts.
    pub throws_values: bool,
    /// How the program deals with keys that may be missing.
    pub key_habits: KeyHabits,
    /// What the caller gives to handlers.
    pub given: Vec<(Place, ValueType)>,
}

/// The types that were found.
pub(super) struct Bindings<'a> {
    definitions: &'a Definitions,
    types: BTreeMap<Place, ValueType>,
    /// Whether one was added since the last round.
    pub is_changed: bool,
}

impl<'a> Bindings<'a> {
    pub(super) const fn new(definitions: &'a Definitions) -> Self {
        Self { definitions, types: BTreeMap::new(), is_changed: false }
    }

    pub(super) fn get(&self, place: &Place) -> ValueType {
        self.types.get(place).cloned().unwrap_or_default()
    }

    pub(super) fn put(&mut self, place: &Place, value: ValueType) {
        if self.get(place) != value {
            self.is_changed = true;
            self.types.insert(place.clone(), value);
        }
    }

    /// Adds a type to what a place holds.
    pub(super) fn set(&mut self, place: &Place, value: &ValueType) {
        let before = self.get(place);
        let after = before.or(value);
        let is_unknown = after == ValueType::Unknown;
        self.put(place, after);
        if is_unknown {
            self.escape(&before);
            self.escape(value);
        }
    }

    /// What a function is called with is unknown once it is given away.
    pub(super) fn escape(&mut self, value: &ValueType) {
        let ValueType::Function(file, name) = value else { return };
        for body in self.definitions.files[*file].functions(name) {
            let key = FunctionKey { file: *file, name: name.clone(), parameters: body.parameters.len() };
            self.set(&Place::This(key.clone()), &ValueType::Unknown);
            for index in 0..body.parameters.len() {
                self.set(&Place::Parameter(key.clone(), index), &ValueType::Unknown);
            }
        }
    }

    /// Calls a function that is a value with these arguments. Gives its result.
    pub(super) fn give(&mut self, function: &ValueType, arguments: &[ValueType]) -> ValueType {
        let ValueType::Function(file, name) = function else { return ValueType::Unknown };
        let file_definitions = &self.definitions.files[*file];
        let captured = file_definitions.captured.get(name).copied().unwrap_or_default();
        let mut result = ValueType::Undetermined;
        for body in file_definitions.functions(name) {
            let key = FunctionKey { file: *file, name: name.clone(), parameters: body.parameters.len() };
            for index in captured..body.parameters.len() {
                let value = arguments.get(index - captured).unwrap_or(&ValueType::Unknown);
                let value = if body.is_closure() { value.clone() } else { of_parameter(value) };
                self.set(&Place::Parameter(key.clone(), index), &value);
            }
            result = result.or(&self.get(&Place::Result(key)));
        }
        result
    }

    /// What a function that is a value returns.
    pub(super) fn result_of(&self, function: &ValueType) -> ValueType {
        let ValueType::Function(file, name) = function else { return ValueType::Unknown };
        let bodies = self.definitions.files[*file].functions(name);
        let results = bodies.map(|body| {
            let key = FunctionKey { file: *file, name: name.clone(), parameters: body.parameters.len() };
            self.get(&Place::Result(key))
        });
        results.fold(ValueType::Undetermined, |all, result| all.or(&result))
    }
}

/// What is known of the parameter of a function with a name that is given a value. A function may be written for several
/// types, whatever this program gives it; what has fields is followed, since no other value has them.
pub(super) fn of_parameter(value: &ValueType) -> ValueType {
    match value {
        ValueType::Undetermined | ValueType::Record(_) | ValueType::Audience | ValueType::Function(..) => {
            value.clone()
        }
        ValueType::List(entry) => ValueType::List(Box::new(of_parameter(entry))),
        ValueType::Unit
        | ValueType::Text
        | ValueType::Integer
        | ValueType::Float
        | ValueType::Flag
        | ValueType::Map(_)
        | ValueType::Unknown => ValueType::Unknown,
    }
}
