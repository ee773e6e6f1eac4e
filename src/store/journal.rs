//! The journal of a run: its steps, each a call or a job; the batches of changes that a step sent are in `batch`.
//!
//! `effect`, `checkpoint`, `answer` and the item columns hold JSON of the floor above, which is only stored here; what
//! queries decide by has a typed column of its own.

use super::{
    Cells, Row, Statement, StepKind, StepState, Store, StoreError, StoreTime,
    batch::BatchOutcome,
    run::heartbeat,
    sql::sql,
    step::{EffectKey, RecordedKind},
};

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// Its place in the run: `3`, or `3/7/2` for the second step of the seventh page of the third.
    pub step: String,
    /// The last number of its place: how many steps the script or the page had with it.
    pub position: u64,
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
    /// The kind of what it does to the account; `None` before that is known.
    pub effect_kind: Option<RecordedKind>,
    /// The id of the tag whose followers it changes; 0 where it changes no tag's.
    pub effect_tag: i64,
    /// What it does to the account, as JSON; empty before that is known.
    pub effect: String,
    /// How far a job is, as JSON; empty before its first checkpoint.
    pub checkpoint: String,
    /// Its answer or error, as JSON; empty before its end.
    pub answer: String,
    /// Whether it has batches that only a step with an effect has: a job's, or those of a call that were sent.
    pub has_batches: bool,
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

macro_rules! step_columns {
    () => {
        "step, seq, kind, fingerprint, label, target, target_id, state, effect_kind, effect_tag, effect, checkpoint, answer"
    };
}

/// The place that a column holds, and its last number.
fn place(
    table: &'static str,
    row: &str,
    column: &'static str,
    found: &str,
) -> Result<(String, u64), StoreError> {
    // Only the form that a number is written in is found again.
    let number = |part: &str| part.parse().ok().filter(|number: &u64| number.to_string() == part);
    let numbers: Option<Vec<u64>> = found.split('/').map(number).collect();
    match numbers.as_deref() {
        Some([.., position]) if found.split('/').count() % 2 == 1 => Ok((found.to_owned(), *position)),
        Some(_) | None => Err(StoreError::Decode {
            table,
            row: row.to_owned(),
            column,
            expected: "numbers separated by `/`: that of a step, or of a step, a page and its step"
                .to_owned(),
            found: format!("`{found}`"),
        }),
    }
}

fn step(run: &str, row: &Row) -> Result<StepRow, StoreError> {
    let key = format!("{run}/{}", row.cell(0));
    let mut cells = Cells::new("mpscript_step", step_columns!(), &key, row);
    let (step, position) = cells.decode(place)?;
    Ok(StepRow {
        step,
        position,
        seq: cells.count()?,
        kind: cells.decode(StepKind::decode)?,
        fingerprint: cells.text()?,
        label: cells.text()?,
        target: cells.text()?,
        target_id: cells.integer()?,
        state: cells.decode(StepState::decode)?,
        effect_kind: cells.decode_if_any(RecordedKind::decode)?,
        effect_tag: cells.integer()?,
        effect: cells.text()?,
        checkpoint: cells.text()?,
        answer: cells.text()?,
        has_batches: cells.of("mpscript_batch", "number", &key).boolean()?,
    })
}

/// SQL: whether a step has batches that only one with an effect has. A call that was refused has no effect, and a batch
/// that was not sent; a step of an unknown kind is none.
const HAS_BATCHES: &str = sql!(
    "EXISTS (SELECT 1 FROM mpscript_batch b WHERE b.run = s.run AND b.step = s.step
         AND (b.in_doubt > 0 OR b.size > b.pending OR s.kind NOT IN (",
    StepKind::CALLS,
    ")))"
);

/// SQL: whether a step had an effect; one that is damaged counts.
const HAD_EFFECT: &str = sql!("effect_kind <> '' OR effect_tag <> 0 OR effect <> '' OR ", HAS_BATCHES);

/// Places of one query.
const PAGE_ROWS: i64 = 1_000;

/// A query for steps.
macro_rules! steps {
    ($($rest:expr),+) => {
        sql!(
            "SELECT ",
            step_columns!(),
            ", CAST(CASE WHEN ",
            HAS_BATCHES,
            " THEN 1 ELSE 0 END AS BIGINT) FROM mpscript_step s WHERE run = $1 AND ",
            $($rest),+
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
    pub fn effect(run: &str, step: &str, key: EffectKey, effect: &str) -> Self {
        let statement = Statement::new(
            "UPDATE mpscript_step SET effect_kind = $3, effect_tag = $4, effect = $5 WHERE run = $1 AND step = $2",
        );
        Self(statement.with(run).with(step).with(key.kind.as_str()).with(key.tag_id).with(effect))
    }

    /// A step had no effect.
    #[must_use]
    pub fn no_effect(run: &str, step: &str) -> Self {
        let statement = Statement::new(
            "UPDATE mpscript_step SET effect_kind = '', effect_tag = 0, effect = '' WHERE run = $1 AND step = $2",
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
        now: StoreTime,
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
    pub async fn steps(&self, run: &str, after: i64, max: i64) -> Result<Vec<StepRow>, StoreError> {
        let statement = Statement::new(steps!("seq > $2 ORDER BY seq LIMIT $3"));
        self.query(statement.with(run).with(after).with(max))
            .await?
            .iter()
            .map(|row| step(run, row))
            .collect()
    }

    /// Fails if a step of a run has a place that can't be decoded, or a batch of it no step: a replay would not find it, and
    /// do again what it did.
    pub async fn check_places(&self, run: &str) -> Result<(), StoreError> {
        let mut from = String::new();
        loop {
            let statement = Statement::new(
                "SELECT step FROM mpscript_step WHERE run = $1 AND step >= $2 ORDER BY step LIMIT $3",
            );
            let rows = self.query(statement.with(run).with(from.as_str()).with(PAGE_ROWS)).await?;
            for row in &rows {
                let key = format!("{run}/{}", row.cell(0));
                (from, _) = Cells::new("mpscript_step", "step", &key, row).decode(place)?;
            }
            // The next page begins with the last place of this one.
            if i64::try_from(rows.len()).is_ok_and(|rows| rows < PAGE_ROWS) {
                return self.check_batch_steps(run).await;
            }
        }
    }

    /// The number of the step that started last; 0 when there is none.
    pub async fn last_step(&self, run: &str) -> Result<i64, StoreError> {
        let statement =
            Statement::new("SELECT seq, step FROM mpscript_step WHERE run = $1 ORDER BY seq DESC LIMIT 1");
        let rows = self.query(statement.with(run)).await?;
        let seq =
            |row: &Row| Cells::new("mpscript_step", "seq", &format!("{run}/{}", row.cell(1)), row).count();
        rows.first().map_or(Ok(0), seq)
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
            Statement::new(steps!("state = $3 AND (", HAD_EFFECT, ") AND step LIKE $2 ORDER BY seq"));
        let statement = statement.with(run).with(format!("{prefix}%").as_str());
        let rows = self.query(statement.with(StepState::Begun.as_str())).await?;
        rows.iter().map(|row| step(run, row)).collect()
    }

    /// The top-level steps that have started and not ended, and that had an effect or have child steps.
    pub async fn in_flight_steps(&self, run: &str) -> Result<Vec<StepRow>, StoreError> {
        let statement = Statement::new(steps!(
            "state = $2 AND step NOT LIKE '%/%' AND (",
            HAD_EFFECT,
            " OR EXISTS (
                 SELECT 1 FROM mpscript_step p WHERE p.run = s.run AND p.step LIKE s.step || '/%'))
             ORDER BY seq"
        ));
        let rows = self.query(statement.with(run).with(StepState::Begun.as_str())).await?;
        rows.iter().map(|row| step(run, row)).collect()
    }

    /// Whether a step that is neither a child nor an ancestor of this one started after it, up to the number `last`. An
    /// ancestor that an attempt has reopened has a later number, and is not later.
    pub async fn has_later_step(&self, run: &str, step: &StepRow, last: i64) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "SELECT seq FROM mpscript_step WHERE run = $1 AND seq > $2 AND seq <= $4 AND step NOT LIKE $3
                 AND $5 NOT LIKE step || '/%' LIMIT 1",
        );
        let children = format!("{}/%", step.step);
        let statement =
            statement.with(run).with(step.seq).with(children.as_str()).with(last).with(step.step.as_str());
        Ok(!self.query(statement).await?.is_empty())
    }

    /// Whether a step has child steps.
    pub async fn has_children(&self, run: &str, at: &str) -> Result<bool, StoreError> {
        let statement =
            Statement::new("SELECT seq FROM mpscript_step WHERE run = $1 AND step LIKE $2 LIMIT 1");
        Ok(!self.query(statement.with(run).with(format!("{at}/%").as_str())).await?.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(found: &str) -> Option<u64> {
        place("mpscript_step", "R/1", "step", found).ok().map(|(_, position)| position)
    }

    #[test]
    fn place_of_a_step_ends_in_its_position() {
        assert_eq!(["3", "1/0/12", "3/7/2/1/4"].map(position), [Some(3), Some(12), Some(4)]);
    }

    #[test]
    fn place_of_another_form_is_none() {
        for found in ["", "x", "2x", "02", "+2", " 2", "-2", "2/", "/2", "2//1", "2/1", "2/1/x"] {
            assert_eq!(position(found), None, "{found}");
        }
    }
}
