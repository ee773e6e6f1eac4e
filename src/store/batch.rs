//! The batches of changes in a run's journal, each of one step.

use super::{Cells, EffectKey, Row, Statement, StepKind, Store, StoreError, sql::sql};

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
    /// How many items it has.
    pub size: i64,
    /// How many items have no outcome.
    pub pending: i64,
    /// Of them, those whose change may have taken effect.
    pub in_doubt: i64,
    /// How many items failed.
    pub failures: i64,
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

const BATCH_COLUMNS: &str = "step, number, items, unresolved, size, pending, in_doubt, failures, failed";

/// The columns of a batch, and the number of its step.
fn batch(run: &str, row: &Row) -> Result<BatchRow, StoreError> {
    let (step, key) = batch_keys(run, row);
    let mut cells = Cells::new("mpscript_batch", BATCH_COLUMNS, &key, row);
    cells.text()?;
    let number = cells.count()?;
    let (items, unresolved) = (cells.text()?, cells.text()?);
    let (size, pending, in_doubt) = (cells.count()?, cells.count()?, cells.count()?);
    let (failures, failed) = (cells.count()?, cells.text()?);
    if in_doubt > pending || pending.saturating_add(failures) > size {
        return Err(disagreement(&key, [size, pending, in_doubt, failures]));
    }
    let mut cells = cells.of("mpscript_step", "seq", &step);
    let seq = cells.count()?;
    Ok(BatchRow { step, seq, number, items, unresolved, size, pending, in_doubt, failures, failed })
}

/// The keys of a batch's step and of the batch, of a row that begins with its step and its number.
fn batch_keys(run: &str, row: &Row) -> (String, String) {
    let step = format!("{run}/{}", row.cell(0));
    let batch = format!("{step} batch {}", row.cell(1));
    (step, batch)
}

/// The columns of a batch with those of its step that say what it did.
fn changed_batch(run: &str, row: &Row) -> Result<ChangedBatch, StoreError> {
    let (step, _) = batch_keys(run, row);
    let columns = "step, number, items, unresolved, size, pending, in_doubt, failures, failed, seq, kind, target, target_id";
    let mut cells = Cells::new("mpscript_step", columns, &step, row).skip(10);
    Ok(ChangedBatch {
        kind: cells.decode(StepKind::decode)?,
        target: cells.text()?,
        target_id: cells.integer()?,
        batch: batch(run, row)?,
    })
}

/// SQL: whether the numbers of a batch are whole ones that agree.
const NUMBERS_AGREE: &str = "number = CAST(number AS BIGINT) AND size = CAST(size AS BIGINT)
     AND pending = CAST(pending AS BIGINT) AND in_doubt = CAST(in_doubt AS BIGINT) AND failures = CAST(failures AS BIGINT)
     AND number >= 0 AND pending BETWEEN 0 AND size AND in_doubt BETWEEN 0 AND pending AND failures BETWEEN 0 AND size - pending";

/// The error of a batch, by its key, whose size, pending, in-doubt and failed items do not agree.
fn disagreement(key: &str, [size, pending, in_doubt, failures]: [i64; 4]) -> StoreError {
    StoreError::Decode {
        table: "mpscript_batch",
        row: key.to_owned(),
        column: "size",
        expected: "at least `pending` and `failures` together, and `pending` at least `in_doubt`".to_owned(),
        found: format!("size {size}, pending {pending}, in_doubt {in_doubt}, failures {failures}"),
    }
}

/// What is wrong with the numbers of a batch.
fn error_of_numbers(run: &str, row: &Row) -> StoreError {
    let (_, key) = batch_keys(run, row);
    let mut cells =
        Cells::new("mpscript_batch", "step, number, size, pending, in_doubt, failures", &key, row).skip(1);
    let mut numbers = || {
        cells.count()?;
        Ok([cells.count()?, cells.count()?, cells.count()?, cells.count()?])
    };
    numbers().map_or_else(|error| error, |numbers| disagreement(&key, numbers))
}

/// A query for the batches of a step, in their order.
macro_rules! batches {
    ($holds:literal) => {
        sql!(
            "SELECT ",
            BATCH_COLUMNS,
            ", CAST(0 AS BIGINT) FROM mpscript_batch WHERE run = $1 AND step = $2 AND ",
            $holds,
            " ORDER BY number"
        )
    };
}

impl Store {
    /// The sums over the batches of a step.
    pub async fn batch_totals(&self, run: &str, step: &str) -> Result<BatchTotals, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(size - pending), 0) AS BIGINT), CAST(COALESCE(SUM(failures), 0) AS BIGINT),
                 COALESCE(MAX(number) + 1, 0)
             FROM mpscript_batch WHERE run = $1 AND step = $2",
        );
        self.check_batches(run).await?;
        let rows = self.query(statement.with(run).with(step)).await?;
        let totals = |row| {
            let key = format!("{run}/{step}");
            let mut cells = Cells::new("mpscript_batch", "size, failures, number", &key, row);
            Ok(BatchTotals { ended: cells.count()?, failed: cells.count()?, next: cells.count()? })
        };
        rows.first().map_or_else(|| Ok(BatchTotals::default()), totals)
    }

    /// How many openids a whole run has changed.
    pub async fn changes_of(&self, run: &str) -> Result<i64, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(size - pending - failures), 0) AS BIGINT) FROM mpscript_batch WHERE run = $1",
        );
        self.check_batches(run).await?;
        let rows = self.query(statement.with(run)).await?;
        rows.first().map_or(Ok(0), |row| Cells::new("mpscript_batch", "size", run, row).count())
    }

    /// Fails if a batch of a run is of a step that is not recorded.
    pub(super) async fn check_batch_steps(&self, run: &str) -> Result<(), StoreError> {
        let statement = Statement::new(
            "SELECT b.step, b.number FROM mpscript_batch b WHERE b.run = $1 AND NOT EXISTS (
                 SELECT 1 FROM mpscript_step s WHERE s.run = b.run AND s.step = b.step)
             ORDER BY b.step, b.number LIMIT 1",
        );
        let rows = self.query(statement.with(run)).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (_, key) = batch_keys(run, row);
        Err(StoreError::Decode {
            table: "mpscript_batch",
            row: key,
            column: "step",
            expected: "the place of a recorded step".to_owned(),
            found: format!("`{}`", row.cell(0)),
        })
    }

    /// Fails if a batch of a run has numbers that can't be added up.
    async fn check_batches(&self, run: &str) -> Result<(), StoreError> {
        let statement = Statement::new(sql!(
            "SELECT step, number, size, pending, in_doubt, failures FROM mpscript_batch WHERE run = $1 AND NOT (",
            NUMBERS_AGREE,
            ") ORDER BY step, number LIMIT 1"
        ));
        let rows = self.query(statement.with(run)).await?;
        rows.first().map_or(Ok(()), |row| Err(error_of_numbers(run, row)))
    }

    /// The batches of a step that have items without an outcome.
    pub async fn open_batches(&self, run: &str, step: &str) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("pending > 0"));
        self.query(statement.with(run).with(step)).await?.iter().map(|row| batch(run, row)).collect()
    }

    /// The batches of a step from this number on.
    pub async fn batches_from(
        &self,
        run: &str,
        step: &str,
        number: i64,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("number >= $3"));
        let rows = self.query(statement.with(run).with(step).with(number)).await?;
        rows.iter().map(|row| batch(run, row)).collect()
    }

    /// The batches of a step that have failed items.
    pub async fn failed_batches(&self, run: &str, step: &str) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(batches!("failures > 0"));
        self.query(statement.with(run).with(step)).await?.iter().map(|row| batch(run, row)).collect()
    }

    /// The batches of a whole run in which followers were changed, after a position, in their order.
    pub async fn changed_batches(
        &self,
        run: &str,
        after: BatchPosition,
        max: i64,
    ) -> Result<Vec<ChangedBatch>, StoreError> {
        let statement = Statement::new(
            "SELECT b.step, b.number, b.items, b.unresolved, b.size, b.pending, b.in_doubt, b.failures, b.failed, s.seq,
                 s.kind, s.target, s.target_id
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND b.size > b.pending + b.failures
                 AND s.seq >= $2 AND (s.seq > $2 OR b.number > $3)
             ORDER BY s.seq, b.number LIMIT $4",
        );
        let rows = self.query(statement.with(run).with(after.seq).with(after.number).with(max)).await?;
        rows.iter().map(|row| changed_batch(run, row)).collect()
    }

    /// How many openids are in the batches of one effect that a step and its children had.
    pub async fn count_changed(&self, run: &str, step: &str, effect: EffectKey) -> Result<i64, StoreError> {
        let statement = Statement::new(
            "SELECT CAST(COALESCE(SUM(b.size - b.failures), 0) AS BIGINT)
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND (s.step = $2 OR s.step LIKE $3)
                 AND s.effect_kind = $4 AND s.effect_tag = $5",
        );
        let within = format!("{step}/%");
        let statement = statement.with(run).with(step).with(within.as_str());
        self.check_batches(run).await?;
        let rows = self.query(statement.with(effect.kind.as_str()).with(effect.tag_id)).await?;
        rows.first().map_or(Ok(0), |row| Cells::new("mpscript_batch", "size", run, row).count())
    }

    /// The batches of one effect that a step and its children had, after a position, in their order.
    pub async fn batches_of(
        &self,
        run: &str,
        step: &str,
        effect: EffectKey,
        after: BatchPosition,
        max: i64,
    ) -> Result<Vec<BatchRow>, StoreError> {
        let statement = Statement::new(
            "SELECT b.step, b.number, b.items, b.unresolved, b.size, b.pending, b.in_doubt, b.failures, b.failed, s.seq
             FROM mpscript_step s JOIN mpscript_batch b ON b.run = s.run AND b.step = s.step
             WHERE s.run = $1 AND (s.step = $2 OR s.step LIKE $3)
                 AND s.effect_kind = $4 AND s.effect_tag = $5
                 AND (s.seq, b.number) > ($6, $7)
             ORDER BY s.seq, b.number LIMIT $8",
        );
        let within = format!("{step}/%");
        let statement = statement.with(run).with(step).with(within.as_str());
        let statement = statement.with(effect.kind.as_str()).with(effect.tag_id);
        let rows = self.query(statement.with(after.seq).with(after.number).with(max)).await?;
        rows.iter().map(|row| batch(run, row)).collect()
    }
}
