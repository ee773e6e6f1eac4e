//! The automations of a folder, each in the revision that runs. A file is read and checked before it replaces the running
//! revision; one that fails is stale, and the last good revision keeps running.

use super::{record, schedule::trigger::Trigger};
use crate::{
    base::{Diagnostic, ReadError, fingerprint, read_regular},
    script::{Automation, MAX_SCRIPT_BYTES, Origin, Program, check, leads_out},
    store::AutomationRecord,
};
use chrono_tz::Tz;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Stands for the fingerprint of a link that leads out of the folder.
const LEADS_OUT: &str = "link";

/// How deep folders are searched for imports.
const MAX_DEPTH: usize = 8;

/// One loaded version of an automation. Runs keep the revision that they were started with.
pub struct Revision {
    /// The file's stem.
    pub name: String,
    /// The file with everything that it imports.
    pub program: Arc<Program>,
    /// Its `const automation`.
    pub automation: Automation,
    /// Its triggers.
    pub triggers: Vec<Trigger>,
}

impl Revision {
    /// The trigger of a key, if this revision has it.
    #[must_use]
    pub fn trigger(&self, key: &str) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.key == key)
    }
}

/// A change that a scan has found.
#[derive(Clone)]
pub enum RegistryEvent {
    /// A new revision of the automation runs.
    Live(Arc<Revision>),
    /// The file can't be used: the last good revision runs, or nothing.
    Stale(String, Diagnostic),
    /// The file can't be used, and its last good revision was looked for in the store.
    Restored {
        /// The automation.
        name: String,
        /// Why the file can't be used.
        diagnostic: Diagnostic,
        /// The last good revision, or why it can't be restored; `None` if the store has none.
        revision: Result<Arc<Revision>, Option<Diagnostic>>,
    },
    /// The file was removed, and the triggers with it.
    Removed(String),
}

impl RegistryEvent {
    /// The automation that it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Live(revision) => &revision.name,
            Self::Stale(name, _) | Self::Restored { name, .. } | Self::Removed(name) => name,
        }
    }
}

/// Who follows a scan while it goes on.
pub trait ScanObserver {
    /// This is read from now on: a folder's entries, or a file.
    fn reading(&self, path: &Path);

    /// A change was found.
    fn found(&self, event: RegistryEvent);
}

/// What is found is in the registry when the scan has ended.
impl ScanObserver for () {
    fn reading(&self, _path: &Path) {}

    fn found(&self, _event: RegistryEvent) {}
}

/// The automations of a folder.
pub struct AutomationRegistry {
    folder: PathBuf,
    zone: Tz,
    revisions: BTreeMap<String, Arc<Revision>>,
    stale: BTreeMap<String, Diagnostic>,
    /// The fingerprints of the folder's files at the last scan.
    seen: BTreeMap<PathBuf, String>,
}

impl AutomationRegistry {
    /// A folder that was not scanned yet. Triggers without a zone have this one.
    #[must_use]
    pub fn new(folder: &Path, zone: Tz) -> Self {
        // Normalized: `jobs/` and `./jobs` are the same folder.
        let folder = folder.components().collect();
        Self { folder, zone, revisions: BTreeMap::new(), stale: BTreeMap::new(), seen: BTreeMap::new() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The revisions that run, by the names of their automations.
    #[must_use]
    pub fn revisions(&self) -> &BTreeMap<String, Arc<Revision>> {
        &self.revisions
    }

    /// Whether there is an automation of this name, be it a stale one.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.revisions.contains_key(name) || self.stale.contains_key(name)
    }

    /// Whether there is no automation, not even a stale one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.revisions.is_empty() && self.stale.is_empty()
    }

    /// What is wrong with the stale files, by the names of their automations.
    #[must_use]
    pub fn stale(&self) -> &BTreeMap<String, Diagnostic> {
        &self.stale
    }

    /// Loads the files that have changed, each by itself. When the folder can't be listed nothing changes.
    pub fn scan(&mut self, observer: &dyn ScanObserver) -> io::Result<()> {
        let mut seen = BTreeMap::new();
        Fingerprints { root: &self.folder, observer }.collect(&self.folder, MAX_DEPTH, &mut seen)?;
        let is_other = |path: &PathBuf| self.seen.get(path) != seen.get(path);
        let touched: BTreeSet<PathBuf> =
            self.seen.keys().chain(seen.keys()).filter(|path| is_other(path)).cloned().collect();
        if touched.is_empty() {
            return Ok(());
        }
        observer.reading(&self.folder);
        let files = scripts_in(&self.folder)?;
        let names: BTreeSet<String> = files.iter().map(|file| stem(file)).collect();
        let removed: BTreeSet<String> = self
            .revisions
            .keys()
            .chain(self.stale.keys())
            .filter(|name| !names.contains(*name))
            .cloned()
            .collect();
        for name in removed {
            self.revisions.remove(&name);
            self.stale.remove(&name);
            observer.found(RegistryEvent::Removed(name));
        }
        for file in files {
            let name = stem(&file);
            let is_affected = touched.contains(&file)
                || self.stale.contains_key(&name)
                || self.revisions.get(&name).is_none_or(|revision| {
                    revision.program.files().any(|import| touched.contains(&self.folder.join(import)))
                });
            if !is_affected {
                continue;
            }
            observer.reading(&file);
            match self.load(&name, &file) {
                Ok(Some(revision)) => {
                    let is_same = self.revisions.get(&name).is_some_and(|before| {
                        before.program.source() == revision.program.source()
                            && !self.stale.contains_key(&name)
                    });
                    self.stale.remove(&name);
                    if !is_same {
                        let revision = Arc::new(revision);
                        self.revisions.insert(name, Arc::clone(&revision));
                        observer.found(RegistryEvent::Live(revision));
                    }
                }
                // A script without `const automation`, which never had one.
                Ok(None) if !self.revisions.contains_key(&name) => {
                    self.stale.remove(&name);
                }
                other => {
                    let diagnostic = other.err().unwrap_or_else(no_automation);
                    if self.stale.insert(name.clone(), diagnostic.clone()).as_ref() != Some(&diagnostic) {
                        observer.found(RegistryEvent::Stale(name, diagnostic));
                    }
                }
            }
        }
        self.seen = seen;
        Ok(())
    }

    /// Loads one automation's file, if it is there, and no other one.
    pub fn load_one(&mut self, name: &str) {
        let file = self.folder.join(format!("{name}.rhai"));
        if !file.exists() {
            return;
        }
        match self.load(name, &file) {
            Ok(Some(revision)) => drop(self.revisions.insert(name.to_owned(), Arc::new(revision))),
            Ok(None) => {}
            Err(diagnostic) => drop(self.stale.insert(name.to_owned(), diagnostic)),
        }
    }

    /// Restores the last good revision of an automation of this folder whose file is stale, from its record. An error when
    /// there is one that can't be used.
    pub fn restore_last_good(&mut self, record: &AutomationRecord) -> Result<(), Diagnostic> {
        if Path::new(&record.folder) != self.folder || record.last_good_source.is_empty() {
            return Ok(());
        }
        let source = record::decode_last_good(record).map_err(|error| Diagnostic::new(error.to_string()))?;
        if let Some(revision) = self.revision(&record.id.name, &Origin::Recorded(source))? {
            self.revisions.insert(record.id.name.clone(), Arc::new(revision));
        }
        Ok(())
    }

    /// An automation of the store is not in the folder: its file was removed, or has no `const automation` any more.
    pub fn mark_missing(&mut self, name: String) -> RegistryEvent {
        if !self.folder.join(format!("{name}.rhai")).exists() {
            return RegistryEvent::Removed(name);
        }
        self.stale.insert(name.clone(), no_automation());
        RegistryEvent::Stale(name, no_automation())
    }

    fn load(&self, name: &str, file: &Path) -> Result<Option<Revision>, Diagnostic> {
        refuse_link_out(&self.folder, file)?;
        let named = file.strip_prefix(&self.folder).unwrap_or(file).to_owned();
        self.revision(name, &Origin::File { named, path: file.to_owned() })
    }

    fn revision(&self, name: &str, origin: &Origin) -> Result<Option<Revision>, Diagnostic> {
        let program = Program::load(origin);
        let program = Arc::new(program.map_err(|trouble| trouble.diagnostic)?);
        let Some((automation, triggers)) = read(&program, self.zone)? else { return Ok(None) };
        if let Some(trouble) = check::first(&program) {
            return Err(trouble.diagnostic);
        }
        Ok(Some(Revision { name: name.to_owned(), program, automation, triggers }))
    }
}

/// The automation that a program declares, with its triggers; `None` for a script without one.
pub fn read(program: &Program, zone: Tz) -> Result<Option<(Automation, Vec<Trigger>)>, Diagnostic> {
    let Some(automation) = program.automation().map_err(|trouble| trouble.diagnostic)? else {
        return Ok(None);
    };
    let triggers = automation.triggers.iter().map(|text| Trigger::read(text, zone));
    let triggers = triggers.collect::<Result<Vec<Trigger>, Diagnostic>>()?;
    let must_be_given = automation.params.iter().find(|(_, parameter)| parameter.init().is_none());
    if let (Some((parameter, _)), false) = (must_be_given, triggers.is_empty()) {
        let message = format!("parameter `{parameter}` has no value when a trigger fires");
        return Err(Diagnostic::new(message).hint("give it one: init: …"));
    }
    Ok(Some((automation, triggers)))
}

/// What is wrong with a file that had a `const automation` before.
fn no_automation() -> Diagnostic {
    Diagnostic::new("no `const automation` any more").hint("remove the file to end it")
}

/// The scripts directly in a folder, in order.
pub fn scripts_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Editors write hidden files beside the one that they save.
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // A pipe or a device of that name is an error to report. A link that leads nowhere is nothing.
        let is_there = || path.metadata().is_ok_and(|metadata| !metadata.is_dir());
        if !is_hidden && path.extension().is_some_and(|extension| extension == "rhai") && is_there() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Refuses a script of a folder that is a link to a file outside of it: the messages about a script show parts of what is in
/// it.
///
/// # Errors
/// When it is one.
pub fn refuse_link_out(folder: &Path, file: &Path) -> Result<(), Diagnostic> {
    if !leads_out(folder, file) {
        return Ok(());
    }
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let message = format!("{name} is a link that leads out of the folder");
    Err(Diagnostic::new(message).hint("copy the script into the folder, or link to one that is in it"))
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Takes the fingerprints of all scripts under a folder. What links lead to outside of it is not looked at.
struct Fingerprints<'a> {
    root: &'a Path,
    observer: &'a dyn ScanObserver,
}

impl Fingerprints<'_> {
    fn collect(&self, folder: &Path, depth: usize, seen: &mut BTreeMap<PathBuf, String>) -> io::Result<()> {
        self.observer.reading(folder);
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            self.observer.reading(&path);
            let is_script = path.extension().is_some_and(|extension| extension == "rhai");
            if leads_out(self.root, &path) {
                if is_script {
                    seen.insert(path, LEADS_OUT.to_owned());
                }
            } else if path.is_dir() && depth > 0 {
                // A folder that was removed since has no scripts.
                let _ = self.collect(&path, depth - 1, seen);
            } else if is_script {
                match read_regular(&path, MAX_SCRIPT_BYTES) {
                    Ok(bytes) => {
                        seen.insert(path, fingerprint([String::from_utf8_lossy(&bytes).as_ref()]));
                    }
                    Err(ReadError::NotRegular | ReadError::TooLong(_)) => {
                        seen.insert(path, String::new());
                    }
                    // It was removed since.
                    Err(ReadError::Folder | ReadError::Io(_)) => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    const AUTOMATION: &str = "const automation = #{ on: [] };\nfn run() { }";

    /// A folder with `外/钥匙`, and `任务`, which is served.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["外", "任务"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("外/钥匙"), "密文0123").unwrap();
        folder
    }

    fn scanned(folder: &TempDir) -> AutomationRegistry {
        let mut registry = AutomationRegistry::new(&folder.path().join("任务"), Tz::UTC);
        registry.scan(&()).unwrap();
        registry
    }

    #[test]
    fn link_out_of_the_folder_is_stale_and_not_read() {
        let folder = folder();
        symlink(folder.path().join("外/钥匙"), folder.path().join("任务/k.rhai")).unwrap();
        let registry = scanned(&folder);
        let message = registry.stale().get("k").map(Diagnostic::one_line).unwrap_or_default();
        assert!(message.starts_with("k.rhai is a link that leads out of the folder"), "{message}");
    }

    #[test]
    fn link_to_a_file_of_the_folder_is_live() {
        let folder = folder();
        fs::create_dir(folder.path().join("任务/..data")).unwrap();
        fs::write(folder.path().join("任务/..data/一.rhai"), AUTOMATION).unwrap();
        symlink("..data/一.rhai", folder.path().join("任务/一.rhai")).unwrap();
        assert!(scanned(&folder).revisions().contains_key("一"));
    }

    #[test]
    fn one_automation_is_loaded_without_the_others() {
        let folder = folder();
        for name in ["一", "二"] {
            fs::write(folder.path().join(format!("任务/{name}.rhai")), AUTOMATION).unwrap();
        }
        let mut registry = AutomationRegistry::new(&folder.path().join("任务"), Tz::UTC);
        registry.load_one("二");
        assert_eq!(registry.revisions().keys().collect::<Vec<_>>(), ["二"]);
    }
}
