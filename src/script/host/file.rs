//! The files that a script names: one type decides which of them it may read and write.

use super::error::ScriptError;
use crate::{
    api::{
        Spec,
        media::{File as Picture, PICTURE_BYTES},
    },
    base::{ReadError, open_regular, refuse_other_kinds},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

/// Folders of the system: streams, devices, and the memory and environment of processes.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The configuration's name, wherever it lies.
const CONFIGURATION: &str = "mpscript.toml";

/// Links in a row that are followed to what does not exist.
const MAX_LINKS: usize = 40;

/// Ends of the names of files that hold keys.
const KEYS: [&str; 2] = ["key", "pem"];

/// Which files a script may read and write: those under its roots, but for what is protected.
///
/// A path is judged by where it really lies, so a link does not lead out of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAccess {
    /// Where relative paths begin.
    folder: PathBuf,
    /// Files, and folders with everything under them.
    roots: Vec<PathBuf>,
    /// What no script may touch: the store, the configuration, secrets.
    protected: Vec<PathBuf>,
}

/// Why a script may not use a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{0}")]
    Unreadable(#[from] ReadError),
    #[error("it is outside of the folders that the script may use")]
    Outside,
    #[error("scripts may not touch it")]
    Protected,
    #[error("it is a script")]
    Script,
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        ReadError::from(error).into()
    }
}

impl FileAccess {
    /// The same for scripts whose relative paths begin in this folder.
    #[must_use]
    pub fn starting_in(&self, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), ..self.clone() }
    }

    /// Adds roots. A relative one is of the folder that relative paths begin in.
    pub fn allow(&mut self, roots: &[PathBuf]) {
        for root in roots.iter().map(|root| self.folder.join(root)) {
            if !self.roots.contains(&root) {
                self.roots.push(root);
            }
        }
    }

    /// Adds files and folders that stay out of reach, even within a root.
    pub fn protect(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.protected.extend(paths);
    }

    /// Whether a path is protected: no script and no parameter may name it.
    #[must_use]
    pub fn is_protected(&self, path: &Path) -> bool {
        let named = self.folder.join(path);
        refuse_system(&named).is_err()
            || real_path(&named).is_ok_and(|real| self.refuse_protected(&real).is_err())
            || fs::metadata(&named).is_ok_and(|metadata| self.is_protected_file(&metadata))
    }

    /// Opens a file to be read.
    pub(crate) fn open(&self, path: &str) -> Result<File, FileError> {
        let named = self.folder.join(path);
        refuse_system(&named)?;
        let real = fs::canonicalize(&named).or_else(|error| self.refuse_absent(&named, error.into()))?;
        self.check(&real)?;
        let file = open_regular(&real)?;
        let metadata = file.metadata()?;
        if self.is_protected_file(&metadata) {
            return Err(FileError::Protected);
        }
        Ok(file)
    }

    /// Whether it is a protected file: a hard link has another path, and is the same file.
    fn is_protected_file(&self, metadata: &Metadata) -> bool {
        self.protected.iter().any(|protected| is_same_file(protected, metadata))
    }

    /// Where a file that is going to be written really lies.
    pub(crate) fn destination(&self, path: &str) -> Result<PathBuf, FileError> {
        let named = self.folder.join(path);
        refuse_system(&named)?;
        let real = real_path(&named).or_else(|error| self.refuse_absent(&named, error.into()))?;
        self.check(&real)?;
        if let Ok(metadata) = fs::metadata(&real) {
            refuse_other_kinds(&metadata)?;
        }
        // What followers and operators have typed must not become a script.
        if real.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("rhai")) {
            return Err(FileError::Script);
        }
        Ok(real)
    }

    /// What to do about a file that can't be used.
    pub(crate) fn hint(&self, path: &str, error: &FileError) -> String {
        match error {
            FileError::Outside => {
                let roots: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
                format!(
                    "it may use what is under {}; `files = [\"…\"]` in {CONFIGURATION} adds a folder, and a run by hand may \
                     use a file, or a folder that is not the system's or a home, that a --param names by its path",
                    if roots.is_empty() { "no folder".to_owned() } else { roots.join(", ") }
                )
            }
            FileError::Protected => {
                "the store, the configuration, secrets, hidden files, /proc, /sys and /dev are not for scripts"
                    .to_owned()
            }
            FileError::Script => "give the file another ending than .rhai".to_owned(),
            FileError::Unreadable(_) if Path::new(path).is_absolute() => {
                "give the path of a file that exists, in a folder that can be used".to_owned()
            }
            FileError::Unreadable(_) => {
                format!(
                    "paths are relative to the folder that mpscript was started in: {}",
                    self.folder.display()
                )
            }
        }
    }

    /// Why a path that can't be followed is refused. Of one that would lie outside, an error of the system's would tell which
    /// files exist there.
    fn refuse_absent(&self, named: &Path, error: FileError) -> Result<PathBuf, FileError> {
        self.check(&would_be(named, MAX_LINKS))?;
        Err(error)
    }

    fn refuse_protected(&self, real: &Path) -> Result<(), FileError> {
        refuse_system(real)?;
        let is_protected =
            |protected: &PathBuf| real_path(protected).is_ok_and(|protected| real.starts_with(protected));
        if real.file_name().is_some_and(|name| name == CONFIGURATION)
            || self.protected.iter().any(is_protected)
        {
            return Err(FileError::Protected);
        }
        Ok(())
    }

    /// Whether a path without links may be touched.
    fn check(&self, real: &Path) -> Result<(), FileError> {
        self.refuse_protected(real)?;
        let mut below = self
            .roots
            .iter()
            .filter_map(|root| real.strip_prefix(real_path(root).ok()?).ok())
            .map(is_private)
            .peekable();
        if below.peek().is_none() {
            return Err(FileError::Outside);
        }
        if below.all(|is_private| is_private) { Err(FileError::Protected) } else { Ok(()) }
    }
}

/// Whether a path below an allowed root is refused nevertheless, since a component is hidden or the file is a key. A file
/// that is a root itself was named explicitly.
fn is_private(below: &Path) -> bool {
    let is_hidden = |component: Component| component.as_os_str().as_encoded_bytes().starts_with(b".");
    below.components().any(is_hidden)
        || below.extension().is_some_and(|kind| KEYS.iter().any(|key| kind.eq_ignore_ascii_case(key)))
}

fn refuse_system(path: &Path) -> Result<(), FileError> {
    if SYSTEM.iter().any(|folder| path.starts_with(folder)) { Err(FileError::Protected) } else { Ok(()) }
}

/// A path without links; its last component need not exist.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(fs::canonicalize(parent)?.join(name))
        }
        (real, ..) => real,
    }
}

/// Where a path leads, as far as it exists; the rest is taken as it is written.
fn would_be(path: &Path, links: usize) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    let Some(parent) = path.parent() else { return path.to_owned() };
    if let (Ok(target), Some(links)) = (fs::read_link(path), links.checked_sub(1)) {
        return would_be(&parent.join(target), links);
    }
    let mut real = would_be(parent, links);
    match path.components().next_back() {
        Some(Component::Normal(name)) => real.push(name),
        Some(Component::ParentDir) => drop(real.pop()),
        _ => {}
    }
    real
}

#[cfg(unix)]
fn is_same_file(path: &Path, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (other.dev(), other.ino()))
}

#[cfg(not(unix))]
fn is_same_file(_path: &Path, _other: &Metadata) -> bool {
    false
}

/// Reads a picture that is about to be uploaded.
pub(crate) fn picture(spec: &Spec, files: &FileAccess, path: &str) -> Result<Picture, ScriptError> {
    let fail = |reason: String, hint: String| {
        let error = ScriptError::usage(format!("{}: can't send `{path}`: {reason}", spec.name), hint);
        ScriptError { endpoint: spec.name.to_owned(), ..error }
    };
    let unreadable = |error: &FileError| fail(error.to_string(), files.hint(path, error));
    let file = files.open(path).map_err(|error| unreadable(&error))?;
    let mut content = Vec::new();
    // One byte over the limit is enough to know that it is too large.
    file.take(u64::try_from(PICTURE_BYTES).unwrap_or(u64::MAX))
        .read_to_end(&mut content)
        .map_err(|error| unreadable(&error.into()))?;
    Picture::picture(content)
        .map_err(|error| fail(error.to_string(), "send a JPG or PNG under 1 MB".to_owned()))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A folder with `jobs/名单.csv`, `store.sqlite3` and `else/名单.csv`; scripts may use `jobs`.
    fn account() -> (TempDir, FileAccess) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["jobs", "jobs/.ssh", "else"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["jobs/名单.csv", "jobs/.ssh/id", "jobs/服务.key", "store.sqlite3", "else/名单.csv"]
        {
            fs::write(folder.path().join(name), "oabc").unwrap();
        }
        let mut files = FileAccess::default().starting_in(folder.path());
        files.allow(&[PathBuf::from("jobs")]);
        files.protect([folder.path().join("store.sqlite3")]);
        (folder, files)
    }

    fn refusal(result: Result<File, FileError>) -> String {
        result.map_or_else(|error| error.to_string(), |_| "opened".to_owned())
    }

    #[test]
    fn file_under_a_root_is_opened() {
        let (_folder, files) = account();
        assert_eq!(refusal(files.open("jobs/../jobs/名单.csv")), "opened");
    }

    #[test]
    fn file_outside_of_the_roots_is_refused() {
        let (_folder, files) = account();
        assert_eq!(refusal(files.open("else/名单.csv")), FileError::Outside.to_string());
    }

    #[test]
    fn link_out_of_a_root_is_refused() {
        let (folder, files) = account();
        symlink(folder.path().join("else"), folder.path().join("jobs/link")).unwrap();
        assert_eq!(refusal(files.open("jobs/link/名单.csv")), FileError::Outside.to_string());
    }

    #[test]
    fn absent_file_outside_of_the_roots_is_refused_as_one_that_exists() {
        let (folder, files) = account();
        symlink(folder.path().join("else/没有.csv"), folder.path().join("jobs/link.csv")).unwrap();
        for path in [
            "else/没有.csv",
            "jobs/../没有.csv",
            "jobs/没有/../../没有.csv",
            "else/名单.csv/x",
            "jobs/link.csv",
        ] {
            assert_eq!(refusal(files.open(path)), FileError::Outside.to_string(), "{path}");
        }
        assert!(matches!(files.destination("else/没有/新.csv"), Err(FileError::Outside)));
    }

    #[test]
    fn absent_file_under_a_root_is_reported_as_absent() {
        let (_folder, files) = account();
        assert!(refusal(files.open("jobs/没有.csv")).starts_with("No such file"));
    }

    #[test]
    fn hard_link_to_the_store_is_refused() {
        let (folder, files) = account();
        fs::hard_link(folder.path().join("store.sqlite3"), folder.path().join("jobs/a.csv")).unwrap();
        assert_eq!(refusal(files.open("jobs/a.csv")), FileError::Protected.to_string());
    }

    #[test]
    fn hidden_file_or_key_under_a_root_is_refused() {
        let (_folder, files) = account();
        for path in ["jobs/.ssh/id", "jobs/服务.key"] {
            assert_eq!(refusal(files.open(path)), FileError::Protected.to_string(), "{path}");
        }
    }

    #[test]
    fn protected_file_that_is_a_root_is_refused() {
        let (folder, mut files) = account();
        files.allow(&[folder.path().join("store.sqlite3")]);
        assert_eq!(refusal(files.open("store.sqlite3")), FileError::Protected.to_string());
    }

    #[test]
    fn system_file_is_refused_even_with_the_root_folder_as_a_root() {
        let (folder, mut files) = account();
        files.allow(&[PathBuf::from("/")]);
        symlink("/proc/self/environ", folder.path().join("jobs/环境.csv")).unwrap();
        for path in ["/proc/self/environ", "/dev/stdin", "/sys/kernel/notes", "jobs/环境.csv"] {
            assert_eq!(refusal(files.open(path)), FileError::Protected.to_string(), "{path}");
        }
    }

    #[test]
    fn pipe_is_refused_without_waiting_for_it() {
        let (folder, files) = account();
        let pipe = folder.path().join("jobs/a.csv");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(refusal(files.open("jobs/a.csv")), ReadError::NotRegular.to_string());
    }

    #[test]
    fn destination_may_not_exist_yet() {
        let (folder, files) = account();
        let real = fs::canonicalize(folder.path()).unwrap().join("jobs/新.csv");
        assert_eq!(files.destination("jobs/新.csv").unwrap(), real);
    }

    #[test]
    fn destination_that_links_out_is_refused() {
        let (folder, files) = account();
        symlink(folder.path().join("else/名单.csv"), folder.path().join("jobs/a.csv")).unwrap();
        assert!(matches!(files.destination("jobs/a.csv"), Err(FileError::Outside)));
    }

    #[test]
    fn script_is_never_a_destination() {
        let (_folder, files) = account();
        assert!(matches!(files.destination("jobs/booth.RHAI"), Err(FileError::Script)));
    }

    #[test]
    fn configuration_is_never_a_destination() {
        let (_folder, files) = account();
        assert!(matches!(files.destination("jobs/mpscript.toml"), Err(FileError::Protected)));
    }
}
