//! Reads a script's file and follows its imports.
//!
//! Imports are confined to the folder of the script: no `..`, no absolute path, no link that leads out of it. A circle
//! of imports would overflow the engine's stack, so it is refused here.

use super::{
    named_source::NamedSource,
    origin::ImportSource,
    parse::compile,
    parse_trace::{MAX_TOKENS, ParseTrace},
};
use crate::{
    base::{Diagnostic, decode_text, read_text},
    script::host::error::ScriptFailure,
};
use rhai::{AST, ASTNode, Engine, Expr, Position, Stmt};
use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// The longest script that is read, in bytes.
pub const MAX_SCRIPT_BYTES: u64 = 1 << 20;

/// The most files that one script imports, directly or through other imports.
const MAX_IMPORTS: usize = 200;

/// An imported file.
pub(crate) struct Import {
    /// As the `import` names it.
    pub path: String,
    pub source: Arc<NamedSource>,
    pub ast: AST,
}

/// Reads the text of a script's file; the error says why it can't be read.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    read_text(path, MAX_SCRIPT_BYTES).map(without_interpreter_line)
}

/// Whether a file or a folder in a folder lies elsewhere: it is a link that leads out of it, or is under such a link.
#[must_use]
pub fn leads_out(folder: &Path, path: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(real), Ok(folder)) => !real.starts_with(folder),
        // What is not there leads nowhere.
        _ => false,
    }
}

/// The text of a script; the error says why it can't be decoded.
///
/// # Errors
/// When it is neither UTF-8 nor UTF-16 with a byte order mark.
pub fn decode_script(bytes: Vec<u8>) -> Result<String, String> {
    decode_text(bytes).map(without_interpreter_line)
}

/// The text without the content of a first line `#!…`, which names the program that runs the file. The line stays, so
/// that positions are right.
fn without_interpreter_line(text: String) -> String {
    if !text.starts_with("#!") {
        return text;
    }
    text.find('\n').map_or_else(String::new, |end| text[end..].to_owned())
}

/// Follows imports, depth first.
pub(crate) struct Loader<'a> {
    engine: &'a Engine,
    folder: PathBuf,
    /// The same folder in messages.
    displayed_folder: PathBuf,
    /// The imports of a recorded script, which are used in place of files.
    recorded: Option<&'a [ImportSource]>,
    imports: Vec<Import>,
    /// Words and signs of the script and of the imports so far.
    tokens: usize,
    /// The paths whose imports are being followed, outermost first.
    chain: Vec<String>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        folder: PathBuf,
        displayed_folder: PathBuf,
        recorded: Option<&'a [ImportSource]>,
    ) -> Self {
        // The script itself was parsed last.
        let tokens = ParseTrace::count_tokens();
        Self { engine, folder, displayed_folder, recorded, imports: Vec::new(), tokens, chain: Vec::new() }
    }

    /// Everything that a script imports, each before those that import it.
    pub(crate) fn load(mut self, source: &NamedSource, ast: &AST) -> Result<Vec<Import>, ScriptFailure> {
        self.follow(source, ast)?;
        Ok(self.imports)
    }

    fn follow(&mut self, source: &NamedSource, ast: &AST) -> Result<(), ScriptFailure> {
        for (path, position) in imports_of(ast) {
            let fail = |message: String, hint: &str| {
                Err(ScriptFailure::in_script(
                    Diagnostic::new(message).hint(hint).at(source.span_at(position)),
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
            if let Some(start) = self.chain.iter().position(|open| *open == path) {
                let circle = [&self.chain[start..], &[path]].concat().join(" → ");
                return fail(
                    format!("imports go in a circle: {circle}"),
                    "move what both need into a third file",
                );
            }
            if self.imports.len() + self.chain.len() >= MAX_IMPORTS {
                return fail(format!("there are more than {MAX_IMPORTS} imports"), "");
            }
            let imported = match self.read(&path) {
                Ok(source) => source,
                Err((message, hint)) => return fail(message, hint),
            };
            let mut ast = compile(self.engine, &imported)?;
            self.tokens += ParseTrace::count_tokens();
            if self.tokens > MAX_TOKENS {
                let message =
                    format!("with this import, the script has more than {MAX_TOKENS} words and signs");
                return fail(message, "import less, or read a table from a file");
            }
            let source = imported;
            // The engine's errors carry this path, by which the position is looked up.
            ast.set_source(&path);
            self.chain.push(path.clone());
            self.follow(&source, &ast)?;
            self.chain.pop();
            self.imports.push(Import { path, source: Arc::new(source), ast });
        }
        Ok(())
    }

    /// An import; the error is a message and a hint.
    fn read(&self, path: &str) -> Result<NamedSource, (String, &'static str)> {
        const WHERE_IMPORTS_ARE: &str = "imports are looked for beside the script";
        if let Some(recorded) = self.recorded {
            let import = recorded.iter().find(|import| import.path == path);
            let import = import.ok_or_else(|| {
                (format!("the import `{path}` was not stored with the run"), WHERE_IMPORTS_ARE)
            })?;
            return Ok(NamedSource { name: import.file.clone(), text: import.text.as_str().into() });
        }
        let file = self.confine(path).map_err(|message| {
            (message, "imports are looked for beside the script: import \"lib/NAME\" as NAME;")
        })?;
        let relative = file.strip_prefix(&self.folder).unwrap_or(&file);
        let name = self.displayed_folder.join(relative).display().to_string();
        let text = read(&file).map_err(|reason| {
            (format!("can't read the import `{path}` ({name}): {reason}"), WHERE_IMPORTS_ARE)
        })?;
        Ok(NamedSource { name, text: text.into() })
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
        if leads_out(&self.folder, &file) {
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
