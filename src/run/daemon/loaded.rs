//! The automations that the daemon has loaded: what a scan has found, once the store has taken it.

use crate::run::registry::Revision;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What runs of an automation whose file is stale.
pub const RUNS_LAST_GOOD: &str = "the last good version keeps running";
pub const RUNS_NOTHING: &str = "it does not run";

/// The loaded automations of a folder.
pub(super) struct LoadedAutomations {
    folder: PathBuf,
    revisions: BTreeMap<String, Arc<Revision>>,
    stale: BTreeSet<String>,
}

impl LoadedAutomations {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), revisions: BTreeMap::new(), stale: BTreeSet::new() }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder, as the store keeps it.
    pub(super) fn stored_folder(&self) -> String {
        self.folder.display().to_string()
    }

    /// The revisions that run, by the names of their automations.
    pub(super) fn revisions(&self) -> &BTreeMap<String, Arc<Revision>> {
        &self.revisions
    }

    /// The revision of an automation that runs.
    pub(super) fn get(&self, name: &str) -> Option<Arc<Revision>> {
        self.revisions.get(name).map(Arc::clone)
    }

    /// How many files can't be used.
    pub(super) fn count_stale(&self) -> usize {
        self.stale.len()
    }

    /// A revision runs from now on.
    pub(super) fn load(&mut self, revision: Arc<Revision>) {
        self.stale.remove(&revision.name);
        self.revisions.insert(revision.name.clone(), revision);
    }

    /// The file of an automation can't be used: what runs of it does so from now on.
    pub(super) fn mark_stale(&mut self, name: &str) {
        self.stale.insert(name.to_owned());
    }

    /// An automation runs no more.
    pub(super) fn unload(&mut self, name: &str) {
        self.revisions.remove(name);
        self.stale.remove(name);
    }
}
