//! Calls: functions that do not exist, or not with that number of arguments.

use super::{
    file::{File, Problem, literal},
    observed::CallStyle,
};
use crate::{
    base::closest_match,
    script::{
        engine::reference::known_functions,
        host::catalog::Function,
        source::{
            body::{Body, Node, bodies},
            program::Program,
            syntax_error::hint_for_function,
        },
    },
};
use rhai::{AST, Expr, FnCallExpr, Position, Stmt};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// Functions that are built into the engine, which its metadata does not list.
const KEYWORDS: [&str; 10] =
    ["print", "debug", "type_of", "eval", "Fn", "call", "curry", "is_shared", "is_def_fn", "is_def_var"];

/// The problems of a file; `keys` are those of the whole program.
pub(super) fn check(file: &File, keys: &BTreeSet<String>) -> Vec<Problem> {
    let known = Rc::new(Known::new(file));
    let mut problems = Vec::new();
    let mut calls_eval = false;
    for body in bodies(file.ast) {
        body.walk(&mut |node| {
            let (call, style, position) = match node {
                Node::Expr(Expr::FnCall(call, position)) | Node::Stmt(Stmt::FnCall(call, position)) => {
                    (call, CallStyle::Plain, *position)
                }
                Node::Expr(Expr::MethodCall(call, position)) => (call, CallStyle::Method, *position),
                _ => return,
            };
            calls_eval |= call.name == "eval";
            if call.op_token.is_none() && !KEYWORDS.contains(&call.name.as_str()) {
                problems.extend(known.problem(file, keys, call, style, position));
            }
        });
    }
    // `eval` may define functions that the check doesn't see.
    if calls_eval { Vec::new() } else { problems }
}

/// What can be called from a file.
struct Known {
    /// Functions of the engine, those of its modules too.
    functions: &'static [Function],
    /// Functions of the file: name and number of parameters.
    own: BTreeSet<(String, usize)>,
    /// The same of the imports, by the names that the file gives them.
    imports: BTreeMap<String, BTreeSet<(String, usize)>>,
    /// Variables and parameters, which may hold a closure.
    variables: BTreeSet<String>,
}

impl Known {
    fn new(file: &File) -> Self {
        let mut imports: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
        let mut variables = BTreeSet::new();
        for body in bodies(file.ast) {
            variables.extend(body.parameters.iter().cloned());
            body.walk(&mut |node| match node {
                Node::Stmt(Stmt::Import(import, _)) => {
                    let target = literal(&import.0)
                        .and_then(|path| file.program.imports.iter().find(|import| import.path == path));
                    // Two functions may give two imports one name.
                    let functions = target.map(|import| public(&import.ast)).unwrap_or_default();
                    imports.entry(import.1.name.to_string()).or_default().extend(functions);
                }
                Node::Stmt(Stmt::Var(variable, ..)) => {
                    variables.insert(variable.0.name.to_string());
                }
                _ => {}
            });
        }
        Self { functions: known_functions(), own: own(file.ast), imports, variables }
    }

    fn problem(
        self: &Rc<Self>,
        file: &File,
        keys: &BTreeSet<String>,
        call: &FnCallExpr,
        style: CallStyle,
        position: Position,
    ) -> Option<Problem> {
        let name = call.name.as_str();
        let namespace: Vec<&str> = call.namespace.path.iter().map(|part| part.name.as_str()).collect();
        let given = call.args.len();
        if let [module] = namespace.as_slice() {
            return self.problem_in_module(file, module, name, given, position);
        }
        let may_be_held =
            matches!(style, CallStyle::Method) && (keys.contains(name) || self.variables.contains(name));
        if !namespace.is_empty() || may_be_held {
            return None;
        }
        // A native method counts what it is called on; a script's function has it as `this`.
        let native = match style {
            CallStyle::Plain => given,
            CallStyle::Method => given + 1,
        };
        let global = || self.functions.iter().filter(|function| function.namespace.is_empty());
        let is_known = global().any(|function| function.name == name && function.arguments == native)
            || self.own.contains(&(name.to_owned(), given));
        if is_known {
            return None;
        }
        let shapes: BTreeSet<String> = global()
            .filter(|function| function.name == name)
            .map(|function| function.signature.clone())
            .chain(
                self.own
                    .iter()
                    .filter(|(own, _)| own == name)
                    .map(|(own, count)| format!("{own} with {count}")),
            )
            .collect();
        if shapes.is_empty() && self.variables.contains(name) {
            let hint = format!("if the variable holds a closure, write {name}.call(…)");
            return Some(Problem::new(file, position, format!("there is no function `{name}`"), Some(hint)));
        }
        Some(self.describe(file, position, Callee { module: None, name, given }, &shapes))
    }

    fn problem_in_module(
        self: &Rc<Self>,
        file: &File,
        module: &str,
        name: &str,
        given: usize,
        position: Position,
    ) -> Option<Problem> {
        let callee = Callee { module: Some(module), name, given };
        if let Some(functions) = self.imports.get(module) {
            if functions.contains(&(name.to_owned(), given)) {
                return None;
            }
            let shapes: BTreeSet<String> = functions
                .iter()
                .filter(|(own, _)| own == name)
                .map(|(own, count)| format!("{module}::{own} with {count}"))
                .collect();
            return Some(self.describe(file, position, callee, &shapes));
        }
        let inside: Vec<&Function> =
            self.functions.iter().filter(|function| function.namespace == module).collect();
        if inside.is_empty() {
            let message = format!("there is no module `{module}`");
            let (known, module, name) = (Rc::clone(self), module.to_owned(), name.to_owned());
            return Some(Problem::hinted_later(file, position, message, move || {
                let near = closest_match(&module, known.modules())?;
                Some(format!("did you mean `{near}::{name}`?"))
            }));
        }
        if inside.iter().any(|function| function.name == name && function.arguments == given) {
            return None;
        }
        let shapes: BTreeSet<String> = inside
            .iter()
            .filter(|function| function.name == name)
            .map(|function| format!("{module}::{}", function.signature))
            .collect();
        Some(self.describe(file, position, callee, &shapes))
    }

    /// A call of what does not exist, or not with these arguments: `shapes` are those that it has.
    fn describe(
        self: &Rc<Self>,
        file: &File,
        position: Position,
        callee: Callee,
        shapes: &BTreeSet<String>,
    ) -> Problem {
        let Callee { module, name, given } = callee;
        let whole = module.map_or_else(|| name.to_owned(), |module| format!("{module}::{name}"));
        if shapes.is_empty() {
            let (known, module, name) = (Rc::clone(self), module.map(str::to_owned), name.to_owned());
            let message = format!("there is no function `{whole}`");
            return Problem::hinted_later(file, position, message, move || {
                hint_for_function(&name).or_else(|| {
                    let near = closest_match(&name, known.functions_of(module.as_deref()))?;
                    let module = module.map(|module| format!("{module}::")).unwrap_or_default();
                    Some(format!("did you mean `{module}{near}`?"))
                })
            });
        }
        let arguments = if given == 1 { "argument" } else { "arguments" };
        let message = format!("`{whole}` can't be called with {given} {arguments}");
        Problem::new(file, position, message, Some(format!("it is {}", either(shapes))))
    }

    /// The names of modules.
    fn modules(&self) -> impl Iterator<Item = &str> {
        let modules = self.functions.iter().map(|function| function.namespace.as_str());
        modules.chain(self.imports.keys().map(String::as_str)).filter(|module| !module.is_empty())
    }

    /// The names of the functions of a module, or of those without one.
    fn functions_of(&self, module: Option<&str>) -> Vec<&str> {
        let own = match module {
            Some(module) => self.imports.get(module),
            None => Some(&self.own),
        };
        let native =
            self.functions.iter().filter(|function| function.namespace == module.unwrap_or_default());
        // An import's name hides a module of the engine.
        let native =
            native.filter(|_| module.is_none() || own.is_none()).map(|function| function.name.as_str());
        native.chain(own.into_iter().flatten().map(|(own, _)| own.as_str())).collect()
    }
}

/// What a call names.
#[derive(Clone, Copy)]
struct Callee<'a> {
    module: Option<&'a str>,
    name: &'a str,
    /// How many arguments it has.
    given: usize,
}

/// Names that may be a map's key with a closure in it, so that `map.name(…)` calls that: keys that are written out, and every
/// text, in all files of a program, for a map may come from another one.
pub(super) fn keys_of(program: &Program) -> BTreeSet<String> {
    program.asts().flat_map(bodies).flat_map(|body| keys(&body)).collect()
}

fn either(shapes: &BTreeSet<String>) -> String {
    shapes.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
}

/// Names in a body that may be keys of maps.
pub(super) fn keys(body: &Body) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    body.walk(&mut |node| match node {
        Node::Expr(Expr::Map(map, _)) => keys.extend(map.0.iter().map(|(key, _)| key.name.to_string())),
        // `map.name = |x| …`
        Node::Expr(Expr::Property(property, _)) => {
            keys.insert(property.2.to_string());
        }
        // `map["name"] = |x| …`, `map.set("name", |x| …)`
        Node::Expr(Expr::StringConstant(text, _)) => {
            keys.insert(text.to_string());
        }
        _ => {}
    });
    keys
}

/// The functions that a file defines itself.
pub(super) fn own(ast: &AST) -> BTreeSet<(String, usize)> {
    ast.iter_functions().map(|function| (function.name.to_owned(), function.params.len())).collect()
}

/// Those of them that an import gives.
fn public(ast: &AST) -> BTreeSet<(String, usize)> {
    let public = ast.iter_functions().filter(|function| function.access.is_public());
    public.map(|function| (function.name.to_owned(), function.params.len())).collect()
}
