//! A running terminal operation: pages of followers come from the reader, pass the stages, and end in checkpoints.

use super::{
    job_report::JobReport,
    quota_check::{FOLLOWERS, JobCost, Writers, check_quota, preflight},
    stages::{Filtering, Pipeline, SampledFollowers, StageResult},
    step_scope::StepScope,
    terminal_op::{Completed, Failed, TerminalOp},
};
use crate::{
    bulk::{
        BatchProgress, BatchedCalls, Change, Checkpoint, CheckpointedJob, Counters, Details, DrawnSample,
        Job, JournalError, Listed, OperationReport, PageCursor, ReadError, Reader, ReaderConfig,
        RecordedEffect, RecordedJson, RunState, Source, Step, StepRow,
    },
    client::Client,
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
    },
    store::{StoreError, TerminalKind},
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

/// A running terminal operation.
pub(crate) struct JobExecution {
    pub env: Arc<RunEnv>,
    pub client: Client,
    pub prior: PriorAttempt,
    pub report: JobReport,
    pub scope: StepScope,
    kind: TerminalKind,
    pages: Pages,
    pipeline: Pipeline,
    cost: JobCost,
}

/// What an earlier attempt of the run recorded of this operation; empty if there was none.
#[derive(Default)]
pub(crate) struct PriorAttempt {
    pub checkpoint: Checkpoint,
    /// The checkpoint's accumulator, not decoded yet; `None` where nothing was added up before it.
    pub accumulator: Option<RecordedJson>,
    /// The change that it prepared, if it prepared one.
    pub change: Option<Change>,
    /// Openids in batches that it recorded after the checkpoint: they have passed the stages and are not decided again.
    pub batched: HashSet<String>,
}

/// Where followers come from.
struct Pages {
    /// Absent after the last page.
    reader: Option<Reader>,
    /// The index of the first stage that followers pass.
    from_stage: usize,
    /// The cursor after the page that ends with the followers handed out last; absent within a page.
    ended_at: Option<PageCursor>,
}

impl PriorAttempt {
    pub(crate) fn from_row(run: &str, row: &StepRow, job: &CheckpointedJob) -> Result<Self, JournalError> {
        let (checkpoint, effect) = (Checkpoint::read(run, row, job)?, RecordedEffect::read(run, row)?);
        // Up to the checkpoint of a drawn sample, all followers wait in the sample.
        let accumulator =
            checkpoint.as_ref().filter(|checkpoint| checkpoint.sampled.is_none()).map(|checkpoint| {
                RecordedJson::new(run, &row.step, "checkpoint", checkpoint.accumulator.to_string())
            });
        let checkpoint = checkpoint.unwrap_or_default();
        let change = match effect {
            None => None,
            Some(RecordedEffect::Change(change)) => Some(change),
            Some(
                other @ (RecordedEffect::CreateTag { .. }
                | RecordedEffect::RenameTag { .. }
                | RecordedEffect::DeleteTag { .. }
                | RecordedEffect::Other(_)),
            ) => {
                let error = StoreError::Decode {
                    table: "mpscript_step",
                    row: format!("{run}/{}", row.step),
                    column: "effect",
                    expected: "a change to followers".to_owned(),
                    found: format!("an effect of the kind `{}`", other.kind()),
                };
                return Err(error.into());
            }
        };
        Ok(Self { checkpoint, accumulator, change, batched: HashSet::new() })
    }
}

impl JobExecution {
    /// Whether it goes through followers that a run has changed, as an undo does.
    pub(crate) const fn lists_changed(&self) -> bool {
        matches!(self.cost.source, Source::ChangedByStep(_))
    }

    /// Starts to list, from the checkpoint of an earlier attempt if there is one.
    pub(crate) fn start(op: &TerminalOp, step: Step, prior: PriorAttempt) -> ScriptResult<Self> {
        let (audience, env) = (op.audience, &op.audience.env);
        let client = env.client()?.clone();
        let checkpoint = &prior.checkpoint;
        let job = Job::begin(op.kind, op.target.clone(), audience.max_listed());
        job.counts.restore(checkpoint.counts, checkpoint.failed.len());
        let report = JobReport::new(Arc::clone(&job), checkpoint.failed.clone(), &client);
        let mut pipeline = Pipeline::new(audience);
        pipeline.restore(&checkpoint.take_remaining);
        let needs_details = op.needs_details || audience.reads_details();
        let details = if needs_details { Details::Fetched } else { Details::Omitted };
        let is_drawn = checkpoint.sampled.is_some();
        let (source, limit, counts, from_stage) = match &checkpoint.sampled {
            // From here on the drawn sample is the source. Its followers were counted as listed when they were drawn.
            Some(drawn) => {
                Counters::add(&job.counts.listed, checkpoint.cursor.listed);
                job.counts.missing.store(checkpoint.cursor.missing, Ordering::Relaxed);
                (Source::openids(drawn.openids.iter().cloned()), None, Arc::default(), drawn.next_stage)
            }
            None => (audience.source()?, audience.max_listed(), Arc::clone(&job.counts), 0),
        };
        let changes = BatchedCalls::from_kind(op.kind);
        let cost = JobCost {
            source: source.clone(),
            limit,
            max_matches: audience.max_matches(),
            details,
            changes,
            is_filtered: audience.is_filtered(),
            people: 0,
            is_exact: false,
        };
        let cost = preflight(env, &client, &job, cost)?;
        env.io.board.begin(&job);
        let page = checkpoint.cursor.page + 1;
        if op.kind.is_loop() && checkpoint.has_written && page > 1 && !is_drawn {
            op.warn_of_variables("resumes from its checkpoint");
        }
        let from = if is_drawn { PageCursor::default() } else { checkpoint.cursor.clone() };
        let in_flight = env.calls.in_flight;
        let needed = changes.and_then(|calls| calls.shown_by);
        let listing =
            ReaderConfig { client: client.clone(), in_flight, source, details, needed, limit, counts, from };
        let reader = env.block_on(async { Reader::open(listing) });
        Ok(Self {
            env: Arc::clone(env),
            client,
            report,
            scope: StepScope::new(step, page, checkpoint.has_written),
            prior,
            kind: op.kind,
            pages: Pages { reader: Some(reader), from_stage, ended_at: None },
            pipeline,
            cost,
        })
    }

    /// The next followers that pass every stage, or `None` after the last.
    pub(crate) fn next(&mut self) -> ScriptResult<Option<Vec<Listed>>> {
        self.scope.enter_page();
        self.env.check_ending()?;
        if let Some(reader) = &mut self.pages.reader {
            let batch = self.env.block_on(reader.next()).map_err(|error| match error {
                ReadError::Call(error) => self.env.call_error(&error).raise(),
                ReadError::Store(error) => self.env.journal_error(&error.into()),
            })?;
            if let Some(batch) = batch {
                self.refine_cost()?;
                self.report.count_unreadable(batch.failed);
                self.pages.ended_at = batch.page_end;
                return self.apply_stages(batch.people, self.pages.from_stage).map(Some);
            }
            self.pages.reader = None;
        }
        if let Some(drawn) = self.pipeline.take_sample() {
            // The sample is a page of its own: a resumed run goes through the same followers from its start.
            self.scope.complete_page(&self.env)?;
            let listed = Counters::read(&self.report.job.counts.listed);
            let listed = usize::try_from(listed).unwrap_or(usize::MAX);
            let missing = Counters::read(&self.report.job.counts.missing);
            let cursor = PageCursor { page: self.scope.page, listed, missing, ..PageCursor::default() };
            self.checkpoint(cursor, &BatchProgress::default(), Value::Null, Some(drawn))?;
            self.scope.page += 1;
            self.scope.enter_page();
        }
        match self.pipeline.drain_sample() {
            Some(SampledFollowers { people, next_stage }) => self.apply_stages(people, next_stage).map(Some),
            None => Ok(None),
        }
    }

    /// Corrects the estimate once the listing has said how many followers there are.
    fn refine_cost(&mut self) -> ScriptResult<()> {
        let total = Counters::read(&self.report.job.counts.total);
        if total == 0 || self.cost.is_exact {
            return Ok(());
        }
        if matches!(self.cost.source, Source::Followers)
            && let Some(store) = &self.env.store
        {
            // A failure is ignored: the stored size only improves the estimate of a later job.
            let _ = self.env.block_on(store.save_audience_size(self.client.account_key(), FOLLOWERS, total));
        }
        (self.cost.people, self.cost.is_exact) = (total, true);
        check_quota(&self.env, &self.client, &self.report.job, &self.cost, Writers::Some)
    }

    /// Checks the quota for a change that every follower needs: the tag is new.
    pub(crate) fn check_quota_for_all(&self) -> ScriptResult<()> {
        if self.cost.is_filtered || !self.cost.is_exact {
            return Ok(());
        }
        check_quota(&self.env, &self.client, &self.report.job, &self.cost, Writers::All)
    }

    /// The followers that pass the stages from `from` on. Those that an earlier attempt batched have passed already:
    /// they are counted and left out.
    fn apply_stages(&mut self, people: Vec<Listed>, from: usize) -> ScriptResult<Vec<Listed>> {
        let mut matched = Vec::with_capacity(people.len());
        for person in people {
            let was_batched = !self.prior.batched.is_empty() && self.prior.batched.remove(&person.openid);
            let filtering = if was_batched { Filtering::Decided } else { Filtering::Decides };
            match self.pipeline.apply(&self.env, person, from, filtering)? {
                StageResult::Pass(person) => {
                    self.report.count_matched(1);
                    if !was_batched {
                        matched.push(person);
                    }
                }
                StageResult::Reject => Counters::add(&self.report.job.counts.unmatched, 1),
                StageResult::Buffered => {}
                StageResult::Exhausted => break,
            }
        }
        if self.pipeline.is_full(from) {
            self.pages.reader = None;
        }
        Ok(matched)
    }

    /// Whether a resumed run starts this operation from its first page: a loop that changed nothing, since it may fill
    /// variables.
    fn restarts(&self) -> bool {
        self.kind.is_loop() && !self.scope.has_written()
    }

    /// Writes a checkpoint if a page ended with the followers handed out last; `accumulator` is what the operation has
    /// added up so far.
    pub(crate) fn end_page(&mut self, batches: &BatchProgress, accumulator: Value) -> ScriptResult<()> {
        let Some(cursor) = self.pages.ended_at.take() else { return Ok(()) };
        // A drawn sample is one page: it is replayed from its start.
        if self.prior.checkpoint.sampled.is_some() {
            return Ok(());
        }
        self.scope.complete_page(&self.env)?;
        self.scope.page = cursor.page + 1;
        // A sample's followers are undecided until it is drawn.
        if self.pipeline.is_buffering() || self.restarts() {
            return Ok(());
        }
        self.checkpoint(cursor, batches, accumulator, None)
    }

    fn checkpoint(
        &self,
        cursor: PageCursor,
        batches: &BatchProgress,
        accumulator: Value,
        drawn: Option<DrawnSample>,
    ) -> ScriptResult<()> {
        if !self.scope.step.journal().is_recording() {
            return Ok(());
        }
        let counters = &self.report.job.counts;
        let mut counts = counters.snapshot();
        // Not in the snapshot, which leaves out what the batches' own rows say.
        counts.already = Counters::read(&counters.already);
        let checkpoint = Checkpoint {
            has_written: self.scope.has_written(),
            cursor,
            counts,
            failed: self.report.failed.clone(),
            take_remaining: self.pipeline.take_remaining(),
            waiting: batches.waiting.to_vec(),
            next_batch: batches.next_batch,
            already_batched: self.prior.batched.iter().cloned().collect(),
            sampled: drawn,
            accumulator,
        };
        self.env
            .block_on(self.scope.step.checkpoint(&checkpoint))
            .map_err(|error| self.env.journal_error(&error))
    }

    /// Calls `visit` for each follower that passes.
    pub(crate) fn for_each(
        self,
        visit: impl FnMut(&RunEnv, &Listed) -> ScriptResult<()>,
    ) -> ScriptResult<OperationReport> {
        self.accumulate(visit, || Value::Null)
    }

    /// Calls `visit` for each follower that passes; `accumulator` gives what it has added up, which is recorded with
    /// each page and at the end.
    pub(crate) fn accumulate(
        mut self,
        visit: impl FnMut(&RunEnv, &Listed) -> ScriptResult<()>,
        accumulator: impl Fn() -> Value,
    ) -> ScriptResult<OperationReport> {
        let result = self.visit_all(visit, &accumulator);
        self.finish(result, accumulator())
    }

    fn visit_all(
        &mut self,
        mut visit: impl FnMut(&RunEnv, &Listed) -> ScriptResult<()>,
        accumulator: impl Fn() -> Value,
    ) -> ScriptResult<()> {
        let env = Arc::clone(&self.env);
        while let Some(people) = self.next()? {
            for person in people {
                visit(&env, &person)?;
            }
            self.end_page(&BatchProgress::default(), accumulator())?;
        }
        Ok(())
    }

    /// Records how the operation ended and posts its report. An error goes on to the script.
    pub(crate) fn finish(&mut self, result: ScriptResult<()>, value: Value) -> ScriptResult<OperationReport> {
        let result = result.and_then(|()| self.scope.complete_page(&self.env));
        let state = match result {
            Ok(()) => RunState::Done,
            Err(_) => RunState::Error,
        };
        let report = self.close(state);
        let step = &self.scope.step;
        let recorded = match &result {
            Ok(()) if self.restarts() => Ok(()),
            Ok(()) => self.env.block_on(async {
                let completed = json!(Completed::new(report.clone(), value));
                step.done(&completed).await?.wait().await
            }),
            Err(error) => match ScriptError::find_in(error) {
                Some(error) => {
                    let error = error.bounded(&self.env.io.secrets);
                    let failed = json!(Failed { error, report: Some(report.clone()) });
                    self.env.block_on(async { step.failed(&failed).await.map(drop) })
                }
                None => Ok(()),
            },
        };
        result?;
        recorded.map_err(|error| self.env.journal_error(&error))?;
        Ok(report)
    }

    /// Closes a loop that the script left early: whether it completed is not recorded.
    pub(crate) fn abandon(&mut self) {
        self.close(RunState::Done);
    }

    /// Stops what is still being fetched, leaves the page and posts the report.
    fn close(&mut self, state: RunState) -> OperationReport {
        self.pages.reader = None;
        // What could not be settled parks the run if the script goes on.
        let _ = self.scope.exit_page(&self.env);
        let state = if self.env.calls.cancel.is_cancelled() { RunState::Cancelled } else { state };
        self.report.post(&self.env, &self.client, state)
    }

    /// The accumulator of an earlier attempt.
    pub(crate) fn take_accumulator(&mut self) -> Option<RecordedJson> {
        self.prior.accumulator.take()
    }
}
