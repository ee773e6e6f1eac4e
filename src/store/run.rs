//! Runs: what was started, with all that is needed to go on with it, and how it ended.

use super::{Row, RunState, Statement, Store, StoreError, automation::keep};

/// What is known of a run, without its long texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunRecord {
    /// Its name among all runs.
    pub id: String,
    /// The account that it works on, as the client names it.
    pub account: String,
    /// The script's name.
    pub script: String,
    /// Its state as recorded; a process that died leaves `Running`.
    pub state: RunState,
    /// Whether it changes nothing.
    pub is_dry: bool,
    /// When it was first started, in milliseconds.
    pub started_at: i64,
    /// When it ended, in milliseconds; 0 while it runs.
    pub ended_at: i64,
    /// When its process last gave a sign of life, in milliseconds.
    pub beat_at: i64,
    /// The process that runs it.
    pub owner: String,
    /// How often it was started or gone on with.
    pub attempt: i64,
    /// The run that it undoes, if it does.
    pub undoes: String,
    /// Why it waits for a person, if it does.
    pub note: String,
}

/// The long texts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTexts {
    /// The script and its imports.
    pub source: String,
    /// What it was started with.
    pub options: String,
    /// What it came to; empty before its end.
    pub report: String,
}

/// How an attempt of a run ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunEnd<'a> {
    /// The run.
    pub run: &'a str,
    /// Which attempt.
    pub attempt: i64,
    /// How it ended.
    pub state: RunState,
    /// Why, if it did not end well.
    pub note: &'a str,
    /// What it came to; may be empty.
    pub report: &'a str,
    /// When, in milliseconds.
    pub now: i64,
    /// The automation whose runs keep something, and what, as JSON.
    pub kept: Option<(&'a str, &'a str)>,
}

/// What a sign of life meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Nobody else has gone on with the run, nor cut it off.
    pub is_ours: bool,
    /// Somebody wants it to stop.
    pub is_to_stop: bool,
}

fn read(row: &Row) -> Result<RunRecord, StoreError> {
    Ok(RunRecord {
        id: row.text(0).to_owned(),
        account: row.text(1).to_owned(),
        script: row.text(2).to_owned(),
        state: RunState::decode("mpscript_run", row.text(0), "state", row.text(3))?,
        is_dry: row.integer(4) != 0,
        started_at: row.integer(5),
        ended_at: row.integer(6),
        beat_at: row.integer(7),
        owner: row.text(8).to_owned(),
        attempt: row.integer(9),
        undoes: row.text(10).to_owned(),
        note: row.text(11).to_owned(),
    })
}

impl Store {
    /// Records a run that begins; `false` when there is one of its name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_run(&self, run: &RunRecord, texts: &RunTexts) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_run (id, account, script, state, dry_run, started_at, ended_at, beat_at, owner,
                 attempt, undoes, note, stop, source, options, report)
             VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, 1, $9, '', 0, $10, $11, '')
             ON CONFLICT (id) DO NOTHING",
        );
        let statement = statement
            .with(run.id.as_str())
            .with(run.account.as_str())
            .with(run.script.as_str())
            .with(run.state.as_str())
            .with(i64::from(run.is_dry))
            .with(run.started_at)
            .with(run.beat_at)
            .with(run.owner.as_str())
            .with(run.undoes.as_str())
            .with(texts.source.as_str())
            .with(texts.options.as_str());
        Ok(self.execute(statement).await? == 1)
    }

    /// The runs whose name begins so, newest first; all of them where it is empty.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn runs(&self, prefix: &str, most: i64) -> Result<Vec<RunRecord>, StoreError> {
        let statement = Statement::new(
            "SELECT id, account, script, state, dry_run, started_at, ended_at, beat_at, owner, attempt, undoes, note
             FROM mpscript_run WHERE SUBSTR(id, 1, CAST($1 AS INTEGER)) = $2
             ORDER BY started_at DESC, id LIMIT $3",
        );
        let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
        let rows = self.query(statement.with(length).with(prefix).with(most)).await?;
        rows.iter().map(read).collect()
    }

    /// The record of a run.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run(&self, id: &str) -> Result<Option<RunRecord>, StoreError> {
        let statement = Statement::new(
            "SELECT id, account, script, state, dry_run, started_at, ended_at, beat_at, owner, attempt, undoes, note
             FROM mpscript_run WHERE id = $1",
        );
        self.query(statement.with(id)).await?.first().map(read).transpose()
    }

    /// The state of a run as recorded; `None` when there is no such run.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run_state(&self, id: &str) -> Result<Option<RunState>, StoreError> {
        let rows =
            self.query(Statement::new("SELECT state FROM mpscript_run WHERE id = $1").with(id)).await?;
        rows.first().map(|row| RunState::decode("mpscript_run", id, "state", row.text(0))).transpose()
    }

    /// The runs that are said to be under way.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn runs_under_way(&self) -> Result<Vec<RunRecord>, StoreError> {
        let statement = Statement::new(
            "SELECT id, account, script, state, dry_run, started_at, ended_at, beat_at, owner, attempt, undoes, note
             FROM mpscript_run WHERE state = 'running' ORDER BY started_at",
        );
        self.query(statement).await?.iter().map(read).collect()
    }

    /// Cuts a run off whose process seems to be gone: should it wake up after all, it writes nothing more. A run that
    /// has given a sign of life since it was read stays as it is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cut_off(&self, run: &RunRecord) -> Result<(), StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_run SET state = 'interrupted'
             WHERE id = $1 AND attempt = $2 AND beat_at = $3 AND state = 'running'",
        );
        self.execute(statement.with(run.id.as_str()).with(run.attempt).with(run.beat_at)).await.map(drop)
    }

    /// Cuts all runs off that have given no sign of life since this instant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cut_off_silent(&self, since: i64) -> Result<(), StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_run SET state = 'interrupted' WHERE state = 'running' AND beat_at <= $1",
        );
        self.execute(statement.with(since)).await.map(drop)
    }

    /// Nobody else may write this until the run ends or is cut off; `false` while another run holds it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim(&self, name: &str, run: &str) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO mpscript_lease (name, owner, expires_at) VALUES ($1, $2, 0)
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner
             WHERE mpscript_lease.owner = excluded.owner OR NOT EXISTS (
                 SELECT 1 FROM mpscript_run r WHERE r.id = mpscript_lease.owner AND r.state = 'running')",
        );
        Ok(self.execute(statement.with(name).with(run)).await? == 1)
    }

    /// The run that has claimed something last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claimed_by(&self, name: &str) -> Result<Option<String>, StoreError> {
        let statement = Statement::new("SELECT owner FROM mpscript_lease WHERE name = $1");
        Ok(self.query(statement.with(name)).await?.first().map(|row| row.text(0).to_owned()))
    }

    /// The run that takes this one back, or has, if only in part, and was not taken back itself.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn undone_by(&self, id: &str) -> Result<Option<String>, StoreError> {
        let statement = Statement::new(
            "SELECT u.id FROM mpscript_run u WHERE u.undoes = $1 AND u.dry_run = 0
                 AND (u.state IN ('running', 'done', 'done_with_failures')
                     OR EXISTS (SELECT 1 FROM mpscript_step s
                         WHERE s.run = u.id AND s.state = 'done' AND s.change LIKE '{%')
                     OR EXISTS (SELECT 1 FROM mpscript_batch b WHERE b.run = u.id
                         AND (b.pending < b.size OR b.pending_items NOT LIKE '%\"unsure\":[]%')))
                 AND NOT EXISTS (
                     SELECT 1 FROM mpscript_run v WHERE v.undoes = u.id AND v.dry_run = 0
                         AND v.state IN ('done', 'done_with_failures'))
             ORDER BY u.started_at DESC LIMIT 1",
        );
        Ok(self.query(statement.with(id)).await?.first().map(|row| row.text(0).to_owned()))
    }

    /// A run's long texts.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run_texts(&self, id: &str) -> Result<RunTexts, StoreError> {
        let statement = Statement::new("SELECT source, options, report FROM mpscript_run WHERE id = $1");
        let rows = self.query(statement.with(id)).await?;
        Ok(rows.first().map_or_else(RunTexts::default, |row| RunTexts {
            source: row.text(0).to_owned(),
            options: row.text(1).to_owned(),
            report: row.text(2).to_owned(),
        }))
    }

    /// Goes on with a run as its next attempt; `false` when somebody else has meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_run(&self, id: &str, attempt: i64, owner: &str, now: i64) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_run SET attempt = attempt + 1, state = 'running', ended_at = 0, note = '', report = '', stop = 0,
                 owner = $3, beat_at = $4
             WHERE id = $1 AND attempt = $2",
        );
        Ok(self.execute(statement.with(id).with(attempt).with(owner).with(now)).await? == 1)
    }

    /// A sign of life.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn beat(&self, id: &str, attempt: i64, now: i64) -> Result<Beat, StoreError> {
        let is_ours = self.execute(beat(id, attempt, now)).await? == 1;
        if !is_ours {
            return Ok(Beat::default());
        }
        let rows = self.query(Statement::new("SELECT stop FROM mpscript_run WHERE id = $1").with(id)).await?;
        Ok(Beat { is_ours, is_to_stop: rows.first().is_some_and(|row| row.integer(0) != 0) })
    }

    /// Records how an attempt of a run ended, lets go of what it claimed, and keeps what it leaves to the automation's next:
    /// all or nothing; `false` when it was cut off or is somebody else's by now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_run(&self, end: &RunEnd<'_>) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE mpscript_run SET state = $3, note = $4, report = $5, ended_at = $6
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
        );
        let statement = statement
            .with(end.run)
            .with(end.attempt)
            .with(end.state.as_str())
            .with(end.note)
            .with(end.report)
            .with(end.now);
        let claims = Statement::new("DELETE FROM mpscript_lease WHERE owner = $1").with(end.run);
        let mut all = vec![statement.expecting(1), claims];
        all.extend(end.kept.map(|(automation, kept)| keep(automation, kept, end.now)));
        match self.transaction(all).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets a run and its journal.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_run(&self, id: &str) -> Result<(), StoreError> {
        self.transaction(forget_run(id)).await.map(drop)
    }

    /// Asks the process of a run to stop.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ask_to_stop(&self, id: &str) -> Result<(), StoreError> {
        let statement =
            Statement::new("UPDATE mpscript_run SET stop = 1 WHERE id = $1 AND state = 'running'");
        self.execute(statement.with(id)).await.map(drop)
    }
}

/// The sign of life by itself; it changes no row when the run was cut off or is somebody else's by now.
pub(super) fn beat(id: &str, attempt: i64, now: i64) -> Statement {
    let statement = Statement::new(
        "UPDATE mpscript_run SET beat_at = $3 WHERE id = $1 AND attempt = $2 AND state = 'running'",
    );
    statement.with(id).with(attempt).with(now)
}

/// A run goes with its journal and its words.
pub(super) fn forget_run(id: &str) -> Vec<Statement> {
    [
        "DELETE FROM mpscript_printed WHERE run = $1",
        "DELETE FROM mpscript_batch WHERE run = $1",
        "DELETE FROM mpscript_step WHERE run = $1",
        "DELETE FROM mpscript_run WHERE id = $1",
    ]
    .map(|sql| Statement::new(sql).with(id))
    .into()
}
