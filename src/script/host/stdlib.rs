//! The standard library: written in Rhai, embedded, and in scope everywhere without an import.
//!
//! A file's functions join the module of its area (`card::member_card`), or are global where they are
//! stages of audiences. They take closures or return audiences, and never return closures: one that a
//! module returns can't be called outside of it.

use super::{limits::set_limits, modules::REPORT};
use rhai::{AST, Engine, Module, Scope, Shared};
use std::{collections::BTreeSet, sync::OnceLock};

/// Prefix of the library's source names, which no file of a user has. An error inside the library is reported at the
/// call in the user's script.
const FOLDER: &str = "<stdlib>/";

/// A file of the library.
struct LibraryFile {
    name: &'static str,
    /// The module that it joins; empty for the global ones.
    module: &'static str,
    text: &'static str,
}

const FILES: &[LibraryFile] = &[
    LibraryFile {
        name: "<stdlib>/card.rhai",
        module: "card",
        text: include_str!("../../../stdlib/card.rhai"),
    },
    LibraryFile {
        name: "<stdlib>/report.rhai",
        module: REPORT,
        text: include_str!("../../../stdlib/report.rhai"),
    },
    LibraryFile {
        name: "<stdlib>/audience.rhai",
        module: "",
        text: include_str!("../../../stdlib/audience.rhai"),
    },
];

/// The library's files, compiled once.
fn compiled() -> &'static [(&'static LibraryFile, AST)] {
    static COMPILED: OnceLock<Vec<(&'static LibraryFile, AST)>> = OnceLock::new();
    COMPILED.get_or_init(|| {
        // A raw engine is enough: compiling calls no function.
        let mut engine = Engine::new_raw();
        set_limits(&mut engine);
        FILES
            .iter()
            .map(|file| {
                let compiled = engine.compile(file.text);
                let mut ast = compiled.unwrap_or_else(|error| unreachable!("{}: {error}", file.name));
                ast.set_source(file.name);
                (file, ast)
            })
            .collect()
    })
}

/// Adds the library's functions for this module to those that it has.
pub(crate) fn join(engine: &Engine, area: &str, module: &mut Module) {
    for library in libraries(engine, area) {
        module.combine(library);
    }
}

/// Registers the library's global functions, and the modules that consist of library functions only.
pub(crate) fn register(engine: &mut Engine) {
    let mut report = Module::new();
    join(engine, REPORT, &mut report);
    engine.register_static_module(REPORT, report.into());
    for library in libraries(engine, "") {
        engine.register_global_module(Shared::new(library));
    }
}

fn libraries(engine: &Engine, area: &str) -> Vec<Module> {
    let wanted = compiled().iter().filter(|(file, _)| file.module == area);
    wanted
        .map(|(file, ast)| {
            let module = Module::eval_ast_as_new(Scope::new(), ast, engine);
            module.unwrap_or_else(|error| unreachable!("{}: {error}", file.name))
        })
        .collect()
}

/// Whether this is a stage that the library defines: a global function that is called on an audience.
pub(crate) fn is_stage(name: &str, parameters: usize) -> bool {
    stages().iter().any(|(stage, count)| *stage == name && *count == parameters)
}

/// The stages of audiences: names and numbers of parameters, sorted.
pub(crate) fn stages() -> &'static BTreeSet<(&'static str, usize)> {
    static STAGES: OnceLock<BTreeSet<(&str, usize)>> = OnceLock::new();
    STAGES.get_or_init(|| {
        let global = compiled().iter().filter(|(file, _)| file.module.is_empty());
        global
            .flat_map(|(_, ast)| ast.iter_functions())
            .filter(|function| function.access.is_public() && !function.name.contains('$'))
            .map(|function| (function.name, function.params.len()))
            .collect()
    })
}

/// Whether a source is a file of the library.
pub(crate) fn is_source(source: &str) -> bool {
    source.starts_with(FOLDER)
}

/// A function of the library as it is written, with its document.
pub(crate) fn source_of(name: &str) -> Option<String> {
    let name = name.rsplit("::").next().unwrap_or(name);
    let begins = format!("fn {name}(");
    FILES.iter().find_map(|file| {
        let lines: Vec<&str> = file.text.lines().collect();
        let at = lines.iter().position(|line| line.starts_with(&begins))?;
        let start =
            lines[..at].iter().rposition(|line| !line.starts_with("///")).map_or(0, |before| before + 1);
        let end =
            lines[at..].iter().position(|line| line.trim_end().ends_with('}') && !line.starts_with(' '))?
                + at;
        Some(lines[start..=end].join("\n"))
    })
}
