//! Where state is kept: `--store`, `MPSCRIPT_STORE`, mpscript.toml, else the person's state folder.

use super::{file, secret::refuse_if_readable};
use crate::{
    base::{Diagnostic, Secret},
    cli::{Failure, args::arguments::Reach},
    host::Host,
    store::{Store, StoreError},
};
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;
use url::Url;

/// The store's file in the state folder.
const FILE: &str = "mpscript/store.sqlite3";

/// Where state is kept.
pub(crate) enum Place {
    File(PathBuf),
    Server(Secret),
}

/// Where state is kept, and what says so. `None` where no folder is known: then it is kept in memory.
pub(crate) fn place(host: &Host, reach: &Reach) -> Result<Option<(Place, String)>, Failure> {
    if let Some(given) = &reach.store {
        if has_password(given) {
            let message = "--store with a password would show it to every user of this machine (ps)";
            let hint = "set MPSCRIPT_STORE to it, or write `store = \"…\"` in mpscript.toml";
            return Err(Failure::usage(Diagnostic::new(message).hint(hint)));
        }
        return Ok(Some((read(&host.folder, given, "--store")?, "--store".to_owned())));
    }
    if let Some(given) = host.variable("MPSCRIPT_STORE") {
        return Ok(Some((
            read(&host.folder, given, "MPSCRIPT_STORE")?,
            "environment MPSCRIPT_STORE".to_owned(),
        )));
    }
    if let Some((path, file)) = file::read(host, reach.config.as_deref())?
        && let Some(given) = &file.store
    {
        if has_password(given.reveal()) {
            refuse_if_readable(&path)?;
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        return Ok(Some((read(folder, given.reveal(), "store")?, path.display().to_string())));
    }
    Ok(folder(host).map(|state| (Place::File(state.join(FILE)), "default".to_owned())))
}

/// The person's state folder, if one is known.
pub(crate) fn folder(host: &Host) -> Option<PathBuf> {
    let state = host.variable("XDG_STATE_HOME").map(PathBuf::from);
    state.or_else(|| host.variable("HOME").map(|home| Path::new(home).join(".local/state")))
}

/// A password may stand before the host or among a URL's parameters, in libpq's own words too.
fn has_password(given: &str) -> bool {
    let is_in_url = Url::parse(given).is_ok_and(|url| url.password().is_some());
    is_in_url || given.to_lowercase().contains("password=")
}

fn read(folder: &Path, given: &str, name: &str) -> Result<Place, Failure> {
    let scheme = given.split_once("://").map(|(scheme, _)| scheme.to_lowercase());
    match scheme.as_deref() {
        Some("postgres" | "postgresql") => Ok(Place::Server(Secret::new(given))),
        None if !has_password(given) => Ok(Place::File(folder.join(given))),
        _ => {
            // Not as it was given: it may hold a password.
            let message = format!("{name} is neither a file nor a postgres:// URL");
            Err(Failure::usage(Diagnostic::new(message).hint("write postgres://USER:PASSWORD@HOST/DATABASE")))
        }
    }
}

/// Opens the store.
pub(crate) fn open(host: &Host, runtime: &Runtime, reach: &Reach) -> Result<Option<Store>, Failure> {
    let Some((place, _)) = place(host, reach)? else {
        host.err
            .line("warning: neither XDG_STATE_HOME nor HOME is set; tokens and counts are kept in memory");
        return Ok(None);
    };
    runtime.block_on(open_at(&place)).map(Some).map_err(|error| failure(&error))
}

/// The store in the person's state folder, where it can be opened: a run on a sandbox of its own does without.
pub(crate) fn open_if_possible(host: &Host, runtime: &Runtime, reach: &Reach) -> Option<Store> {
    let (place, _) = place(host, reach).ok()??;
    runtime.block_on(open_at(&place)).ok()
}

/// The store, where a command is of no use without one.
pub(crate) fn require(host: &Host, runtime: &Runtime, reach: &Reach) -> Result<Store, Failure> {
    open(host, runtime, reach)?.ok_or_else(|| {
        let hint = "set HOME or XDG_STATE_HOME, or name the store with --store";
        Failure::usage(Diagnostic::new("no store is known in which runs are recorded").hint(hint))
    })
}

pub(crate) async fn open_at(place: &Place) -> Result<Store, StoreError> {
    match place {
        Place::File(path) => Store::sqlite(path).await,
        Place::Server(url) => Store::postgres(url).await,
    }
}

pub(crate) fn failure(error: &StoreError) -> Failure {
    Failure::usage(Diagnostic::new(error.to_string()).hint(error.hint()))
}
