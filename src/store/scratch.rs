//! A set of texts that is too large for memory: a SQLite file of its own, gone with the process that made it.

use super::{Statement, Store, StoreError, sqlite};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Texts, each once.
pub struct Scratch {
    store: Store,
    path: PathBuf,
}

impl Scratch {
    /// An empty set, in a file that nobody else can read.
    ///
    /// # Errors
    /// When there is no room for it.
    pub async fn new(folder: &Path) -> Result<Self, StoreError> {
        let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(16).collect();
        let path = folder.join(format!("mpscript-{name}.scratch"));
        let scratch = Self { store: Store(Arc::new(sqlite::Sqlite::open(&path).await?)), path };
        // What is lost with the process need not survive the machine.
        scratch.store.query(Statement::new("PRAGMA synchronous = OFF")).await?;
        let table = "CREATE TABLE member (text TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID";
        scratch.store.execute(Statement::new(table)).await?;
        Ok(scratch)
    }

    /// Adds texts; those that are there already stay.
    ///
    /// # Errors
    /// When there is no room for them.
    pub async fn add(&self, texts: &[String]) -> Result<(), StoreError> {
        let add = "INSERT OR IGNORE INTO member SELECT value FROM json_each($1)";
        self.store.execute(Statement::new(add).with(json(texts).as_str())).await.map(drop)
    }

    /// Takes texts out of it.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn remove(&self, texts: &[String]) -> Result<(), StoreError> {
        let remove = "DELETE FROM member WHERE text IN (SELECT value FROM json_each($1))";
        self.store.execute(Statement::new(remove).with(json(texts).as_str())).await.map(drop)
    }

    /// Those of these texts that are in the set.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn among(&self, texts: &[String]) -> Result<Vec<String>, StoreError> {
        let find = "SELECT text FROM member WHERE text IN (SELECT value FROM json_each($1))";
        let rows = self.store.query(Statement::new(find).with(json(texts).as_str())).await?;
        Ok(rows.iter().map(|row| row.text(0).to_owned()).collect())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The file and those beside it; what is still open goes when it is closed.
        for end in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(end);
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A list of texts is JSON as it is: there is nothing that could fail.
fn json(texts: &[String]) -> String {
    serde_json::to_string(texts).unwrap_or_default()
}
