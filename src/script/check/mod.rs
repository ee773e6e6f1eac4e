//! What is wrong with a script, found without running it: unknown functions, unknown fields of
//! followers, comparisons that can never be true, parameters of the wrong kind.
//!
//! Everything that is told here would fail at run time; what can't be known is passed over.

mod calls;
mod followers;
mod handlers;
mod params;

use crate::{
    base::{Cancel, Diagnostic, Place},
    bulk::Board,
    script::{
        engine::engine,
        host::{
            catalog::{Function, functions},
            env::{Env, NoClient, Nowhere},
            error::Trouble,
        },
        source::program::Program,
    },
};
use rhai::{AST, ASTNode, Engine, Expr, Module, Position, Stmt};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

pub use params::names as params;

/// One file of a program under check.
struct File<'a> {
    program: &'a Program,
    /// `None` for the script itself.
    path: Option<&'a str>,
    ast: &'a AST,
}

impl File<'_> {
    fn place(&self, position: Position) -> Option<Place> {
        self.program.place(self.path, None, position)
    }
}

/// A problem with its position, for order.
struct Problem {
    position: Position,
    diagnostic: Diagnostic,
    is_usage: bool,
}

impl Problem {
    fn new(file: &File, position: Position, message: String, hint: Option<String>) -> Self {
        let mut diagnostic = Diagnostic::new(message).at(file.place(position));
        diagnostic.hint = hint;
        Self { position, diagnostic, is_usage: false }
    }
}

/// Everything that is wrong with a script and its imports.
#[must_use]
pub fn check(program: &Program) -> Vec<Trouble> {
    troubles(program, None)
}

/// The same, with the parameters of a run that is about to begin.
#[must_use]
pub fn problems(program: &Program, given: &BTreeMap<String, String>) -> Vec<Trouble> {
    troubles(program, Some(given))
}

fn troubles(program: &Program, given: Option<&BTreeMap<String, String>>) -> Vec<Trouble> {
    let main = File { program, path: None, ast: &program.ast };
    let imports =
        program.imports.iter().map(|import| File { program, path: Some(&import.path), ast: &import.ast });
    let mut troubles = Vec::new();
    for file in std::iter::once(main).chain(imports) {
        let mut problems = calls::check(&file);
        problems.extend(followers::check(&file));
        problems.extend(handlers::check(&file));
        if let Some(given) = given {
            problems.extend(params::check(&file, given));
        }
        problems.sort_by_key(|problem| (problem.position.line(), problem.position.position()));
        troubles.extend(problems.into_iter().map(|problem| Trouble {
            is_configuration: problem.is_usage,
            ..Trouble::of_script(problem.diagnostic)
        }));
    }
    troubles
}

/// Every function that there is, operators and getters left out.
pub(super) fn known_functions() -> &'static [Function] {
    static KNOWN: OnceLock<Vec<Function>> = OnceLock::new();
    KNOWN.get_or_init(|| functions(&reference_engine()))
}

/// An engine with every function, to look names up in. Nothing runs on it.
pub(super) fn reference_engine() -> Engine {
    // A handle is needed to be one; a runtime without threads costs nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let handle = match &runtime {
        Ok(runtime) => runtime.handle().clone(),
        Err(error) => unreachable!("a runtime without drivers asks nothing of the system: {error}"),
    };
    let no_client = Err(NoClient(Diagnostic::new("nothing is called while a script is checked")));
    let env = Env::new(
        no_client,
        1,
        handle,
        Cancel::default(),
        BTreeMap::new(),
        Arc::new(Board::default()),
        Arc::new(Nowhere),
    );
    engine::build(&Arc::new(env))
}

/// The constant text of an expression.
fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::StringConstant(text, _) => Some(text),
        _ => None,
    }
}

/// Calls `visit` with every node under these statements.
fn walk(statements: &[Stmt], visit: &mut dyn FnMut(Node)) {
    let mut path = Vec::new();
    for statement in statements {
        statement.walk(&mut path, &mut |path| show(path, visit));
    }
}

fn show(path: &[ASTNode], visit: &mut dyn FnMut(Node)) -> bool {
    match path.last() {
        Some(ASTNode::Expr(expr)) => visit(Node::Expr(expr)),
        Some(ASTNode::Stmt(statement)) => visit(Node::Stmt(statement)),
        _ => {}
    }
    true
}

/// A node of a script.
enum Node<'a> {
    Expr(&'a Expr),
    Stmt(&'a Stmt),
}

/// The top level of a file, or one of its functions.
struct Body {
    /// `None` for the top level; a closure has the name that the parser made up.
    name: Option<String>,
    parameters: Vec<String>,
    /// This body alone: the engine shows a function's statements in no other way.
    ast: AST,
}

impl Body {
    fn walk(&self, visit: &mut dyn FnMut(Node)) {
        self.ast.walk(&mut |path: &[ASTNode]| show(path, visit));
    }
}

fn bodies(ast: &AST) -> Vec<Body> {
    let library: &Module = ast.as_ref();
    let functions = ast.iter_functions().filter_map(|function| {
        let mut alone = Module::new();
        alone.set_script_fn(library.get_script_fn(function.name, function.params.len())?.clone());
        Some(Body {
            name: Some(function.name.to_owned()),
            parameters: function.params.iter().map(|name| (*name).to_owned()).collect(),
            ast: AST::new_from_module(alone),
        })
    });
    let top = Body { name: None, parameters: Vec::new(), ast: ast.clone_statements_only() };
    std::iter::once(top).chain(functions).collect()
}
