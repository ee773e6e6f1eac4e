//! What a program defines, and what is known of it before it is gone through: the functions of the engine by the types that
//! they return, the fields of values, and what handlers are given.

use super::{
    absent_keys::KeyHabits,
    calls::{keys, own},
    comparisons::follower_fields,
    definitions::{Definitions, FileDefinitions, FunctionKey, Place, ValueUse},
    file::literal,
};
use crate::script::{
    HANDLER, ON_FAILURE,
    engine::reference::known_functions,
    functions::{endpoint::shapes, kinds::kinds},
    host::value_type::{Keys, MapType, ValueType},
    source::{
        body::{Body, Node, bodies},
        closures::captured_counts,
        origin::EXPRESSION,
        parameters,
        program::Program,
        tokens::tokens,
    },
};
use rhai::{AST, ASTFlags, Expr, Stmt, Token};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn definitions(program: &Program) -> Definitions {
    let texts = std::iter::once(program.text()).chain(program.import_texts());
    let files: Vec<FileDefinitions> =
        program.asts().zip(texts).map(|(ast, text)| file(program, ast, text)).collect();
    let mut definitions = Definitions {
        returns: returns(),
        holders: holders(program),
        fields: fields(),
        throws_values: program.asts().flat_map(bodies).any(|body| throws_values(&body)),
        key_habits: KeyHabits::of(files.iter().flat_map(|file| &file.bodies)),
        files,
        given: Vec::new(),
    };
    definitions.given = handler_arguments(program, &definitions.files[0]);
    definitions
}

fn file(program: &Program, ast: &AST, text: &str) -> FileDefinitions {
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
    FileDefinitions { bodies, captured: captured_counts(ast), last_value: last_value(program, text), imports }
}

/// What becomes of a file's last value: an expression that is typed on the command line is shown, and one without a
/// semicolon is the value of the script.
fn last_value(program: &Program, text: &str) -> ValueUse {
    let ends_with_semicolon = || tokens(text).last().is_some_and(|(token, _)| *token == Token::SemiColon);
    if program.name() != EXPRESSION && ends_with_semicolon() { ValueUse::Dropped } else { ValueUse::Taken }
}

/// What the engine's functions take first and return.
fn returns() -> BTreeMap<(String, String, usize), Vec<(ValueType, ValueType)>> {
    let mut returns: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let shapes = shapes();
    for function in known_functions() {
        let key = (function.namespace.clone(), function.name.clone(), function.arguments);
        let gives = shapes.get(function.full_name().as_str()).unwrap_or(&function.gives);
        returns.entry(key).or_default().push((function.on(), gives.clone()));
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

/// Whether a body throws anything but texts, and errors that it has caught.
fn throws_values(body: &Body) -> bool {
    let mut caught = BTreeSet::new();
    let mut declared: BTreeSet<String> = body.parameters.iter().cloned().collect();
    let mut thrown = Vec::new();
    body.walk(&mut |node| match node {
        Node::Stmt(Stmt::TryCatch(flow, _)) => {
            if let Expr::Variable(name, ..) = &flow.expr {
                caught.insert(name.1.to_string());
            }
        }
        Node::Stmt(Stmt::Var(variable, ..)) => declared.extend([variable.0.name.to_string()]),
        Node::Stmt(Stmt::For(of, _)) => declared.extend([of.0.name.to_string()]),
        Node::Stmt(Stmt::Assignment(assignment)) => {
            if let Expr::Variable(name, ..) = &assignment.1.lhs {
                declared.insert(name.1.to_string());
            }
        }
        Node::Stmt(Stmt::Return(value, flags, _)) if flags.contains(ASTFlags::BREAK) => {
            thrown.push(match value.as_deref() {
                Some(Expr::StringConstant(..) | Expr::InterpolatedString(..)) => None,
                Some(Expr::Variable(name, ..)) => Some(name.1.to_string()),
                _ => Some(String::new()),
            });
        }
        _ => {}
    });
    thrown.into_iter().flatten().any(|name| !caught.contains(&name) || declared.contains(&name))
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
    // Keys that are not declared are reported by another check.
    let given = ValueType::Map(MapType { fields: declared.collect(), keys: Keys::Open });
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
