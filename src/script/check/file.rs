//! A file under check: its bodies, its nodes, and problems with their positions in it.

use crate::{
    base::{Diagnostic, SourceSpan},
    script::source::program::Program,
};
use rhai::{AST, ASTNode, Expr, Module, Position, Stmt};
use std::collections::BTreeMap;

/// One file of a program under check.
pub(super) struct File<'a> {
    pub(super) program: &'a Program,
    /// `None` for the script itself.
    pub(super) path: Option<&'a str>,
    pub(super) ast: &'a AST,
}

impl File<'_> {
    pub(super) fn span_at(&self, position: Position) -> Option<SourceSpan> {
        self.program.span_at(self.path, None, position)
    }
}

/// A problem with its position, by which problems are sorted.
pub(super) struct Problem {
    pub(super) position: Position,
    pub(super) diagnostic: Diagnostic,
    pub(super) is_usage: bool,
}

impl Problem {
    pub(super) fn new(file: &File, position: Position, message: String, hint: Option<String>) -> Self {
        let mut diagnostic = Diagnostic::new(message).at(file.span_at(position));
        diagnostic.hint = hint;
        Self { position, diagnostic, is_usage: false }
    }
}

/// The constant text of an expression.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::StringConstant(text, _) => Some(text),
        _ => None,
    }
}

/// Calls `visit` with every node under these statements.
pub(super) fn walk(statements: &[Stmt], visit: &mut dyn FnMut(Node)) {
    let mut path = Vec::new();
    for statement in statements {
        statement.walk(&mut path, &mut |path| show(path, visit));
    }
}

pub(super) fn show(path: &[ASTNode], visit: &mut dyn FnMut(Node)) -> bool {
    match path.last() {
        Some(ASTNode::Expr(expr)) => visit(Node::Expr(expr)),
        Some(ASTNode::Stmt(statement)) => visit(Node::Stmt(statement)),
        _ => {}
    }
    true
}

/// A node of a script.
pub(super) enum Node<'a> {
    Expr(&'a Expr),
    Stmt(&'a Stmt),
}

/// The top level of a file, or one of its functions.
pub(super) struct Body {
    /// `None` for the top level; a closure has the name that the parser made up.
    pub(super) name: Option<String>,
    pub(super) parameters: Vec<String>,
    /// An AST of this body alone: the engine gives access to a function's statements in no other way.
    ast: AST,
}

impl Body {
    /// Its parameters without the variables that it captures, which come first.
    pub(super) fn own_parameters(&self, captured: &BTreeMap<String, usize>) -> &[String] {
        let captured = self.name.as_ref().and_then(|name| captured.get(name)).copied().unwrap_or_default();
        self.parameters.get(captured..).unwrap_or_default()
    }

    pub(super) fn walk(&self, visit: &mut dyn FnMut(Node)) {
        self.ast.walk(&mut |path: &[ASTNode]| show(path, visit));
    }
}

pub(super) fn bodies(ast: &AST) -> Vec<Body> {
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
