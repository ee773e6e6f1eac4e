//! What is deleted: runs that nothing refers to, and fires and runs that are older than they are kept.
//!
//! A run that waits for a decision is kept however old it is, and so is what an undo that has not completed works on.

use super::{
    AutomationId, Cells, FireState, Row, RunState, Statement, StepKind, StepState, Store, StoreError,
    run::StartedBy,
    run_state::COMPLETED_STATES,
    source,
    sql::{sql, word},
};
use crate::base::EpochMs;

/// Rows that are purged in one transaction.
const MAX_BATCH: i64 = 100;

/// A closed fire that may be purged, with its run.
struct ExpiredFire {
    trigger: String,
    scheduled_at: EpochMs,
    run: ExpiredRun,
}

/// A run that is deleted.
struct ExpiredRun {
    id: String,
    /// Its source.
    source_id: String,
}

/// SQL: the states of runs that are kept however old they are.
const UNDECIDED_STATES: &str = sql!(word!(RunState::Running), ", ", word!(RunState::Parked));

/// SQL: whether something of a run has neither an answer nor a decision. A step of an unknown kind may be a call.
macro_rules! is_in_doubt {
    ($run:literal) => {
        sql!(
            "(EXISTS (SELECT 1 FROM mpscript_batch b WHERE b.run = ",
            $run,
            ".id AND b.in_doubt > 0)
             OR EXISTS (SELECT 1 FROM mpscript_step s WHERE s.run = ",
            $run,
            ".id AND s.state = ",
            word!(StepState::Begun),
            " AND s.kind NOT IN (",
            StepKind::TERMINALS,
            ") AND s.effect_kind <> ''))"
        )
    };
}

/// SQL: whether the run `r` may be deleted, which nothing has written since the instant `$before`. Age counts from the last
/// attempt. An undo outlives the run that it undid: without it that run could be undone twice.
macro_rules! is_expired {
    ($before:literal) => {
        sql!(
            "r.state NOT IN (",
            UNDECIDED_STATES,
            ") AND r.heartbeat_at < ",
            $before,
            " AND r.ended_at < ",
            $before,
            " AND NOT ",
            is_in_doubt!("r"),
            " AND NOT EXISTS (
                 SELECT 1 FROM mpscript_run u
                 WHERE u.undoes <> '' AND u.undoes = r.id AND u.dry_run = 0
                     AND u.state NOT IN (",
            COMPLETED_STATES,
            ")
                     AND (u.state IN (",
            UNDECIDED_STATES,
            ") OR u.heartbeat_at >= ",
            $before,
            " OR u.ended_at >= ",
            $before,
            " OR ",
            is_in_doubt!("u"),
            "))
             AND (r.undoes = '' OR r.dry_run = 1 OR NOT EXISTS (
                 SELECT 1 FROM mpscript_run o WHERE o.id = r.undoes))"
        )
    };
}

impl Store {
    /// Deletes a run with its journal and its output log, and its source if no other run names it.
    pub async fn delete_run(&self, id: &str) -> Result<(), StoreError> {
        let run = Statement::new("SELECT id, source_id FROM mpscript_run WHERE id = $1").with(id);
        self.delete_runs_of(&self.query(run).await?).await.map(drop)
    }

    /// Deletes closed fires of an automation that are older than an instant, with their runs, and returns how many. The
    /// last twenty of each outcome and the last one of each trigger are kept.
    pub async fn purge_fires(&self, automation: &AutomationId, before: EpochMs) -> Result<usize, StoreError> {
        let mut old = Vec::new();
        for outcome in FireState::ALL.iter().filter(|state| !state.is_open()) {
            let newest = Statement::new(
                "SELECT scheduled_at, trigger FROM mpscript_fire WHERE account = $1 AND automation = $2 AND state = $3
                 ORDER BY scheduled_at DESC LIMIT 1 OFFSET 19",
            );
            let newest = self.query(automation.given_to(newest).with(outcome.as_str())).await?;
            let Some(row) = newest.first() else { continue };
            let key = format!("{automation}, {}, {}", row.cell(1), row.cell(0));
            let kept_from = Cells::new("mpscript_fire", "scheduled_at", &key, row).instant()?;
            old.extend(self.expired_fires(automation, *outcome, kept_from, before).await?);
        }
        if old.is_empty() {
            return Ok(0);
        }
        let last = self.last_fires(automation).await?;
        old.retain(|old| {
            !last.iter().any(|last| last.trigger == old.trigger && last.scheduled_at == old.scheduled_at)
        });
        self.delete_fires(automation, &old).await
    }

    /// Deletes all closed fires of an automation that are older than an instant, with their runs, and returns how many. Once
    /// no fire is left, its record is deleted too, unless it was served since.
    pub async fn purge_unserved(
        &self,
        automation: &AutomationId,
        before: EpochMs,
    ) -> Result<usize, StoreError> {
        let mut old = Vec::new();
        for outcome in FireState::ALL.iter().filter(|state| !state.is_open()) {
            old.extend(self.expired_fires(automation, *outcome, EpochMs::MAX, before).await?);
        }
        if old.is_empty() {
            let record = Statement::new(
                "DELETE FROM mpscript_automation
                 WHERE account = $1 AND name = $2 AND served_at < $3 AND confirmed_at < $3
                     AND NOT EXISTS (SELECT 1 FROM mpscript_fire f WHERE f.account = $1 AND f.automation = $2)",
            );
            self.execute(automation.given_to(record).with(before)).await?;
        }
        self.delete_fires(automation, &old).await
    }

    /// Fires of an automation with this outcome that were scheduled before `kept_from`, and that nothing has written since
    /// `before`, neither them nor their runs; a limited number.
    async fn expired_fires(
        &self,
        automation: &AutomationId,
        outcome: FireState,
        kept_from: EpochMs,
        before: EpochMs,
    ) -> Result<Vec<ExpiredFire>, StoreError> {
        let fires = Statement::new(sql!(
            "SELECT trigger, scheduled_at, run,
                 COALESCE((SELECT r.source_id FROM mpscript_run r WHERE r.id = mpscript_fire.run), '')
             FROM mpscript_fire
             WHERE account = $1 AND automation = $2 AND state = $3 AND scheduled_at < $4 AND updated_at < $5
                 AND NOT EXISTS (SELECT 1 FROM mpscript_run r WHERE r.id = mpscript_fire.run AND NOT (",
            is_expired!("$5"),
            "))
             ORDER BY scheduled_at LIMIT $6"
        ));
        let fires =
            automation.given_to(fires).with(outcome.as_str()).with(kept_from).with(before).with(MAX_BATCH);
        let read = |row: &Row| {
            let columns = "trigger, scheduled_at, run, source_id";
            let key = format!("{automation}, {}, {}", row.cell(0), row.cell(1));
            let mut cells = Cells::new("mpscript_fire", columns, &key, row);
            Ok(ExpiredFire {
                trigger: cells.text()?,
                scheduled_at: cells.instant()?,
                run: ExpiredRun { id: cells.text()?, source_id: cells.text()? },
            })
        };
        self.query(fires).await?.iter().map(read).collect()
    }

    /// Deletes fires of an automation with their runs.
    async fn delete_fires(
        &self,
        automation: &AutomationId,
        fires: &[ExpiredFire],
    ) -> Result<usize, StoreError> {
        let delete = |fire: &ExpiredFire| {
            let statement = Statement::new(
                "DELETE FROM mpscript_fire
                 WHERE account = $1 AND automation = $2 AND trigger = $3 AND scheduled_at = $4",
            );
            automation.given_to(statement).with(fire.trigger.as_str()).with(fire.scheduled_at)
        };
        let mut all: Vec<Statement> = fires.iter().map(delete).collect();
        all.extend(delete_runs(fires.iter().map(|fire| &fire.run)));
        self.transaction(all).await?;
        Ok(fires.len())
    }

    /// Deletes runs that were started by hand and that nothing has written since an instant; returns how many.
    pub async fn purge_runs_by_hand(&self, before: EpochMs) -> Result<usize, StoreError> {
        let runs = Statement::new(sql!(
            "SELECT r.id, r.source_id FROM mpscript_run r
             WHERE r.started_at < $1 AND r.started_by <> ",
            word!(StartedBy::Session),
            " AND NOT EXISTS (SELECT 1 FROM mpscript_fire f WHERE f.run = r.id) AND ",
            is_expired!("$1"),
            " ORDER BY r.started_at LIMIT $2"
        ));
        self.delete_runs_of(&self.query(runs.with(before).with(MAX_BATCH)).await?).await
    }

    /// Deletes lines of sessions that nothing has written since an instant; returns how many.
    pub async fn purge_session_lines(&self, before: EpochMs) -> Result<usize, StoreError> {
        let runs = Statement::new(sql!(
            "SELECT r.id, r.source_id FROM mpscript_run r
             WHERE r.started_at < $1 AND r.started_by = ",
            word!(StartedBy::Session),
            " AND ",
            is_expired!("$1"),
            " ORDER BY r.started_at LIMIT $2"
        ));
        self.delete_runs_of(&self.query(runs.with(before).with(MAX_BATCH)).await?).await
    }

    /// Deletes runs, each a row of its id and the id of its source.
    async fn delete_runs_of(&self, rows: &[Row]) -> Result<usize, StoreError> {
        let read = |row: &Row| {
            let key = row.cell(0).to_string();
            let mut cells = Cells::new("mpscript_run", "id, source_id", &key, row);
            Ok(ExpiredRun { id: cells.text()?, source_id: cells.text()? })
        };
        let runs: Vec<ExpiredRun> = rows.iter().map(read).collect::<Result<_, StoreError>>()?;
        self.transaction(delete_runs(runs.iter())).await?;
        Ok(runs.len())
    }
}

/// Deletes runs with their journals and output logs, and the sources that no other run names.
fn delete_runs<'a>(runs: impl Iterator<Item = &'a ExpiredRun> + Clone) -> Vec<Statement> {
    let rows = runs.clone().flat_map(|run| {
        [
            "DELETE FROM mpscript_output WHERE run = $1",
            "DELETE FROM mpscript_batch WHERE run = $1",
            "DELETE FROM mpscript_step WHERE run = $1",
            "DELETE FROM mpscript_run WHERE id = $1",
        ]
        .map(|sql| Statement::new(sql).with(run.id.as_str()))
    });
    rows.chain(source::delete_unused(runs.map(|run| run.source_id.as_str()))).collect()
}
