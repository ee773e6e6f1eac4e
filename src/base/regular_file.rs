//! Reading files that may be anything: a pipe that is never written, a device without end, a giant.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    path::Path,
};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is a folder.
    #[error("it is a folder")]
    Folder,
    /// It is a pipe, a device or a socket, or a link to one.
    #[error("it is no regular file")]
    NotRegular,
    /// It is too long.
    #[error("it has more than {0} bytes")]
    TooLong(u64),
    /// It can't be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Whether it is a regular file.
///
/// # Errors
/// When it is of another kind.
pub fn refuse_other_kinds(metadata: &Metadata) -> Result<(), ReadError> {
    match metadata {
        metadata if metadata.is_dir() => Err(ReadError::Folder),
        metadata if !metadata.is_file() => Err(ReadError::NotRegular),
        _ => Ok(()),
    }
}

/// Opens a regular file. Anything else is not even opened: that could block, or have effects.
///
/// # Errors
/// When it is of another kind, or can't be read.
pub fn open_regular(path: &Path) -> Result<File, ReadError> {
    refuse_other_kinds(&fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    // A pipe that has taken the file's place since is not waited for.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::libc::O_NONBLOCK);
    let file = options.open(path)?;
    refuse_other_kinds(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most `max` bytes.
///
/// # Errors
/// As for [`open_regular`], or when it is longer.
pub fn read_regular(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    // One that grows while it is read is too long as well.
    open_regular(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(ReadError::TooLong(max));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_bounded_length_are_read() {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let file = folder.path().join("文件");
        fs::write(&file, "12345").expect("a file can be written");
        assert_eq!(read_regular(&file, 5).ok().as_deref(), Some(&b"12345"[..]));
        assert!(matches!(read_regular(&file, 4), Err(ReadError::TooLong(4))));
        assert!(matches!(read_regular(folder.path(), 4), Err(ReadError::Folder)));
        assert!(matches!(read_regular(Path::new("/dev/zero"), 4), Err(ReadError::NotRegular)));
    }
}
