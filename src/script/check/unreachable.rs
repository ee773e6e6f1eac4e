//! Statements behind a `return`, `throw`, `break` or `continue` of their block, which never run.

use super::file::{File, Problem};
use crate::script::source::body::{Node, bodies};
use rhai::{ASTFlags, Expr, Position, Stmt};

pub(super) fn check(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    for body in bodies(file.ast) {
        problems.extend(in_block(file, &body.statements));
        body.walk(&mut |node| match node {
            Node::Stmt(Stmt::Block(block)) | Node::Expr(Expr::Stmt(block)) => {
                problems.extend(in_block(file, block.statements()));
            }
            Node::Stmt(Stmt::If(flow, _) | Stmt::TryCatch(flow, _)) => {
                problems.extend(in_block(file, flow.body.statements()));
                problems.extend(in_block(file, flow.branch.statements()));
            }
            Node::Stmt(Stmt::While(flow, _) | Stmt::Do(flow, ..)) => {
                problems.extend(in_block(file, flow.body.statements()));
            }
            Node::Stmt(Stmt::For(of, _)) => problems.extend(in_block(file, of.2.body.statements())),
            _ => {}
        });
    }
    problems
}

/// The first statement of a block that is never reached.
fn in_block(file: &File, statements: &[Stmt]) -> Option<Problem> {
    let at = statements.iter().position(|statement| ending(statement).is_some())?;
    let (word, line) = ending(&statements[at])?;
    let next = statements[at + 1..].iter().find(|statement| !matches!(statement, Stmt::Noop(_)))?;
    let line = line.map(|line| format!(" of line {line}")).unwrap_or_default();
    let message = format!("this is never reached: `{word}`{line} comes before it");
    let hint = "remove it, or move it before that; to keep it for later, comment it out with /* … */";
    Some(Problem::new(file, begin(next), message, Some(hint.to_owned())))
}

/// The word by which a statement always ends its block, and its line.
fn ending(statement: &Stmt) -> Option<(&'static str, Option<usize>)> {
    match statement {
        Stmt::Return(_, flags, position) => {
            let word = if flags.contains(ASTFlags::BREAK) { "throw" } else { "return" };
            Some((word, position.line()))
        }
        Stmt::BreakLoop(_, flags, position) => {
            let word = if flags.contains(ASTFlags::BREAK) { "break" } else { "continue" };
            Some((word, position.line()))
        }
        Stmt::Block(block) => block.statements().iter().find_map(ending),
        Stmt::If(flow, _) => {
            let then = flow.body.statements().iter().find_map(ending)?;
            flow.branch.statements().iter().find_map(ending).map(|_| then)
        }
        _ => None,
    }
}

/// Where a statement begins.
fn begin(statement: &Stmt) -> Position {
    match statement {
        Stmt::Expr(expr) => expr.start_position(),
        Stmt::Assignment(assignment) => assignment.1.lhs.start_position(),
        statement => statement.position(),
    }
}
