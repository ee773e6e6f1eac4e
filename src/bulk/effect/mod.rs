//! What each write endpoint does to the account, declared once: [`Effect`], and one file of implementations an area.
//!
//! The journal, the batch writer, the dry run, an undo and the REPL read it. A write endpoint without an [`Effect`] doesn't
//! compile: a script function of a write endpoint is bound by it. `docs/dev/effect.md` leads through the places.

mod blacklist;
pub(crate) mod blacklist_cache;
mod card;
pub(crate) mod change;
pub(crate) mod declared;
pub(crate) mod dry_run;
#[allow(clippy::module_inception, reason = "the trait is what the folder is named for")]
pub(crate) mod effect;
pub(crate) mod ensure_tag;
mod followers;
mod media;
pub(crate) mod observer;
mod qrcode;
mod quota;
pub(crate) mod tag;
pub(crate) mod undeclared;
mod user;
pub(crate) mod write_call;
