//! What a program defines, and what is known of it before it is gone through: the functions of the engine by the types that
//! they return, the fields of values, and what handlers are given.

use super::{
    calls::{keys, own},
    comparisons::follower_fields,
    definitions::{Definitions, FileDefinitions, FunctionKey, Place},
    file::{Body, Node, bodies, literal},
};
use crate::script::{
    HANDLER, ON_FAILURE,
    engine::reference::known_functions,
    functions::kinds::kinds,
    host::value_type::ValueType,
    source::{closures::captured_counts, parameters, program::Program},
};
use rhai::{AST, ASTFlags, Expr, Stmt};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn definitions(program: &Program) -> Definitions {
    let mut definitions = Definitions {
        files: program.asts().map(|ast| file(program, ast)).collect(),
        returns: returns(),
        holders: holders(program),
        fields: fields(),
        throws_values: program.asts().flat_map(bodies).any(|body| throws_values(&body)),
        given: Vec::new(),
    };
    definitions.given = handler_arguments(program, &definitions.files[0]);
    definitions
}

fn file(program: &Program, ast: &AST) -> FileDefinitions {
    let bodies = bodies(ast);
    let mut imports: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for body in &bodies {
        body.walk(&mut |node| {
            let Node::Stmt(Stmt::Import(import, _)) = node else { return };
            let file = literal(&import.0)
                .and_then(|path| program.imports.iter().position(|import| import.path == path))
                .map(|import| import + 1);
            let entry = imports.entry(import.1.name.to_string());
            entry.and_modify(|known| *known = known.filter(|known| Some(*known) == file)).or_insert(file);
        });
    }
    FileDefinitions { bodies, captured: captured_counts(ast), imports }
}

/// What the engine's functions take first and return.
fn returns() -> BTreeMap<(String, String, usize), Vec<(ValueType, ValueType)>> {
    let mut returns: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for function in known_functions() {
        let key = (function.namespace.clone(), function.name.clone(), function.arguments);
        returns.entry(key).or_default().push((function.on.clone(), function.gives.clone()));
    }
    returns
}

/// Names by which a closure may be held, in a map or a variable.
fn holders(program: &Program) -> BTreeSet<String> {
    let mut holders: BTreeSet<String> = program.asts().flat_map(own).map(|(name, _)| name).collect();
    for body in program.asts().flat_map(bodies) {
        holders.extend(keys(&body));
        body.walk(&mut |node| {
            if let Node::Stmt(Stmt::Var(variable, ..)) = node {
                holders.insert(variable.0.name.to_string());
            }
        });
        holders.extend(body.parameters);
    }
    holders
}

fn fields() -> BTreeMap<(&'static str, &'static str), ValueType> {
    let declared = kinds().into_iter().flat_map(|kind| {
        kind.fields.into_iter().map(move |field| ((kind.name, field.name), field.value_type))
    });
    declared.chain(follower_fields()).collect()
}

fn throws_values(body: &Body) -> bool {
    let mut throws_values = false;
    body.walk(&mut |node| {
        if let Node::Stmt(Stmt::Return(thrown, flags, _)) = node
            && flags.contains(ASTFlags::BREAK)
        {
            let text = |expr: &Expr| matches!(expr, Expr::StringConstant(..) | Expr::InterpolatedString(..));
            throws_values |= !thrown.as_deref().is_some_and(text);
        }
    });
    throws_values
}

/// What the automation's handlers are called with: the second argument has the keys of `params`.
fn handler_arguments(program: &Program, main: &FileDefinitions) -> Vec<(Place, ValueType)> {
    let Ok(Some(automation)) = program.automation() else { return Vec::new() };
    let declared = automation.params.iter().map(|(name, parameter)| {
        let value = match parameter.kind {
            parameters::Kind::Int => ValueType::Integer,
            parameters::Kind::Float => ValueType::Float,
            parameters::Kind::Bool => ValueType::Flag,
            parameters::Kind::Text => ValueType::Text,
        };
        (name.clone(), value)
    });
    let given = ValueType::map(declared);
    let handlers: BTreeSet<&str> =
        automation.triggers.iter().map(|trigger| trigger.handler.as_str()).chain([HANDLER]).collect();
    let mut arguments = Vec::new();
    for body in &main.bodies {
        let Some(name) = &body.name else { continue };
        for index in 0..body.parameters.len() {
            let value = match index {
                1 if handlers.contains(name.as_str()) => given.clone(),
                _ if handlers.contains(name.as_str()) || name == ON_FAILURE => ValueType::Unknown,
                _ => continue,
            };
            let key = FunctionKey { file: 0, name: name.clone(), parameters: body.parameters.len() };
            arguments.push((Place::Parameter(key, index), value));
        }
    }
    arguments
}
