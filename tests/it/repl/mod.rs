//! The session, piped and at a terminal.

mod lines;
mod piped;
mod terminal;
