//! Runs: what was started, with everything needed to resume it, and how it ended.

use super::{
    AutomationId, Cells, LeaseKey, LeaseKind, RecordedKind, Row, RunState, Statement, StepState, Store,
    StoreError, StoreTime,
    automation_state::save_state,
    run_state::COMPLETED_STATES,
    source::{self, source_id},
    sql::{sql, word},
    stored_enum::stored_enum,
};
use crate::base::EpochMs;

stored_enum! {
    /// What started a run.
    pub enum StartedBy {
        /// A command with a script.
        Command = "command",
        /// A line of a session, whose variables the run used.
        Session = "session",
        /// A handler of an automation was called: by a trigger, by hand, or as its failure hook.
        Automation = "automation",
        /// Recorded by an earlier version with options that can't be read.
        Unknown = "unknown",
    }
}

/// A run, without its long texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Its id, unique among all runs.
    pub id: String,
    /// The account that it works on, as the client names it.
    pub account: String,
    /// The script's name.
    pub script: String,
    /// Its state as recorded; a process that died leaves `Running`.
    pub state: RunState,
    /// Whether it changes nothing.
    pub is_dry: bool,
    /// When its first attempt started.
    pub started_at: EpochMs,
    /// When its last attempt ended; `None` while it runs.
    pub ended_at: Option<EpochMs>,
    /// When its process last sent a heartbeat.
    pub heartbeat_at: StoreTime,
    /// The process that runs it.
    pub owner: String,
    /// The number of its last attempt: 1 when it was started, one more each time that it is resumed.
    pub attempt: i64,
    /// The run that it undoes; empty if it undoes none.
    pub undoes: String,
    /// Why it failed or was parked; empty otherwise.
    pub note: String,
    /// What started it.
    pub started_by: StartedBy,
}

impl RunRecord {
    /// A run whose first attempt starts now, with its first heartbeat.
    #[must_use]
    pub fn started(id: &str, started_by: StartedBy, now: EpochMs, heartbeat_at: StoreTime) -> Self {
        Self {
            id: id.to_owned(),
            account: String::new(),
            script: String::new(),
            state: RunState::Running,
            is_dry: false,
            started_at: now,
            ended_at: None,
            heartbeat_at,
            owner: String::new(),
            attempt: 1,
            undoes: String::new(),
            note: String::new(),
            started_by,
        }
    }
}

/// A run whose row can't be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRun {
    /// Its id.
    pub id: String,
    /// What can't be decoded.
    pub error: StoreError,
}

/// The long texts of a run, in the formats of the floors above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunPayload {
    /// The script and its imports.
    pub source: String,
    /// The options that it was started with.
    pub options: String,
    /// The report of its last attempt; empty before the end of that.
    pub report: String,
}

/// How an attempt of a run ended.
#[derive(Clone, Copy, Debug)]
pub struct RunEnd<'a> {
    /// The run.
    pub run: &'a str,
    /// Which attempt.
    pub attempt: i64,
    /// The state that it ended in.
    pub state: RunState,
    /// Why it failed or was parked; may be empty.
    pub note: &'a str,
    /// Its report; may be empty.
    pub report: &'a str,
    /// When.
    pub now: EpochMs,
    /// The `ctx.state` that it leaves to the next run of its automation.
    pub saved_state: Option<SavedState<'a>>,
}

/// The `ctx.state` that a run of an automation leaves to the next one.
#[derive(Clone, Copy, Debug)]
pub struct SavedState<'a> {
    /// The automation, with the account of the run.
    pub automation: &'a AutomationId,
    /// The state, as JSON.
    pub json: &'a str,
}

/// What a process learns of its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptStatus {
    /// The attempt is still the run's current one.
    Alive,
    /// It is, and a person has asked the run to stop.
    StopRequested,
    /// The attempt was fenced, or a later one was started.
    Fenced,
}

macro_rules! columns {
    () => {
        "id, account, script, state, dry_run, started_at, ended_at, heartbeat_at, owner, attempt, undoes, note, started_by"
    };
}

fn read(row: &Row) -> Result<RunRecord, StoreError> {
    let key = row.cell(0).to_string();
    let mut cells = Cells::new("mpscript_run", columns!(), &key, row);
    Ok(RunRecord {
        id: cells.text()?,
        account: cells.text()?,
        script: cells.text()?,
        state: cells.decode(RunState::decode)?,
        is_dry: cells.boolean()?,
        started_at: cells.instant()?,
        ended_at: cells.instant_if_any()?,
        heartbeat_at: cells.store_time()?,
        owner: cells.text()?,
        attempt: cells.integer()?,
        undoes: cells.text()?,
        note: cells.text()?,
        started_by: cells.decode(StartedBy::decode)?,
    })
}

/// One of several rows, each of which may be damaged.
fn read_listed(row: &Row) -> Result<RunRecord, UnreadableRun> {
    read(row).map_err(|error| UnreadableRun { id: row.cell(0).to_string(), error })
}

impl Store {
    /// Records a run that starts; `false` when its id is taken.
    pub async fn add_run(&self, run: &RunRecord, payload: &RunPayload) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_run (id, account, script, state, dry_run, started_at, ended_at, heartbeat_at, owner,
                 attempt, undoes, note, stop_requested, source_id, options, report, started_by)
             VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, 1, $9, '', 0, $10, $11, '', $12)
             ON CONFLICT (id) DO NOTHING",
        );
        let source = source_id(&payload.source);
        let statement = statement
            .with(run.id.as_str())
            .with(run.account.as_str())
            .with(run.script.as_str())
            .with(run.state.as_str())
            .with(i64::from(run.is_dry))
            .with(run.started_at)
            .with(run.heartbeat_at)
            .with(run.owner.as_str())
            .with(run.undoes.as_str())
            .with(source.as_str())
            .with(payload.options.as_str())
            .with(run.started_by.as_str());
        let all = vec![source::insert(&source, &payload.source), statement.expecting(1)];
        match self.transaction(all).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The runs whose ids start with `prefix`, newest first. A row that can't be decoded is an error in its place, so
    /// that the others can be listed.
    pub async fn runs(
        &self,
        prefix: &str,
        limit: i64,
    ) -> Result<Vec<Result<RunRecord, UnreadableRun>>, StoreError> {
        let statement = Statement::new(concat!(
            "SELECT ",
            columns!(),
            " FROM mpscript_run WHERE SUBSTR(id, 1, CAST($1 AS INTEGER)) = $2
             ORDER BY started_at DESC, id LIMIT $3"
        ));
        let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
        let rows = self.query(statement.with(length).with(prefix).with(limit)).await?;
        Ok(rows.iter().map(read_listed).collect())
    }

    /// The record of a run.
    pub async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        let statement = Statement::new(concat!("SELECT ", columns!(), " FROM mpscript_run WHERE id = $1"));
        self.query(statement.with(id)).await?.first().map(read).transpose()
    }

    /// The state of a run as recorded; `None` when there is no such run.
    pub async fn run_state(&self, id: &str) -> Result<Option<RunState>, StoreError> {
        let rows =
            self.query(Statement::new("SELECT state FROM mpscript_run WHERE id = $1").with(id)).await?;
        let state = |row| Cells::new("mpscript_run", "state", id, row).decode(RunState::decode);
        rows.first().map(state).transpose()
    }

    /// The runs that are recorded as running, oldest first. Processes of some may have died. A row that can't be decoded is
    /// an error in its place.
    pub async fn running_runs(&self) -> Result<Vec<Result<RunRecord, UnreadableRun>>, StoreError> {
        let statement = Statement::new(sql!(
            "SELECT ",
            columns!(),
            " FROM mpscript_run WHERE state = ",
            word!(RunState::Running),
            " ORDER BY started_at"
        ));
        Ok(self.query(statement).await?.iter().map(read_listed).collect())
    }

    /// Fences a run whose process is presumed dead: should the process wake up, every write of this attempt is refused.
    /// Does nothing if the run has sent a heartbeat since the record was read.
    pub async fn fence_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_run SET state = $4
             WHERE id = $1 AND attempt = $2 AND heartbeat_at = $3 AND state = $5",
        );
        let statement = statement.with(run.id.as_str()).with(run.attempt).with(run.heartbeat_at);
        let statement = statement.with(RunState::Interrupted.as_str()).with(RunState::Running.as_str());
        self.execute(statement).await.map(drop)
    }

    /// Parks a run that no process executes, because its record can't be used. Does nothing if the run has changed since the
    /// record was read.
    pub async fn park_run(&self, run: &RunRecord, note: &str) -> Result<(), StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_run SET state = $5, note = $6
             WHERE id = $1 AND attempt = $2 AND heartbeat_at = $3 AND state = $4",
        );
        let statement = statement.with(run.id.as_str()).with(run.attempt).with(run.heartbeat_at);
        let statement = statement.with(run.state.as_str()).with(RunState::Parked.as_str()).with(note);
        self.execute(statement).await.map(drop)
    }

    /// Fences all runs whose last heartbeat is not after an instant.
    pub async fn fence_stale_runs(&self, last_heartbeat: StoreTime) -> Result<(), StoreError> {
        // Constant, so that the index of the running runs is used.
        let statement = Statement::new(sql!(
            "UPDATE mpscript_run SET state = ",
            word!(RunState::Interrupted),
            " WHERE state = ",
            word!(RunState::Running),
            " AND heartbeat_at <= $1"
        ));
        self.execute(statement.with(last_heartbeat)).await.map(drop)
    }

    /// Acquires a write lock for a run, which holds it until it ends or is fenced; `false` while another run holds it.
    pub async fn acquire_write_lock(&self, key: &LeaseKey, run: &str) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_lease (kind, name, owner, expires_at) VALUES ($1, $2, $3, 0)
             ON CONFLICT (kind, name) DO UPDATE SET owner = excluded.owner
             WHERE mpscript_lease.owner = excluded.owner OR NOT EXISTS (
                 SELECT 1 FROM mpscript_run r WHERE r.id = mpscript_lease.owner AND r.state = $4)",
        );
        let statement = key.given_to(statement).with(run).with(RunState::Running.as_str());
        Ok(self.execute(statement).await? == 1)
    }

    /// The newest run that undoes this one: it is running, it completed, or it failed after it had changed something.
    /// An undo that was undone itself does not count.
    pub async fn active_undo_of(&self, id: &str) -> Result<Option<String>, StoreError> {
        let statement = Statement::new(sql!(
            "SELECT u.id FROM mpscript_run u WHERE u.undoes = $1 AND u.dry_run = 0
                 AND (u.state IN (",
            word!(RunState::Running),
            ", ",
            COMPLETED_STATES,
            ")
                     OR EXISTS (SELECT 1 FROM mpscript_step s
                         WHERE s.run = u.id AND s.state = ",
            word!(StepState::Done),
            " AND s.effect_kind IN (",
            word!(RecordedKind::TagCreated),
            ", ",
            word!(RecordedKind::TagRenamed),
            ", ",
            word!(RecordedKind::TagDeleted),
            "))
                     OR EXISTS (SELECT 1 FROM mpscript_batch b WHERE b.run = u.id
                         AND (b.pending < b.size OR b.in_doubt > 0)))
                 AND NOT EXISTS (
                     SELECT 1 FROM mpscript_run v WHERE v.undoes = u.id AND v.dry_run = 0
                         AND v.state IN (",
            COMPLETED_STATES,
            "))
             ORDER BY u.started_at DESC LIMIT 1",
        ));
        let rows = self.query(statement.with(id)).await?;
        rows.first().map(|row| Cells::new("mpscript_run", "id", id, row).text()).transpose()
    }

    /// The long texts of a run; empty ones when there is no such run.
    pub async fn run_payload(&self, id: &str) -> Result<RunPayload, StoreError> {
        // Without its source the text is empty, which its decoder reports.
        let statement = Statement::new(
            "SELECT COALESCE(s.text, ''), r.options, r.report
             FROM mpscript_run r LEFT JOIN mpscript_source s ON s.id = r.source_id WHERE r.id = $1",
        );
        let rows = self.query(statement.with(id)).await?;
        let payload = |row| {
            let mut cells = Cells::new("mpscript_run", "source_id, options, report", id, row);
            Ok(RunPayload { source: cells.text()?, options: cells.text()?, report: cells.text()? })
        };
        rows.first().map_or_else(|| Ok(RunPayload::default()), payload)
    }

    /// Replaces the options of a run that has ended.
    pub async fn replace_options(&self, id: &str, options: &str) -> Result<(), StoreError> {
        let statement = Statement::new("UPDATE mpscript_run SET options = $2 WHERE id = $1 AND state <> $3");
        let statement = statement.with(id).with(options).with(RunState::Running.as_str());
        self.execute(statement).await.map(drop)
    }

    /// Starts the next attempt of a run; `false` when its current attempt is not `attempt` any more, because another
    /// process was faster.
    pub async fn start_attempt(
        &self,
        id: &str,
        attempt: i64,
        owner: &str,
        now: StoreTime,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_run SET attempt = attempt + 1, state = $5, ended_at = 0, note = '', report = '',
                 stop_requested = 0, owner = $3, heartbeat_at = $4
             WHERE id = $1 AND attempt = $2",
        );
        let statement = statement.with(id).with(attempt).with(owner).with(now);
        Ok(self.execute(statement.with(RunState::Running.as_str())).await? == 1)
    }

    /// Sends a heartbeat of a run.
    pub async fn heartbeat(
        &self,
        id: &str,
        attempt: i64,
        now: StoreTime,
    ) -> Result<AttemptStatus, StoreError> {
        if self.execute(heartbeat(id, attempt, now)).await? != 1 {
            return Ok(AttemptStatus::Fenced);
        }
        self.attempt_status(id, attempt).await
    }

    /// Whether an attempt still has its run, and whether the run is to stop. This only reads: it waits for no other writer,
    /// and commits nothing.
    pub async fn attempt_status(&self, id: &str, attempt: i64) -> Result<AttemptStatus, StoreError> {
        let statement = Statement::new(
            "SELECT stop_requested FROM mpscript_run WHERE id = $1 AND attempt = $2 AND state = $3",
        );
        let statement = statement.with(id).with(attempt).with(RunState::Running.as_str());
        let rows = self.query(statement).await?;
        let Some(row) = rows.first() else { return Ok(AttemptStatus::Fenced) };
        let is_stop_requested = Cells::new("mpscript_run", "stop_requested", id, row).boolean()?;
        Ok(if is_stop_requested { AttemptStatus::StopRequested } else { AttemptStatus::Alive })
    }

    /// In one transaction: records how an attempt of a run ended, releases the run's write locks, and saves the state
    /// that it leaves to the automation's next run. `false`, with nothing written, when the attempt was fenced.
    pub async fn end_run(&self, end: &RunEnd<'_>) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_run SET state = $3, note = $4, report = $5, ended_at = $6
             WHERE id = $1 AND attempt = $2 AND state = $7",
        );
        let statement = statement
            .with(end.run)
            .with(end.attempt)
            .with(end.state.as_str())
            .with(end.note)
            .with(end.report)
            .with(end.now)
            .with(RunState::Running.as_str());
        let locks = Statement::new("DELETE FROM mpscript_lease WHERE kind = $1 AND owner = $2");
        let locks = locks.with(LeaseKind::Write.as_str()).with(end.run);
        let mut all = vec![statement.expecting(1), locks];
        all.extend(end.saved_state.map(|saved| save_state(saved.automation, saved.json, end.now)));
        match self.transaction(all).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks the process of a run to stop; it learns of this when it next asks for its `attempt_status`.
    pub async fn request_stop(&self, id: &str) -> Result<(), StoreError> {
        let statement =
            Statement::new("UPDATE mpscript_run SET stop_requested = 1 WHERE id = $1 AND state = $2");
        self.execute(statement.with(id).with(RunState::Running.as_str())).await.map(drop)
    }
}

/// The heartbeat of an attempt, which is its fence too: it changes one row, and none once the attempt was fenced or a
/// later one was started.
pub(super) fn heartbeat(id: &str, attempt: i64, now: StoreTime) -> Statement {
    let statement = Statement::new(
        "UPDATE mpscript_run SET heartbeat_at = $3 WHERE id = $1 AND attempt = $2 AND state = $4",
    );
    statement.with(id).with(attempt).with(now).with(RunState::Running.as_str())
}
