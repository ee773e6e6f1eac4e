//! Automations: what is served, what they keep, and every fire of their triggers.

use super::{FireState, Row, Statement, Store, StoreError, run::forget_run};

/// What is forgotten together.
const TOGETHER: i64 = 100;

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
    /// When it was last taken over from its folder, in milliseconds.
    pub served_at: i64,
    /// The source of the last version that was served, as JSON; empty when its file is gone.
    pub good: String,
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
    /// How far it is, or how it was closed.
    pub state: FireState,
    /// Why it did not run, or how it failed.
    pub reason: String,
    /// Its run, if it has one.
    pub run: String,
    /// The process that has it.
    pub node: String,
    /// When that was last written, in milliseconds.
    pub at: i64,
    /// How often its run has failed.
    pub failures: i64,
    /// How often its run has ended with its process.
    pub deaths: i64,
}

/// What the source of a fire begins with that lets somebody hear of another one's failure; the run's id follows.
pub const FAILURE_OF: &str = "failure of ";

fn fire_key(automation: &str, source: &str, instant: i64) -> String {
    format!("{automation}, {source}, {instant}")
}

fn read_fire(row: &Row) -> Result<Fire, StoreError> {
    let key = fire_key(row.text(0), row.text(1), row.integer(2));
    Ok(Fire {
        automation: row.text(0).to_owned(),
        source: row.text(1).to_owned(),
        instant: row.integer(2),
        state: FireState::decode("mpscript_fire", &key, "state", row.text(3))?,
        reason: row.text(4).to_owned(),
        run: row.text(5).to_owned(),
        node: row.text(6).to_owned(),
        at: row.integer(7),
        failures: row.integer(8),
        deaths: row.integer(9),
    })
}

fn read_automation(row: &Row) -> AutomationRecord {
    AutomationRecord {
        name: row.text(0).to_owned(),
        folder: row.text(1).to_owned(),
        since: row.integer(2),
        paused_until: row.integer(3),
        state: row.text(4).to_owned(),
        stale: row.text(5).to_owned(),
        served_at: row.integer(6),
        good: row.text(7).to_owned(),
    }
}

impl Store {
    /// Records that an automation is served from a folder in this version, which is what its file holds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn serve_automation(
        &self,
        name: &str,
        folder: &str,
        source: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_automation (name, folder, since, paused_until, state, stale, good, served_at)
             VALUES ($1, $2, $3, 0, '', '', $4, $3)
             ON CONFLICT (name) DO UPDATE SET folder = excluded.folder, stale = '', good = excluded.good,
                 served_at = excluded.served_at",
        );
        self.execute(statement.with(name).with(folder).with(now).with(source)).await.map(drop)
    }

    /// Records what is wrong with the file of an automation.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mark_stale(
        &self,
        name: &str,
        folder: &str,
        stale: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_automation (name, folder, since, paused_until, state, stale, served_at)
             VALUES ($1, $2, $3, 0, '', $4, $3)
             ON CONFLICT (name) DO UPDATE SET folder = excluded.folder, stale = excluded.stale,
                 served_at = excluded.served_at, good = CASE WHEN mpscript_automation.folder = excluded.folder
                     THEN mpscript_automation.good ELSE '' END",
        );
        self.execute(statement.with(name).with(folder).with(now).with(stale)).await.map(drop)
    }

    /// Forgets the last version of an automation whose file is gone from a folder.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_good(&self, name: &str, folder: &str) -> Result<(), StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_automation SET good = '', stale = '' WHERE name = $1 AND folder = $2",
        );
        self.execute(statement.with(name).with(folder)).await.map(drop)
    }

    /// What is kept of an automation; `None` when it was never served nor run.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn automation(&self, name: &str) -> Result<Option<AutomationRecord>, StoreError> {
        let statement = Statement::new(
            "SELECT name, folder, since, paused_until, state, stale, served_at, good FROM mpscript_automation WHERE name = $1",
        );
        Ok(self.query(statement.with(name)).await?.first().map(read_automation))
    }

    /// All automations that were ever served or run, by their names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn automations(&self) -> Result<Vec<AutomationRecord>, StoreError> {
        let statement = Statement::new(
            "SELECT name, folder, since, paused_until, state, stale, served_at, good FROM mpscript_automation ORDER BY name",
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

    /// Records fires, all of them or none, and says of each whether it was not there before: `false` is one that somebody
    /// else has recorded.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_fires(&self, fires: &[Fire]) -> Result<Vec<bool>, StoreError> {
        let added = self.transaction(fires.iter().map(add).collect()).await?;
        Ok(added.into_iter().map(|rows| rows == 1).collect())
    }

    /// Goes from one record of a fire to the next; `false` when somebody else has changed it meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn change_fire(&self, from: &Fire, to: &Fire) -> Result<bool, StoreError> {
        self.change_fire_and_add(from, to, None).await
    }

    /// The same, and at once another fire is recorded: one that lets somebody hear of a failure.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn change_fire_and_add(
        &self,
        from: &Fire,
        to: &Fire,
        another: Option<&Fire>,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_fire SET state = $4, reason = $5, run = $6, node = $7, at = $8, failures = $12, deaths = $13
             WHERE automation = $1 AND source = $2 AND instant = $3 AND state = $9 AND node = $10 AND at = $11",
        );
        let statement = statement
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
            .with(to.failures)
            .with(to.deaths);
        let all = std::iter::once(statement.expecting(1)).chain(another.map(add));
        match self.transaction(all.collect()).await {
            Ok(_) => Ok(true),
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
    ) -> Result<Option<(i64, FireState)>, StoreError> {
        let statement = Statement::new(
            "SELECT instant, state FROM mpscript_fire WHERE automation = $1 AND source = $2 ORDER BY instant DESC LIMIT 1",
        );
        let rows = self.query(statement.with(automation).with(source)).await?;
        let decode = |row: &Row| {
            let key = fire_key(automation, source, row.integer(0));
            Ok((row.integer(0), FireState::decode("mpscript_fire", &key, "state", row.text(1))?))
        };
        rows.first().map(decode).transpose()
    }

    /// When a fire of an automation was last done, in milliseconds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn last_success(&self, automation: &str) -> Result<Option<i64>, StoreError> {
        let statement = Statement::new(
            "SELECT at FROM mpscript_fire WHERE automation = $1 AND state IN ('done', 'done_with_failures')
                 AND source NOT LIKE 'failure of %'
             ORDER BY instant DESC LIMIT 1",
        );
        Ok(self.query(statement.with(automation)).await?.first().map(|row| row.integer(0)))
    }

    /// Every trigger that an automation ever had, with the instant of its last fire and what became of that.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn last_fires(&self, automation: &str) -> Result<Vec<(String, i64, FireState)>, StoreError> {
        let sources = Statement::new("SELECT DISTINCT source FROM mpscript_fire WHERE automation = $1");
        let mut fires = Vec::new();
        let rows = self.query(sources.with(automation)).await?;
        for row in rows.iter().filter(|row| !row.text(0).starts_with(FAILURE_OF)) {
            let last = self.last_fire(automation, row.text(0)).await?;
            fires.extend(last.map(|(instant, state)| (row.text(0).to_owned(), instant, state)));
        }
        Ok(fires)
    }

    /// The fires of an automation, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fires(&self, automation: &str, most: i64) -> Result<Vec<Fire>, StoreError> {
        let statement = Statement::new(
            "SELECT automation, source, instant, state, reason, run, node, at, failures, deaths FROM mpscript_fire
             WHERE automation = $1 ORDER BY instant DESC, source LIMIT $2",
        );
        self.query(statement.with(automation).with(most)).await?.iter().map(read_fire).collect()
    }

    /// Forgets some fires of an automation that have ended before an instant, with their runs, but for the last twenty of
    /// each outcome and the last one of each trigger; says how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_fires(&self, automation: &str, before: i64) -> Result<usize, StoreError> {
        let mut old = Vec::new();
        for outcome in FireState::ALL.iter().filter(|state| !state.is_open()) {
            let newest = Statement::new(
                "SELECT instant FROM mpscript_fire WHERE automation = $1 AND state = $2
                 ORDER BY instant DESC LIMIT 1 OFFSET 19",
            );
            let newest = self.query(newest.with(automation).with(outcome.as_str())).await?;
            let Some(kept_from) = newest.first().map(|row| row.integer(0)) else { continue };
            // What somebody has gone on with since is as young as that.
            let fires = Statement::new(
                "SELECT source, instant, run FROM mpscript_fire
                 WHERE automation = $1 AND state = $2 AND instant < $3 AND at < $4 AND NOT EXISTS (
                     SELECT 1 FROM mpscript_run r
                     WHERE r.id = mpscript_fire.run AND (r.state = 'running' OR r.ended_at >= $4))
                 ORDER BY instant LIMIT $5",
            );
            let fires =
                fires.with(automation).with(outcome.as_str()).with(kept_from).with(before).with(TOGETHER);
            old.extend(self.query(fires).await?);
        }
        if old.is_empty() {
            return Ok(0);
        }
        let last = self.last_fires(automation).await?;
        old.retain(|row| !last.iter().any(|(source, at, _)| source == row.text(0) && *at == row.integer(1)));
        let mut all = Vec::new();
        for row in &old {
            let fire = "DELETE FROM mpscript_fire WHERE automation = $1 AND source = $2 AND instant = $3";
            all.push(Statement::new(fire).with(automation).with(row.text(0)).with(row.integer(1)));
            all.extend(forget_run(row.text(2)));
        }
        self.transaction(all).await?;
        Ok(old.len())
    }

    /// Forgets some runs of automations that have ended before an instant and are of no fire: those by hand, and those that
    /// heard of failures; says how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_runs_by_hand(&self, before: i64) -> Result<usize, StoreError> {
        // What an automation's run was is told by what it was started with.
        let runs = Statement::new(
            "SELECT id FROM mpscript_run WHERE ended_at > 0 AND ended_at < $1 AND options LIKE '%\"call\":{%'
             AND NOT EXISTS (SELECT 1 FROM mpscript_fire WHERE mpscript_fire.run = mpscript_run.id) LIMIT $2",
        );
        let rows = self.query(runs.with(before).with(TOGETHER)).await?;
        self.transaction(rows.iter().flat_map(|row| forget_run(row.text(0))).collect()).await?;
        Ok(rows.len())
    }

    /// A fire of one of an automation's triggers that is under way, if there is one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn fire_under_way(&self, automation: &str) -> Result<Option<Fire>, StoreError> {
        let statement = Statement::new(
            "SELECT automation, source, instant, state, reason, run, node, at, failures, deaths FROM mpscript_fire
             WHERE automation = $1 AND state = 'running' ORDER BY instant",
        );
        let fires = self.query(statement.with(automation)).await?;
        fires.iter().find(|row| !row.text(1).starts_with(FAILURE_OF)).map(read_fire).transpose()
    }

    /// The fires that are not over, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_fires(&self) -> Result<Vec<Fire>, StoreError> {
        let statement = Statement::new(
            "SELECT automation, source, instant, state, reason, run, node, at, failures, deaths FROM mpscript_fire
             WHERE state IN ('claimed', 'running') ORDER BY instant, automation, source",
        );
        self.query(statement).await?.iter().map(read_fire).collect()
    }
}

/// Records a fire, unless it is there.
fn add(fire: &Fire) -> Statement {
    let statement = Statement::new(
        "INSERT INTO mpscript_fire (automation, source, instant, state, reason, run, node, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (automation, source, instant) DO NOTHING",
    );
    statement
        .with(fire.automation.as_str())
        .with(fire.source.as_str())
        .with(fire.instant)
        .with(fire.state.as_str())
        .with(fire.reason.as_str())
        .with(fire.run.as_str())
        .with(fire.node.as_str())
        .with(fire.at)
}

/// What an automation's runs keep.
pub(super) fn keep(name: &str, state: &str, now: i64) -> Statement {
    let statement = Statement::new(
        "INSERT INTO mpscript_automation (name, folder, since, paused_until, state, stale)
         VALUES ($1, '', $3, 0, $2, '')
         ON CONFLICT (name) DO UPDATE SET state = excluded.state",
    );
    statement.with(name).with(state).with(now)
}
