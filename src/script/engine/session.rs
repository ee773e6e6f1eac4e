//! A session: lines that are evaluated one after another and share variables, functions, imports and constants.
//!
//! Each line has an environment and an engine of its own, as a run has; what stays is in the scope, in one growing
//! program of functions, and in the imports and constants that are made known again before each line. Must never know
//! terminals, nor whether a line is recorded.

use super::{
    display::{PAGE_ROWS, Rendered, Variable, show_value, variable},
    engine::build,
    explain::explain,
};
use crate::base::lock;
use crate::script::{
    audience::audience::Audience,
    host::{
        env::RunEnv,
        error::{ScriptError, ScriptFailure},
    },
    source::{
        parse::called,
        program::{Earlier, Imports, Program, Text},
    },
};
use crate::store::{EffectKind, TerminalKind};
use rhai::{
    AST, ASTFlags, ASTNode, Dynamic, Engine, EvalAltResult, Expr, Module, ModuleResolver, Position, Scope,
    Shared, Stmt,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

/// What gives a line its constants again.
const CONSTANT: &str = "constant_of_session";

/// The variable that holds the last result.
const LAST: &str = "it";

/// Levels of arrays and maps in which audiences are looked for.
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
    /// The texts that declare them, by their names.
    declared: BTreeMap<String, Arc<Text>>,
    /// The texts of imports, by their paths.
    texts: BTreeMap<String, Arc<Text>>,
    /// Paths and names, in order.
    imports: Vec<(String, String)>,
    constants: BTreeMap<String, Dynamic>,
    /// The lines that succeeded, in order, with their numbers.
    lines: Vec<(usize, String)>,
}

/// The session before a line.
struct Snapshot {
    state: State,
    /// The values of variables that closures share.
    shared: Vec<(Dynamic, Dynamic)>,
    /// The number of the next line: results from it on are dropped at a rollback.
    next: usize,
}

/// Lines that share what they make.
pub struct Session {
    state: State,
    /// The session before each of the last lines, oldest first.
    snapshots: Vec<Snapshot>,
    modules: Arc<Imports>,
    /// What lines have given, by their numbers.
    results: Arc<Mutex<BTreeMap<usize, Dynamic>>>,
    /// How many lines there were.
    count: usize,
    /// Rows of a long list that are shown at once.
    at_once: usize,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            state: State::default(),
            snapshots: Vec::new(),
            modules: Arc::default(),
            results: Arc::default(),
            count: 0,
            at_once: PAGE_ROWS,
        }
    }
}

/// Finds what lines have imported, in this session's folder.
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
    /// Whether it may change the account, as far as can be seen from the names that it calls.
    #[must_use]
    pub fn may_write(&self, session: &Session) -> bool {
        let mut names = called(&self.program.ast);
        if names.is_empty() {
            return false;
        }
        // What its functions call counts, those of earlier lines too.
        names.extend(called(&session.state.functions));
        let writes = crate::api::all().into_iter().filter(|spec| spec.kind == crate::api::CallKind::Write);
        let mut writes: BTreeSet<&str> = writes.filter_map(|spec| spec.name.rsplit("::").next()).collect();
        writes.extend(TerminalKind::ALL.iter().filter(|kind| kind.is_change()).map(|kind| kind.as_str()));
        writes.extend([EffectKind::RestoreTagName, EffectKind::DeleteTagIfEmpty].map(EffectKind::as_str));
        writes.extend(["post", "eval", "call"]);
        // What imports and closures call can't be seen from here.
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
    /// Reads the next line; one that comes from a file is named after that.
    ///
    /// # Errors
    /// When it is no script, or imports what can't be read.
    pub fn read(&mut self, text: &str, file: Option<&str>, folder: &Path) -> Result<Line, ScriptFailure> {
        let number = self.count + 1;
        let name = file.map_or_else(|| format!("line {number}"), str::to_owned);
        let mut program = Program::of_line(&name, text, folder)?;
        program.earlier =
            Earlier { functions: self.prior_functions(&program.ast), imports: self.state.texts.clone() };
        // What the line imports itself is as it is now.
        program.earlier.imports.retain(|path, _| !program.imports.iter().any(|import| import.path == *path));
        self.count = number;
        Ok(Line { program, number })
    }

    /// The functions that a line with these of its own finds in earlier texts.
    fn prior_functions(&self, own: &AST) -> BTreeMap<String, Option<Arc<Text>>> {
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

    /// Evaluates a line on this thread, which must be its own and have a stack of [`crate::script::STACK`] bytes. What it has
    /// made stays, whatever became of the rest of it.
    ///
    /// # Errors
    /// When it fails or is stopped.
    pub fn evaluate(&mut self, line: &Line, env: &Arc<RunEnv>) -> Result<Rendered, ScriptFailure> {
        self.modules.add(&line.program);
        self.state.texts.extend(line.program.texts_of_imports());
        self.rebind(env);
        let engine = Arc::new(self.engine(env));
        let _ = env.engine.set(Arc::downgrade(&engine));
        let fail = |error: &EvalAltResult| explain(error, &engine, &line.program);
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
        let text = Arc::new(line.program.as_text());
        let declared = names_of_functions(&line.program.ast);
        self.state.declared.extend(declared.into_iter().map(|name| (name, Arc::clone(&text))));
        self.collect_scope(&line.program.ast, mark, pushed);
        let value = result.map_err(|error| fail(&error))?;
        for import in imports_of(&line.program.ast) {
            self.state.imports.retain(|known| *known != import);
            self.state.imports.push(import);
        }
        self.state.lines.push((line.number, line.text().to_owned()));
        if value.is_unit() {
            return Ok(Rendered::Nothing);
        }
        lock(&self.results).insert(line.number, value.clone());
        // A name that is taken again takes the place of the last one.
        self.state.scope.push_dynamic(LAST, value.clone());
        self.collect_scope(&AST::empty(), self.state.scope.len(), 0);
        Ok(show_value(&engine, &value, self.at_once))
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
            // A variable takes the name over from a constant.
            state.constants.remove(&name);
            state.scope.push_dynamic(name, value);
        }
    }

    /// Gives audiences of earlier lines the environment of this line, which runs them.
    fn rebind(&mut self, env: &Arc<RunEnv>) {
        let entries = entries(&self.state.scope);
        for value in self.state.constants.values_mut().chain(lock(&self.results).values_mut()) {
            rebind(value, env, LEVELS);
        }
        self.state.scope.clear();
        for (name, _, mut value) in entries {
            rebind(&mut value, env, LEVELS);
            self.state.scope.push_dynamic(name, value);
        }
    }

    /// Remembers how everything is before a line, for [`Session::restore`]; says how many times that can go back now.
    pub fn remember(&mut self, next: usize) -> usize {
        let entries = entries(&self.state.scope);
        // A large session keeps one snapshot only.
        let size: usize = entries.iter().map(|(_, _, value)| size_of(value, LEVELS)).sum();
        let most = if size > LARGE { 1 } else { MAX_SNAPSHOTS };
        let shared = entries.into_iter().filter(|(_, _, value)| value.is_shared());
        let shared = shared.map(|(_, _, value)| (value.clone(), value.flatten_clone())).collect();
        self.snapshots.push(Snapshot { state: self.state.clone(), shared, next });
        let surplus = self.snapshots.len().saturating_sub(most);
        self.snapshots.drain(..surplus);
        self.snapshots.len()
    }

    /// Restores the last snapshot; `false` if there is none left.
    pub fn restore(&mut self) -> bool {
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

    /// Forgets everything but the numbers of lines.
    pub fn reset(&mut self) {
        *self = Self { count: self.count, at_once: self.at_once, ..Self::default() };
    }

    /// From now on values are shown whole.
    pub fn show_whole(&mut self) {
        self.at_once = usize::MAX;
    }

    /// How many lines there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The lines that did what they should, with their numbers, and whether they gave something.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let results = lock(&self.results).keys().copied().collect::<BTreeSet<usize>>();
        let lines = self.state.lines.iter();
        lines.map(move |(number, text)| (*number, text.as_str(), results.contains(number)))
    }

    /// The variables and constants, in order.
    #[must_use]
    pub fn variables(&self) -> Vec<Variable> {
        let variables = entries(&self.state.scope);
        let variables = variables.iter().map(|(name, _, value)| variable(name, value, false));
        let constants = self.state.constants.iter().map(|(name, value)| variable(name, value, true));
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

    /// What was imported: paths, and the names by which they can be reached.
    #[must_use]
    pub fn imports(&self) -> &[(String, String)] {
        &self.state.imports
    }

    /// The last line that declares a function of this name.
    #[must_use]
    pub fn source_of(&self, name: &str) -> Option<&str> {
        self.state.declared.get(name).map(|text| text.text.as_str())
    }

    /// The last result, for more of it.
    #[must_use]
    pub fn last(&self) -> Option<Dynamic> {
        lock(&self.results).last_key_value().map(|(_, value)| value.clone())
    }
}

/// What is in a scope, in order; the engine gives it the other way round.
fn entries(scope: &Scope) -> Vec<(String, bool, Dynamic)> {
    let mut entries: Vec<_> = scope
        .iter_raw()
        .map(|(name, is_constant, value)| (name.to_owned(), is_constant, value.clone()))
        .collect();
    entries.reverse();
    entries
}

fn rebind(value: &mut Dynamic, env: &Arc<RunEnv>, levels: usize) {
    if levels == 0 {
        return;
    }
    if let Some(mut audience) = value.write_lock::<Audience>() {
        audience.env = Arc::clone(env);
        return;
    }
    if let Some(mut array) = value.write_lock::<rhai::Array>() {
        // An array of followers or numbers holds none: its first entry tells.
        if array.first().is_some_and(|first| first.is::<Audience>() || first.is_array() || first.is_map()) {
            array.iter_mut().for_each(|value| rebind(value, env, levels - 1));
        }
        return;
    }
    if let Some(mut map) = value.write_lock::<rhai::Map>() {
        map.values_mut().for_each(|value| rebind(value, env, levels - 1));
    }
}

/// How many values a value holds.
fn size_of(value: &Dynamic, levels: usize) -> usize {
    if levels == 0 {
        return 1;
    }
    if let Some(array) = value.read_lock::<rhai::Array>() {
        // Those of a list are much alike: its first entry tells.
        return 1 + array.len() * array.first().map_or(0, |first| size_of(first, levels - 1));
    }
    let map = value.read_lock::<rhai::Map>();
    1 + map.map_or(0, |map| map.values().map(|value| size_of(value, levels - 1)).sum())
}

fn names_of_functions(ast: &AST) -> BTreeSet<String> {
    ast.iter_functions().map(|function| function.name.to_string()).collect()
}

/// The constants that a line declares by itself, not within a block.
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

/// The imports of a line by itself, with the names that they get.
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
