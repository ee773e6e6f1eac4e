//! Automations: which are served, from where, and what their runs saved.

use super::{Cells, Row, Statement, Store, StoreError};
use crate::base::EpochMs;

/// What is recorded of an automation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutomationRecord {
    /// Its name: its file's stem.
    pub name: String,
    /// The folder that it was last served from.
    pub folder: String,
    /// When it was first served or run.
    pub since: EpochMs,
    /// Until when it is paused; [`EpochMs::MAX`] until it is unpaused, `None` when it is not paused.
    pub paused_until: Option<EpochMs>,
    /// The `ctx.state` that its last run saved, as JSON; empty before the first save.
    pub state: String,
    /// Why its file can't be served, so that its last good revision runs; empty when its file is what runs.
    pub load_error: String,
    /// When its file was last read.
    pub served_at: EpochMs,
    /// The source of its last good revision, as JSON; empty when its file was deleted.
    pub last_good_source: String,
}

macro_rules! columns {
    () => {
        "name, folder, since, paused_until, state, load_error, served_at, last_good_source"
    };
}

fn read(row: &Row) -> Result<AutomationRecord, StoreError> {
    let mut cells = Cells::new("mpscript_automation", columns!(), row.text(0), row);
    Ok(AutomationRecord {
        name: cells.text()?,
        folder: cells.text()?,
        since: cells.instant()?,
        paused_until: cells.instant_if_any()?,
        state: cells.text()?,
        load_error: cells.text()?,
        served_at: cells.instant()?,
        last_good_source: cells.text()?,
    })
}

impl Store {
    /// Records that an automation is served from a folder, in the revision that its file holds.
    pub async fn serve_automation(
        &self,
        name: &str,
        folder: &str,
        source: &str,
        now: EpochMs,
    ) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_automation
                 (name, folder, since, paused_until, state, load_error, last_good_source, served_at)
             VALUES ($1, $2, $3, 0, '', '', $4, $3)
             ON CONFLICT (name) DO UPDATE SET folder = excluded.folder, load_error = '',
                 last_good_source = excluded.last_good_source, served_at = excluded.served_at",
        );
        self.execute(statement.with(name).with(folder).with(now).with(source)).await.map(drop)
    }

    /// Records why an automation's file can't be served. A last good revision of another folder is dropped.
    pub async fn mark_stale(
        &self,
        name: &str,
        folder: &str,
        load_error: &str,
        now: EpochMs,
    ) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_automation (name, folder, since, paused_until, state, load_error, served_at)
             VALUES ($1, $2, $3, 0, '', $4, $3)
             ON CONFLICT (name) DO UPDATE SET folder = excluded.folder, load_error = excluded.load_error,
                 served_at = excluded.served_at,
                 last_good_source = CASE WHEN mpscript_automation.folder = excluded.folder
                     THEN mpscript_automation.last_good_source ELSE '' END",
        );
        self.execute(statement.with(name).with(folder).with(now).with(load_error)).await.map(drop)
    }

    /// Drops the last good revision of an automation whose file was deleted from a folder.
    pub async fn drop_last_good_source(&self, name: &str, folder: &str) -> Result<(), StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_automation SET last_good_source = '', load_error = '' WHERE name = $1 AND folder = $2",
        );
        self.execute(statement.with(name).with(folder)).await.map(drop)
    }

    /// The record of an automation; `None` when it was never served nor run.
    pub async fn automation(&self, name: &str) -> Result<Option<AutomationRecord>, StoreError> {
        let statement =
            Statement::new(concat!("SELECT ", columns!(), " FROM mpscript_automation WHERE name = $1"));
        self.query(statement.with(name)).await?.first().map(read).transpose()
    }

    /// All automations that were ever served or run, by name.
    pub async fn automations(&self) -> Result<Vec<AutomationRecord>, StoreError> {
        let statement =
            Statement::new(concat!("SELECT ", columns!(), " FROM mpscript_automation ORDER BY name"));
        self.query(statement).await?.iter().map(read).collect()
    }

    /// Pauses an automation until an instant; `None` resumes it. `false` when there is no such automation.
    pub async fn pause_automation(&self, name: &str, until: Option<EpochMs>) -> Result<bool, StoreError> {
        let statement = Statement::new("UPDATE mpscript_automation SET paused_until = $2 WHERE name = $1");
        Ok(self.execute(statement.with(name).with(until)).await? == 1)
    }
}
