//! What the configuration says of the files that scripts use: `files` adds folders, and mpscript's own files stay out of
//! reach.

use super::{
    file,
    store::{StoreLocation, state_folder, store_location},
};
use crate::{cli::args::TargetArgs, host::Host, script::FileAccess};
use std::path::{Path, PathBuf};

/// Files that SQLite keeps beside a database.
const BESIDE_A_STORE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The folders that the configuration allows, and what it protects.
pub(crate) fn access(host: &Host, target: &TargetArgs) -> anyhow::Result<FileAccess> {
    let mut access = FileAccess::default();
    access.protect(state_folder(host).map(|folder| folder.join("mpscript")));
    if let Some((StoreLocation::File(store), _)) = store_location(host, target)? {
        access.protect(BESIDE_A_STORE.iter().map(|end| {
            let mut path = store.clone().into_os_string();
            path.push(end);
            PathBuf::from(path)
        }));
    }
    if let Some((path, file)) = file::read(host, target.config.as_deref())? {
        let folder = path.parent().unwrap_or(Path::new("."));
        let roots: Vec<PathBuf> = file.files.iter().map(|root| folder.join(root)).collect();
        access.allow(&roots);
        for entry in file.accounts.values() {
            let secrets = [&entry.secret_file, &entry.token_file].into_iter().flatten();
            access.protect(secrets.map(|secret| folder.join(secret)));
        }
        access.protect([path]);
    }
    Ok(access)
}
