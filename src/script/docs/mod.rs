//! The reference: every function of a script with what is known of it, read from the declarations, the
//! native functions and the standard library. Text only: the caller decides where it is shown.

mod cards;
mod definitions;
mod entry;
mod errors;
mod lookup;
mod markdown;
mod plain;
mod usage;
mod words;

pub use definitions::definitions;
pub use entry::{Entry, entries};
pub use errors::errors;
pub use lookup::{library_source, look_up, overview};
pub use markdown::reference;
pub use usage::functions_used;
pub use words::{KEYWORDS, TextArgument, Word, Words, words};
