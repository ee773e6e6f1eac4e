//! What values do not have: unknown fields and keys, fields that can't be set, methods after the end of an audience, closures
//! with other numbers of parameters, and audiences that nothing runs.

use super::{
    absent_keys::nearest,
    file::{File, Problem},
    inference::FOLLOWER_CLOSURES,
    observed::{FieldUse, Observed, Typed},
};
use crate::{
    api::user::FIELDS,
    base::{Diagnostic, closest_match},
    script::{
        functions::kinds::{field_is_read_only, no_such_field, value_fields},
        host::{
            catalog::{Function, SOURCES, STAGES},
            error::LANGUAGE_ERROR_KEYS,
            stdlib,
            value_type::ValueType,
        },
        source::{closures::parameters, syntax_error::hint_for_function},
    },
    store::TerminalKind,
};
use rhai::{FnCallExpr, Position};

/// What is wrong with a use of a value.
pub(super) fn problem(file: &File, functions: &[Function], observed: &Observed) -> Option<Problem> {
    match *observed {
        Observed::Field { of, name, used, position } => {
            let diagnostic = match (of, used) {
                (ValueType::Record("User"), FieldUse::Set) => field_of_a_follower_set(name),
                (ValueType::Record("User"), FieldUse::Read) => unknown_field_of_a_follower(name)?,
                // The platform may add fields, which a message has too. What the language itself throws is a map.
                (ValueType::Record("Message"), _) | (ValueType::Record("Error"), FieldUse::Set) => {
                    return None;
                }
                (ValueType::Record("Error"), FieldUse::Read) if LANGUAGE_ERROR_KEYS.contains(&name) => {
                    return None;
                }
                (ValueType::Record(kind), used) => field_of_a_record(kind, name, used)?,
                (ValueType::Audience, _) => field_of_an_audience(functions, name),
                (ValueType::List(_) | ValueType::Text, FieldUse::Read) => {
                    let hint = hint_for_function(name).filter(|_| name != "len" && name != "is_empty")?;
                    Diagnostic::new(format!("{} has no field `{name}`", of.describe())).hint(hint)
                }
                _ => return None,
            };
            Some(Problem::new(file, position, diagnostic.message, diagnostic.hint))
        }
        Observed::AbsentKey { of, name, position } => {
            let keys: Vec<&str> = of.fields.keys().map(String::as_str).collect();
            let hint = match nearest(of, name) {
                Some(near) => format!("did you mean `{near}`?"),
                None if keys.is_empty() => format!("nothing gives it one: {name} is always ()"),
                None => format!("it has {}", keys.join(", ")),
            };
            Some(Problem::new(file, position, format!("this map has no `{name}`"), Some(hint)))
        }
        Observed::Arity { caller, given, has, position } => {
            let (message, hint) = wrong_arity(caller, given, has);
            Some(Problem::new(file, position, message, hint))
        }
        Observed::Dropped { value: ValueType::Audience, call, position } => {
            let is_lazy = SOURCES.contains(&call.name.as_str()) || is_of_audience(call);
            let message =
                "this audience is never run: followers are listed for a terminal operation only".to_owned();
            let hint = "end it with one, as in .count(), .tag(\"VIP\") or .each(|u| …)".to_owned();
            is_lazy.then(|| Problem::new(file, position, message, Some(hint)))
        }
        Observed::Method { of, call, closure, position } => method_of_a_report(file, of, call, position)
            .or_else(|| {
                let own = closure.filter(|_| {
                    of.value_type == ValueType::Audience && FOLLOWER_CLOSURES.contains(&call.name.as_str())
                })?;
                let name = &call.name;
                let message =
                    format!("{name}'s closure takes one parameter, and this has {}", parameters(own));
                Some(Problem::new(file, position, message, Some(format!("write {name}(|u| …)"))))
            }),
        _ => None,
    }
}

fn field_of_a_follower_set(name: &str) -> Diagnostic {
    Diagnostic::new(format!("a follower's `{name}` can't be set"))
        .hint("write == to compare; remark(|u| …) and tag(…) change followers")
}

fn unknown_field_of_a_follower(name: &str) -> Option<Diagnostic> {
    if FIELDS.iter().any(|field| field.name == name) {
        return None;
    }
    let hint = closest_match(name, FIELDS.iter().map(|field| field.name)).map_or_else(
        || format!("a field that the platform has added since is read as u[\"{name}\"]"),
        |near| format!("did you mean `{near}`?"),
    );
    Some(Diagnostic::new(format!("a follower has no field `{name}`")).hint(hint))
}

fn field_of_a_record(kind: &str, name: &str, used: FieldUse) -> Option<Diagnostic> {
    let fields = value_fields(kind)?;
    match used {
        FieldUse::Read if fields.contains(&name) => None,
        FieldUse::Set if fields.contains(&name) => Some(field_is_read_only(kind, name)),
        _ => Some(no_such_field(kind, &fields, name)),
    }
}

/// `followers().count`: what an audience has are functions.
fn field_of_an_audience(functions: &[Function], name: &str) -> Diagnostic {
    let methods = functions.iter().filter(|function| function.on() == ValueType::Audience);
    let diagnostic = Diagnostic::new(format!("an audience has no field `{name}`"));
    match closest_match(name, methods.map(|method| method.name.as_str())) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}(…)`?")),
        None => diagnostic,
    }
}

/// What is wrong with a closure that is called with `given` arguments at the most, in the words of a run.
fn wrong_arity(caller: &str, given: usize, has: usize) -> (String, Option<String>) {
    let arguments = parameters(given).replace("parameter", "argument");
    match caller {
        "call" => (format!("this closure has {}, and is called with {arguments}", parameters(has)), None),
        "sort" | "sort_by" | "dedup" => {
            let message =
                format!("{caller}'s closure takes {}, and this has {}", parameters(given), parameters(has));
            (message, Some(format!("write {caller}(|a, b| …)")))
        }
        _ => {
            let own = parameters(has);
            (format!("{caller}'s closure has {own}, and is called with {arguments} at the most"), None)
        }
    }
}

/// Whether a call is of a stage of audiences.
fn is_of_audience(call: &FnCallExpr) -> bool {
    STAGES.contains(&call.name.as_str()) || stdlib::is_stage(&call.name, call.args.len())
}

/// `followers().tag("a").untag("b")`: the first terminal operation has run, and returns a report.
fn method_of_a_report(file: &File, of: &Typed, next: &FnCallExpr, position: Position) -> Option<Problem> {
    let is_of_audience = is_of_audience(next) || TerminalKind::from_word(&next.name).is_some();
    if of.value_type != ValueType::Record("Report") || !is_of_audience {
        return None;
    }
    let message = match &of.given_by {
        Some(end) => format!("`{end}` runs the audience and gives a report, which has no `{}`", next.name),
        None => format!("a report has no `{}`", next.name),
    };
    let hint = "write two statements: let people = followers()…; people.NAME(…); people.NAME(…);";
    Some(Problem::new(file, position, message, Some(hint.to_owned())))
}
