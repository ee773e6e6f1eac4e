//! Variables that are used and declared nowhere, of a file that was parsed without refusing them: each with what is in scope
//! there and may have been meant.

use super::{
    body::{Body, Node, bodies},
    closures::{captured_counts, captures},
    foreign_words::{hint_for_word, no_such},
    syntax_error::{DECLARE_IT, hint_for_name, is_source_of_followers, no_variable},
};
use crate::{base::closest_match, script::host::modules::modules};
use rhai::{AST, ASTNode, Expr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// A variable that is declared nowhere.
pub(crate) struct Undeclared {
    pub name: String,
    pub position: Position,
    /// What to write instead.
    pub hint: String,
}

impl Undeclared {
    /// What is wrong, in words.
    pub(crate) fn message(&self) -> String {
        match hint_for_word(&self.name) {
            Some(_) => no_such(&self.name),
            None => no_variable(&self.name),
        }
    }
}

/// The most undeclared variables of a file that are compared with what is in scope there.
const MAX_COMPARED: usize = 100;

/// The undeclared variables of a file, in order. Those after the first hundred have a general hint.
pub(crate) fn undeclared(ast: &AST) -> Vec<Undeclared> {
    let file = DeclaredNames::of(ast);
    let mut found: Vec<(Position, usize, String)> = Vec::new();
    for (number, body) in file.bodies.iter().enumerate() {
        body.walk(&mut |node| {
            let Node::Expr(Expr::Variable(variable, _, position)) = node else { return };
            let name = variable.1.as_str();
            // The parser numbers what is declared; a closure's captures are looked at where it is made.
            let is_known = variable.0.is_some()
                || !variable.2.is_empty()
                || body.parameters.iter().any(|parameter| parameter == name)
                || file.functions.contains(name);
            if !is_known {
                found.push((*position, number, name.to_owned()));
            }
        });
    }
    found.sort();
    found.dedup_by(|a, b| a.0 == b.0);
    let named = |(index, (position, body, name)): (usize, (Position, usize, String))| {
        let is_compared = index < MAX_COMPARED;
        let hint = if is_compared { file.hint(body, &name, position) } else { DECLARE_IT.to_owned() };
        Undeclared { name, position, hint }
    };
    found.into_iter().enumerate().map(named).collect()
}

/// A name that a body declares.
struct Declaration {
    name: String,
    position: Position,
}

/// What the bodies of a file declare.
struct DeclaredNames {
    bodies: Vec<Body>,
    /// The names of its functions, which are values too.
    functions: BTreeSet<String>,
    /// What each body declares.
    declared: Vec<Vec<Declaration>>,
    /// For each closure, by its number, the body that makes it.
    makers: BTreeMap<usize, usize>,
    /// The constants of the top level.
    constants: BTreeSet<String>,
}

impl DeclaredNames {
    fn of(ast: &AST) -> Self {
        let bodies = bodies(ast);
        let functions = ast.iter_functions().filter(|function| !function.name.contains('$'));
        let functions = functions.map(|function| function.name.to_owned()).collect();
        let captured = captured_counts(ast);
        let numbers: BTreeMap<&str, usize> = bodies
            .iter()
            .enumerate()
            .filter_map(|(number, body)| Some((body.name.as_deref()?, number)))
            .collect();
        let mut makers = BTreeMap::new();
        for (maker, body) in bodies.iter().enumerate() {
            body.walk_paths(&mut |path| {
                let Some((closure, _)) = path.last().and_then(captures) else { return };
                makers.extend(numbers.get(closure.as_str()).map(|number| (*number, maker)));
            });
        }
        let declared = bodies.iter().map(|body| {
            let is_own = |name: &str| captured.get(name).copied().unwrap_or_default();
            declarations(body, body.name.as_deref().map_or(0, is_own))
        });
        let constants = bodies.first().map(constants).unwrap_or_default();
        Self { declared: declared.collect(), functions, makers, constants, bodies }
    }

    /// What to write instead of a name in a body.
    fn hint(&self, body: usize, name: &str, position: Position) -> String {
        if is_source_of_followers(name) {
            return format!("did you mean `{name}()`?");
        }
        if let Some(hint) = hint_for_name(name) {
            return hint;
        }
        let in_function = self.bodies[self.outermost(body)].name.is_some();
        if in_function && self.constants.contains(name) {
            return format!("in a function, a constant of the file is global::{name}");
        }
        let of_top = self.declared.first().into_iter().flatten();
        if in_function && of_top.clone().any(|declared| declared.name == name) {
            return "a function sees no variables of the file: give it this one as a parameter".to_owned();
        }
        let in_scope = self.in_scope(body, position);
        if let Some(elsewhere) = in_scope.iter().find(|declared| declared.name == name) {
            let line = elsewhere.position.line().unwrap_or_default();
            return format!("that of line {line} ends with its block: declare it before the block");
        }
        let names = in_scope.iter().map(|declared| declared.name.as_str());
        let functions = self.functions.iter().map(String::as_str);
        if let Some(near) = closest_match(name, names.chain(functions)) {
            return format!("did you mean `{near}`?");
        }
        match closest_match(name, modules()) {
            Some(near) => format!("did you mean `{near}::…`?"),
            None => DECLARE_IT.to_owned(),
        }
    }

    /// The body that is no closure in which a body is made.
    fn outermost(&self, body: usize) -> usize {
        let mut at = body;
        for _ in 0..self.bodies.len() {
            let Some(maker) = self.makers.get(&at) else { break };
            at = *maker;
        }
        at
    }

    /// What is declared before a position: in the body, in those that make it, and in the closure that holds the position.
    fn in_scope(&self, body: usize, position: Position) -> Vec<&Declaration> {
        let mut found: Vec<&Declaration> = Vec::new();
        let mut at = body;
        for _ in 0..self.bodies.len() {
            found.extend(self.declared[at].iter().filter(|declared| declared.position <= position));
            let Some(maker) = self.makers.get(&at) else { break };
            at = *maker;
        }
        // A name that is captured is reported where the closure is made; its parameters have no position.
        let made = self.makers.iter().filter(|(_, maker)| **maker == body).map(|(closure, _)| *closure);
        for closure in made {
            let holds = self.uses(closure).any(|used| used == position);
            found.extend(self.declared[closure].iter().filter(|_| holds));
        }
        found
    }

    /// The positions of the variables that a body uses.
    fn uses(&self, body: usize) -> impl Iterator<Item = Position> {
        let mut positions = Vec::new();
        self.bodies[body].walk(&mut |node| {
            if let Node::Expr(Expr::Variable(_, _, position)) = node {
                positions.push(*position);
            }
        });
        positions.into_iter()
    }
}

/// What a body declares; its first parameters may be captures.
fn declarations(body: &Body, captured: usize) -> Vec<Declaration> {
    let own = body.parameters.iter().skip(captured);
    let mut declared: Vec<Declaration> =
        own.map(|name| Declaration { name: name.clone(), position: Position::NONE }).collect();
    body.walk_paths(&mut |path| {
        let Some(ASTNode::Stmt(statement)) = path.last() else { return };
        let mut add = |name: &str, position: Position| {
            declared.push(Declaration { name: name.to_owned(), position });
        };
        match statement {
            Stmt::Var(variable, ..) => add(&variable.0.name, variable.0.pos),
            Stmt::For(of, _) => {
                add(&of.0.name, of.0.pos);
                if let Some(counter) = &of.1 {
                    add(&counter.name, counter.pos);
                }
            }
            Stmt::TryCatch(flow, _) => {
                if let Expr::Variable(caught, _, position) = &flow.expr {
                    add(&caught.1, *position);
                }
            }
            _ => {}
        }
    });
    declared
}

fn constants(top: &Body) -> BTreeSet<String> {
    let constants = top.statements.iter().filter_map(|statement| match statement {
        Stmt::Var(variable, flags, _) if flags.contains(rhai::ASTFlags::CONSTANT) => {
            Some(variable.0.name.to_string())
        }
        _ => None,
    });
    constants.collect()
}
