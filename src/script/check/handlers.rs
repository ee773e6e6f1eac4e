//! Handlers of automations: unknown keys of their arguments, and misspelt hooks.

use super::file::{File, Problem, chain, first_of, is_variable};
use crate::{
    base::closest_match,
    script::{
        Automation, HANDLER, ON_FAILURE,
        source::{
            automation_keys::{CTX, FAILURE, names},
            body::{Body, Node, bodies},
        },
    },
};
use rhai::{Expr, Position, Stmt};
use std::{collections::BTreeSet, rc::Rc};

pub(super) fn check(file: &File) -> Vec<Problem> {
    // Errors in the literal itself are reported by its parser.
    let (None, Ok(Some(automation))) = (file.path, file.program.automation()) else { return Vec::new() };
    let handlers: BTreeSet<&str> = automation
        .triggers
        .iter()
        .map(|trigger| trigger.handler.as_str())
        .chain([HANDLER, ON_FAILURE])
        .collect();
    let mut problems = Vec::new();
    for body in bodies(file.ast) {
        let Some(name) = body.name.as_deref() else { continue };
        // Of overloads the daemon calls the one with the most parameters that a handler may have. What other functions of
        // the file pass to it is unknown.
        let is_called = file.program.handler_parameters(name) == Some(body.parameters.len());
        if handlers.contains(name) && is_called && !is_named(file, name) {
            let [first, second] = [0, 1].map(|at| body.parameters.get(at));
            if let Some(ctx) = first {
                unknown_keys(file, &body, ctx, "the context", &names(CTX), &mut problems);
            }
            if let Some(given) = second {
                let (what, keys) = given_second(&automation, name);
                unknown_keys(file, &body, given, what, &keys, &mut problems);
            }
        }
    }
    problems.extend(misspelt_handler(file, &handlers));
    problems
}

fn given_second<'a>(automation: &'a Automation, handler: &str) -> (&'static str, Vec<&'a str>) {
    if handler == ON_FAILURE {
        ("what went wrong", names(FAILURE))
    } else {
        ("what the automation is given", automation.params.keys().map(String::as_str).collect())
    }
}

/// Finds unknown keys of the map that `name` holds in a body.
fn unknown_keys(
    file: &File,
    body: &Body,
    name: &str,
    what: &str,
    keys: &[&str],
    problems: &mut Vec<Problem>,
) {
    let mut is_another = false;
    // Keys that the handler sets exist.
    let mut set = BTreeSet::new();
    let mut found = Vec::new();
    body.walk(&mut |node| match node {
        Node::Stmt(Stmt::Var(variable, ..)) => is_another |= variable.0.name == name,
        Node::Stmt(Stmt::For(of, _)) => {
            is_another |= of.0.name == name || of.1.as_ref().is_some_and(|counter| counter.name == name);
        }
        Node::Stmt(Stmt::TryCatch(caught, _)) => is_another |= is_variable(&caught.expr, name),
        // `p["x"] = 1` adds a key.
        Node::Expr(Expr::Index(index, ..)) => is_another |= is_variable(&index.lhs, name),
        Node::Stmt(Stmt::Assignment(assignment)) => {
            is_another |= is_variable(&assignment.1.lhs, name);
            let (root, links) = chain(&assignment.1.lhs);
            if let (true, [Expr::Property(key, _)]) = (is_variable(root, name), links.as_slice()) {
                set.insert(key.2.to_string());
            }
        }
        Node::Expr(expr @ Expr::Dot(..)) => {
            let (root, links) = chain(expr);
            // So may `p.mixin(…)`.
            is_another |= is_variable(root, name) && matches!(links.first(), Some(Expr::MethodCall(..)));
            if is_variable(root, name)
                && let Some(Expr::Property(key, position)) = links.first().map(|link| first_of(link))
                && !keys.contains(&key.2.as_str())
            {
                found.push((key.2.to_string(), *position));
            }
        }
        _ => {}
    });
    if is_another {
        return;
    }
    let keys: Rc<[String]> = keys.iter().map(|key| (*key).to_owned()).collect();
    problems.extend(found.into_iter().filter(|(key, _)| !set.contains(key)).map(|(key, position)| {
        let (message, keys) = (format!("{what} has no `{key}`"), Rc::clone(&keys));
        Problem::hinted_later(file, position, message, move || {
            Some(match closest_match(&key, keys.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if keys.is_empty() => format!("declare it: params: #{{ {key}: … }}"),
                None => format!("it has {}", keys.join(", ")),
            })
        })
    }));
}

/// Whether the file calls a function, or has its name as a text, by which it may be called.
fn is_named(file: &File, name: &str) -> bool {
    let mut is_named = false;
    // The literal names its handlers; that is no call.
    for body in bodies(file.ast).iter().filter(|body| body.name.is_some()) {
        body.walk(&mut |node| match node {
            Node::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))
            | Node::Stmt(Stmt::FnCall(call, _)) => {
                is_named |= call.name == name;
            }
            Node::Expr(Expr::StringConstant(text, _)) => is_named |= *text == name,
            Node::Expr(Expr::Variable(variable, ..)) => is_named |= variable.1 == name,
            _ => {}
        });
    }
    is_named
}

/// A misspelt hook, `on_failur`, which is never called.
fn misspelt_handler(file: &File, handlers: &BTreeSet<&str>) -> Option<Problem> {
    let own: Vec<_> = file.ast.iter_functions().filter(|function| !function.name.contains('$')).collect();
    if own.iter().any(|function| function.name == ON_FAILURE) {
        return None;
    }
    let near = own.iter().map(|function| function.name).find(|name| {
        name.starts_with("on_")
            && closest_match(name, [ON_FAILURE]).is_some()
            && !handlers.contains(name)
            && !is_named(file, name)
    })?;
    let mut position = Position::NONE;
    for body in bodies(file.ast).iter().filter(|body| body.name.as_deref() == Some(near)) {
        body.walk(&mut |node| {
            if position.is_none() {
                position = match node {
                    Node::Expr(expr) => expr.start_position(),
                    Node::Stmt(statement) => statement.position(),
                };
            }
        });
    }
    let message = format!("`{near}` is never called");
    Some(Problem::new(file, position, message, Some(format!("did you mean `{ON_FAILURE}`?"))))
}
