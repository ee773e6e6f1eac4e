//! Where state is kept: `--store`, `MPSCRIPT_STORE`, mpscript.toml, else the user's state folder.

use super::{file, secret::refuse_if_readable};
use crate::{
    api::WireSecret,
    base::Secret,
    cli::{args::TargetArgs, failure::usage_error},
    host::Host,
    run::runner::StoreAddress,
    store::{Store, StoreError},
};
use std::{
    io,
    path::{Path, PathBuf},
};
use tokio::runtime::Runtime;
use url::Url;

/// The store's file in the state folder.
const FILE: &str = "mpscript/store.sqlite3";

/// Where state is kept.
pub(crate) enum StoreLocation {
    File(PathBuf),
    Server(Secret),
}

/// Where state is kept, and which setting says so. `None` if no folder is known: then it is kept in memory.
pub(crate) fn store_location(
    host: &Host,
    target: &TargetArgs,
) -> anyhow::Result<Option<(StoreLocation, String)>> {
    if let Some(given) = &target.store {
        if has_password(given) {
            let message = "--store with a password would show it to every user of this machine (ps)";
            let hint = "set MPSCRIPT_STORE to it, or write `store = \"…\"` in mpscript.toml";
            return Err(usage_error(message, hint));
        }
        return Ok(Some((read(&host.folder, given, "--store")?, "--store".to_owned())));
    }
    if let Some(given) = host.variable("MPSCRIPT_STORE") {
        return Ok(Some((
            read(&host.folder, given, "MPSCRIPT_STORE")?,
            "environment MPSCRIPT_STORE".to_owned(),
        )));
    }
    if let Some((path, file)) = file::read(host, target.config.as_deref())?
        && let Some(given) = &file.store
    {
        if has_password(given.reveal()) {
            refuse_if_readable(&path)?;
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        return Ok(Some((read(folder, given.reveal(), "store")?, path.display().to_string())));
    }
    Ok(state_folder(host).map(|state| (StoreLocation::File(state.join(FILE)), "default".to_owned())))
}

/// The user's state folder, if one is known.
pub(crate) fn state_folder(host: &Host) -> Option<PathBuf> {
    let state = host.variable("XDG_STATE_HOME").map(PathBuf::from);
    state.or_else(|| host.variable("HOME").map(|home| Path::new(home).join(".local/state")))
}

/// A password may be in a URL's authority or among its parameters, or in libpq's keyword syntax.
fn has_password(given: &str) -> bool {
    let is_in_url = Url::parse(given).is_ok_and(|url| url.password().is_some());
    is_in_url || given.to_lowercase().contains("password=")
}

fn read(folder: &Path, given: &str, name: &str) -> anyhow::Result<StoreLocation> {
    let scheme = given.split_once("://").map(|(scheme, _)| scheme.to_lowercase());
    match scheme.as_deref() {
        Some("postgres" | "postgresql") => Ok(StoreLocation::Server(Secret::new(given))),
        None if !has_password(given) => Ok(StoreLocation::File(folder.join(given))),
        _ => {
            // Not as it was given: it may hold a password.
            let message = format!("{name} is neither a file nor a postgres:// URL");
            Err(usage_error(message, "write postgres://USER:PASSWORD@HOST/DATABASE"))
        }
    }
}

/// Where the store is, as it is passed to the processes of runs.
pub(crate) fn address_of_store(host: &Host, target: &TargetArgs) -> anyhow::Result<StoreAddress> {
    Ok(match required_location(host, target)? {
        StoreLocation::File(path) => StoreAddress::File(path),
        StoreLocation::Server(url) => StoreAddress::Server(WireSecret(with_password(host, url))),
    })
}

/// The URL with the password of the environment, if it has none: that variable is not given on.
fn with_password(host: &Host, url: Secret) -> Secret {
    let password = host.variable("PGPASSWORD").filter(|_| !has_password(url.reveal()));
    if let (Ok(mut parsed), Some(password)) = (Url::parse(url.reveal()), password)
        && parsed.set_password(Some(password)).is_ok()
    {
        return Secret::new(parsed);
    }
    url
}

/// Opens the store.
pub(crate) fn open(host: &Host, runtime: &Runtime, target: &TargetArgs) -> anyhow::Result<Option<Store>> {
    let Some((location, _)) = store_location(host, target)? else {
        host.err
            .line("warning: neither XDG_STATE_HOME nor HOME is set; tokens and counts are kept in memory");
        return Ok(None);
    };
    Ok(Some(runtime.block_on(open_at(&location))?))
}

/// The store, or `None` if it can't be opened: a run on its own sandbox does without.
pub(crate) fn open_if_possible(host: &Host, runtime: &Runtime, target: &TargetArgs) -> Option<Store> {
    let (location, _) = store_location(host, target).ok()??;
    runtime.block_on(open_at(&location)).ok()
}

/// The store, for a command that only works on what is in it. `None` if there is none yet where it is usually; none where
/// the command line says that it is, is an error, since the path may be misspelt.
pub(crate) fn open_existing(
    host: &Host,
    runtime: &Runtime,
    target: &TargetArgs,
) -> anyhow::Result<Option<Store>> {
    let location = required_location(host, target)?;
    if let StoreLocation::File(path) = &location
        && is_absent(path)
    {
        if target.store.is_none() {
            return Ok(None);
        }
        let message = format!("there is no store at {}", path.display());
        let hint = "is the path right? `mpscript run` and `mpscript serve` make a store where there is none";
        return Err(usage_error(message, hint));
    }
    Ok(Some(runtime.block_on(open_at(&location))?))
}

fn is_absent(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The store, for a command that can't do without one.
pub(crate) fn open_required(host: &Host, runtime: &Runtime, target: &TargetArgs) -> anyhow::Result<Store> {
    Ok(runtime.block_on(open_at(&required_location(host, target)?))?)
}

/// Where the store is, for a command that can't do without one.
pub(crate) fn required_location(host: &Host, target: &TargetArgs) -> anyhow::Result<StoreLocation> {
    let location = store_location(host, target)?.ok_or_else(|| {
        let hint = "set HOME or XDG_STATE_HOME, or name the store with --store";
        usage_error("there is no store in which runs could be recorded", hint)
    })?;
    Ok(location.0)
}

pub(crate) async fn open_at(location: &StoreLocation) -> Result<Store, StoreError> {
    match location {
        StoreLocation::File(path) => Store::sqlite(path).await,
        StoreLocation::Server(url) => Store::postgres(url).await,
    }
}
