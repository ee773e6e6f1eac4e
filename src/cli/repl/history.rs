//! The history of typed lines, in a file of the state folder that only its owner can read, with secrets masked.

use super::editor::LineEditor;
use crate::{
    base::{ReadError, read_regular},
    cli::config::state_folder,
    host::Host,
};
use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// The file in the state folder.
const FILE: &str = "mpscript/history";

/// The longest history that is read, in bytes: the editor keeps fewer lines than that.
const MAX_BYTES: u64 = 16 << 20;

/// The history's file; only its owner can read it.
pub(super) fn file(host: &Host) -> Option<PathBuf> {
    let file = state_folder(host)?.join(FILE);
    fs::create_dir_all(file.parent()?).ok()?;
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let readable = match read_regular(&file, MAX_BYTES) {
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        read => read.map(drop),
    };
    match readable.and_then(|()| Ok(options.open(&file)?)) {
        Ok(_) => Some(file),
        Err(error) => {
            let place = file.display();
            host.err.line(&format!("warning: the history can't be stored in {place}: {error}"));
            None
        }
    }
}

/// Adds a line to the history, with secrets masked.
pub(super) fn remember(editor: &mut LineEditor, file: Option<&Path>, host: &Host, line: &str) {
    let line = host.secrets.mask(line);
    // Failing to append is ignored: the session matters more than its history.
    if matches!(editor.add_history_entry(line.trim_end()), Ok(true))
        && let Some(file) = file
    {
        let _ = editor.append_history(file);
    }
}
