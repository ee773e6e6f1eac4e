//! A set of texts that is too large for memory: a SQLite file of its own, deleted when the set is dropped.

use super::{Cells, Statement, Store, StoreError, sqlite};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A set of texts on disk.
pub struct TempSet {
    store: Store,
    path: PathBuf,
}

impl TempSet {
    /// An empty set, in a file that only this user can read.
    pub async fn new(folder: &Path) -> Result<Self, StoreError> {
        let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(16).collect();
        let path = folder.join(format!("mpscript-{name}.scratch"));
        let set = Self { store: Store::of(Arc::new(sqlite::Sqlite::open(&path).await?)), path };
        // The set ends with the process, so nothing in it has to survive a power failure.
        set.store.query(Statement::new("PRAGMA synchronous = OFF")).await?;
        let table = "CREATE TABLE member (text TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID";
        set.store.execute(Statement::new(table)).await?;
        Ok(set)
    }

    /// Adds texts; those that are members already stay.
    pub async fn add(&self, texts: &[String]) -> Result<(), StoreError> {
        let add = "INSERT OR IGNORE INTO member SELECT value FROM json_each($1)";
        self.store.execute(Statement::new(add).with(self.json(texts)?.as_str())).await.map(drop)
    }

    /// Removes texts.
    pub async fn remove(&self, texts: &[String]) -> Result<(), StoreError> {
        let remove = "DELETE FROM member WHERE text IN (SELECT value FROM json_each($1))";
        self.store.execute(Statement::new(remove).with(self.json(texts)?.as_str())).await.map(drop)
    }

    /// Those of `texts` that are members.
    pub async fn intersect(&self, texts: &[String]) -> Result<Vec<String>, StoreError> {
        let find = "SELECT text FROM member WHERE text IN (SELECT value FROM json_each($1))";
        let rows = self.store.query(Statement::new(find).with(self.json(texts)?.as_str())).await?;
        rows.iter().map(|row| Cells::new("member", "text", "a member of the set", row).text()).collect()
    }

    /// The JSON text of a list of texts.
    fn json(&self, texts: &[String]) -> Result<String, StoreError> {
        serde_json::to_string(texts).map_err(|error| StoreError::Other {
            location: self.store.location().to_owned(),
            reason: error.to_string(),
        })
    }
}

impl Drop for TempSet {
    fn drop(&mut self) {
        // The file with its write-ahead log; what is still open is freed when it is closed.
        for end in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(end);
            let _ = std::fs::remove_file(path);
        }
    }
}
