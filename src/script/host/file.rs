//! Files that a script names.

use super::error::ScriptError;
use crate::api::{
    Spec,
    media::{File, PICTURE_BYTES},
};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// The file that a script names, or why it can't be read; the path is relative to `folder`.
pub(crate) fn existing(folder: &Path, path: &str) -> Result<PathBuf, String> {
    let whole = folder.join(path);
    // Reading a pipe could block for ever.
    match fs::metadata(&whole) {
        Ok(metadata) if metadata.is_file() => Ok(whole),
        Ok(metadata) if metadata.is_dir() => Err("it is a folder".to_owned()),
        Ok(_) => Err("it is no file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What to do about a file that can't be read.
pub(crate) fn give_another(folder: &Path, path: &str) -> String {
    if Path::new(path).is_absolute() {
        "give the path of a file that can be read".to_owned()
    } else {
        format!("paths are relative to the folder that mpscript was started in: {}", folder.display())
    }
}

/// Reads a picture that is about to be uploaded.
pub(crate) fn picture(spec: &Spec, folder: &Path, path: &str) -> Result<File, ScriptError> {
    let fail = |reason: String, hint: String| {
        let error = ScriptError::usage(format!("{}: can't send `{path}`: {reason}", spec.name), hint);
        ScriptError { endpoint: spec.name.to_owned(), ..error }
    };
    let unreadable = |reason: String| fail(reason, give_another(folder, path));
    let whole = existing(folder, path).map_err(unreadable)?;
    let mut content = Vec::new();
    // One byte more than allowed is enough to see that it is too large.
    let read = fs::File::open(&whole).and_then(|file| {
        file.take(u64::try_from(PICTURE_BYTES).unwrap_or(u64::MAX)).read_to_end(&mut content)
    });
    read.map_err(|error| unreadable(error.to_string()))?;
    File::picture(content).map_err(|error| fail(error.to_string(), "send a JPG or PNG under 1 MB".to_owned()))
}
