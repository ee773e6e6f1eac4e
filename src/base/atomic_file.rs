//! A file that appears whole or not at all: written to a temporary file, then renamed.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Writes to a temporary file in the same folder and renames it on [`finish`](Self::finish), so that no reader ever
/// sees half of it. Dropped before that, it leaves the existing file as it was.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
    is_renamed: bool,
}

impl AtomicFile {
    /// Starts a file that will replace the one at `path`.
    ///
    /// # Errors
    /// When the folder is not writable, or `path` names something that a rename would destroy: a device, a folder.
    pub fn create(path: &Path) -> io::Result<Self> {
        // These names are streams, or files that other processes hold open.
        let is_device = ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
        // A symbolic link keeps pointing at the file; the target is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if is_device || fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("it is no file"));
        }
        // A random name, since another process may be writing the same file.
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{:08x}.part", fastrand::u32(..)));
        let temporary = PathBuf::from(temporary);
        let file = BufWriter::new(File::create_new(&temporary)?);
        Ok(Self { temporary, path, file, is_renamed: false })
    }

    /// Syncs the file to disk and renames it to its final path.
    ///
    /// # Errors
    /// When the disk is full or the rename fails.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
