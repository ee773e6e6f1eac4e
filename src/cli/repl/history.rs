//! The lines that were typed, kept in the state folder for their owner alone and without what is secret.

use super::editor::LineEditor;
use crate::{cli::config::store, host::Host};
use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

/// The file in the state folder.
const FILE: &str = "mpscript/history";

/// The history's file, which nobody else can read.
pub(crate) fn file(host: &Host) -> Option<PathBuf> {
    let file = store::folder(host)?.join(FILE);
    fs::create_dir_all(file.parent()?).ok()?;
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&file) {
        Ok(_) => Some(file),
        Err(error) => {
            let place = file.display();
            host.err.line(&format!("warning: the history can't be kept in {place}: {error}"));
            None
        }
    }
}

/// Adds a line to the history, without what is secret.
pub(crate) fn remember(editor: &mut LineEditor, file: Option<&Path>, host: &Host, line: &str) {
    let line = host.secrets.mask(line);
    // A line that can't be kept is none that would have to stop anybody.
    if matches!(editor.add_history_entry(line.trim_end()), Ok(true))
        && let Some(file) = file
    {
        let _ = editor.append_history(file);
    }
}
