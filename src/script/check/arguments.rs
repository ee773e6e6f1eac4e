//! Arguments that no call takes: of a type that the function does not have, or literal values that it refuses when it runs.

use super::{
    file::{File, Problem},
    observed::{CallStyle, Observed, Operand},
    stages::{error_of, refused_stage},
};
use crate::{
    api::{self, Field, FieldKind, Spec, errcode::INVALID_OPENID_LIST_SIZE},
    base::millis_as_secs,
    script::{
        audience::{
            audience::{TagRef, read_openid},
            csv::columns,
        },
        functions::{
            argument::wrong_type,
            sleep::check_seconds,
            time_and_text::{read_time, seconds_for_milliseconds},
        },
        host::{catalog::Function, error::ScriptError, value_type::ValueType},
        writes::tag_name::check_spelling,
    },
};
use rhai::{Array, Dynamic, Expr, Position};
use std::{collections::BTreeSet, sync::LazyLock};

/// The endpoints, which are functions of modules.
static ENDPOINTS: LazyLock<Vec<&'static Spec>> = LazyLock::new(api::all);

/// What is wrong with the arguments of a call.
pub(super) fn problem(file: &File, functions: &[Function], observed: &Observed) -> Option<Problem> {
    let Observed::Call { module, name, given, style, position } = observed else { return None };
    let mut endpoints = ENDPOINTS.iter();
    let endpoint = endpoints.find(|spec| spec.name.split_once("::") == Some((*module, *name)));
    let refused = match endpoint {
        // Another number of arguments is reported by the check of calls.
        Some(spec) if !takes_number(spec, given.len()) => return None,
        Some(spec) => refused_by_endpoint(spec, given),
        None => refused_value(module, name, given),
    };
    if let Some(error) = refused {
        return Some(Problem::new(file, *position, error.message, error.hint));
    }
    // `x in list` is a call too, and compared elsewhere.
    let is_operator = *style == CallStyle::Plain && module.is_empty() && *name == "contains";
    // A method of an audience on a report is reported with the way out.
    let is_of_report = matches!(given, [on, ..] if on.typed.value_type == ValueType::Record("Report"));
    if endpoint.is_some() || is_operator || is_of_report {
        return None;
    }
    wrong_types(file, functions, module, name, given, *position)
}

/// A call with types that no function of the name and number of arguments takes.
fn wrong_types(
    file: &File,
    functions: &[Function],
    module: &str,
    name: &str,
    given: &[Operand],
    position: Position,
) -> Option<Problem> {
    let same = |function: &&Function| {
        function.namespace == module && function.name == name && function.arguments == given.len()
    };
    let mut shapes = BTreeSet::new();
    for function in functions.iter().filter(same) {
        let types = function.takes.iter().zip(given);
        if types.into_iter().all(|(takes, operand)| accepts(takes, &operand.typed.value_type)) {
            return None;
        }
        shapes.insert(match module {
            "" => function.signature.clone(),
            module => format!("{module}::{}", function.signature),
        });
    }
    if shapes.is_empty() {
        return None;
    }
    let full_name = if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") };
    let words: Vec<String> = given.iter().map(|operand| operand.typed.value_type.word()).collect();
    let message = format!("`{full_name}` can't be called with {}", words.join(", "));
    let hint = format!("it is {}", shapes.into_iter().collect::<Vec<_>>().join(" or "));
    Some(Problem::new(file, position, message, Some(hint)))
}

/// Whether a parameter of a function of the engine may take a value.
fn accepts(takes: &ValueType, given: &ValueType) -> bool {
    use ValueType::{Float, Integer, Record};
    match (takes, given) {
        (Integer | Float, Integer | Float)
        // What is caught may be a text that was thrown.
        | (Record("Error"), _)
        | (_, Record("Error")) => true,
        (takes, given) => takes.takes(given),
    }
}

/// An argument that an endpoint's function refuses before it sends anything, or that the platform always refuses.
fn refused_by_endpoint(spec: &'static Spec, given: &[Operand]) -> Option<ScriptError> {
    spec.fields.iter().zip(given).find_map(|(field, operand)| {
        let expr = operand.expr?;
        if let Some(given) = refused_type(field, operand) {
            return Some(wrong_type(spec, field, &given));
        }
        if let Expr::Array(entries, _) = expr
            && entries.is_empty()
            && is_list(field.kind)
        {
            let message = format!(
                "{}: `{}` is empty, which the platform refuses ({INVALID_OPENID_LIST_SIZE})",
                spec.name, field.name
            );
            return Some(ScriptError::usage(message, "give it an entry at the least"));
        }
        match (spec.name, field.name, expr) {
            ("tag::create" | "tag::update", "name", Expr::StringConstant(name, _)) => {
                error_of(check_spelling(name))
            }
            _ => None,
        }
    })
}

fn takes_number(spec: &Spec, given: usize) -> bool {
    let required = spec.fields.iter().take_while(|field| field.required).count();
    (required..=spec.fields.len()).contains(&given)
}

const fn is_list(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::TextList | FieldKind::IntegerList | FieldKind::UserList)
}

/// The type of an argument, or of an entry in it, that a field does not take, in words.
fn refused_type(field: &Field, operand: &Operand) -> Option<String> {
    let given = &operand.typed.value_type;
    if !is_list(field.kind) {
        return (!field_takes(field, given)).then(|| given.describe());
    }
    let ValueType::List(entry) = given else {
        return given.is_certain().then(|| given.describe());
    };
    // Of several types, those of the entries that are written out are known.
    let written = match operand.expr {
        Some(Expr::Array(entries, _)) => entries.iter().filter_map(|entry| entry.get_literal_value(None)),
        _ => return (!entry_fits(field.kind, entry)).then(|| entry.describe()),
    };
    let mut types = written.map(|value| ValueType::of_value(&value)).chain([(**entry).clone()]);
    types.find(|entry| !entry_fits(field.kind, entry)).map(|entry| entry.describe())
}

/// Whether a field that is no list takes a value of this type.
fn field_takes(field: &Field, given: &ValueType) -> bool {
    use ValueType::{Flag, Integer, Map, Record, Text};
    if !given.is_certain() || *given == Record("Error") {
        return true;
    }
    match field.kind {
        // A follower stands for their openid, and a tag for its id.
        FieldKind::Text => *given == Text || (field.name == "openid" && *given == Record("User")),
        FieldKind::File => *given == Text,
        FieldKind::Integer => matches!(given, Integer | Record("Tag")),
        FieldKind::Flag => *given == Flag,
        FieldKind::Token => matches!(given, Text | Record("Token")),
        FieldKind::Map => matches!(given, Map(_)),
        FieldKind::TextList | FieldKind::IntegerList | FieldKind::UserList => true,
    }
}

/// Whether a field that is a list takes entries of this type.
fn entry_fits(kind: FieldKind, entry: &ValueType) -> bool {
    use ValueType::{Integer, Map, Record, Text};
    if !entry.is_certain() || *entry == Record("Error") {
        return true;
    }
    match kind {
        FieldKind::TextList => matches!(entry, Text | Record("User")),
        FieldKind::IntegerList => matches!(entry, Integer | Record("Tag")),
        FieldKind::UserList => matches!(entry, Text | Record("User") | Map(_)),
        FieldKind::Text
        | FieldKind::File
        | FieldKind::Integer
        | FieldKind::Flag
        | FieldKind::Token
        | FieldKind::Map => true,
    }
}

/// A literal value that a function refuses when it runs.
fn refused_value(module: &str, name: &str, given: &[Operand]) -> Option<ScriptError> {
    if !module.is_empty() {
        return None;
    }
    match (name, given) {
        ("members" | "tag_id", [tag]) => error_of(TagRef::read(&literal(tag)?)),
        ("openids", [Operand { expr: Some(Expr::Array(entries, _)), .. }]) => entries
            .iter()
            .enumerate()
            .find_map(|(at, entry)| error_of(read_openid(at, &entry.get_literal_value(None)?))),
        ("unix_time", [time]) => {
            let time = literal(time)?;
            error_of(read_time(&time.into_immutable_string().ok()?))
        }
        ("beijing_time", [seconds]) => {
            let seconds = literal(seconds)?;
            let seconds = seconds.as_int().ok()?;
            Some(seconds_for_milliseconds(seconds, millis_as_secs(seconds)?))
        }
        ("sleep", [seconds]) => {
            let seconds = literal(seconds)?;
            let whole = seconds.as_int().ok().and_then(|whole| i32::try_from(whole).ok());
            error_of(check_seconds(whole.map(f64::from).or_else(|| seconds.as_float().ok())?))
        }
        (_, [receiver, arguments @ ..]) if receiver.typed.value_type == ValueType::Audience => {
            refused_by_audience(name, &arguments.last().and_then(literal)?)
        }
        _ => None,
    }
}

/// A literal last argument that a method of an audience refuses.
fn refused_by_audience(name: &str, value: &Dynamic) -> Option<ScriptError> {
    match name {
        "tag" | "untag" | "with_tag" | "without_tag" => error_of(TagRef::read(value)),
        "write_csv" => {
            let names = value.read_lock::<Array>()?;
            columns(&names).err()
        }
        _ => refused_stage(name, value),
    }
}

/// The value of an argument that is written out.
fn literal(operand: &Operand) -> Option<Dynamic> {
    operand.expr?.get_literal_value(None)
}
