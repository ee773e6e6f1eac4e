//! Captured variables that are assigned after their closure was made. Nothing fails then, but the closure sees another value
//! than the one that stands above it.
//!
//! A stage copies what its closure only reads, and shares what it changes; a closure that is kept elsewhere shares all. So
//! two forms are warned of: a stage whose closure changes a variable that is assigned below, and closures that a loop stores
//! while it assigns a variable that they capture.

use super::file::{File, chain};
use crate::{
    base::Diagnostic,
    script::{
        host::{
            catalog::{SOURCES, STAGES},
            stdlib,
        },
        source::{
            body::{Body, bodies},
            closures::{captures, changed_captures},
        },
    },
};
use rhai::{ASTNode, Expr, FnCallExpr, Position, Stmt};

/// Methods that store what they are given.
const STORING: [&str; 3] = ["push", "insert", "set"];

/// The warnings of a file, by their positions.
pub(super) fn warnings(file: &File) -> Vec<Diagnostic> {
    let mut found: Vec<(Position, Diagnostic)> =
        bodies(file.ast).iter().flat_map(|body| Variables::of(file, body).warnings(file)).collect();
    found.sort_by_key(|(position, _)| *position);
    found.into_iter().map(|(_, warning)| warning).collect()
}

/// Where a closure is kept after the statement that makes it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeptIn {
    /// In a stage of an audience that is stored.
    Stage,
    /// In a list or a map.
    Collection,
}

/// A variable that a closure captures which is kept.
struct Capture {
    name: String,
    position: Position,
    kept_in: KeptIn,
    /// Whether the closure changes it.
    is_changed: bool,
    loops: Vec<Position>,
}

/// A declaration of a variable, or an assignment to it.
struct Write {
    name: String,
    position: Position,
    loops: Vec<Position>,
    /// What is written, if it is a literal.
    literal: Option<String>,
}

/// What a body does with its variables. Names are compared, not variables.
#[derive(Default)]
struct Variables {
    captures: Vec<Capture>,
    declarations: Vec<Write>,
    assignments: Vec<Write>,
}

impl Variables {
    fn of(file: &File, body: &Body) -> Self {
        let mut all = Self::default();
        body.walk_paths(&mut |path| all.add(file, path));
        all
    }

    fn add(&mut self, file: &File, path: &[ASTNode]) {
        let Some(node) = path.last() else { return };
        let loops = || path.iter().filter_map(loop_position).collect();
        match node {
            ASTNode::Stmt(Stmt::Var(variable, ..)) => self.declarations.push(Write {
                name: variable.0.name.to_string(),
                position: variable.0.pos,
                loops: loops(),
                literal: literal(&variable.1),
            }),
            ASTNode::Stmt(Stmt::For(of, position)) => {
                let counter = of.1.as_ref().map(|counter| &counter.name);
                let names = std::iter::once(&of.0.name).chain(counter);
                self.declarations.extend(names.map(|name| Write {
                    name: name.to_string(),
                    position: *position,
                    loops: loops(),
                    literal: None,
                }));
            }
            ASTNode::Stmt(Stmt::Assignment(assignment)) => {
                if let Expr::Variable(variable, _, position) = &assignment.1.lhs {
                    let is_plain = assignment.0.get_op_assignment_info().is_none();
                    self.assignments.push(Write {
                        name: variable.1.to_string(),
                        position: *position,
                        loops: loops(),
                        literal: literal(&assignment.1.rhs).filter(|_| is_plain),
                    });
                }
            }
            node => {
                let (Some((closure, variables)), Some(kept_in)) = (captures(node), kept_in(path)) else {
                    return;
                };
                let changed = changed_captures(file.ast, &closure);
                self.captures.extend(variables.iter().enumerate().filter_map(|(at, variable)| {
                    let Expr::Variable(variable, _, position) = variable else { return None };
                    Some(Capture {
                        name: variable.1.to_string(),
                        position: *position,
                        kept_in,
                        is_changed: changed.contains(&at),
                        loops: loops(),
                    })
                }));
            }
        }
    }

    fn warnings(&self, file: &File) -> Vec<(Position, Diagnostic)> {
        self.captures.iter().filter_map(|capture| self.warning(file, capture)).collect()
    }

    fn warning(&self, file: &File, capture: &Capture) -> Option<(Position, Diagnostic)> {
        let name = &capture.name;
        let mut assignments = self.assignments.iter().filter(|write| write.name == *name);
        match capture.kept_in {
            KeptIn::Stage if capture.is_changed => {
                let later = assignments.find(|write| {
                    write.position > capture.position
                        && !self.is_redeclared(capture, write)
                        && !self.is_reset(write)
                })?;
                let line = capture.position.line().unwrap_or_default();
                let message = format!(
                    "`{name}` is assigned after line {line} has made a step whose closure changes it: the step sees the \
                     new value"
                );
                let hint = "let the closure use a variable that nothing else assigns";
                Some((later.position, Diagnostic::new(message).at(file.span_at(later.position)).hint(hint)))
            }
            KeptIn::Stage => None,
            KeptIn::Collection => {
                assignments.find(|write| self.shares_variable_of_loop(capture, write))?;
                let message = format!(
                    "`{name}` is assigned in the loop that stores this closure: every closure of the loop sees its last \
                     value"
                );
                let hint = format!(
                    "copy it in the loop, as in `let now = {name};`, and use the copy in the closure"
                );
                let span = file.span_at(capture.position);
                Some((capture.position, Diagnostic::new(message).at(span).hint(hint)))
            }
        }
    }

    /// Whether another variable of the name is declared between a closure and an assignment.
    fn is_redeclared(&self, capture: &Capture, write: &Write) -> bool {
        let between = capture.position..write.position;
        self.declarations.iter().any(|other| other.name == write.name && between.contains(&other.position))
    }

    /// Whether an assignment gives a variable the value again that it was declared with, as one does with a counter.
    fn is_reset(&self, write: &Write) -> bool {
        write.literal.is_some()
            && self
                .declarations
                .iter()
                .any(|first| first.name == write.name && first.literal == write.literal)
    }

    /// Whether a loop both stores a closure and assigns a variable that it does not declare.
    fn shares_variable_of_loop(&self, capture: &Capture, write: &Write) -> bool {
        capture.loops.iter().filter(|around| write.loops.contains(around)).any(|around| {
            !self
                .declarations
                .iter()
                .any(|declared| declared.name == capture.name && declared.loops.contains(around))
        })
    }
}

/// Where the closure at the end of a path is kept; `None` if it is called at once, or only perhaps kept.
fn kept_in(path: &[ASTNode]) -> Option<KeptIn> {
    let (_, around) = path.split_last()?;
    let is_wrapper = |node: &ASTNode| {
        // What captures variables is a block of its own.
        matches!(node, ASTNode::Expr(Expr::Stmt(_)) | ASTNode::Stmt(Stmt::Expr(_) | Stmt::Share(_)))
    };
    let around = &around[..=around.iter().rposition(|node| !is_wrapper(node))?];
    let call = around.iter().rev().take_while(|node| matches!(node, ASTNode::Expr(_))).find_map(call_of);
    let statement = around.iter().rev().find_map(|node| match node {
        ASTNode::Stmt(statement) => Some(*statement),
        _ => None,
    });
    match (call, statement) {
        (Some(call), _) if STORING.contains(&call.name.as_str()) => Some(KeptIn::Collection),
        (Some(call), statement) if is_stage(call) => {
            let audience = around.iter().find_map(|node| match node {
                ASTNode::Expr(expr @ Expr::Dot(..)) if is_audience(expr) => Some(expr),
                _ => None,
            });
            let is_stored = matches!(statement, Some(Stmt::Var(..) | Stmt::Assignment(_)))
                || around.iter().filter_map(call_of).any(|call| STORING.contains(&call.name.as_str()));
            audience.filter(|_| is_stored).map(|_| KeptIn::Stage)
        }
        (None, Some(Stmt::Assignment(assignment))) => {
            let is_entry = matches!(assignment.1.lhs, Expr::Index(..) | Expr::Dot(..));
            let is_added = assignment.0.get_op_assignment_info().is_some();
            (is_entry || is_added).then_some(KeptIn::Collection)
        }
        _ => None,
    }
}

fn call_of<'a>(node: &ASTNode<'a>) -> Option<&'a FnCallExpr> {
    match node {
        ASTNode::Expr(Expr::MethodCall(call, _) | Expr::FnCall(call, _)) => Some(call),
        _ => None,
    }
}

/// Whether an expression is an audience that no terminal operation reads here.
fn is_audience(expr: &Expr) -> bool {
    let (root, links) = chain(expr);
    let is_source = matches!(root, Expr::FnCall(call, _) if SOURCES.contains(&call.name.as_str()));
    is_source && links.iter().all(|link| matches!(link, Expr::MethodCall(call, _) if is_stage(call)))
}

fn is_stage(call: &FnCallExpr) -> bool {
    STAGES.contains(&call.name.as_str()) || stdlib::is_stage(&call.name, call.args.len())
}

fn loop_position(node: &ASTNode) -> Option<Position> {
    match node {
        ASTNode::Stmt(statement @ (Stmt::While(..) | Stmt::Do(..) | Stmt::For(..))) => {
            Some(statement.position())
        }
        _ => None,
    }
}

/// An expression as text, if it is a literal.
fn literal(expr: &Expr) -> Option<String> {
    let value = expr.get_literal_value(None)?;
    Some(format!("{} {value}", value.type_name()))
}
