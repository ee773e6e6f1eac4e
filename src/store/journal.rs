//! The journal of a run: its steps, each a call or a job, and the batches of changes that a step sent.
//!
//! `effect`, `checkpoint`, `answer` and the item columns hold JSON of the floor above, which is only stored and compared
//! here; what queries decide by has a typed column of its own.

use super::{Row, Statement, StepKind, StepState, Store, StoreError, run::heartbeat, step::RecordedKind};
use crate::base::EpochMs;

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// Its place in the run: `3`, or `3/7/2` for the second step of the seventh page of the third.
    pub step: String,
    /// Steps are numbered in the order in which they start.
    pub seq: i64,
    /// What it is.
    pub kind: StepKind,
    /// What replay compares: steps of one kind and fingerprint are the same step.
    pub fingerprint: String,
    /// What it does, for people; nothing reads it back.
    pub label: String,
    /// The name of what it acts on: a tag's name or a file's; empty where a number says it.
    pub target: String,
    /// The id of the tag that it acts on; 0 where it acts on none, or by name.
    pub target_id: i64,
    /// How far it came.
    pub state: StepState,
    /// What it does to the account, as JSON; empty before that is known.
    pub effect: String,
    /// How far a job is, as JSON; empty before its first checkpoint.
    pub checkpoint: String,
    /// Its answer or error, as JSON; empty before its end.
    pub answer: String,
}

/// What a step is, when it starts.
#[derive(Clone, Copy, Debug)]
pub struct NewStep<'a> {
    /// Its place in the run.
    pub step: &'a str,
    /// Its number.
    pub seq: i64,
    /// What it is.
    pub kind: StepKind,
    /// What replay compares.
    pub fingerprint: &'a str,
    /// What it does, for people.
    pub label: &'a str,
    /// The name of what it acts on.
    pub target: &'a str,
    /// The id of the tag that it acts on; 0 where there is none.
    pub target_id: i64,
}

/// A batch of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchRow {
    /// The run and the step that it is of: `RUN/STEP`.
    pub step: String,
    /// The number of its step.
    pub seq: i64,
    /// Its number within its step.
    pub number: i64,
    /// Its items, as JSON.
    pub items: String,
    /// The items without an outcome, as JSON; empty when that is all of them, or none.
    pub unresolved: String,
    /// How many items have no outcome.
    pub pending: i64,
    /// The items that failed, as JSON; empty when there are none.
    pub failed: String,
}

impl BatchRow {
    /// Its place among the batches of its run.
    #[must_use]
    pub const fn position(&self) -> BatchPosition {
        BatchPosition { seq: self.seq, number: self.number }
    }
}

/// The place of a batch among those of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchPosition {
    /// The number of its step.
    pub seq: i64,
    /// Its number within its step.
    pub number: i64,
}

impl BatchPosition {
    /// Before every batch.
    pub const START: Self = Self { seq: -1, number: -1 };
}

/// A batch in which followers were changed, with the step that did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedBatch {
    /// What the step is.
    pub kind: StepKind,
    /// The name of what it acts on.
    pub target: String,
    /// The id of the tag that it acts on; 0 where there is none.
    pub target_id: i64,
    /// The batch.
    pub batch: BatchRow,
}

/// The sums over the batches of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTotals {
    /// Openids that were changed or have failed.
    pub ended: i64,
    /// Of them, those that failed.
    pub failed: i64,
    /// The number of the next batch.
    pub next: i64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchOutcome<'a> {
    /// How many items have no outcome.
    pub pending: i64,
    /// Of them, those whose change may have taken effect.
    pub in_doubt: i64,
    /// The items without an outcome, as JSON; empty when there are none.
    pub unresolved: &'a str,
    /// How many items failed.
    pub failures: i64,
    /// The items that failed, as JSON; empty when there are none.
    pub failed: &'a str,
}

fn step(run: &str, row: &Row) -> Result<StepRow, StoreError> {
    let key = format!("{run}/{}", row.text(0));
    Ok(StepRow {
        step: row.text(0).to_owned(),
        seq: row.integer(1),
        kind: StepKind::decode(&key, row.text(2))?,
        fingerprint: row.text(3).to_owned(),
        label: row.text(4).to_owned(),
        target: row.text(5).to_owned(),
        target_id: row.integer(6),
        state: StepState::decode("mpscript_step", &key, "state", row.text(7))?,
        effect: row.text(8).to_owned(),
        checkpoint: row.text(9).to_owned(),
        answer: row.text(10).to_owned(),
    })
}

fn batch(run: &str, row: &Row) -> BatchRow {
    BatchRow {
        step: format!("{run}/{}", row.text(0)),
        seq: row.integer(1),
        number: row.integer(2),
        items: row.text(3).to_owned(),
        unresolved: row.text(4).to_owned(),
        pending: row.integer(5),
        failed: row.text(6).to_owned(),
    }
}

/// A query for steps.
macro_rules! steps {
    ($rest:literal) => {
        concat!(
            "SELECT step, seq, kind, fingerprint, label, target, target_id, state, effect, checkpoint, answer
             FROM mpscript_step s WHERE run = $1 AND ",
            $rest
        )
    };
}

/// A query for the batches of a step, in their order.
macro_rules! batches {
    ($holds:literal) => {
        concat!(
            "SELECT step, CAST(0 AS BIGINT), number, items, unresolved, pending, failed FROM mpscript_batch
             WHERE run = $1 AND step = $2 AND ",
            $holds,
            " ORDER BY number"
        )
    };
}

/// One write to the journal; several are committed together.
#[derive(Clone)]
pub struct JournalWrite(Statement);

impl JournalWrite {
    /// A step starts.
    #[must_use]
    pub fn begun(run: &str, new: &NewStep<'_>) -> Self {
        let statement = Statement::new(
            "INSERT INTO mpscript_step (run, step, seq, kind, fingerprint, label, target, target_id, state, effect,
                 effect_kind, checkpoint, answer)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '', '', '')
             ON CONFLICT (run, step) DO UPDATE SET seq = excluded.seq, state = excluded.state, answer = ''",
        );
        let statement = statement.with(run).with(new.step).with(new.seq).with(new.kind.to_string().as_str());
        let statement = statement.with(new.fingerprint).with(new.label).with(new.target).with(new.target_id);
        Self(statement.with(StepState::Begun.as_str()))
    }

    /// A recorded step starts again.
    #[must_use]
    pub fn reopened(run: &str, step: &str, seq: i64) -> Self {
        let statement = Statement::new(
            "UPDATE mpscript_step SET seq = $3, state = $4, answer = '' WHERE run = $1 AND step = $2",
        );
        Self(statement.with(run).with(step).with(seq).with(StepState::Begun.as_str()))
    }

    /// What a step does to the account is known.
    #[must_use]
    pub fn effect(run: &str, step: &str, kind: RecordedKind, effect: &str) -> Self {
        let statement = Statement::new(
            "UPDATE mpscript_step SET effect_kind = $3, effect = $4 WHERE run = $1 AND step = $2",
        );
        Self(statement.with(run).with(step).with(kind.as_str()).with(effect))
    }

    /// A step had no effect.
    #[must_use]
    pub fn no_effect(run: &str, step: &str) -> Self {
        let statement = Statement::new(
            "UPDATE mpscript_step SET effect_kind = '', effect = '' WHERE run = $1 AND step = $2",
        );
        Self(statement.with(run).with(step))
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
    pub fn ended(run: &str, step: &str, state: StepState, answer: &str) -> Self {
        let statement =
            Statement::new("UPDATE mpscript_step SET state = $3, answer = $4 WHERE run = $1 AND step = $2");
        Self(statement.with(run).with(step).with(state.as_str()).with(answer))
    }

    /// A batch is about to be sent: until its outcome is recorded, all of it is in doubt.
    #[must_use]
    pub fn intent(run: &str, step: &str, number: i64, items: &str, size: i64) -> Self {
        let statement = Statement::new(
            "INSERT INTO mpscript_batch (run, step, number, items, size, pending, in_doubt, unresolved, failed, failures)
             VALUES ($1, $2, $3, $4, $5, $5, $5, '', '', 0)
             ON CONFLICT (run, step, number) DO UPDATE SET items = excluded.items, size = excluded.size,
                 pending = excluded.pending, in_doubt = excluded.in_doubt, unresolved = '', failed = '', failures = 0",
        );
        Self(statement.with(run).with(step).with(number).with(items).with(size))
    }

    /// What became of a batch.
    #[must_use]
    pub fn outcome(run: &str, step: &str, number: i64, outcome: &BatchOutcome<'_>) -> Self {
        let statement = Statement::new(
            "UPDATE mpscript_batch SET pending = $4, in_doubt = $5, unresolved = $6, failures = $7, failed = $8
             WHERE run = $1 AND step = $2 AND number = $3",
        );
        let statement =
            statement.with(run).with(step).with(number).with(outcome.pending).with(outcome.in_doubt);
        Self(statement.with(outcome.unresolved).with(outcome.failures).with(outcome.failed))
    }
}

impl Store {
    /// Commits writes of one attempt of a run, all or none. A fenced attempt writes nothing, which is a conflict.
    pub async fn write_journal(
        &self,
        run: &str,
        attempt: i64,
        now: EpochMs,
        entries: &[JournalWrite],
    ) -> Result<(), StoreError> {
        let fence = heartbeat(run, attempt, now).expecting(1);
        let all = std::iter::once(fence).chain(entries.iter().map(|entry| entry.0.clone()));
        self.transaction(all.collect()).await.map(drop)
    }

    /// A step of a run, if it is recorded.
    pub async fn step_at(&self, run: &str, at: &str) -> Result<Option<StepRow>, StoreError> {
        let statement = Statement::new(steps!("step = $2"));
        self.query(statement.with(run).with(at)).await?.first().map(|row| step(run, row)).transpose()
    }

    /// Steps of a run after the one of this number, in the order in which they started.
    pub async fn steps(&self, run: &str, after: i64, most: i64) -> Result<Vec<StepRow>, StoreError> {
        let statement = Statement::new(steps!("seq > $2 ORDER BY seq LIMIT $3"));
        self.query(statement.with(run).with(after).with(most))
            .await?
            .iter()
            .map(|row| step(run, row))
            .collect()
    }

    /// The number of the step that started last; 0 when there is none.
    pub async fn last_step(&self, run: &str) -> Result<i64, StoreError> {
        let statement = Statement::new("SELECT COALESCE(MAX(seq), 0) FROM mpscript_step WHERE run = $1");
        Ok(self.query(statement.with(run)).await?.first().map_or(0, |row| row.integer(0)))
    }

    /// The steps of one page, in the order in which they started.
    pub async fn children(&self, run: &str, prefix: &str) -> Result<Vec<StepRow>, StoreError> {
        let statement = Statement::new(steps!("step LIKE $2 AND step NOT LIKE $3 ORDER BY seq"));
        let (all, of_parts) = (format!("{prefix}%"), format!("{prefix}%/%"));
        let rows = self.query(statement.with(run).with(all.as_str()).with(of_parts.as_str())).await?;
        rows.iter().map(|row| step(run, row)).collect()
    }

    /// The steps of a page, with the parts of those, that have started and not ended, and that had an effect.
    pub async fn in_flight_on_page(&self, run: &str, prefix: &str) -> Result<Vec<StepRow>, StoreError> {
        let statement =
            Statement::new(steps!("state = $3 AND effect_kind <> '' AND step LIKE $2 ORDER BY seq"));
        let statement = statement.with(run).with(format!("{prefix}%").as_str());
        let rows = self.query(statement.with(StepState::Begun.as_str())).await?;
        rows.iter().map(|row| step(run, row)).collect()
    }

    /// The top-level steps that have started and not ended, and that had an effect or have child steps.
    pub async fn in_flight_steps(&self, run: &str) -> Result<Vec<StepRow>, StoreError> {
        let statement = Statement::new(steps!(
            "state = $2 AND step NOT LIKE '%/%' AND (effect_kind <> '' OR EXISTS (
                 SELECT 1 FROM mpscript_step p WHERE p.run = s.run AND p.step LIKE s.step || '/%'))
             ORDER BY seq"
        ));
        let rows = self.query(statement.with(run).with(StepState::Begun.as_str())).await?;
        rows.iter().map(|row| step(run, row)).collect()
    }

    /// Whether a step that is no child of this one started after it, up to the number `last`.
    pub async fn has_later_step(&self, run: &str, step: &StepRow, last: i64) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "SELECT seq FROM mpscript_step WHERE run = $1 AND seq > $2 AND seq <= $4 AND step NOT LIKE $3 LIMIT 1",
        );
        let children = format!("{}/%", step.step);
        let statement = statement.with(run).with(step.seq).with(children.as_str()).with(last);
        Ok(!self.query(statement).await?.is_empty())
    }

    /// Whether a step has child steps.
    pub async fn has_children(&self, run: &str, at: &str) -> Result<bool, StoreError> {
        let statement =
            Statement::new("SELECT seq FROM mpscript_step WHERE run = $1 AND step LIKE $2 LIMIT 1");
        Ok(!self.query(statement.with(run).with(format!("{at}/%").as_str())).await?.is_empty())
    }

    /// The sums over the batches of a step.
    pub async fn batch_totals(&self, run: &str, step: &str) -> Result<BatchTotals, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(size - pending), 0) AS BIGINT), CAST(COALESCE(SUM(failures), 0) AS BIGINT),
                 COALESCE(MAX(number) + 1, 0)
             FROM mpscript_batch WHERE run = $1 AND step = $2",
        );
        let rows = self.query(statement.with(run).with(step)).await?;
        Ok(rows.first().map_or_else(BatchTotals::default, |row| BatchTotals {
            ended: row.integer(0),
            failed: row.integer(1),
            next: row.integer(2),
        }))
    }

    /// How many openids a whole run has changed.
    pub async fn changes_of(&self, run: &str) -> Result<i64, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(size - pending - failures), 0) AS BIGINT) FROM mpscript_batch WHERE run = $1",
        );
        Ok(self.query(statement.with(run)).await?.first().map_or(0, |row| row.integer(0)))
    }

    /// The batches of a step that have items without an outcome.
    pub async fn open_batches(&self, run: &str, step: &str) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("pending > 0"));
        Ok(self.query(statement.with(run).with(step)).await?.iter().map(|row| batch(run, row)).collect())
    }

    /// The batches of a step from this number on.
    pub async fn batches_from(
        &self,
        run: &str,
        step: &str,
        number: i64,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("number >= $3"));
        Ok(self
            .query(statement.with(run).with(step).with(number))
            .await?
            .iter()
            .map(|row| batch(run, row))
            .collect())
    }

    /// The batches of a step that have failed items.
    pub async fn failed_batches(&self, run: &str, step: &str) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("failures > 0"));
        Ok(self.query(statement.with(run).with(step)).await?.iter().map(|row| batch(run, row)).collect())
    }

    /// The batches of a whole run in which followers were changed, after a position, in their order.
    pub async fn changed_batches(
        &self,
        run: &str,
        after: BatchPosition,
        most: i64,
    ) -> Result<Vec<ChangedBatch>, StoreError> {
        let statement = Statement::new(
            "SELECT b.step, s.seq, b.number, b.items, b.unresolved, b.pending, b.failed, s.kind, s.target, s.target_id
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND b.size > b.pending + b.failures
                 AND s.seq >= $2 AND (s.seq > $2 OR b.number > $3)
             ORDER BY s.seq, b.number LIMIT $4",
        );
        let rows = self.query(statement.with(run).with(after.seq).with(after.number).with(most)).await?;
        let changed = |row: &Row| {
            Ok(ChangedBatch {
                kind: StepKind::decode(&format!("{run}/{}", row.text(0)), row.text(7))?,
                target: row.text(8).to_owned(),
                target_id: row.integer(9),
                batch: batch(run, row),
            })
        };
        rows.iter().map(changed).collect()
    }

    /// How many openids are in the batches of one effect that a step and its children had.
    pub async fn count_changed(&self, run: &str, step: &str, effect: &str) -> Result<i64, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(b.size - b.failures), 0) AS BIGINT)
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND (s.step = $2 OR s.step LIKE $3) AND s.effect = $4",
        );
        let within = format!("{step}/%");
        let rows = self.query(statement.with(run).with(step).with(within.as_str()).with(effect)).await?;
        Ok(rows.first().map_or(0, |row| row.integer(0)))
    }

    /// The batches of one effect that a step and its children had, after a position, in their order.
    pub async fn batches_of(
        &self,
        run: &str,
        step: &str,
        effect: &str,
        after: BatchPosition,
        most: i64,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(
            "SELECT b.step, s.seq, b.number, b.items, b.unresolved, b.pending, b.failed
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND (s.step = $2 OR s.step LIKE $3) AND s.effect = $4
                 AND (s.seq, b.number) > ($5, $6)
             ORDER BY s.seq, b.number LIMIT $7",
        );
        let within = format!("{step}/%");
        let statement = statement.with(run).with(step).with(within.as_str()).with(effect);
        let rows = self.query(statement.with(after.seq).with(after.number).with(most)).await?;
        Ok(rows.iter().map(|row| batch(run, row)).collect())
    }
}
