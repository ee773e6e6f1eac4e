//! Changes in a folder, as the file system reports them.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};

/// Calls `on_change` for everything that happens in a folder, except that files are read, until the watcher is dropped.
pub(crate) fn watch(
    folder: &Path,
    on_change: impl Fn() + Send + 'static,
) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
            on_change();
        }
    })?;
    watcher.watch(folder, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// Watches a folder by its path. If the path leads to another folder later (one was moved, a symlink was changed), that
/// folder is watched.
pub(crate) struct WatchedFolder<C> {
    folder: PathBuf,
    on_change: C,
    identity: Option<(u64, u64)>,
    watcher: notify::Result<RecommendedWatcher>,
}

impl<C: Fn() + Clone + Send + 'static> WatchedFolder<C> {
    pub(crate) fn new(folder: &Path, on_change: C) -> Self {
        let watcher = watch(folder, on_change.clone());
        Self { folder: folder.to_owned(), on_change, identity: identity(folder), watcher }
    }

    /// Why changes are not reported, if so.
    pub(crate) fn error(&self) -> Option<&notify::Error> {
        self.watcher.as_ref().err()
    }

    /// Watches the folder to which the path leads now.
    pub(crate) fn renew(&mut self) {
        if identity(&self.folder) != self.identity {
            *self = Self::new(&self.folder, self.on_change.clone());
        }
    }
}

/// Device and inode, which distinguish a folder from another one at the same path.
#[cfg(unix)]
fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_folder: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink, sync::mpsc, time::Duration};

    /// A guard against a change that is never reported.
    const TIMEOUT: Duration = Duration::from_mins(1);

    #[test]
    fn change_behind_a_replaced_symlink_is_reported_after_a_renewal() {
        let place = tempfile::tempdir().expect("there is room for a folder");
        let path = |name: &str| place.path().join(name);
        for folder in ["旧", "新"] {
            fs::create_dir(path(folder)).expect("a folder can be made");
        }
        symlink(path("旧"), path("现")).expect("a link can be made");
        let (changed, reported) = mpsc::channel();
        let on_change = move || {
            let _ = changed.send(());
        };
        let mut watched = WatchedFolder::new(&path("现"), on_change);
        assert!(watched.error().is_none(), "{:?}", watched.error());
        symlink(path("新"), path("下")).expect("a link can be made");
        fs::rename(path("下"), path("现")).expect("it can be moved");
        watched.renew();
        while reported.try_recv().is_ok() {}
        fs::write(path("新").join("日报.rhai"), "").expect("it can be written");
        assert_eq!(reported.recv_timeout(TIMEOUT), Ok(()));
    }
}
