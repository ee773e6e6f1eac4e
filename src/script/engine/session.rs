//! A session: lines that are evaluated one after another and share variables, functions, imports and constants.
//!
//! Each line has an environment and an engine of its own, as a run has. From line to line persist the scope, the functions
//! (merged into one AST), and the imports and constants, which a prelude declares again before each line. Must never know
//! terminals, nor whether a line is recorded.

use super::{
    display::{PAGE_ROWS, Rendered, Variable, constant, show_value, variable},
    engine::build,
    explain::explain,
    variables::watch_variables,
};
use crate::{
    api,
    base::{Redactor, lock},
    bulk::BatchedCalls,
    script::{
        audience::audience::Audience,
        host::{
            env::RunEnv,
            error::{ScriptError, ScriptFailure},
            modules::RAW_API,
        },
        source::{
            named_source::NamedSource,
            parse::{called_names, calls},
            program::{Imports, PriorDeclarations, Program},
        },
        writes::compensations::COMPENSATIONS,
    },
    store::TerminalKind,
};
use rhai::{
    AST, ASTFlags, ASTNode, Dynamic, Engine, EvalAltResult, Expr, Module, ModuleResolver, Position, Scope,
    Shared, Stmt,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

/// The function by which the prelude of a line gets the value of an earlier line's constant.
const CONSTANT: &str = "constant_of_session";

/// The variable that holds the last result.
const LAST: &str = "it";

/// Maximum depth of nested arrays and maps in which audiences are searched.
const LEVELS: usize = 16;

/// How many lines can be undone, one after another.
const MAX_SNAPSHOTS: usize = 20;

/// A session whose variables hold more values than this keeps a snapshot of the last line only.
const LARGE: usize = 100_000;

/// What a line can use from earlier lines.
#[derive(Clone, Default)]
struct State {
    scope: Scope<'static>,
    functions: AST,
    /// The source that declares each function, by its name.
    declared: BTreeMap<String, Arc<NamedSource>>,
    /// The sources of imports, by their paths.
    import_sources: BTreeMap<String, Arc<NamedSource>>,
    /// The paths and names of imports, in order.
    imports: Vec<(String, String)>,
    constants: BTreeMap<String, Dynamic>,
    /// The lines that succeeded, in order, with their numbers.
    lines: Vec<(usize, String)>,
}

/// The state of the session before a line.
struct Snapshot {
    state: State,
    /// Variables that closures share, each with its value at that time: the shared cell itself changes later.
    shared: Vec<(Dynamic, Dynamic)>,
    /// The number of the next line: results from it on are dropped at a rollback.
    next: usize,
}

/// Lines that share variables, functions, imports and constants.
pub struct Session {
    state: State,
    /// A snapshot before each of the last lines, oldest first.
    snapshots: Vec<Snapshot>,
    modules: Arc<Imports>,
    /// The results of lines, by their numbers.
    results: Arc<Mutex<BTreeMap<usize, Dynamic>>>,
    /// How many lines there were.
    count: usize,
    /// Rows of a long list that are shown at once.
    max_rows: usize,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            state: State::default(),
            snapshots: Vec::new(),
            modules: Arc::default(),
            results: Arc::default(),
            count: 0,
            max_rows: PAGE_ROWS,
        }
    }
}

/// The module resolver for the imports of this session's lines.
struct Modules(Arc<Imports>);

impl ModuleResolver for Modules {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        self.0.resolve(engine, source, path, position)
    }
}

/// A line that is ready to be evaluated.
pub struct Line {
    program: Program,
    number: usize,
}

impl Line {
    /// Whether it may change the account, judging by the names of the functions that it calls.
    #[must_use]
    pub fn may_write(&self, session: &Session) -> bool {
        let mut names = called_names(&self.program.ast);
        if names.is_empty() {
            return false;
        }
        // Calls in functions count as well, those of earlier lines included.
        names.extend(called_names(&session.state.functions));
        let is_raw_get = |ast: &AST| {
            calls(ast).iter().any(|(module, name)| module.as_deref() == Some(RAW_API) && name == "get")
        };
        if is_raw_get(&self.program.ast) || is_raw_get(&session.state.functions) {
            return true;
        }
        let writes = api::all().into_iter().filter(|spec| spec.kind == api::CallKind::Write);
        let mut writes: BTreeSet<&str> = writes.filter_map(|spec| spec.name.rsplit("::").next()).collect();
        let changes = TerminalKind::ALL.iter().filter(|kind| BatchedCalls::from_kind(**kind).is_some());
        writes.extend(changes.map(|kind| kind.as_str()));
        writes.extend(COMPENSATIONS);
        writes.extend(["post", "eval", "call"]);
        // The calls of imports are unknown here, so a line with imports may write.
        let is_open = self.program.imports().next().is_some() || !session.state.imports.is_empty();
        is_open || names.iter().any(|name| writes.contains(name.as_str()))
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.program.text()
    }

    /// The line with its imports as text.
    #[must_use]
    pub fn source(&self) -> crate::script::Source {
        self.program.source()
    }
}

impl Session {
    /// Reads and compiles the next line; a text that comes from a file is named after the file.
    ///
    /// # Errors
    /// When it can't be compiled, or an import can't be loaded.
    pub fn read(&mut self, text: &str, file: Option<&str>, folder: &Path) -> Result<Line, ScriptFailure> {
        let number = self.count + 1;
        let name = file.map_or_else(|| format!("line {number}"), str::to_owned);
        let mut program = Program::from_line(&name, text, folder)?;
        program.prior = PriorDeclarations {
            functions: self.prior_functions(&program.ast),
            imports: self.state.import_sources.clone(),
            variables: self.variable_names(),
        };
        // The line's own imports were read just now, and replace those of earlier lines.
        program.prior.imports.retain(|path, _| !program.imports.iter().any(|import| import.path == *path));
        self.count = number;
        Ok(Line { program, number })
    }

    /// The variables and constants of earlier lines.
    fn variable_names(&self) -> BTreeSet<String> {
        let variables = self.state.scope.iter_raw().map(|(name, ..)| name.to_owned());
        variables.chain(self.state.constants.keys().cloned()).collect()
    }

    /// The functions of earlier lines that a line can call, given the functions that it declares itself.
    fn prior_functions(&self, own: &AST) -> BTreeMap<String, Option<Arc<NamedSource>>> {
        let here = names_of_functions(own);
        let shapes = |name: &str| {
            let all = self.state.functions.iter_functions().chain(own.iter_functions());
            let shapes = all.filter(|function| function.name == name).map(|function| function.params.len());
            shapes.collect::<BTreeSet<usize>>().len()
        };
        let mut functions = BTreeMap::new();
        for (name, text) in &self.state.declared {
            if shapes(name) > 1 {
                functions.insert(name.clone(), None);
            } else if !here.contains(name) {
                functions.insert(name.clone(), Some(Arc::clone(text)));
            }
        }
        functions
    }

    /// Evaluates a line on this thread, which must be its own and have a stack of [`crate::script::STACK`] bytes. What it
    /// defines persists even if a later part of it fails.
    ///
    /// # Errors
    /// When it fails or is stopped.
    pub fn evaluate(&mut self, line: &Line, env: &Arc<RunEnv>) -> Result<Rendered, ScriptFailure> {
        self.modules.add(&line.program);
        self.state.import_sources.extend(line.program.import_sources());
        self.rebind_audiences(env);
        let mut engine = self.engine(env);
        let imports = self.modules.asts();
        let asts = [&self.state.functions, &line.program.ast].into_iter().chain(&imports);
        watch_variables(&mut engine, asts);
        let engine = Arc::new(engine);
        let _ = env.engine.set(Arc::downgrade(&engine));
        let fail = |error: &EvalAltResult| explain(error, &engine, &line.program, env);
        let prelude = engine.compile(self.prelude()).map_err(|error| {
            let error: Box<EvalAltResult> = error.into();
            fail(&error)
        })?;
        let all = prelude.merge(&self.state.functions).merge(&line.program.ast);
        let mark = self.state.scope.len();
        let pushed = self.state.constants.len();
        let result: Result<Dynamic, Box<EvalAltResult>> =
            engine.eval_ast_with_scope(&mut self.state.scope, &all);
        self.state.functions = self.state.functions.merge(&line.program.ast.clone_functions_only());
        let source = line.program.named_source();
        let declared = names_of_functions(&line.program.ast);
        self.state.declared.extend(declared.into_iter().map(|name| (name, Arc::clone(&source))));
        self.collect_scope(&line.program.ast, mark, pushed);
        let value = env.unless_ending(result).map_err(|error| fail(&error))?;
        for import in imports_of(&line.program.ast) {
            self.state.imports.retain(|known| *known != import);
            self.state.imports.push(import);
        }
        self.state.lines.push((line.number, line.text().to_owned()));
        if value.is_unit() {
            return Ok(Rendered::Nothing);
        }
        lock(&self.results).insert(line.number, value.clone());
        // `collect_scope` removes the previous variable of this name.
        self.state.scope.push_dynamic(LAST, value.clone());
        self.collect_scope(&AST::empty(), self.state.scope.len(), 0);
        Ok(show_value(&engine, &value, self.max_rows))
    }

    fn engine(&self, env: &Arc<RunEnv>) -> Engine {
        let mut engine = build(env);
        engine.set_module_resolver(Modules(Arc::clone(&self.modules)));
        let constants = self.state.constants.clone();
        engine.register_fn(CONSTANT, move |name: &str| constants.get(name).cloned().unwrap_or_default());
        let results = Arc::clone(&self.results);
        engine.register_fn("out", move |number: i64| -> Result<Dynamic, Box<EvalAltResult>> {
            let results = lock(&results);
            let found = usize::try_from(number).ok().and_then(|number| results.get(&number));
            found.cloned().ok_or_else(|| {
                let have: Vec<String> = results.keys().map(ToString::to_string).collect();
                let hint = match have.as_slice() {
                    [] => "no line has given anything yet".to_owned(),
                    have => format!("lines {} have", have.join(", ")),
                };
                ScriptError::usage(format!("line {number} has given no result"), hint).raise()
            })
        });
        engine
    }

    /// Declares the imports and constants of earlier lines.
    fn prelude(&self) -> String {
        let imports = self.state.imports.iter().map(|(path, name)| format!("import {path:?} as {name};"));
        let constants = self.state.constants.keys();
        let constants = constants.map(|name| format!("const {name} = {CONSTANT}({name:?});"));
        imports.chain(constants).collect::<Vec<_>>().concat()
    }

    /// Collects what a line left in the scope: constants apart, each name once, nothing of the prelude.
    fn collect_scope(&mut self, ast: &AST, mark: usize, pushed: usize) {
        let state = &mut self.state;
        let own = declared_constants(ast);
        let mut kept: Vec<(String, bool, Dynamic)> = Vec::new();
        for (at, entry) in entries(&state.scope).into_iter().enumerate() {
            if !(mark..mark + pushed).contains(&at) {
                kept.retain(|(known, ..)| *known != entry.0);
                kept.push(entry);
            }
        }
        state.scope.clear();
        for (name, is_constant, value) in kept {
            if is_constant && own.contains(&name) {
                state.constants.insert(name, value);
                continue;
            }
            // A variable replaces a constant of the same name.
            state.constants.remove(&name);
            state.scope.push_dynamic(name, value);
        }
    }

    /// Binds audiences of earlier lines to the environment of this line, since this line runs them.
    fn rebind_audiences(&mut self, env: &Arc<RunEnv>) {
        let entries = entries(&self.state.scope);
        for value in self.state.constants.values_mut().chain(lock(&self.results).values_mut()) {
            rebind_value(value, env, LEVELS);
        }
        self.state.scope.clear();
        for (name, _, mut value) in entries {
            rebind_value(&mut value, env, LEVELS);
            self.state.scope.push_dynamic(name, value);
        }
    }

    /// Takes a snapshot before the line `next`, for [`Session::rollback`]; returns the number of snapshots that are kept.
    pub fn snapshot(&mut self, next: usize) -> usize {
        let entries = entries(&self.state.scope);
        // A large session keeps one snapshot only.
        let size: usize = entries.iter().map(|(_, _, value)| size_of(value, LEVELS)).sum();
        let max = if size > LARGE { 1 } else { MAX_SNAPSHOTS };
        let shared = entries.into_iter().filter(|(_, _, value)| value.is_shared());
        let shared = shared.map(|(_, _, value)| (value.clone(), value.flatten_clone())).collect();
        self.snapshots.push(Snapshot { state: self.state.clone(), shared, next });
        let surplus = self.snapshots.len().saturating_sub(max);
        self.snapshots.drain(..surplus);
        self.snapshots.len()
    }

    /// Restores the last snapshot; `false` if there is none left.
    pub fn rollback(&mut self) -> bool {
        let Some(Snapshot { state, shared, next }) = self.snapshots.pop() else { return false };
        for (mut cell, value) in shared {
            if let Some(mut cell) = cell.write_lock::<Dynamic>() {
                *cell = value;
            }
        }
        self.state = state;
        lock(&self.results).retain(|number, _| *number < next);
        true
    }

    /// Clears the session; lines are still numbered from the last one.
    pub fn reset(&mut self) {
        *self = Self { count: self.count, max_rows: self.max_rows, ..Self::default() };
    }

    /// Shows long lists in full from now on.
    pub fn show_whole(&mut self) {
        self.max_rows = usize::MAX;
    }

    /// How many lines there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The lines that succeeded, with their numbers and whether they have a result.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let results = lock(&self.results).keys().copied().collect::<BTreeSet<usize>>();
        let lines = self.state.lines.iter();
        lines.map(move |(number, text)| (*number, text.as_str(), results.contains(number)))
    }

    /// The variables and constants, in order.
    #[must_use]
    pub fn variables(&self, secrets: &Redactor) -> Vec<Variable> {
        let variables = entries(&self.state.scope);
        let variables = variables.iter().map(|(name, _, value)| variable(name, value, secrets));
        let constants = self.state.constants.iter();
        let constants = constants.map(|(name, value)| constant(name, value, secrets));
        constants.chain(variables).collect()
    }

    /// The functions that lines have declared, with their parameters.
    #[must_use]
    pub fn functions(&self) -> Vec<(String, String)> {
        let functions = self.state.functions.iter_functions();
        let mut functions: Vec<(String, String)> = functions
            .filter(|function| !function.name.contains('$'))
            .map(|function| {
                let name = function.name.to_string();
                (name.clone(), format!("{name}({})", function.params.join(", ")))
            })
            .collect();
        functions.sort();
        functions.dedup();
        functions
    }

    /// The imports: paths, and the names that they were given.
    #[must_use]
    pub fn imports(&self) -> &[(String, String)] {
        &self.state.imports
    }

    /// The last line that declares a function of this name.
    #[must_use]
    pub fn source_of(&self, name: &str) -> Option<&str> {
        self.state.declared.get(name).map(|source| &*source.text)
    }

    /// The last result, for `:more`.
    #[must_use]
    pub fn last(&self) -> Option<Dynamic> {
        lock(&self.results).last_key_value().map(|(_, value)| value.clone())
    }
}

/// The entries of a scope in order of declaration; the engine iterates in reverse.
fn entries(scope: &Scope) -> Vec<(String, bool, Dynamic)> {
    let mut entries: Vec<_> = scope
        .iter_raw()
        .map(|(name, is_constant, value)| (name.to_owned(), is_constant, value.clone()))
        .collect();
    entries.reverse();
    entries
}

fn rebind_value(value: &mut Dynamic, env: &Arc<RunEnv>, levels: usize) {
    if levels == 0 {
        return;
    }
    if let Some(mut audience) = value.write_lock::<Audience>() {
        audience.env = Arc::clone(env);
        return;
    }
    if let Some(mut array) = value.write_lock::<rhai::Array>() {
        // The entries of a list are of one kind as a rule, so only the first one is examined.
        if array.first().is_some_and(|first| first.is::<Audience>() || first.is_array() || first.is_map()) {
            array.iter_mut().for_each(|value| rebind_value(value, env, levels - 1));
        }
        return;
    }
    if let Some(mut map) = value.write_lock::<rhai::Map>() {
        map.values_mut().for_each(|value| rebind_value(value, env, levels - 1));
    }
}

/// How many values a value holds.
fn size_of(value: &Dynamic, levels: usize) -> usize {
    if levels == 0 {
        return 1;
    }
    if let Some(array) = value.read_lock::<rhai::Array>() {
        // The entries of a list are alike as a rule, so only the first one is measured.
        return 1 + array.len() * array.first().map_or(0, |first| size_of(first, levels - 1));
    }
    let map = value.read_lock::<rhai::Map>();
    1 + map.map_or(0, |map| map.values().map(|value| size_of(value, levels - 1)).sum())
}

fn names_of_functions(ast: &AST) -> BTreeSet<String> {
    ast.iter_functions().map(|function| function.name.to_string()).collect()
}

/// The constants that a line declares at its top level, not within a block.
fn declared_constants(ast: &AST) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(Stmt::Var(declared, flags, _))] = path
            && flags.contains(ASTFlags::CONSTANT)
        {
            names.insert(declared.0.name.to_string());
        }
        true
    });
    names
}

/// The imports at the top level of a line, with the names that they are given.
fn imports_of(ast: &AST) -> Vec<(String, String)> {
    let mut imports = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(Stmt::Import(import, _))] = path
            && let Expr::StringConstant(path, _) = &import.0
            && !import.1.name.is_empty()
        {
            imports.push((path.to_string(), import.1.name.to_string()));
        }
        true
    });
    imports
}
