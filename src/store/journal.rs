//! The journal of a run: its steps, each a call or a job, and the batches of changes that a step sent.

use super::{Row, Statement, Store, StoreError, run::heartbeat};

/// One step of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepRow {
    /// Its place in the run: `3`, or `3/7/2` for the second step of the seventh page of the third.
    pub step: String,
    /// Steps are numbered as they begin.
    pub seq: i64,
    /// What it does, with its arguments.
    pub what: String,
    /// `begun`, `done` or `failed`.
    pub state: String,
    /// What it changes and what the way back needs, in the words of whoever wrote it; empty before that is known.
    pub change: String,
    /// How far it is.
    pub checkpoint: String,
    /// What it came to.
    pub answer: String,
}

/// A batch of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchRow {
    /// The number of its step.
    pub seq: i64,
    /// Its number within its step.
    pub number: i64,
    /// Who, as JSON.
    pub items: String,
    /// Those that are not done, as JSON; empty when that is all of them, or none.
    pub pending_items: String,
    /// How many are not done.
    pub pending: i64,
    /// Those that failed, as JSON; empty when there are none.
    pub failed: String,
}

/// A batch in which somebody was changed, with what its step says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoneRow {
    /// What the step does, with its arguments.
    pub what: String,
    /// What it changes.
    pub change: String,
    /// The batch.
    pub batch: BatchRow,
}

/// What the batches of a step have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchSums {
    /// Openids that were changed or have failed.
    pub ended: i64,
    /// Of them, those that failed.
    pub failed: i64,
    /// The number of the next batch.
    pub next: i64,
}

fn step(row: &Row) -> StepRow {
    StepRow {
        step: row.text(0).to_owned(),
        seq: row.integer(1),
        what: row.text(2).to_owned(),
        state: row.text(3).to_owned(),
        change: row.text(4).to_owned(),
        checkpoint: row.text(5).to_owned(),
        answer: row.text(6).to_owned(),
    }
}

fn batch(row: &Row) -> BatchRow {
    BatchRow {
        seq: row.integer(0),
        number: row.integer(1),
        items: row.text(2).to_owned(),
        pending_items: row.text(3).to_owned(),
        pending: row.integer(4),
        failed: row.text(5).to_owned(),
    }
}

/// The batches of a step for which something holds, in their order.
macro_rules! batches {
    ($holds:literal) => {
        concat!(
            "SELECT CAST(0 AS BIGINT), number, items, pending_items, pending, failed FROM mpscript_batch
             WHERE run = $1 AND step = $2 AND ",
            $holds,
            " ORDER BY number"
        )
    };
}

/// What is written down; several are written at once.
#[derive(Clone)]
pub struct Entry(Statement);

impl Entry {
    /// A step begins, or begins anew.
    #[must_use]
    pub fn begun(run: &str, step: &str, seq: i64, what: &str) -> Self {
        let statement = Statement::new(
            "INSERT INTO mpscript_step (run, step, seq, what, state, change, checkpoint, answer)
             VALUES ($1, $2, $3, $4, 'begun', '', '', '')
             ON CONFLICT (run, step) DO UPDATE SET seq = excluded.seq, state = 'begun', answer = ''",
        );
        Self(statement.with(run).with(step).with(seq).with(what))
    }

    /// What a step changes is known.
    #[must_use]
    pub fn change(run: &str, step: &str, change: &str) -> Self {
        let statement = Statement::new("UPDATE mpscript_step SET change = $3 WHERE run = $1 AND step = $2");
        Self(statement.with(run).with(step).with(change))
    }

    /// How far a step is.
    #[must_use]
    pub fn checkpoint(run: &str, step: &str, checkpoint: &str) -> Self {
        let statement =
            Statement::new("UPDATE mpscript_step SET checkpoint = $3 WHERE run = $1 AND step = $2");
        Self(statement.with(run).with(step).with(checkpoint))
    }

    /// A step has ended.
    #[must_use]
    pub fn ended(run: &str, step: &str, state: &str, answer: &str) -> Self {
        let statement =
            Statement::new("UPDATE mpscript_step SET state = $3, answer = $4 WHERE run = $1 AND step = $2");
        Self(statement.with(run).with(step).with(state).with(answer))
    }

    /// A batch is about to be sent.
    #[must_use]
    pub fn intent(run: &str, step: &str, number: i64, items: &str, size: i64) -> Self {
        let statement = Statement::new(
            "INSERT INTO mpscript_batch (run, step, number, items, size, pending, pending_items, failed, failures)
             VALUES ($1, $2, $3, $4, $5, $5, '', '', 0)
             ON CONFLICT (run, step, number) DO UPDATE SET items = excluded.items, size = excluded.size,
                 pending = excluded.pending, pending_items = '', failed = '', failures = 0",
        );
        Self(statement.with(run).with(step).with(number).with(items).with(size))
    }

    /// What a batch has come to: how many are not done and who; who failed and how many.
    #[must_use]
    pub fn outcome(
        run: &str,
        step: &str,
        number: i64,
        (pending, pending_items): (i64, &str),
        (failures, failed): (i64, &str),
    ) -> Self {
        let statement = Statement::new(
            "UPDATE mpscript_batch SET pending = $4, pending_items = $5, failures = $6, failed = $7
             WHERE run = $1 AND step = $2 AND number = $3",
        );
        let statement = statement.with(run).with(step).with(number);
        Self(statement.with(pending).with(pending_items).with(failures).with(failed))
    }
}

impl Store {
    /// Writes entries of one attempt of a run, all or none: none once somebody else goes on with the run, which is
    /// a conflict.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_journal(
        &self,
        run: &str,
        attempt: i64,
        now: i64,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let fence = heartbeat(run, attempt, now).expecting(1);
        let all = std::iter::once(fence).chain(entries.iter().map(|entry| entry.0.clone()));
        self.transaction(all.collect()).await.map(drop)
    }

    /// A step of a run, if it was begun.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn step_at(&self, run: &str, at: &str) -> Result<Option<StepRow>, StoreError> {
        let statement = Statement::new(
            "SELECT step, seq, what, state, change, checkpoint, answer FROM mpscript_step
             WHERE run = $1 AND step = $2",
        );
        Ok(self.query(statement.with(run).with(at)).await?.first().map(step))
    }

    /// Steps of a run after the one of this number, in the order in which they began.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn steps(&self, run: &str, after: i64, most: i64) -> Result<Vec<StepRow>, StoreError> {
        let statement = Statement::new(
            "SELECT step, seq, what, state, change, checkpoint, answer FROM mpscript_step
             WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        );
        Ok(self.query(statement.with(run).with(after).with(most)).await?.iter().map(step).collect())
    }

    /// The number of the step that began last; 0 when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn last_step(&self, run: &str) -> Result<i64, StoreError> {
        let statement = Statement::new("SELECT COALESCE(MAX(seq), 0) FROM mpscript_step WHERE run = $1");
        Ok(self.query(statement.with(run)).await?.first().map_or(0, |row| row.integer(0)))
    }

    /// The steps of one page, in the order in which they began.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn parts(&self, run: &str, prefix: &str) -> Result<Vec<StepRow>, StoreError> {
        let statement = Statement::new(
            "SELECT step, seq, what, state, change, checkpoint, answer FROM mpscript_step
             WHERE run = $1 AND step LIKE $2 AND step NOT LIKE $3 ORDER BY seq",
        );
        let (all, of_parts) = (format!("{prefix}%"), format!("{prefix}%/%"));
        let rows = self.query(statement.with(run).with(all.as_str()).with(of_parts.as_str())).await?;
        Ok(rows.iter().map(step).collect())
    }

    /// The steps of the script itself that have changed something, or have parts that did, and have not ended.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn unfinished_steps(&self, run: &str) -> Result<Vec<StepRow>, StoreError> {
        let statement = Statement::new(
            "SELECT step, seq, what, state, change, checkpoint, answer FROM mpscript_step s
             WHERE run = $1 AND state = 'begun' AND step NOT LIKE '%/%' AND (change <> '' OR EXISTS (
                 SELECT 1 FROM mpscript_step p WHERE p.run = s.run AND p.step LIKE s.step || '/%'))
             ORDER BY seq",
        );
        Ok(self.query(statement.with(run)).await?.iter().map(step).collect())
    }

    /// Whether the run went on after a step: another began later that is not a part of it, up to the number `last`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn went_on_after(
        &self,
        run: &str,
        at: &str,
        (seq, last): (i64, i64),
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "SELECT seq FROM mpscript_step WHERE run = $1 AND seq > $2 AND seq <= $4 AND step NOT LIKE $3 LIMIT 1",
        );
        let statement = statement.with(run).with(seq).with(format!("{at}/%").as_str()).with(last);
        let rows = self.query(statement).await?;
        Ok(!rows.is_empty())
    }

    /// Whether a step has parts.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_parts(&self, run: &str, at: &str) -> Result<bool, StoreError> {
        let statement =
            Statement::new("SELECT seq FROM mpscript_step WHERE run = $1 AND step LIKE $2 LIMIT 1");
        Ok(!self.query(statement.with(run).with(format!("{at}/%").as_str())).await?.is_empty())
    }

    /// What the batches of a step have come to so far.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn batch_sums(&self, run: &str, step: &str) -> Result<BatchSums, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(size - pending), 0) AS BIGINT), CAST(COALESCE(SUM(failures), 0) AS BIGINT),
                 COALESCE(MAX(number) + 1, 0)
             FROM mpscript_batch WHERE run = $1 AND step = $2",
        );
        let rows = self.query(statement.with(run).with(step)).await?;
        Ok(rows.first().map_or_else(BatchSums::default, |row| BatchSums {
            ended: row.integer(0),
            failed: row.integer(1),
            next: row.integer(2),
        }))
    }

    /// How many openids a whole run has changed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn changes_of(&self, run: &str) -> Result<i64, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(size - pending - failures), 0) AS BIGINT) FROM mpscript_batch WHERE run = $1",
        );
        Ok(self.query(statement.with(run)).await?.first().map_or(0, |row| row.integer(0)))
    }

    /// The batches of a step that are not done.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_batches(&self, run: &str, step: &str) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("pending > 0"));
        Ok(self.query(statement.with(run).with(step)).await?.iter().map(batch).collect())
    }

    /// The batches of a step from this number on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn batches_from(
        &self,
        run: &str,
        step: &str,
        number: i64,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("number >= $3"));
        Ok(self.query(statement.with(run).with(step).with(number)).await?.iter().map(batch).collect())
    }

    /// The batches of a step in which somebody failed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn failed_batches(&self, run: &str, step: &str) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("failures > 0"));
        Ok(self.query(statement.with(run).with(step)).await?.iter().map(batch).collect())
    }

    /// The batches of a whole run in which somebody was changed, after a place among them, in their order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn done_batches(
        &self,
        run: &str,
        (seq, number): (i64, i64),
        most: i64,
    ) -> Result<Vec<DoneRow>, StoreError> {
        let statement = Statement::new(
            "SELECT s.seq, b.number, b.items, b.pending_items, b.pending, b.failed, s.what, s.change
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND b.size > b.pending + b.failures
                 AND s.seq >= $2 AND (s.seq > $2 OR b.number > $3)
             ORDER BY s.seq, b.number LIMIT $4",
        );
        let rows = self.query(statement.with(run).with(seq).with(number).with(most)).await?;
        let done = |row: &Row| DoneRow {
            what: row.text(6).to_owned(),
            change: row.text(7).to_owned(),
            batch: batch(row),
        };
        Ok(rows.iter().map(done).collect())
    }

    /// How many openids are in the batches of one change that a step and its parts made.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn people_of(&self, run: &str, step: &str, change: &str) -> Result<i64, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(b.size - b.failures), 0) AS BIGINT)
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND (s.step = $2 OR s.step LIKE $3) AND s.change = $4",
        );
        let within = format!("{step}/%");
        let rows = self.query(statement.with(run).with(step).with(within.as_str()).with(change)).await?;
        Ok(rows.first().map_or(0, |row| row.integer(0)))
    }

    /// The batches of one change that a step and its parts made, after a place among them, in their order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn batches_of(
        &self,
        run: &str,
        step: &str,
        change: &str,
        (seq, number): (i64, i64),
        most: i64,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(
            "SELECT s.seq, b.number, b.items, b.pending_items, b.pending, b.failed
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND (s.step = $2 OR s.step LIKE $3) AND s.change = $4
                 AND (s.seq, b.number) > ($5, $6)
             ORDER BY s.seq, b.number LIMIT $7",
        );
        let within = format!("{step}/%");
        let statement = statement.with(run).with(step).with(within.as_str()).with(change);
        let rows = self.query(statement.with(seq).with(number).with(most)).await?;
        Ok(rows.iter().map(batch).collect())
    }
}
