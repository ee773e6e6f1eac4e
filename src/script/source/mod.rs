//! From text to a program: imports, syntax, the literal `const automation` and its parameters.

mod accounts;
pub(crate) mod automation;
pub(crate) mod automation_keys;
pub(crate) mod body;
mod brackets;
pub(crate) mod cases;
pub(crate) mod closures;
mod foreign_words;
pub(crate) mod growth;
pub(crate) mod literal;
pub(crate) mod loader;
pub(crate) mod named_source;
pub(crate) mod origin;
pub(crate) mod parameters;
pub(crate) mod parse;
pub(crate) mod parse_trace;
pub(crate) mod program;
pub(crate) mod recovery;
pub(crate) mod syntax_error;
pub(crate) mod tokens;
pub(crate) mod trigger_spec;
pub(crate) mod undeclared;
