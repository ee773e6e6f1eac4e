//! Files that a script names.

use super::error::PlatformError;
use crate::api::{
    Spec,
    media::{File, PICTURE_BYTES},
};
use std::{fs, io::Read, path::Path};

/// Reads a picture that is about to be uploaded; the path is relative to where the person stands.
pub(super) fn picture(spec: &Spec, folder: &Path, path: &str) -> Result<File, PlatformError> {
    let whole = folder.join(path);
    let fail = |reason: String, hint: String| {
        let error = PlatformError::usage(format!("{}: can't send `{path}`: {reason}", spec.name), hint);
        PlatformError { endpoint: spec.name.to_owned(), ..error }
    };
    let unreadable = |reason: String| {
        let hint = if Path::new(path).is_absolute() {
            "give the path of a picture".to_owned()
        } else {
            format!("paths are relative to the folder that mpscript was started in: {}", folder.display())
        };
        fail(reason, hint)
    };
    // A pipe would be waited for.
    match fs::metadata(&whole) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) if metadata.is_dir() => return Err(unreadable("it is a folder".to_owned())),
        Ok(_) => return Err(unreadable("it is no file".to_owned())),
        Err(error) => return Err(unreadable(error.to_string())),
    }
    let mut content = Vec::new();
    // One byte more than is allowed tells that it is too large, however large it is.
    let read = fs::File::open(&whole).and_then(|file| {
        file.take(u64::try_from(PICTURE_BYTES).unwrap_or(u64::MAX)).read_to_end(&mut content)
    });
    read.map_err(|error| unreadable(error.to_string()))?;
    File::picture(content).map_err(|error| fail(error.to_string(), "send a JPG or PNG under 1 MB".to_owned()))
}
