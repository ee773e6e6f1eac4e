//! Automations: which are served, for which accounts, from where, and what their runs saved.

use super::{AutomationId, Cells, Fire, Row, Statement, Store, StoreError, fire, stored_enum::stored_enum};
use crate::base::EpochMs;
use std::collections::BTreeSet;

stored_enum! {
    /// Which version of an automation's file is served.
    pub enum ServedVersion {
        /// What the file holds.
        Current = "current",
        /// The last good one: the file can't be loaded.
        LastGood = "last_good",
        /// None: the file can't be loaded and never could be, was removed, or was never served.
        Nothing = "nothing",
    }
}

/// What is recorded of an automation for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutomationRecord {
    /// Its account and its name.
    pub id: AutomationId,
    /// The folder that it was last served from.
    pub folder: String,
    /// When it was first served or run.
    pub since: EpochMs,
    /// Until when it is paused; [`EpochMs::MAX`] until it is unpaused, `None` when it is not paused.
    pub paused_until: Option<EpochMs>,
    /// The `ctx.state` that its last run saved, as JSON; empty before the first save.
    pub state: String,
    /// Which version of its file is served.
    pub served_version: ServedVersion,
    /// Why its file can't be loaded; empty when it can.
    pub load_error: String,
    /// When its file was last read.
    pub served_at: EpochMs,
    /// When a daemon that serves it last confirmed that, which it does once a day.
    pub confirmed_at: EpochMs,
    /// The source of its last good revision, as JSON; empty when its file was deleted.
    pub last_good_source: String,
    /// How the daemon that served it last finds the account, as JSON; empty before it was served.
    pub served_as: String,
}

impl AutomationRecord {
    /// One that was neither served nor run.
    #[must_use]
    pub const fn never_served(id: AutomationId) -> Self {
        Self {
            id,
            folder: String::new(),
            since: EpochMs::new(0),
            paused_until: None,
            state: String::new(),
            served_version: ServedVersion::Nothing,
            load_error: String::new(),
            served_at: EpochMs::new(0),
            confirmed_at: EpochMs::new(0),
            last_good_source: String::new(),
            served_as: String::new(),
        }
    }
}

/// A record of an automation that can't be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableAutomation {
    /// Its account and its name.
    pub id: AutomationId,
    /// The folder that it was last served from.
    pub folder: String,
    /// What can't be decoded.
    pub error: StoreError,
}

/// What a scan of a folder has found out about an automation, for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanChange {
    /// It is served in the revision that its file holds.
    Served {
        /// The automation.
        id: AutomationId,
        /// The revision's source, as JSON.
        source: String,
        /// How the account is found, as JSON.
        served_as: String,
    },
    /// Its file can't be loaded, for this reason. A last good revision of another folder is dropped.
    Stale {
        /// The automation.
        id: AutomationId,
        /// Whether its last good revision is served.
        has_last_good: bool,
        /// Why.
        load_error: String,
        /// How the account is found, as JSON.
        served_as: String,
    },
    /// Its file was deleted from the folder, or names the account no longer: the last good revision is dropped.
    Removed {
        /// The automation.
        id: AutomationId,
    },
}

macro_rules! columns {
    () => {
        "account, name, folder, since, paused_until, state, served_version, load_error, served_at, confirmed_at, \
         last_good_source, served_as"
    };
}

fn read(row: &Row) -> Result<AutomationRecord, StoreError> {
    let key = format!("{}, {}", row.cell(0), row.cell(1));
    let mut cells = Cells::new("mpscript_automation", columns!(), &key, row);
    Ok(AutomationRecord {
        id: AutomationId { account: cells.text()?, name: cells.text()? },
        folder: cells.text()?,
        since: cells.instant()?,
        paused_until: cells.instant_if_any()?,
        state: cells.text()?,
        served_version: cells.decode(ServedVersion::decode)?,
        load_error: cells.text()?,
        served_at: cells.instant()?,
        confirmed_at: cells.instant()?,
        last_good_source: cells.text()?,
        served_as: cells.text()?,
    })
}

/// One of several rows, each of which may be damaged.
fn read_listed(row: &Row) -> Result<AutomationRecord, UnreadableAutomation> {
    read(row).map_err(|error| UnreadableAutomation {
        id: AutomationId { account: row.cell(0).to_string(), name: row.cell(1).to_string() },
        folder: row.cell(2).to_string(),
        error,
    })
}

impl Store {
    /// Records what a scan of a folder has found, and fires that follow from it, in one transaction.
    pub async fn record_scan(
        &self,
        folder: &str,
        changes: &[ScanChange],
        fires: &[Fire],
        now: EpochMs,
    ) -> Result<(), StoreError> {
        let changes = changes.iter().flat_map(|change| statements(folder, change, now));
        self.transaction(changes.chain(fires.iter().map(fire::insert)).collect()).await.map(drop)
    }

    /// The record of an automation; `None` when it was never served nor run for this account.
    pub async fn automation(&self, id: &AutomationId) -> Result<Option<AutomationRecord>, StoreError> {
        let statement = Statement::new(concat!(
            "SELECT ",
            columns!(),
            " FROM mpscript_automation WHERE account = $1 AND name = $2"
        ));
        self.query(id.given_to(statement)).await?.first().map(read).transpose()
    }

    /// The records of an automation, by account. One that can't be decoded is an error in its place.
    pub async fn automations_named(
        &self,
        name: &str,
    ) -> Result<Vec<Result<AutomationRecord, UnreadableAutomation>>, StoreError> {
        let statement = Statement::new(concat!(
            "SELECT ",
            columns!(),
            " FROM mpscript_automation WHERE name = $1 ORDER BY account"
        ));
        Ok(self.query(statement.with(name)).await?.iter().map(read_listed).collect())
    }

    /// All automations that were ever served or run, by name and account. A record that can't be decoded is an error in its
    /// place, so that the others can be served and listed.
    pub async fn automations(
        &self,
    ) -> Result<Vec<Result<AutomationRecord, UnreadableAutomation>>, StoreError> {
        let statement = Statement::new(concat!(
            "SELECT ",
            columns!(),
            " FROM mpscript_automation ORDER BY name, account"
        ));
        Ok(self.query(statement).await?.iter().map(read_listed).collect())
    }

    /// Records that automations are still served.
    pub async fn confirm_served(
        &self,
        automations: impl Iterator<Item = AutomationId>,
        now: EpochMs,
    ) -> Result<(), StoreError> {
        // In one order, so that two daemons that confirm the same ones don't wait for each other.
        let automations: BTreeSet<AutomationId> = automations.collect();
        let confirm = |id: AutomationId| {
            let statement = Statement::new(
                "UPDATE mpscript_automation SET confirmed_at = $3 WHERE account = $1 AND name = $2",
            );
            id.given_to(statement).with(now)
        };
        self.transaction(automations.into_iter().map(confirm).collect()).await.map(drop)
    }

    /// Pauses an automation until an instant; `None` resumes it. `false` when there is no such automation.
    pub async fn pause_automation(
        &self,
        id: &AutomationId,
        until: Option<EpochMs>,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_automation SET paused_until = $3 WHERE account = $1 AND name = $2",
        );
        Ok(self.execute(id.given_to(statement).with(until)).await? == 1)
    }
}

fn statements(folder: &str, change: &ScanChange, now: EpochMs) -> Vec<Statement> {
    match change {
        ScanChange::Served { id, source, served_as } => {
            let served = Statement::new(
                "INSERT INTO mpscript_automation
                     (account, name, folder, since, paused_until, state, served_version, load_error, last_good_source,
                         served_at, served_as)
                 VALUES ($1, $2, $3, $4, 0, '', $7, '', $5, $4, $6)
                 ON CONFLICT (account, name) DO UPDATE SET folder = excluded.folder,
                     served_version = excluded.served_version, load_error = '',
                     last_good_source = excluded.last_good_source, served_at = excluded.served_at,
                     served_as = excluded.served_as",
            );
            let served = id.given_to(served).with(folder).with(now).with(source.as_str());
            let [fires, record] = adopt_unassigned(folder, id);
            vec![fires, record, served.with(served_as.as_str()).with(ServedVersion::Current.as_str())]
        }
        ScanChange::Stale { id, has_last_good, load_error, served_as } => {
            let stale = Statement::new(
                "INSERT INTO mpscript_automation
                     (account, name, folder, since, paused_until, state, load_error, served_at, served_as,
                         served_version)
                 VALUES ($1, $2, $3, $4, 0, '', $5, $4, $6, $7)
                 ON CONFLICT (account, name) DO UPDATE SET folder = excluded.folder,
                     served_version = excluded.served_version, load_error = excluded.load_error,
                     served_at = excluded.served_at, served_as = excluded.served_as,
                     last_good_source = CASE WHEN mpscript_automation.folder = excluded.folder
                         THEN mpscript_automation.last_good_source ELSE '' END",
            );
            let stale = id.given_to(stale).with(folder).with(now).with(load_error.as_str());
            let [fires, record] = adopt_unassigned(folder, id);
            let version = if *has_last_good { ServedVersion::LastGood } else { ServedVersion::Nothing };
            vec![fires, record, stale.with(served_as.as_str()).with(version.as_str())]
        }
        ScanChange::Removed { id } => {
            let removed = Statement::new(
                "UPDATE mpscript_automation SET last_good_source = '', served_version = $4, load_error = ''
                 WHERE account = $1 AND name = $2 AND folder = $3",
            );
            vec![id.given_to(removed).with(folder).with(ServedVersion::Nothing.as_str())]
        }
    }
}

/// Gives an account what was recorded of an automation of this folder before its account was known.
fn adopt_unassigned(folder: &str, id: &AutomationId) -> [Statement; 2] {
    let fires = Statement::new(
        "UPDATE mpscript_fire SET account = $1
         WHERE account = '' AND automation = $2
             AND EXISTS (SELECT 1 FROM mpscript_automation a WHERE a.account = '' AND a.name = $2 AND a.folder = $3)
             AND NOT EXISTS (SELECT 1 FROM mpscript_automation a WHERE a.account = $1 AND a.name = $2)",
    );
    let record = Statement::new(
        "UPDATE mpscript_automation SET account = $1
         WHERE account = '' AND name = $2 AND folder = $3
             AND NOT EXISTS (SELECT 1 FROM mpscript_automation a WHERE a.account = $1 AND a.name = $2)",
    );
    [fires, record].map(|statement| id.given_to(statement).with(folder))
}
