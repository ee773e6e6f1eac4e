//! A script with everything that it imports, read and compiled before anything runs.
//!
//! Imports are confined to the folder of the script: no `..`, no absolute path, no link that
//! leads out of it. A circle of imports would overflow the engine's stack, so it is refused here.

use super::{
    parse::{compile, lenient_parser, parser},
    span::place,
};
use crate::{
    base::{Diagnostic, SourceSpan, lock},
    script::host::error::{ErrorKind, ScriptFailure},
};
use rhai::{
    AST, ASTNode, Engine, EvalAltResult, Expr, Module, ModuleResolver, Position, Scope, Shared, Stmt,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex},
};

/// The longest script that is read.
const MAX_BYTES: u64 = 4 << 20;

/// The most files that one script imports.
const MAX_IMPORTS: usize = 200;

/// Where a script comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file.
    File {
        /// As the person named it, for messages.
        named: PathBuf,
        /// Where it is.
        path: PathBuf,
    },
    /// Text that was typed or piped, with its name in messages and the folder of its imports.
    Text {
        /// `-` or `-e`.
        name: String,
        /// The script.
        text: String,
        /// Where imports are looked for.
        folder: PathBuf,
    },
    /// A script that was run before, with its imports as they were then.
    Stored(Source),
}

/// A script and its imports, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The script's name in messages.
    pub name: String,
    /// The script.
    pub text: String,
    /// What it imports, and what those import.
    pub imports: Vec<ImportSource>,
}

/// An imported file, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSource {
    /// As the `import` names it.
    pub path: String,
    /// Its file, for messages.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// A compiled script.
pub struct Program {
    /// The script's own name in messages.
    pub name: String,
    /// The script itself.
    pub(crate) ast: AST,
    /// Its imports by path, each before those that import it.
    pub(crate) imports: Vec<Import>,
    /// What earlier texts declare.
    pub(crate) earlier: Earlier,
    text: String,
}

/// What the texts before this one declare.
#[derive(Default)]
pub(crate) struct Earlier {
    /// Functions with their texts; `None` where several have the name, and an error does not tell which one it was in.
    pub functions: BTreeMap<String, Option<Arc<Text>>>,
    /// Imports by their paths.
    pub imports: BTreeMap<String, Arc<Text>>,
}

/// A text that declares functions, with its name in messages.
pub(crate) struct Text {
    name: String,
    pub text: String,
}

/// An imported file.
pub(crate) struct Import {
    /// As the `import` names it.
    pub path: String,
    /// Its file, for messages.
    file: String,
    pub ast: AST,
    text: String,
}

impl Program {
    /// Reads and compiles a script and its imports.
    ///
    /// # Errors
    /// When a file can't be read or compiled, or imports go out of bounds or in a circle.
    pub fn load(origin: &Origin) -> Result<Self, ScriptFailure> {
        let parent = |path: &Path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let (name, text, folder, shown) = match origin {
            Origin::File { named, path } => {
                let text = read(path).map_err(|reason| {
                    let hint = "give the path of a .rhai script; `-` reads one from standard input";
                    ScriptFailure {
                        kind: ErrorKind::Configuration,
                        ..ScriptFailure::in_script(
                            Diagnostic::new(format!("can't read {}: {reason}", named.display())).hint(hint),
                        )
                    }
                })?;
                (named.display().to_string(), text, parent(path), parent(named))
            }
            Origin::Text { name, text, folder } => {
                (name.clone(), text.clone(), folder.clone(), PathBuf::from("."))
            }
            Origin::Stored(source) => {
                (source.name.clone(), source.text.clone(), PathBuf::new(), PathBuf::new())
            }
        };
        let stored = match origin {
            Origin::Stored(source) => Some(source.imports.as_slice()),
            Origin::File { .. } | Origin::Text { .. } => None,
        };
        let engine = parser();
        let ast = compile(&engine, &name, &text)?;
        Self::with_imports(name, text, ast, Loader::new(&engine, folder, shown, stored))
    }

    /// Reads and compiles a line of a session, which finds variables that other lines have made.
    pub(crate) fn of_line(name: &str, text: &str, folder: &Path) -> Result<Self, ScriptFailure> {
        let ast = compile(&lenient_parser(), name, text)?;
        let engine = parser();
        let loader = Loader::new(&engine, folder.to_owned(), PathBuf::from("."), None);
        Self::with_imports(name.to_owned(), text.to_owned(), ast, loader)
    }

    fn with_imports(name: String, text: String, ast: AST, mut loader: Loader) -> Result<Self, ScriptFailure> {
        loader.follow(&name, &text, &ast)?;
        Ok(Self { name, ast, imports: loader.imports, earlier: Earlier::default(), text })
    }

    /// Its own text with its name.
    pub(crate) fn as_text(&self) -> Text {
        Text { name: self.name.clone(), text: self.text.clone() }
    }

    /// Its imports by their paths.
    pub(crate) fn texts_of_imports(&self) -> impl Iterator<Item = (String, Arc<Text>)> {
        let text = |import: &Import| Text { name: import.file.clone(), text: import.text.clone() };
        self.imports.iter().map(move |import| (import.path.clone(), Arc::new(text(import))))
    }

    /// Whether a source in an error is an import's path.
    pub(crate) fn is_import(&self, source: &str) -> bool {
        self.earlier.imports.contains_key(source) || self.imports.iter().any(|import| import.path == source)
    }

    /// A place in this script or one of its imports, or in the text that declares a function of another.
    pub(crate) fn place(
        &self,
        source: Option<&str>,
        function: Option<&str>,
        position: Position,
    ) -> Option<SourceSpan> {
        let import = source.and_then(|source| self.earlier.imports.get(source));
        let function = || function.and_then(|name| self.earlier.functions.get(name)).and_then(Option::as_ref);
        if let Some(Text { name, text }) = import.or_else(function).map(Arc::as_ref) {
            return place(name, text, position);
        }
        let import = source.and_then(|source| self.imports.iter().find(|import| import.path == source));
        let (file, text) = import.map_or((&self.name, &self.text), |import| (&import.file, &import.text));
        place(file, text, position)
    }

    /// The script's own text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The script and its imports as text, from which the same program can be loaded.
    #[must_use]
    pub fn source(&self) -> Source {
        let imports = self.imports.iter().map(|import| ImportSource {
            path: import.path.clone(),
            file: import.file.clone(),
            text: import.text.clone(),
        });
        Source { name: self.name.clone(), text: self.text.clone(), imports: imports.collect() }
    }

    /// The files of its imports, as messages name them.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(|import| import.file.as_str())
    }

    /// The paths that it imports, those of its imports too.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(|import| import.path.as_str())
    }

    /// What gives the engine the compiled imports.
    pub(crate) fn resolver(&self) -> Imports {
        Imports { asts: Mutex::new(self.asts().collect()), modules: Mutex::default() }
    }

    fn asts(&self) -> impl Iterator<Item = (String, AST)> {
        self.imports.iter().map(|import| (import.path.clone(), import.ast.clone()))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if metadata.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, and a script has at most {MAX_BYTES}", metadata.len()));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Follows imports, depth first.
struct Loader<'a> {
    engine: &'a Engine,
    folder: PathBuf,
    /// The same folder in messages.
    shown: PathBuf,
    /// The imports of a script that was run before: no file is looked at.
    stored: Option<&'a [ImportSource]>,
    imports: Vec<Import>,
    /// The files that lead here.
    open: Vec<String>,
}

impl<'a> Loader<'a> {
    fn new(engine: &'a Engine, folder: PathBuf, shown: PathBuf, stored: Option<&'a [ImportSource]>) -> Self {
        Self { engine, folder, shown, stored, imports: Vec::new(), open: Vec::new() }
    }

    fn follow(&mut self, name: &str, text: &str, ast: &AST) -> Result<(), ScriptFailure> {
        for (path, position) in imports_of(ast) {
            let fail = |message: String, hint: &str| {
                Err(ScriptFailure::in_script(
                    Diagnostic::new(message).hint(hint).at(place(name, text, position)),
                ))
            };
            let Some(path) = path else {
                return fail(
                    "an import's path must be a literal string".to_owned(),
                    "write import \"lib/NAME\" as NAME;",
                );
            };
            if self.imports.iter().any(|import| import.path == path) {
                continue;
            }
            if let Some(start) = self.open.iter().position(|open| *open == path) {
                let circle = [&self.open[start..], &[path]].concat().join(" → ");
                return fail(
                    format!("imports go in a circle: {circle}"),
                    "move what both need into a third file",
                );
            }
            if self.imports.len() + self.open.len() >= MAX_IMPORTS {
                return fail(format!("there are more than {MAX_IMPORTS} imports"), "");
            }
            let (shown, text) = match self.read(&path) {
                Ok(read) => read,
                Err((message, hint)) => return fail(message, hint),
            };
            let mut ast = compile(self.engine, &shown, &text)?;
            // Errors name the import; its place is looked up by that.
            ast.set_source(&path);
            self.open.push(path.clone());
            self.follow(&shown, &text, &ast)?;
            self.open.pop();
            self.imports.push(Import { path, file: shown, ast, text });
        }
        Ok(())
    }

    /// An import's file for messages, and its text.
    fn read(&self, path: &str) -> Result<(String, String), (String, &'static str)> {
        const BESIDE: &str = "imports are looked for beside the script";
        if let Some(stored) = self.stored {
            let import = stored.iter().find(|import| import.path == path);
            let import =
                import.ok_or_else(|| (format!("the import `{path}` was not stored with the run"), BESIDE))?;
            return Ok((import.file.clone(), import.text.clone()));
        }
        let file = self.confine(path).map_err(|message| {
            (message, "imports are looked for beside the script: import \"lib/NAME\" as NAME;")
        })?;
        let shown = self.shown.join(file.strip_prefix(&self.folder).unwrap_or(&file)).display().to_string();
        let text = read(&file)
            .map_err(|reason| (format!("can't read the import `{path}` ({shown}): {reason}"), BESIDE))?;
        Ok((shown, text))
    }

    /// The file of an import, which must lie under the script's folder.
    fn confine(&self, path: &str) -> Result<PathBuf, String> {
        let relative = Path::new(path);
        let is_plain =
            relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if path.is_empty() || !is_plain {
            return Err(format!("the import `{path}` leads out of the script's folder"));
        }
        let mut file = self.folder.join(relative);
        if file.extension().is_none() {
            file.set_extension("rhai");
        }
        let inside =
            |file: &Path| Some(file.canonicalize().ok()?.starts_with(self.folder.canonicalize().ok()?));
        if inside(&file) == Some(false) {
            return Err(format!("the import `{path}` leads out of the script's folder through a link"));
        }
        Ok(file)
    }
}

/// The imports of a script in order; a path that is no literal is `None`.
pub(crate) fn imports_of(ast: &AST) -> Vec<(Option<String>, Position)> {
    let mut imports = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last() {
            let literal = match &import.0 {
                Expr::StringConstant(path, _) => Some(path.to_string()),
                _ => None,
            };
            imports.push((literal, *position));
        }
        true
    });
    imports
}

/// Gives the engine what was loaded before, and nothing else.
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
        for (path, ast) in program.asts() {
            modules.remove(&path);
            asts.insert(path, ast);
        }
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
        // The locks are free here: a module's own imports come back to this function.
        let module = Module::eval_ast_as_new(Scope::new(), &ast, engine)
            .map_err(|error| EvalAltResult::ErrorInModule(path.to_owned(), error, position))?;
        let module = Shared::new(module);
        modules().insert(path.to_owned(), Shared::clone(&module));
        Ok(module)
    }
}
