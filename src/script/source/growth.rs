//! Variables that grow by what they hold themselves: `s += s`, ``s = `${s}${s}` ``, `let t = s; s += t`, `x = [x, x]`,
//! `x.push(x)`, `m.s += m.s`. Thirty such steps take all the memory that there is.
//!
//! The engine adds texts, lists and blobs by functions of its own. To replace them made loops 17 to 68 per cent slower (measured);
//! with a limit of its own it measures a whole list at each `push`. So the size of such a variable is looked at when it is
//! accessed. That costs up to a third of a loop's time, or as much as the step that copies its parts, so no other variable is
//! looked at: one that grows by something else, or in a function that is given it, takes the memory step by step.

use super::closures::MUTATORS;
use rhai::{AST, ASTNode, Expr, Stmt, Token};
use std::collections::{BTreeMap, BTreeSet};

/// How a variable grows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    /// By what is added at its end.
    InLength,
    /// In its parts.
    InSize,
}

/// The names of such variables in a program.
pub(crate) struct GrowingVariables(BTreeMap<String, Growth>);

impl GrowingVariables {
    pub(crate) fn of<'a>(asts: impl Iterator<Item = &'a AST>) -> Self {
        let mut flow = Flow::default();
        for ast in asts {
            ast.walk(&mut |path: &[ASTNode]| {
                match path.last() {
                    Some(ASTNode::Stmt(statement)) => flow.add(statement),
                    Some(ASTNode::Expr(expr)) => flow.add_call(expr),
                    _ => {}
                }
                true
            });
        }
        let in_length = flow.additions.iter().filter(|(name, added)| flow.reaches(added, name));
        let in_length = in_length.map(|(name, _)| (name.clone(), Growth::InLength));
        let in_size = flow.copied.iter().map(|name| (name.clone(), Growth::InSize));
        Self(in_length.chain(in_size).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn growth(&self, name: &str) -> Option<Growth> {
        self.0.get(name).copied()
    }
}

/// Which variables get their values from which. Names are compared, not variables.
#[derive(Default)]
struct Flow {
    sources: BTreeMap<String, BTreeSet<String>>,
    /// What is added to variables.
    additions: Vec<(String, BTreeSet<String>)>,
    /// Variables that are put into themselves, or a part of which is added to itself.
    copied: BTreeSet<String>,
}

impl Flow {
    fn add(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Var(variable, ..) => self.set(&variable.0.name, variable_names(&variable.1)),
            Stmt::Assignment(assignment) => {
                let given = &assignment.1.rhs;
                let is_added = matches!(assignment.0.get_op_assignment_info(), Some((.., Token::Plus, _)));
                let Expr::Variable(variable, ..) = &assignment.1.lhs else {
                    self.add_part(&assignment.1.lhs, given, is_added);
                    return;
                };
                let least = if is_added { 1 } else { 2 };
                if entries_that_are(&variable.1, given) >= least {
                    self.copied.insert(variable.1.to_string());
                }
                let (name, mut names) = (variable.1.as_str(), variable_names(given));
                self.set(name, names.clone());
                match assignment.0.get_op_assignment_info() {
                    Some(_) if is_added => {}
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

    /// `m.s += m.s`, `m.s = m.s + m.s`, `m.copy = m`
    fn add_part(&mut self, part: &Expr, given: &Expr, is_added: bool) {
        let Some(root) = root(part) else { return };
        let written_part = written(part);
        let mut own = 0;
        given.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
            if let Some(ASTNode::Expr(expr)) = path.last() {
                own += usize::from(written_part.is_some() && written(expr) == written_part);
            }
            true
        });
        let is_copied = match given {
            Expr::Variable(..) => is_variable(given, &root),
            Expr::Array(..) | Expr::Map(..) => entries_that_are(&root, given) > 0,
            given if is_number(given) => false,
            given => is_added && own > 0 || is_addition(given) && own > 1,
        };
        if is_copied {
            self.copied.insert(root);
        }
    }

    /// `x.push(x)`
    fn add_call(&mut self, expr: &Expr) {
        let Expr::Dot(pair, ..) = expr else { return };
        if let (Expr::Variable(variable, ..), Expr::MethodCall(call, _)) = (&pair.lhs, &pair.rhs)
            && MUTATORS.contains(&call.name.as_str())
            && call.args.iter().any(|given| is_variable(given, &variable.1))
        {
            self.copied.insert(variable.1.to_string());
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

/// How many entries of an array or a map that is written out are this variable.
fn entries_that_are(name: &str, expr: &Expr) -> usize {
    let count = |entry: &Expr| usize::from(is_variable(entry, name)) + entries_that_are(name, entry);
    match expr {
        Expr::Array(entries, _) => entries.iter().map(count).sum(),
        Expr::Map(map, _) => map.0.iter().map(|(_, entry)| count(entry)).sum(),
        _ => 0,
    }
}

fn is_variable(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Variable(variable, ..) if variable.1 == name)
}

/// The variable that a part is of.
fn root(part: &Expr) -> Option<String> {
    match part {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root(&pair.lhs),
        _ => None,
    }
}

/// How a part is written, if it is one of a variable by names and constants: `m.s`, `m["s"]`, `list[0]`.
fn written(part: &Expr) -> Option<String> {
    match part {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        Expr::Property(property, _) => Some(property.2.to_string()),
        Expr::StringConstant(key, _) => Some(key.to_string()),
        Expr::IntegerConstant(index, _) => Some(index.to_string()),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
            Some(format!("{}.{}", written(&pair.lhs)?, written(&pair.rhs)?))
        }
        _ => None,
    }
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
        GrowingVariables::of(std::iter::once(&ast)).0.into_keys().collect()
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
            "let s = []; loop { s = [s, s]; }",
            "let s = #{}; loop { s = #{a: s, b: s}; }",
            "let s = []; loop { s += [s]; }",
            "let s = []; loop { s.push(s); }",
            "let s = #{t: 甲}; loop { s.t += s.t; }",
            "let s = #{t: 甲}; loop { s.t = s.t + s.t; }",
            "let s = #{t: 甲}; loop { s[\"t\"] = `${s.t}${s.t}`; }",
            "let s = #{t: 甲}; loop { s.t = s; }",
            "let s = [甲]; loop { s[0] += s[0]; }",
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
            "let m = #{}; for u in 名单 { m[u] = m[u] + 1; m.n += 1; m.t = m.t + u; m.t += u; }",
            "let x = [1]; loop { x = [x]; x = [x.len(), 1]; x.push(1); }",
        ] {
            assert_eq!(growing(text), Vec::<String>::new(), "{text}");
        }
    }
}
