//! The bodies of a file, the top level and each of its functions, and the nodes in them.

use rhai::{AST, ASTNode, Expr, Module, ScriptFuncDef, Shared, Stmt};

/// A node of a script.
pub(crate) enum Node<'a> {
    Expr(&'a Expr),
    Stmt(&'a Stmt),
}

/// The top level of a file, or one of its functions.
pub(crate) struct Body {
    /// `None` for the top level; a closure has the name that the parser made up.
    pub(crate) name: Option<String>,
    pub(crate) parameters: Vec<String>,
    pub(crate) statements: Vec<Stmt>,
}

impl Body {
    /// Whether the parser made up its name.
    pub(crate) fn is_closure(&self) -> bool {
        self.name.as_ref().is_some_and(|name| name.contains('$'))
    }

    /// A function of a file, or a closure.
    pub(crate) fn of(function: &Shared<ScriptFuncDef>) -> Self {
        // The engine gives access to a function's statements in no other way.
        let mut alone = Module::new();
        alone.set_script_fn(Shared::clone(function));
        let mut statements = Vec::new();
        AST::new_from_module(alone).walk(&mut |path: &[ASTNode]| {
            if let [ASTNode::Stmt(statement)] = path {
                statements.push((*statement).clone());
            }
            true
        });
        Self {
            name: Some(function.name.to_string()),
            parameters: function.params.iter().map(ToString::to_string).collect(),
            statements,
        }
    }

    /// Calls `visit` with every node below those that it is in.
    pub(crate) fn walk_paths(&self, visit: &mut dyn FnMut(&[ASTNode])) {
        let mut path = Vec::new();
        for statement in &self.statements {
            statement.walk(&mut path, &mut |path| {
                visit(path);
                true
            });
        }
    }

    /// Calls `visit` with every node.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(Node)) {
        self.walk_paths(&mut |path| show(path, visit));
    }
}

/// The top level of a file, then its functions and closures.
pub(crate) fn bodies(ast: &AST) -> Vec<Body> {
    let library: &Module = ast.as_ref();
    let functions = library.iter_script_fn_info().map(|(.., function)| Body::of(function));
    let top = Body { name: None, parameters: Vec::new(), statements: ast.statements().to_vec() };
    std::iter::once(top).chain(functions).collect()
}

fn show(path: &[ASTNode], visit: &mut dyn FnMut(Node)) {
    match path.last() {
        Some(ASTNode::Expr(expr)) => visit(Node::Expr(expr)),
        Some(ASTNode::Stmt(statement)) => visit(Node::Stmt(statement)),
        _ => {}
    }
}
