//! Fires: one row for each instant of a trigger, with what became of it. A row changes only by compare-and-set, so that
//! of several processes exactly one acts on it.

use super::{
    AutomationId, Cells, FAILURE_OF, FireKind, FireReason, FireState, ReportedFailure, Row, Statement, Store,
    StoreError,
    fire_state::{COMPLETED_STATES, OPEN_STATES},
    sql::{sql, word},
};
use crate::base::EpochMs;

/// A fire, with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// The automation, with the account that it is served for.
    pub automation: AutomationId,
    /// What fired.
    pub kind: FireKind,
    /// The trigger, by its key among those of the automation; of a failure hook, which failure it is for.
    pub trigger: String,
    /// The instant that it was scheduled for.
    pub scheduled_at: EpochMs,
    /// How far it is, or how it was closed.
    pub state: FireState,
    /// Why it did not run, or how it failed; the failure that a failure hook is called with.
    pub reason: FireReason,
    /// Its run; empty while it has none.
    pub run: String,
    /// The process that owns it.
    pub owner: String,
    /// When the row was last written.
    pub updated_at: EpochMs,
    /// How often its run has failed.
    pub failures: i64,
    /// How often its process has died while the run was running.
    pub crashes: i64,
}

impl Fire {
    /// The fire of a trigger which this process claims.
    #[must_use]
    pub fn claimed(
        automation: AutomationId,
        trigger: &str,
        scheduled_at: EpochMs,
        owner: String,
        now: EpochMs,
    ) -> Self {
        Self {
            automation,
            kind: FireKind::Trigger,
            trigger: trigger.to_owned(),
            scheduled_at,
            state: FireState::Claimed,
            reason: FireReason::default(),
            run: String::new(),
            owner,
            updated_at: now,
            failures: 0,
            crashes: 0,
        }
    }

    /// The fire of an automation's failure hook, for another fire of it that failed. A row of its own, so that the hook
    /// is called even if this process dies before.
    #[must_use]
    pub fn failure_hook(failed: &Self, failure: ReportedFailure, owner: String, now: EpochMs) -> Self {
        let of = if failed.run.is_empty() { &failed.trigger } else { &failed.run };
        let trigger = format!("{FAILURE_OF}{of}");
        Self {
            kind: FireKind::FailureHook,
            reason: FireReason::Failure(failure),
            ..Self::claimed(failed.automation.clone(), &trigger, failed.scheduled_at, owner, now)
        }
    }
}

/// The last fire of a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFire {
    /// The trigger, by its key.
    pub trigger: String,
    /// The instant that it was scheduled for.
    pub scheduled_at: EpochMs,
    /// What became of it.
    pub state: FireState,
}

macro_rules! columns {
    () => {
        "account, automation, kind, trigger, scheduled_at, state, reason, run, owner, updated_at, failures, crashes"
    };
}

macro_rules! last_fire_columns {
    () => {
        "trigger, scheduled_at, state"
    };
}

fn read(row: &Row) -> Result<Fire, StoreError> {
    let key = format!("{}, {}, {}, {}", row.cell(0), row.cell(1), row.cell(3), row.cell(4));
    let mut cells = Cells::new("mpscript_fire", columns!(), &key, row);
    let automation = AutomationId { account: cells.text()?, name: cells.text()? };
    let kind = cells.decode(FireKind::decode)?;
    let (trigger, scheduled_at) = (cells.text()?, cells.instant()?);
    let state = cells.decode(FireState::decode)?;
    Ok(Fire {
        automation,
        kind,
        trigger,
        scheduled_at,
        state,
        reason: FireReason::decode(&key, kind, state, &cells.text()?)?,
        run: cells.text()?,
        owner: cells.text()?,
        updated_at: cells.instant()?,
        failures: cells.integer()?,
        crashes: cells.integer()?,
    })
}

impl Store {
    /// Inserts fires, all or none. For each: whether it was inserted; `false` when another process was faster. A fire that a
    /// fast clock has marked as missed did not run, and may be claimed when the right clock reaches its instant.
    pub async fn insert_fires(&self, fires: &[Fire]) -> Result<Vec<bool>, StoreError> {
        let inserted = self.transaction(fires.iter().map(insert).collect()).await?;
        Ok(inserted.into_iter().map(|rows| rows == 1).collect())
    }

    /// Replaces the record of a fire; `false` when another process has changed it since `from` was read.
    pub async fn compare_and_set_fire(&self, from: &Fire, to: &Fire) -> Result<bool, StoreError> {
        self.compare_and_set_fire_and_insert(from, to, None).await
    }

    /// Like `compare_and_set_fire`, and in the same transaction inserts another fire: that of the failure hook.
    pub async fn compare_and_set_fire_and_insert(
        &self,
        from: &Fire,
        to: &Fire,
        another: Option<&Fire>,
    ) -> Result<bool, StoreError> {
        let all = std::iter::once(compare_and_set(from, to).expecting(1)).chain(another.map(insert));
        match self.transaction(all.collect()).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Like `compare_and_set_fire`, for several in one transaction, each as it was and as it is to be. For each: `false` when
    /// another process has changed it since, which does not concern the others.
    pub async fn compare_and_set_fires(&self, changes: &[(&Fire, Fire)]) -> Result<Vec<bool>, StoreError> {
        let statements = changes.iter().map(|(from, to)| compare_and_set(from, to));
        let rows = self.transaction(statements.collect()).await?;
        Ok(rows.into_iter().map(|rows| rows == 1).collect())
    }

    /// The last fire of a trigger.
    pub async fn last_fire(
        &self,
        automation: &AutomationId,
        trigger: &str,
    ) -> Result<Option<LastFire>, StoreError> {
        let statement = Statement::new(concat!(
            "SELECT ",
            last_fire_columns!(),
            " FROM mpscript_fire WHERE account = $1 AND automation = $2 AND trigger = $3
             ORDER BY scheduled_at DESC LIMIT 1"
        ));
        let rows = self.query(automation.given_to(statement).with(trigger)).await?;
        let last = |row: &Row| {
            let key = format!("{automation}, {trigger}, {}", row.cell(1));
            let mut cells = Cells::new("mpscript_fire", last_fire_columns!(), &key, row);
            Ok(LastFire {
                trigger: cells.text()?,
                scheduled_at: cells.instant()?,
                state: cells.decode(FireState::decode)?,
            })
        };
        rows.first().map(last).transpose()
    }

    /// When a trigger's fire of an automation was last closed as completed.
    pub async fn last_success(&self, automation: &AutomationId) -> Result<Option<EpochMs>, StoreError> {
        let statement = Statement::new(sql!(
            "SELECT updated_at, trigger, scheduled_at FROM mpscript_fire
             WHERE account = $1 AND automation = $2 AND state IN (",
            COMPLETED_STATES,
            ") AND kind = ",
            word!(FireKind::Trigger),
            " ORDER BY scheduled_at DESC LIMIT 1",
        ));
        let rows = self.query(automation.given_to(statement)).await?;
        let at = |row: &Row| {
            let key = format!("{automation}, {}, {}", row.cell(1), row.cell(2));
            Cells::new("mpscript_fire", "updated_at", &key, row).instant()
        };
        rows.first().map(at).transpose()
    }

    /// The last fire of every trigger that an automation ever had.
    pub async fn last_fires(&self, automation: &AutomationId) -> Result<Vec<LastFire>, StoreError> {
        let triggers = Statement::new(
            "SELECT DISTINCT trigger FROM mpscript_fire WHERE account = $1 AND automation = $2 AND kind = $3",
        );
        let triggers = automation.given_to(triggers).with(FireKind::Trigger.as_str());
        let mut fires = Vec::new();
        for row in self.query(triggers).await? {
            let key = format!("{automation}, {}", row.cell(0));
            let trigger = Cells::new("mpscript_fire", "trigger", &key, &row).text()?;
            fires.extend(self.last_fire(automation, &trigger).await?);
        }
        Ok(fires)
    }

    /// The fires of an automation, newest first. A row that can't be decoded is an error in its place, so that the others can
    /// be listed.
    pub async fn fires(
        &self,
        automation: &AutomationId,
        limit: i64,
    ) -> Result<Vec<Result<Fire, StoreError>>, StoreError> {
        let statement = Statement::new(concat!(
            "SELECT ",
            columns!(),
            " FROM mpscript_fire WHERE account = $1 AND automation = $2 ORDER BY scheduled_at DESC, trigger LIMIT $3"
        ));
        Ok(self.query(automation.given_to(statement).with(limit)).await?.iter().map(read).collect())
    }

    /// The fires of an automation's triggers whose runs are running, oldest first.
    pub async fn running_fires(&self, automation: &AutomationId) -> Result<Vec<Fire>, StoreError> {
        let statement = Statement::new(concat!(
            "SELECT ",
            columns!(),
            " FROM mpscript_fire
             WHERE account = $1 AND automation = $2 AND state = $3 AND kind = $4 ORDER BY scheduled_at"
        ));
        let statement = automation.given_to(statement).with(FireState::Running.as_str());
        self.query(statement.with(FireKind::Trigger.as_str())).await?.iter().map(read).collect()
    }

    /// The fires that are not closed, oldest first. A row that can't be decoded is an error in its place, so that the others
    /// can be adopted.
    pub async fn open_fires(&self) -> Result<Vec<Result<Fire, StoreError>>, StoreError> {
        let statement = Statement::new(sql!(
            "SELECT ",
            columns!(),
            " FROM mpscript_fire WHERE state IN (",
            OPEN_STATES,
            ") ORDER BY scheduled_at, account, automation, trigger"
        ));
        Ok(self.query(statement).await?.iter().map(read).collect())
    }
}

/// Replaces the record of a fire, unless it was changed since `from` was read.
fn compare_and_set(from: &Fire, to: &Fire) -> Statement {
    let statement = Statement::new(
        "UPDATE mpscript_fire SET state = $5, reason = $6, run = $7, owner = $8, updated_at = $9,
             failures = $13, crashes = $14
         WHERE account = $1 AND automation = $2 AND trigger = $3 AND scheduled_at = $4
             AND state = $10 AND owner = $11 AND updated_at = $12",
    );
    from.automation
        .given_to(statement)
        .with(from.trigger.as_str())
        .with(from.scheduled_at)
        .with(to.state.as_str())
        .with(to.reason.encode().as_str())
        .with(to.run.as_str())
        .with(to.owner.as_str())
        .with(to.updated_at)
        .with(from.state.as_str())
        .with(from.owner.as_str())
        .with(from.updated_at)
        .with(to.failures)
        .with(to.crashes)
}

/// Inserts a fire, unless it is there already.
pub(super) fn insert(fire: &Fire) -> Statement {
    let statement = Statement::new(sql!(
        "INSERT INTO mpscript_fire (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (account, automation, trigger, scheduled_at) DO UPDATE
             SET state = excluded.state, reason = excluded.reason, owner = excluded.owner,
                 updated_at = excluded.updated_at
             WHERE mpscript_fire.state = ",
        word!(FireState::Missed),
        " AND excluded.state = ",
        word!(FireState::Claimed),
        " AND mpscript_fire.updated_at > excluded.updated_at"
    ));
    fire.automation
        .given_to(statement)
        .with(fire.kind.as_str())
        .with(fire.trigger.as_str())
        .with(fire.scheduled_at)
        .with(fire.state.as_str())
        .with(fire.reason.encode().as_str())
        .with(fire.run.as_str())
        .with(fire.owner.as_str())
        .with(fire.updated_at)
        .with(fire.failures)
        .with(fire.crashes)
}
