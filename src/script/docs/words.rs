//! The names that a script can use, for completion, colours and hints while a line is typed.

use super::{
    entry::{Entry, entries},
    plain::without_marks,
};
use crate::{
    api::FieldKind,
    script::{engine::reference::known_functions, host::register},
};
use std::collections::BTreeSet;

/// What a text given to a function names, beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextArgument {
    /// A tag of the account.
    Tag,
    /// A file.
    File,
}

/// A function of the reference as a hint shows it.
#[derive(Clone, Debug)]
pub struct Word {
    /// `tag::attach`, or `followers`.
    pub name: String,
    /// Every way to call it.
    pub signatures: Vec<String>,
    /// It is called on an audience.
    pub is_of_audience: bool,
    /// What a text given to it names.
    pub text_argument: Option<TextArgument>,
    /// What it does, in a line.
    pub does: String,
}

/// The names that a script can use.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// The functions of the reference.
    pub functions: Vec<Word>,
    /// Every function that can be called, with its module if it has one; the language's own too.
    pub known: BTreeSet<String>,
    /// The modules.
    pub modules: BTreeSet<String>,
}

/// The language's words.
pub const KEYWORDS: &[&str] = &[
    "let", "const", "fn", "if", "else", "for", "in", "while", "loop", "do", "until", "break", "continue",
    "return", "throw", "try", "catch", "switch", "import", "export", "as", "true", "false", "this",
    "private", "global",
];

/// Functions that are built into the engine, which its metadata does not list.
const LANGUAGE: &[&str] = &[
    "print",
    "debug",
    "type_of",
    "Fn",
    "call",
    "curry",
    "eval",
    "is_def_var",
    "is_def_fn",
    "is_shared",
    "out",
];

/// Read from the declaration of the function: a field of the endpoint that is a file, or the name of a parameter.
fn text_argument(entry: &Entry) -> Option<TextArgument> {
    if entry.spec.is_some_and(|spec| spec.fields.iter().any(|field| field.kind == FieldKind::File)) {
        return Some(TextArgument::File);
    }
    let (name, _) = entry.signatures.first()?.parameters.first()?;
    match name.as_str() {
        register::FILE => Some(TextArgument::File),
        register::TAG => Some(TextArgument::Tag),
        _ => None,
    }
}

/// Collects the names.
#[must_use]
pub fn words() -> Words {
    let functions_of_reference: Vec<Word> = entries()
        .into_iter()
        .map(|entry| {
            let name = entry.full_name();
            Word {
                signatures: entry.signatures.iter().map(|signature| signature.show(&name)).collect(),
                is_of_audience: entry.signatures.iter().any(|signature| signature.on == Some("audience")),
                text_argument: text_argument(&entry),
                does: without_marks(entry.doc.lines().next().unwrap_or_default()),
                name,
            }
        })
        .collect();
    let modules =
        functions_of_reference.iter().filter_map(|word| Some(word.name.split_once("::")?.0.to_owned()));
    let known = known_functions().iter().map(|function| match function.namespace.as_str() {
        "" => function.name.clone(),
        module => format!("{module}::{}", function.name),
    });
    let of_reference = functions_of_reference.iter().map(|word| word.name.clone());
    Words {
        known: known.chain(of_reference).chain(LANGUAGE.iter().map(|name| (*name).to_owned())).collect(),
        modules: modules.collect(),
        functions: functions_of_reference,
    }
}
