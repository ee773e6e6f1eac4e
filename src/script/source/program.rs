//! A script with everything that it imports, read and compiled before anything runs.

use super::{
    loader::{Import, Loader, read},
    named_source::NamedSource,
    origin::{ImportSource, Origin, Source, parent},
    parse::{compile, lenient_parser, parser},
};
use crate::{
    base::{Diagnostic, SourceSpan, lock},
    script::host::error::{ErrorKind, ScriptFailure},
};
use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// A compiled script.
pub struct Program {
    source: Arc<NamedSource>,
    /// The script itself.
    pub(crate) ast: AST,
    /// Its imports, each before those that import it.
    pub(crate) imports: Vec<Import>,
    /// What earlier lines of the session declare.
    pub(crate) prior: PriorDeclarations,
}

/// What the lines of a session before this one declare, so that an error in it is shown with its source.
#[derive(Default)]
pub(crate) struct PriorDeclarations {
    /// The source of each function; `None` where several have the name, since an error has no more than the name.
    pub functions: BTreeMap<String, Option<Arc<NamedSource>>>,
    /// The sources of imports by their paths.
    pub imports: BTreeMap<String, Arc<NamedSource>>,
    /// The names of variables and constants.
    pub variables: BTreeSet<String>,
}

impl Program {
    /// Reads and compiles a script and its imports.
    ///
    /// # Errors
    /// When a file can't be read or compiled, or imports go out of bounds or in a circle.
    pub fn load(origin: &Origin) -> Result<Self, ScriptFailure> {
        Self::load_with(origin, &parser())
    }

    /// The same of one that may use variables and modules that are not declared, so that all of them are found.
    pub(crate) fn load_leniently(origin: &Origin) -> Result<Self, ScriptFailure> {
        Self::load_with(origin, &lenient_parser())
    }

    fn load_with(origin: &Origin, engine: &Engine) -> Result<Self, ScriptFailure> {
        let folder = origin.folder().unwrap_or_default();
        let (name, text, displayed_folder) = match origin {
            Origin::File { named, path } => {
                let text = read(path).map_err(|reason| {
                    let hint = "give the path of a .rhai script; `-` reads one from standard input";
                    let message = format!("can't read {}: {reason}", named.display());
                    ScriptFailure {
                        diagnostic: Diagnostic::new(message).hint(hint),
                        kind: ErrorKind::Configuration,
                    }
                })?;
                (named.display().to_string(), text, parent(named))
            }
            Origin::Text { name, text, .. } => (name.clone(), text.clone(), PathBuf::from(".")),
            Origin::Recorded(source) => (source.name.clone(), source.text.clone(), PathBuf::new()),
        };
        let recorded = match origin {
            Origin::Recorded(source) => Some(source.imports.as_slice()),
            Origin::File { .. } | Origin::Text { .. } => None,
        };
        let source = NamedSource { name, text: text.into() };
        let ast = compile(engine, &source)?;
        Self::with_imports(source, ast, Loader::new(engine, folder, displayed_folder, recorded))
    }

    /// Reads and compiles a line of a session, which may use variables of earlier lines.
    pub(crate) fn from_line(name: &str, text: &str, folder: &Path) -> Result<Self, ScriptFailure> {
        let source = NamedSource { name: name.to_owned(), text: text.into() };
        let ast = compile(&lenient_parser(), &source)?;
        let engine = parser();
        let loader = Loader::new(&engine, folder.to_owned(), PathBuf::from("."), None);
        Self::with_imports(source, ast, loader)
    }

    fn with_imports(source: NamedSource, ast: AST, loader: Loader) -> Result<Self, ScriptFailure> {
        let imports = loader.load(&source, &ast)?;
        Ok(Self { source: Arc::new(source), ast, imports, prior: PriorDeclarations::default() })
    }

    /// Its own text with its name.
    pub(crate) fn named_source(&self) -> Arc<NamedSource> {
        Arc::clone(&self.source)
    }

    /// The sources of its imports by their paths.
    pub(crate) fn import_sources(&self) -> impl Iterator<Item = (String, Arc<NamedSource>)> {
        self.imports.iter().map(|import| (import.path.clone(), Arc::clone(&import.source)))
    }

    /// Whether a source in an error is an import's path.
    pub(crate) fn is_import(&self, source: &str) -> bool {
        self.prior.imports.contains_key(source) || self.imports.iter().any(|import| import.path == source)
    }

    /// A span of this script, of the import `source`, or of the earlier line that declares `function`.
    pub(crate) fn span_at(
        &self,
        source: Option<&str>,
        function: Option<&str>,
        position: Position,
    ) -> Option<SourceSpan> {
        let prior_import = source.and_then(|source| self.prior.imports.get(source));
        let prior_function =
            || function.and_then(|name| self.prior.functions.get(name)).and_then(Option::as_ref);
        let import = || {
            let source = source?;
            self.imports.iter().find(|import| import.path == source).map(|import| &import.source)
        };
        let source = prior_import.or_else(prior_function).or_else(import).unwrap_or(&self.source);
        source.span_at(position)
    }

    /// The script's own name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// The script's own text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// The text of the script, or of the import of this path.
    pub(crate) fn text_of(&self, path: Option<&str>) -> Option<&str> {
        self.source_of(path).map(|source| &*source.text)
    }

    /// The script, or its import of this path, as a text with its name.
    pub(crate) fn source_of(&self, path: Option<&str>) -> Option<&Arc<NamedSource>> {
        let Some(path) = path else { return Some(&self.source) };
        self.imports.iter().find(|import| import.path == path).map(|import| &import.source)
    }

    /// The texts of its imports, in order.
    pub(crate) fn import_texts(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(|import| &*import.source.text)
    }

    /// The script and its imports as text, from which the same program can be loaded.
    #[must_use]
    pub fn source(&self) -> Source {
        let imports = self.imports.iter().map(|import| ImportSource {
            path: import.path.clone(),
            file: import.source.name.clone(),
            text: import.source.text.to_string(),
        });
        Source { name: self.name().to_owned(), text: self.text().to_owned(), imports: imports.collect() }
    }

    /// The files of its imports, as messages name them.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(|import| import.source.name.as_str())
    }

    /// The paths that it imports, those of its imports too.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(|import| import.path.as_str())
    }

    /// The module resolver for the program's imports.
    pub(crate) fn resolver(&self) -> Imports {
        Imports { asts: Mutex::new(self.imported_asts().collect()), modules: Mutex::default() }
    }

    fn imported_asts(&self) -> impl Iterator<Item = (String, AST)> {
        self.imports.iter().map(|import| (import.path.clone(), import.ast.clone()))
    }

    /// The script and its imports as they were parsed.
    pub(crate) fn asts(&self) -> impl Iterator<Item = &AST> + Clone {
        std::iter::once(&self.ast).chain(self.imports.iter().map(|import| &import.ast))
    }
}

/// A module resolver that knows the imports that were loaded with programs, and reads no file.
#[derive(Default)]
pub(crate) struct Imports {
    asts: Mutex<BTreeMap<String, AST>>,
    modules: Mutex<BTreeMap<String, Shared<Module>>>,
}

impl Imports {
    /// Adds another program's imports; one that changed since replaces the earlier version.
    pub(crate) fn add(&self, program: &Program) {
        let mut asts = lock(&self.asts);
        let mut modules = lock(&self.modules);
        for (path, ast) in program.imported_asts() {
            modules.remove(&path);
            asts.insert(path, ast);
        }
    }

    /// The imports as they were parsed.
    pub(crate) fn asts(&self) -> Vec<AST> {
        lock(&self.asts).values().cloned().collect()
    }
}

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let modules = || lock(&self.modules);
        if let Some(module) = modules().get(path) {
            return Ok(Shared::clone(module));
        }
        let ast = lock(&self.asts).get(path).cloned();
        let Some(ast) = ast else {
            return Err(EvalAltResult::ErrorModuleNotFound(path.to_owned(), position).into());
        };
        // No lock is held here: evaluating a module resolves its own imports through this function.
        let module = Module::eval_ast_as_new(Scope::new(), &ast, engine)
            .map_err(|error| EvalAltResult::ErrorInModule(path.to_owned(), error, position))?;
        let module = Shared::new(module);
        modules().insert(path.to_owned(), Shared::clone(&module));
        Ok(module)
    }
}
