//! `mpscript repl`: lines that share variables, at a terminal or piped in.

mod background;
mod commands;
mod completion;
mod editor;
mod history;
mod lexer;
mod names;
mod piped;
mod printer;
mod script;
mod session_loop;
mod state;
mod table;

pub(crate) use session_loop::execute;
