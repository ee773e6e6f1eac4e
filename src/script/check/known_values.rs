//! What a file's variables, maps and calls are known to give, from what is written in it: values, parameters with their
//! defaults, and the functions of the engine by the types that they return.

use super::{
    calls::{keys, own},
    comparisons::{Kind, Kinds},
    file::{Body, File, Node, bodies, chain},
};
use crate::script::{
    HANDLER, engine::reference::known_functions, host::catalog::Function, source::parameters,
};
use rhai::{Expr, FnCallExpr, Map, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// Methods that leave the map that they are called on as it is.
const READERS: [&str; 9] =
    ["contains", "get", "is_empty", "keys", "len", "to_debug", "to_json", "to_string", "values"];

/// Functions that are given a map and leave it as it is.
const VIEWERS: [&str; 4] = ["debug", "print", "to_json", "type_of"];

/// A kind, or `None` where there are several.
type KindByName<Name> = BTreeMap<Name, Option<Kind>>;

/// What a file is known to hold. Names are compared, not variables: one that is anywhere set to another kind, or given by
/// a caller, is unknown.
pub(super) fn kinds(file: &File, bodies: &[Body], captured: &BTreeMap<String, usize>) -> Kinds {
    let has_own_param = own(file.ast).iter().any(|(name, _)| name == "param");
    let params = handler_params(file, bodies);
    let mut known =
        Kinds { fields: params.clone(), returns: returns(file), has_own_param, ..Kinds::default() };
    // A variable may be set from one that is only found later, so this repeats until nothing is added.
    loop {
        let variables = variables(&known, bodies, captured);
        let mut fields = fields(&known, bodies, captured);
        fields.extend(params.clone());
        if variables == known.variables && fields == known.fields {
            return known;
        }
        (known.variables, known.fields) = (variables, fields);
    }
}

fn set<Name: Ord>(kinds: &mut KindByName<Name>, name: Name, kind: Option<Kind>) {
    kinds.entry(name).and_modify(|known| *known = known.filter(|_| *known == kind)).or_insert(kind);
}

fn variables(known: &Kinds, bodies: &[Body], captured: &BTreeMap<String, usize>) -> KindByName<String> {
    let mut kinds = BTreeMap::new();
    each_name(bodies, captured, &mut |name, value| {
        let kind = match value {
            Setting::To(value) => known.of(value),
            Setting::Entry(list) => known.of(list).and_then(Kind::entry),
            Setting::Counter => Some(Kind::Integer),
            Setting::Unknown => None,
        };
        set(&mut kinds, name.to_owned(), kind);
    });
    kinds
}

/// What a name is set to.
enum Setting<'a> {
    To(&'a Expr),
    /// An entry of this list.
    Entry(&'a Expr),
    /// The number of a loop's round.
    Counter,
    Unknown,
}

fn each_name(bodies: &[Body], captured: &BTreeMap<String, usize>, visit: &mut dyn FnMut(&str, Setting)) {
    for body in bodies {
        for name in body.own_parameters(captured) {
            visit(name, Setting::Unknown);
        }
        body.walk(&mut |node| match node {
            Node::Stmt(Stmt::Var(variable, ..)) => visit(&variable.0.name, Setting::To(&variable.1)),
            Node::Stmt(Stmt::Assignment(assignment)) => {
                if let Expr::Variable(name, ..) = &assignment.1.lhs {
                    let is_plain = !assignment.0.is_op_assignment();
                    let value = &assignment.1.rhs;
                    visit(&name.1, if is_plain { Setting::To(value) } else { Setting::Unknown });
                }
            }
            Node::Stmt(Stmt::For(of, _)) => {
                visit(&of.0.name, Setting::Entry(&of.2.expr));
                if let Some(counter) = &of.1 {
                    visit(&counter.name, Setting::Counter);
                }
            }
            Node::Stmt(Stmt::TryCatch(caught, _)) => {
                if let Expr::Variable(name, ..) = &caught.expr {
                    visit(&name.1, Setting::Unknown);
                }
            }
            _ => {}
        });
    }
}

/// What the maps hold that are written out, by variable and key. One that is anything else somewhere, or that anything but
/// an assignment to a key may change, is unknown.
fn fields(
    known: &Kinds,
    bodies: &[Body],
    captured: &BTreeMap<String, usize>,
) -> BTreeMap<(String, String), Kind> {
    let mut kinds = BTreeMap::new();
    let mut keys_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    each_name(bodies, captured, &mut |name, value| {
        let Setting::To(value) = value else {
            unknown.insert(name.to_owned());
            return;
        };
        let Some(entries) = entries(known, value) else {
            unknown.insert(name.to_owned());
            return;
        };
        let keys: BTreeSet<String> = entries.iter().map(|(key, _)| key.clone()).collect();
        // A key that a map of this name has not is `()` there.
        keys_of
            .entry(name.to_owned())
            .and_modify(|known| known.retain(|key| keys.contains(key)))
            .or_insert(keys);
        for (key, kind) in entries {
            set(&mut kinds, (name.to_owned(), key), kind);
        }
    });
    for body in bodies {
        body.walk(&mut |node| match node {
            Node::Stmt(Stmt::Assignment(assignment)) => {
                let (root, links) = chain(&assignment.1.lhs);
                match (root, links.as_slice()) {
                    (Expr::Variable(name, ..), [Expr::Property(key, _)]) => {
                        let kind = known.of(&assignment.1.rhs).filter(|_| !assignment.0.is_op_assignment());
                        set(&mut kinds, (name.1.to_string(), key.2.to_string()), kind);
                    }
                    (Expr::Variable(..), []) => {}
                    _ => unknown.extend(root_of(&assignment.1.lhs)),
                }
            }
            Node::Expr(expr @ Expr::Dot(..)) => {
                let (_, links) = chain(expr);
                if links.iter().any(|link| !is_read(link)) {
                    unknown.extend(root_of(expr));
                }
            }
            Node::Expr(Expr::FnCall(call, _)) | Node::Stmt(Stmt::FnCall(call, _)) => {
                unknown.extend(call.args.first().and_then(root_of).filter(|_| may_change(call)));
            }
            _ => {}
        });
    }
    let is_known = |(name, key): &(String, String)| {
        !unknown.contains(name) && keys_of.get(name).is_some_and(|keys| keys.contains(key))
    };
    kinds.into_iter().filter(|(at, _)| is_known(at)).filter_map(|(at, kind)| Some((at, kind?))).collect()
}

/// A map that is written out.
fn entries(known: &Kinds, expr: &Expr) -> Option<Vec<(String, Option<Kind>)>> {
    match expr {
        Expr::Map(map, _) => {
            Some(map.0.iter().map(|(key, value)| (key.name.to_string(), known.of(value))).collect())
        }
        Expr::DynamicConstant(value, _) => {
            let map = value.read_lock::<Map>()?;
            Some(map.iter().map(|(key, value)| (key.to_string(), Kind::of_value(value))).collect())
        }
        _ => None,
    }
}

/// Whether a link of a chain leaves what is before it as it is.
fn is_read(link: &Expr) -> bool {
    match link {
        Expr::Property(..) => true,
        Expr::MethodCall(call, _) => READERS.contains(&call.name.as_str()),
        _ => false,
    }
}

/// Whether a function may change the variable that is its first argument.
fn may_change(call: &FnCallExpr) -> bool {
    // What a closure captures it reads by itself, and its own statements are seen.
    call.op_token.is_none() && call.name != "curry" && !VIEWERS.contains(&call.name.as_str())
}

fn root_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root_of(&pair.lhs),
        _ => None,
    }
}

/// What the engine's functions return, where all of a name and a number of arguments return the same. One that the program
/// may define itself, as a function or in a map, is left out.
fn returns(file: &File) -> BTreeMap<(String, usize), Kind> {
    let mut kinds = BTreeMap::new();
    for function in known_functions().iter().filter(|function| function.namespace.is_empty()) {
        set(&mut kinds, (function.name.clone(), function.arguments), kind_of_result(function));
    }
    let mut defined: BTreeSet<String> = file.program.asts().flat_map(own).map(|(name, _)| name).collect();
    for body in file.program.asts().flat_map(bodies) {
        defined.extend(keys(&body));
        body.walk(&mut |node| {
            if let Node::Stmt(Stmt::Var(variable, ..)) = node {
                defined.insert(variable.0.name.to_string());
            }
        });
        defined.extend(body.parameters);
    }
    let kinds = kinds.into_iter().filter(|((name, _), _)| !defined.contains(name));
    kinds.filter_map(|(function, kind)| Some((function, kind?))).collect()
}

fn kind_of_result(function: &Function) -> Option<Kind> {
    match function.gives.as_str() {
        "integer" | "int" => Some(Kind::Integer),
        "float" => Some(Kind::Float),
        "string" => Some(Kind::Text),
        "bool" => Some(Kind::Flag),
        _ => None,
    }
}

/// The second parameter of the automation's handlers, with the kinds of its keys.
fn handler_params(file: &File, bodies: &[Body]) -> BTreeMap<(String, String), Kind> {
    let mut params = BTreeMap::new();
    let (None, Ok(Some(automation))) = (file.path, file.program.automation()) else { return params };
    let handlers = automation.triggers.iter().map(|trigger| trigger.handler.as_str());
    let handlers: Vec<&str> = handlers.chain([HANDLER]).collect();
    for body in bodies {
        let is_handler = body.name.as_deref().is_some_and(|name| handlers.contains(&name));
        let Some(given) = body.parameters.get(1).filter(|_| is_handler) else { continue };
        for (name, parameter) in &automation.params {
            let kind = match parameter.kind {
                parameters::Kind::Int => Kind::Integer,
                parameters::Kind::Float => Kind::Float,
                parameters::Kind::Bool => Kind::Flag,
                parameters::Kind::Text => Kind::Text,
            };
            params.insert((given.clone(), name.clone()), kind);
        }
    }
    // Another function may have a parameter of this name for something else.
    let is_of_others = |name: &String| {
        let others = bodies.iter().filter(|body| {
            body.name.as_deref().is_some_and(|name| !name.contains('$') && !handlers.contains(&name))
        });
        others.flat_map(|body| &body.parameters).any(|parameter| parameter == name)
    };
    params.retain(|(name, _), _| !is_of_others(name));
    params
}
