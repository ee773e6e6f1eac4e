//! Comparisons and memberships that can never be true: of values whose types are known, because of what is written in the
//! program or of the values that a closure has captured.

use super::{
    definitions::{Definitions, FileDefinitions, FunctionKey, Place},
    file::{is_variable, literal},
    inference::observe,
    observed::{Observed, Operand},
};
use crate::{
    api::user::FIELDS,
    base::millis_as_secs,
    script::{
        host::value_type::ValueType,
        source::body::{Body, Node},
    },
};
use rhai::{Dynamic, Expr, Position, ScriptFuncDef, Shared, Stmt};

/// The field that is a time.
const SUBSCRIBE_TIME: &str = "subscribe_time";

/// A comparison or a membership that is never true.
pub(crate) struct NeverTrue {
    pub(crate) position: Position,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// What is never true of what is done with values.
pub(super) fn never(observed: &Observed) -> Option<NeverTrue> {
    match observed {
        Observed::Comparison { left, right, position } => comparison(left, right, *position),
        Observed::Membership { list, wanted, position } => membership(list, wanted, *position),
        _ => None,
    }
}

/// The types of a follower's fields.
pub(super) fn follower_fields() -> impl Iterator<Item = ((&'static str, &'static str), ValueType)> {
    FIELDS.iter().map(|field| (("User", field.name), ValueType::of_field(field.kind)))
}

/// `u.qr_scene == "98765"`: a number is never equal to a text.
fn comparison(left: &Operand, right: &Operand, position: Position) -> Option<NeverTrue> {
    if let Some(never) = milliseconds(left, right, position).or_else(|| milliseconds(right, left, position)) {
        return Some(never);
    }
    if left.typed.value_type.is_comparable(&right.typed.value_type) {
        return None;
    }
    let (subject, other) = if rank(left) >= rank(right) { (left, right) } else { (right, left) };
    let (is, given) = (subject.typed.value_type.describe(), other.typed.value_type.describe());
    let message = match &subject.typed.name {
        Some(name) => format!("`{name}` is {is}, and this compares it with {given}"),
        None => format!("this compares {is} with {given}"),
    };
    Some(NeverTrue { position, message, hint: comparison_hint(subject, other) })
}

/// A time in milliseconds is after all times that followers have.
fn milliseconds(field: &Operand, other: &Operand, position: Position) -> Option<NeverTrue> {
    let Some(Expr::IntegerConstant(number, _)) = other.expr else { return None };
    let is_time = field.typed.owner.is_some() && field.typed.name.as_deref() == Some(SUBSCRIBE_TIME);
    let seconds = millis_as_secs(*number).filter(|_| is_time)?;
    let message = format!("`{SUBSCRIBE_TIME}` is in seconds, and this compares it with milliseconds");
    Some(NeverTrue { position, message, hint: format!("write {seconds}") })
}

/// Which of two operands a message is about: a field of the platform's before a variable, and that before a value.
fn rank(operand: &Operand) -> u8 {
    match (&operand.typed, operand.expr) {
        (typed, _) if typed.owner.is_some() => 3,
        (typed, _) if typed.name.is_some() => 2,
        (_, Some(Expr::FnCall(..) | Expr::Dot(..) | Expr::Index(..))) => 1,
        _ => 0,
    }
}

fn comparison_hint(subject: &Operand, other: &Operand) -> String {
    use ValueType::{Audience, Integer, List, Record, Text};
    let path = subject.typed.path.as_deref().unwrap_or("VALUE");
    match (&subject.typed.value_type, &other.typed.value_type, other.expr) {
        (Integer, _, Some(Expr::StringConstant(text, _))) if text.parse::<i64>().is_ok() => {
            format!("write {text} without quotes")
        }
        (Text, _, Some(Expr::IntegerConstant(number, _))) => format!("write \"{number}\" in quotes"),
        (Integer, _, Some(Expr::FnCall(call, _))) if call.name == "param" => {
            "give it a number as its default: param(\"NAME\", 0)".to_owned()
        }
        (Integer, Text, Some(Expr::Variable(variable, ..))) => {
            let name = variable.1.as_str();
            format!("write parse_int({name}); a parameter with a number as its default is a number")
        }
        (List(_), Integer | Text, _) => format!("write {path}.contains(…)"),
        (Text | Integer, List(_), _) => format!("write {path} in LIST"),
        (Record("Tag"), Text, _) => format!("compare its name: {path}.name"),
        (Record("User"), Text, _) => format!("compare its openid: {path}.openid"),
        (Audience, _, _) => "an audience is counted by .count()".to_owned(),
        (of, _, _) => format!("compare it with {}", of.describe()),
    }
}

/// `"VIP" in u.tagid_list`, `["98765"].contains(u.qr_scene)`: a list that never holds what it is asked for.
fn membership(list: &Operand, wanted: &Operand, position: Position) -> Option<NeverTrue> {
    let given = &wanted.typed.value_type;
    let entry = match &list.typed.value_type {
        ValueType::List(entry) => &**entry,
        ValueType::Map(_) if given.is_certain() && *given != ValueType::Text => {
            let message =
                format!("the keys of a map are strings, and this looks for {} in it", given.describe());
            let hint = "write the key as a text: `${…}` between back-ticks".to_owned();
            return Some(NeverTrue { position, message, hint });
        }
        _ => return None,
    };
    if entry.is_comparable(given) {
        return None;
    }
    if let (Some(_), Some(name)) = (list.typed.owner, list.typed.name.as_deref()) {
        let path = list.typed.path.as_deref().unwrap_or(name);
        let message = format!("`{name}` never has {} in it", given.describe());
        let tag = wanted.expr.and_then(literal).map_or("NAME".to_owned(), |tag| format!("{tag:?}"));
        let hint = match (name, given) {
            ("tagid_list", ValueType::Text) => {
                format!("it holds ids: with_tag({tag}), or tag_id({tag}) in {path}")
            }
            _ => format!("it holds {}", entry.plural()),
        };
        return Some(NeverTrue { position, message, hint });
    }
    let only = format!("this list has {} only", entry.plural());
    let message = match &wanted.typed.name {
        Some(name) => format!("`{name}` is {}, and {only}", given.describe()),
        None => format!("{only}, and this looks for {} in it", given.describe()),
    };
    let hint = match (entry, given, &wanted.typed.name) {
        (ValueType::Text, ValueType::Integer, Some(_)) => "write the numbers without quotes".to_owned(),
        (ValueType::Integer, ValueType::Text, Some(_)) => "write the texts in quotes".to_owned(),
        (ValueType::Record("Tag"), ValueType::Text, _) => {
            "look for its name: LIST.some(|t| t.name == …)".to_owned()
        }
        _ => format!("look for {}", entry.describe()),
    };
    Some(NeverTrue { position, message, hint })
}

/// What is never true in a closure of followers for the values that it captured. A variable that is used for anything but
/// such comparisons is passed over: the closure may tell the kinds apart.
pub(crate) fn never_true(closure: &Shared<ScriptFuncDef>, captured: &[Dynamic]) -> Option<NeverTrue> {
    let (names, own) = closure.params.split_at_checked(captured.len())?;
    let [_] = own else { return None };
    let types: Vec<ValueType> = captured.iter().map(ValueType::of_value).collect();
    if !types.iter().any(ValueType::is_certain) {
        return None;
    }
    // Its own name is one that the parser made up, which stands for a closure that is not called by name.
    let body = Body { name: Some(String::new()), ..Body::of(closure) };
    let key = FunctionKey { file: 0, name: String::new(), parameters: body.parameters.len() };
    let uses: Vec<usize> = names.iter().map(|name| uses(&body, name)).collect();
    let mut definitions = Definitions {
        files: vec![FileDefinitions { bodies: vec![body], ..FileDefinitions::default() }],
        fields: follower_fields().collect(),
        ..Definitions::default()
    };
    let mut found_for = |captured: Option<usize>| {
        let parameters = (0..key.parameters).map(|index| {
            let value = match types.get(index) {
                Some(value) if captured == Some(index) => value.clone(),
                Some(_) => ValueType::Unknown,
                None => ValueType::Record("User"),
            };
            (Place::Parameter(key.clone(), index), value)
        });
        definitions.given = parameters.collect();
        let mut found = Vec::new();
        observe(&definitions, &mut |_, observed| found.extend(never(&observed)));
        found
    };
    // What is wrong whatever was captured is found before anything runs.
    let always: Vec<Position> = found_for(None).into_iter().map(|never| never.position).collect();
    (0..names.len()).find_map(|index| {
        let mut found = found_for(Some(index));
        found.retain(|never| !always.contains(&never.position));
        if found.len() == uses[index] { found.into_iter().next() } else { None }
    })
}

/// How often a body uses a variable, other ones of that name too.
fn uses(body: &Body, name: &str) -> usize {
    let mut uses = 0;
    body.walk(&mut |node| match node {
        Node::Expr(expr) => uses += usize::from(is_variable(expr, name)),
        Node::Stmt(Stmt::Var(variable, ..)) => uses += usize::from(variable.0.name == name),
        Node::Stmt(Stmt::For(of, _)) => uses += usize::from(of.0.name == name),
        Node::Stmt(_) => {}
    });
    uses
}
