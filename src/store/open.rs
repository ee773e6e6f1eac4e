//! Opens a store, on either database, and brings its tables up to date.

use super::{Store, StoreError, driver::Driver, postgres::Postgres, sqlite::Sqlite};
use crate::base::Secret;
use std::{path::Path, sync::Arc};

impl Store {
    /// Opens a SQLite file, created with its folder if absent, with access for its owner only, and migrates it.
    pub async fn sqlite(path: &Path) -> Result<Self, StoreError> {
        Self::ready(Arc::new(Sqlite::open(path).await?)).await
    }

    /// Connects to a PostgreSQL database and migrates it. The URL may hold a password, which is shown nowhere.
    pub async fn postgres(url: &Secret) -> Result<Self, StoreError> {
        Self::ready(Arc::new(Postgres::connect(url).await?)).await
    }

    async fn ready(driver: Arc<dyn Driver>) -> Result<Self, StoreError> {
        let store = Self::of(driver);
        store.migrate().await?;
        Ok(store)
    }
}
