//! Followers: unknown fields, assignments to fields, comparisons that can never be true, and closures with too many
//! parameters, wherever a script is given followers.

use super::{
    calls::own,
    comparisons::Kinds,
    file::{Body, File, Node, Problem, bodies, chain, first_of, is_variable, walk},
    known_values,
};
use crate::{
    api::user::FIELDS,
    base::closest_match,
    script::{
        host::{
            catalog::{SOURCES, STAGES},
            stdlib,
        },
        source::closures::{captured_counts, closure_name, parameters},
    },
    store::TerminalKind,
};
use rhai::{Expr, FnCallExpr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// Methods of an audience whose closure is given a follower.
const FOLLOWER_CLOSURES: [&str; 4] = ["filter", "each", "remark", "count_by"];

pub(super) fn check(file: &File) -> Vec<Problem> {
    let bodies = bodies(file.ast);
    let captured = captured_counts(file.ast);
    let known = Audiences::new(file, &bodies, &captured);
    let kinds = known_values::kinds(file, &bodies, &captured);
    let mut closures = BTreeMap::new();
    let mut problems = Vec::new();
    for body in &bodies {
        body.walk(&mut |node| match node {
            Node::Expr(expr @ Expr::Dot(..)) => {
                closures.extend(follower_closures(expr, &known));
                problems.extend(after_terminal(file, expr, &known));
            }
            Node::Stmt(Stmt::For(of, _)) if gives_followers(&of.2.expr, &known) => {
                let body = of.2.body.statements();
                check_follower(file, &kinds, |visit| walk(body, visit), &of.0.name, &mut problems);
            }
            _ => {}
        });
    }
    for body in &bodies {
        let Some((method, position)) = body.name.as_ref().and_then(|name| closures.get(name)) else {
            continue;
        };
        match body.own_parameters(&captured) {
            [follower] => check_follower(file, &kinds, |visit| body.walk(visit), follower, &mut problems),
            own => {
                let message =
                    format!("{method}'s closure takes one parameter, and this has {}", parameters(own.len()));
                let hint = Some(format!("write {method}(|u| …)"));
                problems.push(Problem::new(file, *position, message, hint));
            }
        }
    }
    problems
}

/// The functions and variables of a file whose value is certainly an audience.
struct Audiences {
    /// The functions of [`SOURCES`], without those that the file defines itself.
    sources: Vec<&'static str>,
    /// The variables to which only audiences are assigned.
    variables: BTreeSet<String>,
}

impl Audiences {
    fn new(file: &File, bodies: &[Body], captured: &BTreeMap<String, usize>) -> Self {
        let own = own(file.ast);
        let sources =
            SOURCES.iter().copied().filter(|source| !own.iter().any(|(own, _)| own == source)).collect();
        let given = given(bodies, captured);
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

/// Calls `visit` for each declaration and assignment, with the name and the assigned expression.
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

/// Parameters and loop variables, whose types are unknown.
fn given(bodies: &[Body], captured: &BTreeMap<String, usize>) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    for body in bodies {
        body.walk(&mut |node| {
            if let Node::Stmt(Stmt::For(of, _)) = node {
                given.insert(of.0.name.to_string());
            }
        });
        given.extend(body.own_parameters(captured).iter().cloned());
    }
    given
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
    is_source(root, audiences) && links.iter().all(|link| method(link).is_some_and(is_stage))
}

/// Whether a loop over an expression is one over followers: an audience, or the array of one.
fn gives_followers(expr: &Expr, audiences: &Audiences) -> bool {
    let (root, links) = chain(expr);
    let links = match links.split_last() {
        Some((last, before))
            if method(last).is_some_and(|call| call.name == TerminalKind::ToArray.as_str()) =>
        {
            before
        }
        _ => &links,
    };
    is_source(root, audiences) && links.iter().all(|link| method(link).is_some_and(is_stage))
}

/// The closures in a chain that are given followers, by the names that the parser made up, with the methods that they
/// are given to.
fn follower_closures(expr: &Expr, audiences: &Audiences) -> Vec<(String, (String, Position))> {
    let (root, links) = chain(expr);
    if !is_source(root, audiences) {
        return Vec::new();
    }
    let mut closures = Vec::new();
    for link in links {
        let Expr::MethodCall(call, position) = link else { break };
        if let (true, [closure]) = (is_one_of(call, &FOLLOWER_CLOSURES), call.args.as_slice()) {
            closures.extend(closure_name(closure).map(|name| (name, (call.name.to_string(), *position))));
        }
        if !is_stage(call) {
            break;
        }
    }
    closures
}

/// `followers().tag("a").untag("b")`: the first terminal operation has run, and returns a report.
fn after_terminal(file: &File, expr: &Expr, known: &Audiences) -> Option<Problem> {
    let (root, links) = chain(expr);
    let at = links.iter().position(|link| method(link).is_some_and(is_terminal))?;
    let is_of_audience =
        is_source(root, known) && links[..at].iter().all(|link| method(link).is_some_and(is_stage));
    let Expr::MethodCall(next, position) = links.get(at + 1)? else { return None };
    if !is_of_audience || !(is_terminal(next) || is_stage(next)) {
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
    TerminalKind::from_word(&call.name).is_some_and(TerminalKind::returns_report)
}

/// Whether a method of an audience gives an audience.
fn is_stage(call: &FnCallExpr) -> bool {
    is_one_of(call, STAGES) || stdlib::is_stage(&call.name, call.args.len())
}

fn is_one_of(call: &FnCallExpr, names: &[&str]) -> bool {
    names.contains(&call.name.as_str())
}

/// Checks what is done with the follower that `name` holds.
fn check_follower(
    file: &File,
    kinds: &Kinds,
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
        Node::Expr(expr @ (Expr::Dot(..) | Expr::FnCall(..))) => {
            if let Some(never) = kinds.problem(expr, name) {
                found.push(Problem::new(file, never.position, never.message, Some(never.hint)));
            }
            let (root, links) = chain(expr);
            if is_variable(root, name)
                && let Some(Expr::Property(property, position)) = links.first().map(|link| first_of(link))
            {
                found.extend(unknown_field(file, &property.2, *position));
            }
        }
        _ => {}
    });
    if !is_shadowed {
        problems.extend(found);
    }
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
