//! Closures: their parameters, and the variables that they capture. In the engine a captured variable is a cell that the
//! closure shares with the code around it; here is decided which closures get a copy instead.
//!
//! What a closure only reads has the value of the time when the step was made; what it writes (`n += 1`,
//! `seen.push(…)`) stays shared. The variable of a loop is a new one in each round.

use crate::script::host::error::{ScriptError, ScriptResult};
use rhai::{
    AST, ASTNode, Dynamic, Expr, FnCallExpr, FnPtr, Module, NativeCallContext, Scope, ScriptFuncDef, Shared,
    Stmt,
};
use std::collections::{BTreeMap, BTreeSet};

/// Methods of the engine's own types that change the value that they are called on.
pub(crate) const MUTATORS: &[&str] = &[
    "append",
    "chop",
    "clear",
    "crop",
    "dedup",
    "drain",
    "fill_with",
    "insert",
    "make_lower",
    "make_upper",
    "mixin",
    "pad",
    "pop",
    "push",
    "remove",
    "replace",
    "retain",
    "reverse",
    "set",
    "set_bit",
    "set_bits",
    "shift",
    "sort",
    "sort_by",
    "sort_desc",
    "splice",
    "trim",
    "truncate",
];

/// The maximum nesting of captured closures that are copied: one may hold itself.
const LEVELS: usize = 16;

/// The tag of a cell that one closure has for itself.
const OWN_CELL: i32 = 1;

/// A closure's name, if an expression makes one: a constant, wrapped in a `curry` when it captures variables.
pub(crate) fn closure_name(expr: &Expr) -> Option<String> {
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

/// How many variables each closure of a program captures. They come before its own parameters.
pub(crate) fn captured_counts(ast: &AST) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some((name, variables)) = path.last().and_then(captures) {
            counts.insert(name, variables.len());
        }
        true
    });
    counts
}

/// The closure that a node makes, with the expressions that it captures.
pub(crate) fn captures<'a>(node: &'a ASTNode) -> Option<(String, &'a [Expr])> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, _)) if call.name == "curry" => {
            let (closure, variables) = call.args.split_first()?;
            Some((closure_name(closure)?, variables))
        }
        _ => None,
    }
}

/// The definition of a closure of this number of parameters, if the script has written it.
pub(crate) fn definition<'a>(
    libraries: &'a [Shared<Module>],
    closure: &'a FnPtr,
    parameters: usize,
) -> Option<&'a Shared<ScriptFuncDef>> {
    functions(libraries, closure.fn_name())
        .find(|function| function.params.len() == closure.curry().len() + parameters)
}

/// Refuses a closure that can't be called with this number of arguments by the function that is being called.
pub(crate) fn expect_parameters(
    context: &NativeCallContext,
    closure: &FnPtr,
    given: usize,
) -> ScriptResult<()> {
    let captured = closure.curry().len();
    let counts: BTreeSet<usize> = functions(context.namespaces(), closure.fn_name())
        .filter_map(|function| function.params.len().checked_sub(captured))
        .collect();
    // A function of the engine has no parameters that could be counted here.
    match counts.first() {
        Some(first) if !counts.contains(&given) => {
            let name = context.fn_name();
            let message =
                format!("{name}'s closure takes {}, and this has {}", parameters(given), parameters(*first));
            let shape = ["a", "b"].iter().take(given).copied().collect::<Vec<_>>().join(", ");
            Err(ScriptError::usage(message, format!("write {name}(|{shape}| …)")).raise())
        }
        _ => Ok(()),
    }
}

/// `two parameters`.
pub(crate) fn parameters(count: usize) -> String {
    match count {
        0 => "no parameter".to_owned(),
        1 => "one parameter".to_owned(),
        2 => "two parameters".to_owned(),
        3 => "three parameters".to_owned(),
        count => format!("{count} parameters"),
    }
}

fn functions<'a>(
    libraries: &'a [Shared<Module>],
    name: &'a str,
) -> impl Iterator<Item = &'a Shared<ScriptFuncDef>> {
    let all = libraries.iter().flat_map(|library| library.iter_script_fn_info());
    all.filter(move |(_, _, known, ..)| *known == name).map(|(.., function)| function)
}

/// A closure for a step that runs later: it keeps the values that the variables have now, but shares those that it
/// writes.
pub(crate) fn keep_values(libraries: &[Shared<Module>], closure: &FnPtr) -> FnPtr {
    keep_values_at(libraries, closure, LEVELS)
}

fn keep_values_at(libraries: &[Shared<Module>], closure: &FnPtr, levels: usize) -> FnPtr {
    let mut closure = closure.clone();
    if levels == 0 || !closure.is_curried() {
        return closure;
    }
    let captured = closure.curry().len();
    let written = functions(libraries, closure.fn_name())
        .find(|function| function.params.len() >= captured)
        .map_or_else(BTreeSet::new, |function| written(libraries, function));
    let values = closure.curry().iter().enumerate().map(|(at, value)| {
        if !value.is_shared() || written.contains(&at) {
            return value.clone();
        }
        let mut copy = value.flatten_clone();
        if let Some(captured) = copy.read_lock::<FnPtr>().map(|captured| captured.clone()) {
            copy = Dynamic::from(keep_values_at(libraries, &captured, levels - 1));
        }
        // A cell, so that a call of the closure doesn't copy a long list again.
        own_cell(copy)
    });
    let values: Vec<Dynamic> = values.collect();
    closure.set_curry(values);
    closure
}

fn own_cell(value: Dynamic) -> Dynamic {
    let mut cell = value.into_shared();
    cell.set_tag(OWN_CELL);
    cell
}

/// The variables that a closure changes, by their positions among those that it captures.
pub(crate) fn changed_captures(ast: &AST, closure: &str) -> BTreeSet<usize> {
    let library: &Shared<Module> = ast.as_ref();
    let libraries = [Shared::clone(library)];
    let definition = functions(&libraries, closure).next();
    definition.map_or_else(BTreeSet::new, |definition| written(&libraries, definition))
}

/// The parameters that a function writes, by their positions.
fn written(libraries: &[Shared<Module>], function: &Shared<ScriptFuncDef>) -> BTreeSet<usize> {
    let mut alone = Module::new();
    alone.set_script_fn(Shared::clone(function));
    let mut names: BTreeSet<String> = BTreeSet::new();
    AST::new_from_module(alone).walk(&mut |path: &[ASTNode]| {
        let Some(node) = path.last() else { return true };
        match node {
            ASTNode::Stmt(Stmt::Assignment(assignment)) => {
                names.extend(root(&assignment.1.lhs).map(str::to_owned));
            }
            ASTNode::Expr(expr @ (Expr::Dot(..) | Expr::Index(..))) if calls_mutator(libraries, expr) => {
                names.extend(root(expr).map(str::to_owned));
            }
            // `push(list, value)`
            ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))
                if MUTATORS.contains(&call.name.as_str()) =>
            {
                names.extend(call.args.first().and_then(root).map(str::to_owned));
            }
            node => {
                if let Some((inner, variables)) = captures(node) {
                    let inner = functions(libraries, &inner).next();
                    let inside = inner.map_or_else(BTreeSet::new, |inner| written(libraries, inner));
                    let variables = variables.iter().enumerate().filter(|(at, _)| inside.contains(at));
                    names.extend(variables.filter_map(|(_, variable)| Some(root(variable)?.to_owned())));
                }
            }
        }
        true
    });
    let parameters = function.params.iter().enumerate();
    parameters.filter(|(_, name)| names.contains(name.as_str())).map(|(at, _)| at).collect()
}

/// The variable that `a.b[c].d()` begins with.
fn root(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(variable, ..) if variable.2.is_empty() => Some(&variable.1),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root(&pair.lhs),
        _ => None,
    }
}

/// Whether a chain has a method that may change what it is called on; any function of the script may.
fn calls_mutator(libraries: &[Shared<Module>], chain: &Expr) -> bool {
    let may_write = |call: &FnCallExpr| {
        MUTATORS.contains(&call.name.as_str()) || functions(libraries, &call.name).next().is_some()
    };
    let (Expr::Dot(pair, ..) | Expr::Index(pair, ..)) = chain else { return false };
    let mut rest = &pair.rhs;
    loop {
        rest = match rest {
            Expr::MethodCall(call, _) => return may_write(call),
            Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
                if matches!(&pair.lhs, Expr::MethodCall(call, _) if may_write(call)) {
                    return true;
                }
                &pair.rhs
            }
            _ => return false,
        };
    }
}

/// The variables of loops that closures capture and nothing writes afterwards: each round has a new one.
///
/// Names are compared, not variables: a name that is also declared otherwise, and written there, is left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoopVariables(Vec<String>);

impl LoopVariables {
    pub(crate) fn of<'a>(asts: impl Iterator<Item = &'a AST>) -> Self {
        let mut of_loops = BTreeSet::new();
        let (mut captured, mut written_inside) = (BTreeSet::new(), BTreeSet::new());
        let (mut declared, mut assigned) = (BTreeSet::new(), BTreeSet::new());
        for ast in asts {
            let library: &Shared<Module> = ast.as_ref();
            let libraries = [Shared::clone(library)];
            let mut counts = BTreeMap::new();
            ast.walk(&mut |path: &[ASTNode]| {
                match path.last() {
                    Some(ASTNode::Stmt(Stmt::For(of, _))) => {
                        of_loops.insert(of.0.name.to_string());
                        of_loops.extend(of.1.as_ref().map(|counter| counter.name.to_string()));
                    }
                    Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => {
                        declared.insert(variable.0.name.to_string());
                    }
                    Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                        assigned.extend(root(&assignment.1.lhs).map(str::to_owned));
                    }
                    Some(node) => {
                        if let Some((name, variables)) = captures(node) {
                            captured.extend(variables.iter().filter_map(root).map(str::to_owned));
                            counts.insert(name, variables.len());
                        }
                    }
                    None => {}
                }
                true
            });
            for (.., name, _, function) in libraries[0].iter_script_fn_info() {
                let first_own = counts.get(name).copied().unwrap_or_default();
                let own = function.params.iter().skip(first_own);
                declared.extend(own.map(ToString::to_string));
                let written = written(&libraries, function).into_iter().filter(|at| *at < first_own);
                written_inside.extend(written.filter_map(|at| Some(function.params.get(at)?.to_string())));
            }
        }
        let is_fresh = |name: &String| {
            captured.contains(name)
                && !written_inside.contains(name)
                && !(declared.contains(name) && assigned.contains(name))
        };
        Self(of_loops.into_iter().filter(is_fresh).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a closure that takes such a variable gets instead of it: a cell of its own.
    pub(crate) fn own_cell(&self, name: &str, scope: &mut Scope) -> Option<Dynamic> {
        if !self.0.iter().any(|known| known == name) {
            return None;
        }
        let variable = scope.get_mut(name)?;
        // The engine shares a variable just before a closure takes it, so this is the closure's access.
        if !variable.is_shared() || variable.tag() == OWN_CELL {
            return None;
        }
        let value = variable.flatten_clone();
        *variable = value.clone();
        Some(own_cell(value))
    }
}
