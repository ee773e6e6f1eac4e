//! A file that is written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Written beside its place and moved there at the end, so that no half of it is ever seen. One that is
/// dropped before the end leaves what was there before.
#[derive(Debug)]
pub struct WholeFile {
    part: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
    is_moved: bool,
}

impl WholeFile {
    /// Begins a file that will replace what is there.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn create(path: &Path) -> io::Result<Self> {
        // Behind these names are streams, and files that others hold open.
        let is_device = ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
        // A link stays a link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if is_device || fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("it is no file"));
        }
        // Another process may be writing the same file.
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{:08x}.part", fastrand::u32(..)));
        let part = PathBuf::from(part);
        let file = BufWriter::new(File::create_new(&part)?);
        Ok(Self { part, path, file, is_moved: false })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.part, &self.path)?;
        self.is_moved = true;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.is_moved {
            let _ = fs::remove_file(&self.part);
        }
    }
}
