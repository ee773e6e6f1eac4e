//! The identity of the open files of a SQLite store, to detect that a file was replaced or overwritten.

use crate::base::{lock, open_regular};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    thread,
    time::Duration,
};

/// How often a header that is not the store's is read again: it may have been read while it was written.
const MAX_READS: u32 = 3;

/// The delay between these reads.
const READ_INTERVAL: Duration = Duration::from_millis(2);

/// A file of the system, whatever its name: its device and its number there.
type FileId = (u64, u64);

/// The files of a store.
pub(super) struct OpenedFiles {
    path: PathBuf,
    database: Option<Arc<File>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    database: Option<FileId>,
    /// Of the write-ahead log, while a connection has it open.
    log: Option<FileId>,
    /// What the database's header must have as its id, once that is known.
    store_id: Option<u32>,
    header: Option<Header>,
}

impl OpenedFiles {
    /// To be called before a connection is opened: closing the descriptor of a database ends the locks of all connections
    /// that the process has to it.
    pub(super) fn new(path: &Path) -> Self {
        // SQLite follows links, and puts the log beside their target.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let database = shared_descriptor(&path).ok();
        Self { path, database, seen: Mutex::default() }
    }

    fn log(&self) -> PathBuf {
        self.beside("-wal")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// A connection has opened the files.
    pub(super) fn connected(&self) {
        let mut seen = lock(&self.seen);
        if seen.database.is_none() {
            seen.database = file_id(&self.path).ok();
        }
        seen.log = file_id(&self.log()).ok();
    }

    /// The connection is about to be closed, and may delete the log.
    pub(super) fn closing(&self) {
        lock(&self.seen).log = None;
    }

    /// The id of the store, as its connection reads it; 0 is none.
    pub(super) fn set_store_id(&self, id: u32) {
        lock(&self.seen).store_id = Some(id).filter(|id| *id != 0);
    }

    /// Whether the names stand for the files that were opened, and these are the store's: what is written into others, or into
    /// deleted ones, is lost.
    pub(super) fn are_in_place(&self) -> bool {
        let mut seen = lock(&self.seen);
        is_in_place(&self.path, seen.database)
            && is_in_place(&self.log(), seen.log)
            && self.is_intact(&mut seen)
    }

    /// Whether the database was not written over. The connection does not notice that: it reads from its memory and from its
    /// log what it has once read.
    fn is_intact(&self, seen: &mut Seen) -> bool {
        let Some(database) = &self.database else { return true };
        for number in 0..MAX_READS {
            if number > 0 {
                thread::sleep(READ_INTERVAL);
            }
            match Header::read(database) {
                Ok(header) if header.follows(seen.header, seen.store_id) => {
                    seen.header = Some(header);
                    return true;
                }
                // One that is too short has no header.
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof || seen.header.is_none() => {
                    return true;
                }
                Ok(_) | Err(_) => {}
            }
        }
        false
    }

    /// Renames the log, if it is still that of the database that is no longer in its place: SQLite would apply it to the file
    /// that is there now.
    pub(super) fn set_log_aside(&self) {
        let seen = lock(&self.seen);
        if seen.log.is_some() && file_id(&self.log()).ok() == seen.log {
            // Where that fails, the folder is gone or can't be written: nothing can be opened there either.
            let _ = fs::rename(self.log(), self.beside("-wal.replaced"));
        }
    }
}

/// What the header of a database says, as it is in the file (<https://www.sqlite.org/fileformat.html#the_database_header>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// `PRAGMA application_id`; 0 before it was first written to the file.
    id: u32,
    /// Counts the changes of the first page.
    changes: u32,
    /// How long the file is by its header.
    length: u64,
    /// How long it is.
    size: u64,
}

impl Header {
    #[cfg(unix)]
    fn read(file: &File) -> io::Result<Self> {
        use std::os::unix::fs::FileExt;
        let mut bytes = [0; 100];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Self::decode(&bytes, file.metadata()?.len()))
    }

    #[cfg(not(unix))]
    fn read(_file: &File) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn decode(bytes: &[u8; 100], size: u64) -> Self {
        let number =
            |at: usize| bytes[at..].iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte));
        let page = match number(16) >> 16 {
            1 => 1 << 16,
            page => u64::from(page),
        };
        Self { id: number(68), changes: number(24), length: page * u64::from(number(28)), size }
    }

    /// Whether a file with the header `before`, of the store `id`, may come to have this one. It is written when the log is
    /// copied into the file, by whichever process: its changes are counted up, and only a file that holds what its header says
    /// becomes shorter.
    fn follows(self, before: Option<Self>, id: Option<u32>) -> bool {
        let Some(before) = before else { return true };
        let is_of_store = self.id == before.id || before.id == 0 && id.is_none_or(|id| self.id == id);
        let is_newer = self.changes.wrapping_sub(before.changes) < 1 << 31;
        let is_whole = self.size >= before.size || self.size >= self.length;
        is_of_store && is_newer && is_whole
    }
}

/// The descriptor of a file, one for all stores of this process.
fn shared_descriptor(path: &Path) -> io::Result<Arc<File>> {
    static OPEN: Mutex<BTreeMap<FileId, Weak<File>>> = Mutex::new(BTreeMap::new());
    let mut open = lock(&OPEN);
    open.retain(|_, file| file.strong_count() > 0);
    let id = file_id(path)?;
    if let Some(file) = open.get(&id).and_then(Weak::upgrade) {
        return Ok(file);
    }
    let file = Arc::new(open_regular(path).map_err(io::Error::other)?);
    open.insert(id, Arc::downgrade(&file));
    Ok(file)
}

fn is_in_place(path: &Path, opened: Option<FileId>) -> bool {
    let Some(opened) = opened else { return true };
    match file_id(path) {
        Ok(found) => found == opened,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_id(_path: &Path) -> io::Result<FileId> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Header = Header { id: 7, changes: 40, length: 8_192, size: 8_192 };

    #[test]
    fn header_follows_what_sqlite_makes_of_it() {
        let table = [
            (BEFORE, true),
            (Header { changes: 41, length: 12_288, ..BEFORE }, true),
            (Header { changes: 41, length: 12_288, size: 12_288, ..BEFORE }, true),
            // After a VACUUM.
            (Header { changes: 41, length: 4_096, size: 4_096, ..BEFORE }, true),
            (Header { changes: 39, ..BEFORE }, false),
            (Header { id: 8, changes: 41, ..BEFORE }, false),
            (Header { id: 0, changes: 41, ..BEFORE }, false),
            (Header { size: 4_096, ..BEFORE }, false),
        ];
        for (header, follows) in table {
            assert_eq!(header.follows(Some(BEFORE), Some(7)), follows, "{header:?}");
        }
    }

    #[test]
    fn header_without_an_id_gets_that_of_the_store_only() {
        let before = Some(Header { id: 0, ..BEFORE });
        let with_id = |id| Header { id, ..BEFORE };
        let seen =
            [0, 7, 8].map(|id| (with_id(id).follows(before, Some(7)), with_id(id).follows(before, None)));
        assert_eq!(seen, [(true, true), (true, true), (false, true)]);
    }

    #[test]
    fn count_of_changes_may_wrap() {
        let before = Header { changes: u32::MAX, ..BEFORE };
        assert!(Header { changes: 0, ..BEFORE }.follows(Some(before), Some(7)));
    }
}
