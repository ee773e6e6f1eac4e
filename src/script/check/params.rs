//! Parameters: which a script has, and whether those that were given fit.

use super::file::{File, Problem, literal};
use crate::script::{
    functions::param,
    source::{
        body::{Node, bodies},
        closures::closure_name,
        program::Program,
    },
};
use rhai::{Dynamic, Expr, Position, Stmt};
use std::collections::BTreeMap;

/// A `param(…)` of a script.
struct Param {
    name: String,
    /// Its default, where it is a constant.
    default: Option<Dynamic>,
    /// The kind of a default that no text can give.
    unreadable: Option<&'static str>,
    is_required: bool,
    position: Position,
}

/// The names of a program's parameters, in order: each literal `param("…")`.
#[must_use]
pub fn names(program: &Program) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for ast in program.asts() {
        for param in params(&File::new(program, None, ast)) {
            if !names.contains(&param.name) {
                names.push(param.name);
            }
        }
    }
    names
}

/// Defaults whose kind can't be read from what is typed.
pub(super) fn check_defaults(file: &File) -> Vec<Problem> {
    let params = params(file).into_iter();
    let unreadable =
        params.filter_map(|found| Some((param::unreadable(&found.name, found.unreadable?), found.position)));
    unreadable.map(|(error, position)| Problem::new(file, position, error.message, error.hint)).collect()
}

/// Parameters that were not given and have no default, or do not fit their default's kind.
pub(super) fn check(file: &File, given: &BTreeMap<String, String>) -> Vec<Problem> {
    params(file)
        .into_iter()
        .filter_map(|found| {
            let error = match (given.get(&found.name), &found.default) {
                (None, _) if found.is_required => param::missing(&found.name),
                (Some(value), Some(default)) => param::read(&found.name, value, default).err()?,
                _ => return None,
            };
            let mut problem = Problem::new(file, found.position, error.message, error.hint);
            problem.is_usage = true;
            Some(problem)
        })
        .collect()
}

fn params(file: &File) -> Vec<Param> {
    let mut params = Vec::new();
    for body in bodies(file.ast) {
        body.walk(&mut |node| {
            let (Node::Expr(Expr::FnCall(call, position)) | Node::Stmt(Stmt::FnCall(call, position))) = node
            else {
                return;
            };
            if call.name != "param" || !call.namespace.is_empty() {
                return;
            }
            if let Some(name) = call.args.first().and_then(literal) {
                params.push(Param {
                    name: name.to_owned(),
                    default: call.args.get(1).and_then(constant),
                    unreadable: call.args.get(1).and_then(unreadable),
                    is_required: call.args.len() == 1,
                    position: *position,
                });
            }
        });
    }
    params
}

/// What a default is, where it is written out and can't be read from a text.
fn unreadable(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Array(..) => Some("an array"),
        Expr::Map(..) => Some("a map"),
        Expr::CharConstant(..) => Some("a character"),
        _ => closure_name(expr).map(|_| "a closure"),
    }
}

/// The value of a constant.
fn constant(expr: &Expr) -> Option<Dynamic> {
    match expr {
        Expr::IntegerConstant(number, _) => Some((*number).into()),
        Expr::FloatConstant(number, _) => Some((**number).into()),
        Expr::BoolConstant(flag, _) => Some((*flag).into()),
        Expr::StringConstant(text, _) => Some(text.clone().into()),
        _ => None,
    }
}
