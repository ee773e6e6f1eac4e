//! Variables that grow by what they hold themselves: `s += s`, ``s = `${s}${s}` ``, `let t = s; s += t`. Thirty such steps take
//! all the memory that there is.
//!
//! The engine adds texts, lists and blobs by functions of its own. To replace them made loops 17 to 68 per cent slower (measured);
//! with a limit of its own it measures a whole list at each `push`. So the length of such a variable is looked at when it is
//! accessed. That costs up to a third of a loop's time, so no other variable is looked at: one that grows by something else takes
//! the memory step by step.

use rhai::{AST, ASTNode, Expr, Stmt, Token};
use std::collections::{BTreeMap, BTreeSet};

/// The names of such variables in a program.
pub(crate) struct GrowingVariables(BTreeSet<String>);

impl GrowingVariables {
    pub(crate) fn of<'a>(asts: impl Iterator<Item = &'a AST>) -> Self {
        let mut flow = Flow::default();
        for ast in asts {
            ast.walk(&mut |path: &[ASTNode]| {
                if let Some(ASTNode::Stmt(statement)) = path.last() {
                    flow.add(statement);
                }
                true
            });
        }
        let grows = flow.additions.iter().filter(|(name, added)| flow.reaches(added, name));
        Self(grows.map(|(name, _)| name.clone()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// Which variables get their values from which. Names are compared, not variables.
#[derive(Default)]
struct Flow {
    sources: BTreeMap<String, BTreeSet<String>>,
    /// What is added to variables.
    additions: Vec<(String, BTreeSet<String>)>,
}

impl Flow {
    fn add(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Var(variable, ..) => self.set(&variable.0.name, variable_names(&variable.1)),
            Stmt::Assignment(assignment) => {
                let (Expr::Variable(variable, ..), given) = (&assignment.1.lhs, &assignment.1.rhs) else {
                    return;
                };
                let (name, mut names) = (variable.1.as_str(), variable_names(given));
                self.set(name, names.clone());
                match assignment.0.get_op_assignment_info() {
                    Some((.., Token::Plus, _)) => {}
                    None if is_addition(given) => {
                        // `s = s + x` adds `x`.
                        if let Some(own) = names.iter().position(|known| known == name) {
                            names.remove(own);
                        }
                    }
                    _ => return,
                }
                if !is_number(given) {
                    self.additions.push((name.to_owned(), names.into_iter().collect()));
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, name: &str, sources: Vec<String>) {
        self.sources.entry(name.to_owned()).or_default().extend(sources);
    }

    /// Whether one of these names may hold what the variable `name` has held.
    fn reaches(&self, from: &BTreeSet<String>, name: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = from.iter().collect();
        while let Some(next) = open.pop() {
            if next == name {
                return true;
            }
            if seen.insert(next) {
                open.extend(self.sources.get(next).into_iter().flatten());
            }
        }
        false
    }
}

/// The variables in an expression, each as often as it is there.
fn variable_names(expr: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    expr.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(Expr::Variable(variable, ..))) = path.last() {
            names.push(variable.1.to_string());
        }
        true
    });
    names
}

/// `a + b`, `` `${a}…` ``
fn is_addition(expr: &Expr) -> bool {
    match expr {
        Expr::FnCall(call, _) => call.op_token == Some(Token::Plus),
        Expr::InterpolatedString(..) => true,
        _ => false,
    }
}

/// Whether an expression gives a number, whatever its variables hold: only `+` and `-` are for texts too.
fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::IntegerConstant(..) | Expr::FloatConstant(..) => true,
        Expr::FnCall(call, _) => match &call.op_token {
            Some(Token::Multiply | Token::Divide | Token::Modulo | Token::PowerOf) => true,
            Some(Token::Plus | Token::Minus) => call.args.iter().any(is_number),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::source::parse::lenient_parser;

    fn growing(text: &str) -> Vec<String> {
        let ast = lenient_parser().compile(text).expect(text);
        GrowingVariables::of(std::iter::once(&ast)).0.into_iter().collect()
    }

    #[test]
    fn variable_that_adds_itself_is_found() {
        for text in [
            "let s = 甲; loop { s += s; }",
            "let s = 甲; loop { s = s + s; }",
            "let s = 甲; loop { s = `${s}，${s}`; }",
            "let s = 甲; loop { let t = s; s += t; }",
            "fn f(s) { loop { s += s } }",
            "let f = |s| { loop { s += s } };",
        ] {
            assert_eq!(growing(text), ["s"], "{text}");
        }
    }

    #[test]
    fn variable_that_adds_something_else_costs_nothing() {
        for text in [
            "let s = \"\"; for x in 名单 { s += x; }",
            "let s = \"\"; for x in 名单 { s = s + x; }",
            "let s = \"\"; for x in 名单 { s = `${s}${x}`; }",
            "let n = 0; let i = 0; loop { n += i * 2; i += 1; }",
            "let n = 1; loop { n = n + n * 2; }",
        ] {
            assert_eq!(growing(text), Vec::<String>::new(), "{text}");
        }
    }
}
