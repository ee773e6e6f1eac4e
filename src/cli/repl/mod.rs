//! `mpscript repl`: lines that share variables, at a terminal or piped in.

pub(crate) mod background;
pub(crate) mod commands;
pub(crate) mod editor;
pub(crate) mod history;
pub(crate) mod lexer;
pub(crate) mod piped;
pub(crate) mod printer;
pub(crate) mod script;
pub(crate) mod session_loop;
pub(crate) mod table;
