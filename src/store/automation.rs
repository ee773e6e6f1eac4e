//! Automations: what is served, what they keep, and every fire of their triggers.

use super::{Row, Statement, Store, StoreError};

/// What is kept of an automation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutomationRecord {
    /// Its file's stem.
    pub name: String,
    /// The folder that it was last served from.
    pub folder: String,
    /// Since when it is known, in milliseconds: fires before that are none.
    pub since: i64,
    /// Nothing fires until then, in milliseconds; 0 when it is not paused.
    pub paused_until: i64,
    /// What its runs keep from one to the next, as JSON.
    pub state: String,
    /// Why its file is not what runs; empty when it is.
    pub stale: String,
}

/// A fire of a trigger, with what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fire {
    /// The automation.
    pub automation: String,
    /// The trigger, by its key among those of the automation.
    pub source: String,
    /// The instant that was scheduled, in milliseconds.
    pub instant: i64,
    /// `claimed`, `running`, or what became of it.
    pub state: String,
    /// Why it did not run, or how it failed.
    pub reason: String,
    /// Its run, if it has one.
    pub run: String,
    /// The process that has it.
    pub node: String,
    /// When that was last written, in milliseconds.
    pub at: i64,
}

fn read_fire(row: &Row) -> Fire {
    Fire {
        automation: row.text(0).to_owned(),
        source: row.text(1).to_owned(),
        instant: row.integer(2),
        state: row.text(3).to_owned(),
        reason: row.text(4).to_owned(),
        run: row.text(5).to_owned(),
        node: row.text(6).to_owned(),
        at: row.integer(7),
    }
}

fn read_automation(row: &Row) -> AutomationRecord {
    AutomationRecord {
        name: row.text(0).to_owned(),
        folder: row.text(1).to_owned(),
        since: row.integer(2),
        paused_until: row.integer(3),
        state: row.text(4).to_owned(),
        stale: row.text(5).to_owned(),
    }
}

impl Store {
    /// Records that an automation is served from a folder, and what is wrong with its file.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn serve_automation(
        &self,
        name: &str,
        folder: &str,
        stale: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_automation (name, folder, since, paused_until, state, stale)
             VALUES ($1, $2, $3, 0, '', $4)
             ON CONFLICT (name) DO UPDATE SET folder = excluded.folder, stale = excluded.stale",
        );
        self.execute(statement.with(name).with(folder).with(now).with(stale)).await.map(drop)
    }

    /// What is kept of an automation; `None` when it was never served nor run.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn automation(&self, name: &str) -> Result<Option<AutomationRecord>, StoreError> {
        let statement = Statement::new(
            "SELECT name, folder, since, paused_until, state, stale FROM mpscript_automation WHERE name = $1",
        );
        Ok(self.query(statement.with(name)).await?.first().map(read_automation))
    }

    /// All automations that were ever served or run, by their names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn automations(&self) -> Result<Vec<AutomationRecord>, StoreError> {
        let statement = Statement::new(
            "SELECT name, folder, since, paused_until, state, stale FROM mpscript_automation ORDER BY name",
        );
        Ok(self.query(statement).await?.iter().map(read_automation).collect())
    }

    /// Nothing of it fires until then; 0 ends that. `false` when it is not known.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn pause_automation(&self, name: &str, until: i64) -> Result<bool, StoreError> {
        let statement = Statement::new("UPDATE mpscript_automation SET paused_until = $2 WHERE name = $1");
        Ok(self.execute(statement.with(name).with(until)).await? == 1)
    }

    /// Keeps what its runs want to keep.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_state(&self, name: &str, state: &str, now: i64) -> Result<(), StoreError> {
        self.execute(keep(name, state, now)).await.map(drop)
    }

    /// Records a fire that was not there before; `false` when somebody has recorded it already.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_fire(&self, fire: &Fire) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_fire (automation, source, instant, state, reason, run, node, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (automation, source, instant) DO NOTHING",
        );
        let statement = statement
            .with(fire.automation.as_str())
            .with(fire.source.as_str())
            .with(fire.instant)
            .with(fire.state.as_str())
            .with(fire.reason.as_str())
            .with(fire.run.as_str())
            .with(fire.node.as_str())
            .with(fire.at);
        Ok(self.execute(statement).await? == 1)
    }

    /// Goes from one record of a fire to the next; `false` when somebody else has changed it meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn change_fire(&self, from: &Fire, to: &Fire) -> Result<bool, StoreError> {
        Ok(self.execute(change(from, to)).await? == 1)
    }

    /// Ends a fire, and keeps what its automation's runs want to keep, both or neither; `false` when somebody else has
    /// changed the fire meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_fire(&self, from: &Fire, to: &Fire, kept: Option<&str>) -> Result<bool, StoreError> {
        let Some(kept) = kept else { return self.change_fire(from, to).await };
        let both = vec![change(from, to).expecting(1), keep(&from.automation, kept, to.at)];
        match self.transaction(both).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The instant of the last fire of a trigger, and what became of it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn last_fire(
        &self,
        automation: &str,
        source: &str,
    ) -> Result<Option<(i64, String)>, StoreError> {
        let statement = Statement::new(
            "SELECT instant, state FROM mpscript_fire WHERE automation = $1 AND source = $2 ORDER BY instant DESC LIMIT 1",
        );
        let rows = self.query(statement.with(automation).with(source)).await?;
        Ok(rows.first().map(|row| (row.integer(0), row.text(1).to_owned())))
    }

    /// When a fire of an automation was last done, in milliseconds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn last_success(&self, automation: &str) -> Result<Option<i64>, StoreError> {
        let statement = Statement::new(
            "SELECT at FROM mpscript_fire WHERE automation = $1 AND state IN ('done', 'done_with_failures')
             ORDER BY instant DESC LIMIT 1",
        );
        Ok(self.query(statement.with(automation)).await?.first().map(|row| row.integer(0)))
    }

    /// The fires of an automation, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fires(&self, automation: &str, most: i64) -> Result<Vec<Fire>, StoreError> {
        let statement = Statement::new(
            "SELECT automation, source, instant, state, reason, run, node, at FROM mpscript_fire
             WHERE automation = $1 ORDER BY instant DESC, source LIMIT $2",
        );
        Ok(self.query(statement.with(automation).with(most)).await?.iter().map(read_fire).collect())
    }

    /// Forgets fires that have ended before an instant, with their runs, but for the last twenty of each outcome and the
    /// last one of each trigger; and runs by hand that old.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_fires(&self, before: i64) -> Result<u64, StoreError> {
        let fires = Statement::new(
            "DELETE FROM mpscript_fire WHERE at < $1 AND state NOT IN ('claimed', 'running')
             AND (automation, source, instant) NOT IN (
                 SELECT automation, source, instant FROM (
                     SELECT automation, source, instant,
                         ROW_NUMBER() OVER (PARTITION BY automation, state ORDER BY instant DESC) AS of_outcome,
                         ROW_NUMBER() OVER (PARTITION BY automation, source ORDER BY instant DESC) AS of_trigger
                     FROM mpscript_fire) AS ranked
                 WHERE of_outcome <= 20 OR of_trigger = 1)",
        );
        let forgotten = self.execute(fires.with(before)).await?;
        // What an automation's run was is told by what it was started with.
        for sql in [
            "DELETE FROM mpscript_printed WHERE run IN (SELECT id FROM mpscript_run
             WHERE ended_at > 0 AND ended_at < $1 AND options LIKE '%\"call\":{%'
             AND id NOT IN (SELECT run FROM mpscript_fire))",
            "DELETE FROM mpscript_batch WHERE run IN (SELECT id FROM mpscript_run
             WHERE ended_at > 0 AND ended_at < $1 AND options LIKE '%\"call\":{%'
             AND id NOT IN (SELECT run FROM mpscript_fire))",
            "DELETE FROM mpscript_step WHERE run IN (SELECT id FROM mpscript_run
             WHERE ended_at > 0 AND ended_at < $1 AND options LIKE '%\"call\":{%'
             AND id NOT IN (SELECT run FROM mpscript_fire))",
            "DELETE FROM mpscript_run
             WHERE ended_at > 0 AND ended_at < $1 AND options LIKE '%\"call\":{%'
             AND id NOT IN (SELECT run FROM mpscript_fire)",
        ] {
            self.execute(Statement::new(sql).with(before)).await?;
        }
        Ok(forgotten)
    }

    /// The fires that are not over, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_fires(&self) -> Result<Vec<Fire>, StoreError> {
        let statement = Statement::new(
            "SELECT automation, source, instant, state, reason, run, node, at FROM mpscript_fire
             WHERE state IN ('claimed', 'running') ORDER BY instant, automation, source",
        );
        Ok(self.query(statement).await?.iter().map(read_fire).collect())
    }
}

fn keep(name: &str, state: &str, now: i64) -> Statement {
    let statement = Statement::new(
        "INSERT INTO mpscript_automation (name, folder, since, paused_until, state, stale)
         VALUES ($1, '', $3, 0, $2, '')
         ON CONFLICT (name) DO UPDATE SET state = excluded.state",
    );
    statement.with(name).with(state).with(now)
}

fn change(from: &Fire, to: &Fire) -> Statement {
    let statement = Statement::new(
        "UPDATE mpscript_fire SET state = $4, reason = $5, run = $6, node = $7, at = $8
         WHERE automation = $1 AND source = $2 AND instant = $3 AND state = $9 AND node = $10 AND at = $11",
    );
    statement
        .with(from.automation.as_str())
        .with(from.source.as_str())
        .with(from.instant)
        .with(to.state.as_str())
        .with(to.reason.as_str())
        .with(to.run.as_str())
        .with(to.node.as_str())
        .with(to.at)
        .with(from.state.as_str())
        .with(from.node.as_str())
        .with(from.at)
}
