//! Followers: unknown fields, assignments to fields, and comparisons that can never be true, in the closures and loops
//! that are given followers.

use super::{
    calls::own,
    file::{Body, File, Node, Problem, bodies, walk},
};
use crate::{
    api::{FieldKind, user::FIELDS},
    base::closest_match,
    script::host::catalog::{SOURCES, STAGES},
    store::TerminalKind,
};
use rhai::{Expr, FnCallExpr, FnPtr, Position, Stmt, Token};
use std::collections::{BTreeMap, BTreeSet};

/// Methods of an audience whose closure is given a follower.
const FOLLOWER_CLOSURES: [&str; 4] = ["filter", "each", "remark", "count_by"];

pub(super) fn check(file: &File) -> Vec<Problem> {
    let bodies = bodies(file.ast);
    let known = Audiences::new(file, &bodies);
    let mut closures = BTreeSet::new();
    let mut problems = Vec::new();
    for body in &bodies {
        body.walk(&mut |node| match node {
            Node::Expr(expr @ Expr::Dot(..)) => {
                closures.extend(follower_closures(expr, &known));
                problems.extend(after_terminal(file, expr, &known));
            }
            Node::Stmt(Stmt::For(of, _)) if is_audience(&of.2.expr, &known) => {
                let body = of.2.body.statements();
                check_follower(file, |visit| walk(body, visit), &of.0.name, &mut problems);
            }
            _ => {}
        });
    }
    for body in &bodies {
        // A closure's captured values come before its own parameters.
        if let (Some(name), Some(follower)) = (&body.name, body.parameters.last())
            && closures.contains(name)
        {
            check_follower(file, |visit| body.walk(visit), follower, &mut problems);
        }
    }
    problems
}

/// What is known to be an audience in a file.
struct Audiences {
    /// Those of [`SOURCES`] that the file does not redefine.
    sources: Vec<&'static str>,
    /// The variables that are only ever set to audiences.
    variables: BTreeSet<String>,
}

impl Audiences {
    fn new(file: &File, bodies: &[Body]) -> Self {
        let own = own(file.ast);
        let sources =
            SOURCES.iter().copied().filter(|source| !own.iter().any(|(own, _)| own == source)).collect();
        let given = given(bodies);
        let mut variables = BTreeSet::new();
        each_set(bodies, &mut |name, _| {
            variables.extend((!given.contains(name)).then(|| name.to_owned()));
        });
        let mut known = Self { sources, variables };
        loop {
            let mut others = BTreeSet::new();
            each_set(bodies, &mut |name, value| {
                others.extend((!is_audience(value, &known)).then(|| name.to_owned()));
            });
            let before = known.variables.len();
            known.variables.retain(|name| !others.contains(name));
            // Another variable may be set from one that was just removed, so this repeats until nothing changes.
            if known.variables.len() == before {
                return known;
            }
        }
    }
}

/// Visits every name that is set, with what it is set to.
fn each_set(bodies: &[Body], visit: &mut dyn FnMut(&str, &Expr)) {
    for body in bodies {
        body.walk(&mut |node| match node {
            Node::Stmt(Stmt::Var(variable, ..)) => visit(&variable.0.name, &variable.1),
            Node::Stmt(Stmt::Assignment(assignment)) => {
                if let Expr::Variable(name, ..) = &assignment.1.lhs {
                    visit(&name.1, &assignment.1.rhs);
                }
            }
            _ => {}
        });
    }
}

/// Names whose values come from a caller or a loop, so that their types are unknown.
fn given(bodies: &[Body]) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    let mut captured: BTreeMap<String, usize> = BTreeMap::new();
    for body in bodies {
        body.walk(&mut |node| match node {
            Node::Stmt(Stmt::For(of, _)) => {
                given.insert(of.0.name.to_string());
            }
            // A closure's captured values come before its own parameters.
            Node::Expr(Expr::FnCall(call, _)) if call.name == "curry" => {
                if let Some(closure) = call.args.first().and_then(closure_name) {
                    captured.insert(closure, call.args.len() - 1);
                }
            }
            _ => {}
        });
    }
    for body in bodies {
        let captured = body.name.as_ref().and_then(|name| captured.get(name)).copied().unwrap_or_default();
        given.extend(body.parameters.iter().skip(captured).cloned());
    }
    given
}

/// `root.a(…).b(…)` as its root and its links.
pub(super) fn chain(expr: &Expr) -> (&Expr, Vec<&Expr>) {
    let Expr::Dot(dot, ..) = expr else { return (expr, Vec::new()) };
    let mut links = Vec::new();
    let mut rest = &dot.rhs;
    while let Expr::Dot(dot, ..) = rest {
        links.push(&dot.lhs);
        rest = &dot.rhs;
    }
    links.push(rest);
    (&dot.lhs, links)
}

fn is_source(expr: &Expr, audiences: &Audiences) -> bool {
    match expr {
        Expr::FnCall(call, _) => call.namespace.is_empty() && audiences.sources.contains(&call.name.as_str()),
        Expr::Variable(name, ..) => name.2.is_empty() && audiences.variables.contains(name.1.as_str()),
        _ => false,
    }
}

/// Whether an expression is known to be an audience.
fn is_audience(expr: &Expr, audiences: &Audiences) -> bool {
    let (root, links) = chain(expr);
    is_source(root, audiences)
        && links.iter().all(|link| method(link).is_some_and(|call| is_one_of(call, STAGES)))
}

/// The closures in a chain that are given followers, by the names that the parser made up.
fn follower_closures(expr: &Expr, audiences: &Audiences) -> Vec<String> {
    let (root, links) = chain(expr);
    if !is_source(root, audiences) {
        return Vec::new();
    }
    let mut closures = Vec::new();
    for call in links.into_iter().map_while(method) {
        if is_one_of(call, &FOLLOWER_CLOSURES) {
            closures.extend(call.args.first().and_then(closure_name));
        }
        if !is_one_of(call, STAGES) {
            break;
        }
    }
    closures
}

/// `followers().tag("a").untag("b")`: the first terminal operation has run, and returns a report.
fn after_terminal(file: &File, expr: &Expr, known: &Audiences) -> Option<Problem> {
    let (root, links) = chain(expr);
    let at = links.iter().position(|link| method(link).is_some_and(is_terminal))?;
    let is_of_audience = is_source(root, known)
        && links[..at].iter().all(|link| method(link).is_some_and(|call| is_one_of(call, STAGES)));
    let Expr::MethodCall(next, position) = links.get(at + 1)? else { return None };
    if !is_of_audience || !(is_terminal(next) || is_one_of(next, STAGES)) {
        return None;
    }
    let (end, next) = (&method(links[at])?.name, &next.name);
    let message = format!("`{end}` runs the audience and gives a report, which has no `{next}`");
    let hint = "write two statements: let people = followers()…; people.NAME(…); people.NAME(…);";
    Some(Problem::new(file, *position, message, Some(hint.to_owned())))
}

fn method(expr: &Expr) -> Option<&FnCallExpr> {
    match expr {
        Expr::MethodCall(call, _) => Some(call),
        _ => None,
    }
}

/// Whether a method of an audience is a terminal operation that returns a report.
fn is_terminal(call: &FnCallExpr) -> bool {
    TerminalKind::from_word(&call.name)
        .is_some_and(|kind| kind.is_change() || matches!(kind, TerminalKind::Each | TerminalKind::WriteCsv))
}

fn is_one_of(call: &FnCallExpr, names: &[&str]) -> bool {
    names.contains(&call.name.as_str())
}

/// A closure is a constant, wrapped in a `curry` when it captures variables.
fn closure_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::DynamicConstant(value, _) => Some(value.read_lock::<FnPtr>()?.fn_name().to_owned()),
        Expr::FnCall(call, _) if call.name == "curry" => closure_name(call.args.first()?),
        Expr::Stmt(block) => block.statements().iter().find_map(|statement| match statement {
            Stmt::Expr(expr) => closure_name(expr),
            _ => None,
        }),
        _ => None,
    }
}

/// Checks what is done with the follower that `name` holds.
fn check_follower(
    file: &File,
    walk: impl FnOnce(&mut dyn FnMut(Node)),
    name: &str,
    problems: &mut Vec<Problem>,
) {
    let mut is_shadowed = false;
    let mut found = Vec::new();
    walk(&mut |node| match node {
        Node::Stmt(Stmt::Var(variable, ..)) => is_shadowed |= variable.0.name == name,
        Node::Stmt(Stmt::For(of, _)) => is_shadowed |= of.0.name == name,
        Node::Stmt(Stmt::Assignment(assignment)) => {
            let (root, links) = chain(&assignment.1.lhs);
            is_shadowed |= is_variable(&assignment.1.lhs, name);
            if is_variable(root, name)
                && let [Expr::Property(property, position)] = links.as_slice()
            {
                let message = format!("a follower's `{}` can't be set", property.2);
                let hint = "write == to compare; remark(|u| …) and tag(…) change followers".to_owned();
                found.push(Problem::new(file, *position, message, Some(hint)));
            }
        }
        Node::Expr(expr @ Expr::Dot(..)) => {
            let (root, links) = chain(expr);
            if is_variable(root, name)
                && let Some(Expr::Property(property, position)) = links.first().map(|link| first_of(link))
            {
                found.extend(unknown_field(file, &property.2, *position));
            }
        }
        Node::Expr(Expr::FnCall(call, position)) => found.extend(mismatch(file, call, name, *position)),
        _ => {}
    });
    if !is_shadowed {
        problems.extend(found);
    }
}

/// `u.tags[0]` reads `tags` first.
pub(super) fn first_of(expr: &Expr) -> &Expr {
    match expr {
        Expr::Index(index, ..) => first_of(&index.lhs),
        expr => expr,
    }
}

pub(super) fn is_variable(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Variable(variable, ..) if variable.1 == name && variable.2.is_empty())
}

fn unknown_field(file: &File, name: &str, position: Position) -> Option<Problem> {
    if FIELDS.iter().any(|field| field.name == name) {
        return None;
    }
    let hint = closest_match(name, FIELDS.iter().map(|field| field.name)).map_or_else(
        || format!("a field that the platform has added since is read as u[\"{name}\"]"),
        |near| format!("did you mean `{near}`?"),
    );
    Some(Problem::new(file, position, format!("a follower has no field `{name}`"), Some(hint)))
}

/// `u.qr_scene == "98765"`: a number is never equal to a text.
fn mismatch(file: &File, call: &FnCallExpr, name: &str, position: Position) -> Option<Problem> {
    use Token::{EqualsTo, GreaterThan, GreaterThanEqualsTo, LessThan, LessThanEqualsTo, NotEqualsTo};
    let [left, right] = call.args.as_slice() else { return None };
    let is_comparison = matches!(
        call.op_token,
        Some(EqualsTo | NotEqualsTo | LessThan | LessThanEqualsTo | GreaterThan | GreaterThanEqualsTo)
    );
    if !is_comparison {
        return None;
    }
    let (kind, field, constant) = match (field_of(left, name), field_of(right, name)) {
        (Some((kind, field)), None) => (kind, field, right),
        (None, Some((kind, field))) => (kind, field, left),
        _ => return None,
    };
    let given = match (kind, constant) {
        (FieldKind::Integer | FieldKind::Text, Expr::BoolConstant(..)) => "true or false",
        (FieldKind::Text, Expr::FloatConstant(..)) => "a float",
        (FieldKind::Text | FieldKind::IntegerList, Expr::IntegerConstant(..)) => "an integer",
        (FieldKind::Integer, Expr::StringConstant(..) | Expr::InterpolatedString(..))
        | (FieldKind::IntegerList, Expr::StringConstant(..)) => "a string",
        _ => return None,
    };
    let hint = match (kind, constant) {
        (FieldKind::Integer, Expr::StringConstant(text, _)) if text.parse::<i64>().is_ok() => {
            format!("write {text} without quotes")
        }
        (FieldKind::Text, Expr::IntegerConstant(number, _)) => format!("write \"{number}\" in quotes"),
        (FieldKind::IntegerList, _) => format!("write {name}.{field}.contains(ID)"),
        _ => format!("compare it with {}", kind.describe()),
    };
    let message = format!("`{field}` is {}, and this compares it with {given}", kind.describe());
    Some(Problem::new(file, position, message, Some(hint)))
}

/// The field, if an expression is a field of the follower and nothing more.
fn field_of<'a>(expr: &'a Expr, name: &str) -> Option<(FieldKind, &'a str)> {
    let (root, links) = chain(expr);
    let [Expr::Property(property, _)] = links.as_slice() else { return None };
    let field = FIELDS.iter().find(|field| is_variable(root, name) && property.2 == field.name)?;
    Some((field.kind, field.name))
}
