//! An audience that is being gone through: its people, its counts, and its step in the run's journal.

use super::{
    audience::Audience,
    quota_check::{Cost, FOLLOWERS, reckon, reckon_before},
    stages::{Steps, Verdict},
};
use crate::{
    api::Resend,
    bulk::{
        Change, ChangeItem, Checkpoint, Counters, EndReport, Failure, Job, Listed, PageCursor, ReadError,
        Reader, Replay, RunState, Source, Step,
    },
    client::Client,
    script::{
        host::{
            env::RunEnv,
            error::{ScriptError, ScriptResult},
        },
        writes::journaled_call::has_taken_effect,
    },
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// An end of an audience, before it is run.
pub(crate) struct End<'a> {
    pub audience: &'a Audience,
    pub name: &'static str,
    /// What it is done to: a tag's name.
    pub target: Option<String>,
    /// The tag's number, where it was given by that.
    pub target_id: Option<i64>,
    /// Whether it needs details.
    pub details: bool,
    /// What it changes; which tag does not matter here.
    pub change: Option<Change>,
}

/// An end that runs, or one that the run has done before it was cut off.
pub(crate) enum Opened {
    Walk(Box<Walk>),
    /// With what it gave.
    Done(Box<EndReport>, Value),
}

/// An audience that is being gone through.
pub(crate) struct Walk {
    pub env: Arc<RunEnv>,
    pub client: Client,
    /// Its place in the run's journal.
    pub step: Step,
    /// Its closure has made calls that change the account.
    has_written: bool,
    /// How far an earlier attempt came.
    pub before: Checkpoint,
    /// What an earlier attempt changed, as the journal has it; empty where none did.
    pub change: String,
    /// Who is in a batch of an earlier attempt that came after `before`.
    pub asked: HashSet<String>,
    pub job: Arc<Job>,
    pub failed: Vec<Failure>,
    reader: Option<Reader>,
    steps: Steps,
    /// The first step that people come to.
    from: usize,
    calls_before: BTreeMap<String, u64>,
    /// The page whose people come now.
    page: u64,
    is_in_page: bool,
    /// The page that ends with the people who were handed out last.
    page_end: Option<PageCursor>,
    cost: Cost,
}

/// Whether an end is a loop of the script's, which may fill variables that no journal knows.
fn is_loop(end: &str) -> bool {
    ["each", "for"].contains(&end)
}

impl End<'_> {
    /// Begins to list, unless the run's journal has its answer.
    pub(crate) fn open(&self) -> ScriptResult<Opened> {
        let env = &self.audience.env;
        let target = self.target.as_ref().map(|target| format!("{target:?}")).unwrap_or_default();
        let what = format!("{}.{}({target})", self.audience.told_apart(), self.name);
        let begun = env
            .block_on(env.journal.begin(&what, Resend::Idempotent))
            .map_err(|error| env.journal_error(&error))?;
        let (step, row) = match begun {
            Replay::Fresh(step, _) => (step, None),
            Replay::Incomplete(step, row) => {
                let was_left =
                    env.block_on(step.was_abandoned(&row)).map_err(|error| env.journal_error(&error))?;
                if is_loop(self.name) && was_left {
                    self.warn_of_variables("was left before");
                    return Ok(Opened::Done(Box::default(), Value::Null));
                }
                env.block_on(step.reopen(&what)).map_err(|error| env.journal_error(&error))?;
                (step, Some(row))
            }
            Replay::Completed(answer) => {
                let report: EndReport = serde_json::from_value(answer["report"].clone()).unwrap_or_default();
                env.board.end(report.clone());
                if is_loop(self.name) {
                    self.warn_of_variables("was done before");
                }
                return Ok(Opened::Done(Box::new(report), answer["value"].clone()));
            }
            Replay::Failed(mut ended) => {
                if let Ok(report) = serde_json::from_value(ended["report"].take()) {
                    env.board.end(report);
                }
                return Err(ScriptError::from_json(ended["error"].take()).raise());
            }
        };
        let before = row.as_ref().and_then(|row| serde_json::from_str(&row.checkpoint).ok());
        let change = row.map(|row| row.change).unwrap_or_default();
        match self.walk(step.clone(), before.unwrap_or_default(), change) {
            Ok(walk) => Ok(Opened::Walk(Box::new(walk))),
            Err(error) => {
                if let Some(failed) = ScriptError::find_in(&error) {
                    let ended = json!({"error": failed.to_json()});
                    env.block_on(step.failed(&ended)).map_err(|error| env.journal_error(&error))?;
                }
                Err(error)
            }
        }
    }

    /// Says that a loop is not gone through from its beginning.
    fn warn_of_variables(&self, why: &str) {
        let of = self.audience;
        let text = format!(
            "warning: the loop over {of} {why}: what it added up in variables before is not known any more"
        );
        of.env.output.debug(&text);
    }

    /// Begins to list something that is not written down: its answer may be too large for that.
    pub(crate) fn unwritten(&self) -> ScriptResult<Walk> {
        self.walk(Step::default(), Checkpoint::default(), String::new())
    }

    fn walk(&self, step: Step, before: Checkpoint, change: String) -> ScriptResult<Walk> {
        let (audience, env) = (self.audience, &self.audience.env);
        let client = env.client()?.clone();
        let calls_before = client.tally().snapshot();
        let job = Job::begin(self.name, self.target.clone(), self.target_id, audience.limit());
        job.counts.restore(before.counts, before.failed.len());
        let mut steps = Steps::new(audience);
        steps.restore(&before.takes);
        let details = self.details || audience.looks_at_details();
        let (source, limit, counts, from) = match &before.drawn {
            // What was drawn is the listing now; it has been counted.
            Some((from, drawn)) => {
                Counters::add(&job.counts.listed, before.mark.listed);
                (Source::openids(drawn.iter().cloned()), None, Arc::default(), *from)
            }
            None => (audience.source()?, audience.limit(), Arc::clone(&job.counts), 0),
        };
        let mark = if before.drawn.is_some() { PageCursor::default() } else { before.mark.clone() };
        let cost = Cost {
            source: source.clone(),
            limit,
            most: audience.most(),
            details,
            change: self.change,
            is_filtered: audience.is_filtered(),
            people: 0,
            is_exact: false,
        };
        let cost = reckon_before(env, &client, &job, cost)?;
        env.board.begin(&job);
        let page = before.mark.page + 1;
        if is_loop(self.name) && before.has_written && page > 1 && before.drawn.is_none() {
            self.warn_of_variables("goes on where it was cut off");
        }
        let reader = env
            .block_on(async { Reader::open(&client, env.in_flight, source, details, limit, counts, mark) });
        Ok(Walk {
            failed: before.failed.clone(),
            asked: HashSet::new(),
            reader: Some(reader),
            page_end: None,
            is_in_page: false,
            has_written: before.has_written,
            env: Arc::clone(env),
            client,
            step,
            before,
            change,
            job,
            steps,
            from,
            calls_before,
            page,
            cost,
        })
    }
}

impl Walk {
    /// The next people who pass every step, or `None` after the last.
    pub(crate) fn next(&mut self) -> ScriptResult<Option<Vec<Listed>>> {
        self.enter_page();
        if let Some(reader) = &mut self.reader {
            let batch = self.env.block_on(reader.next()).map_err(|error| match error {
                ReadError::Call(error) => ScriptError::from_call(&error).raise(),
                ReadError::Store(error) => self.env.journal_error(&error.into()),
            })?;
            if let Some(batch) = batch {
                self.correct_cost()?;
                // Nothing says that somebody whose details are refused would not match.
                Counters::add(&self.job.counts.matched, batch.failed.len());
                Counters::add(&self.job.counts.failed, batch.failed.len());
                self.failed.extend(batch.failed);
                self.page_end = batch.page_end;
                return self.sift(batch.people, self.from).map(Some);
            }
            self.reader = None;
        }
        if let Some((from, drawn)) = self.steps.newly_drawn() {
            let listed = usize::try_from(Counters::read(&self.job.counts.listed)).unwrap_or(usize::MAX);
            let mark = PageCursor { page: self.page, listed, ..PageCursor::default() };
            self.checkpoint(mark, &[], 0, Value::Null, Some((from, drawn)))?;
            // What was drawn is a page of its own, and the same one whenever it is gone through.
            self.leave_page();
            self.page += 1;
            self.enter_page();
        }
        match self.steps.release() {
            Some((people, from)) => self.sift(people, from).map(Some),
            None => Ok(None),
        }
    }

    /// Once the listing has told how many there are, the cost is reckoned by that.
    fn correct_cost(&mut self) -> ScriptResult<()> {
        let total = Counters::read(&self.job.counts.total);
        if total == 0 || self.cost.is_exact {
            return Ok(());
        }
        if matches!(self.cost.source, Source::Followers)
            && let Some(store) = &self.env.store
        {
            // It only makes the next reckoning better.
            let _ = self.env.block_on(store.save_audience_size(self.client.account_key(), FOLLOWERS, total));
        }
        (self.cost.people, self.cost.is_exact) = (total, true);
        reckon(&self.env, &self.client, &self.job, &self.cost, false)
    }

    /// Holds the writes against the quota too: nobody has what is to be made now, so everybody needs it.
    pub(crate) fn reckon_for_all(&self) -> ScriptResult<()> {
        if self.cost.is_filtered || !self.cost.is_exact {
            return Ok(());
        }
        reckon(&self.env, &self.client, &self.job, &self.cost, true)
    }

    /// Those who pass the steps from this one on. Those whom an earlier attempt has asked to be changed have passed.
    fn sift(&mut self, people: Vec<Listed>, from: usize) -> ScriptResult<Vec<Listed>> {
        let mut matched = Vec::with_capacity(people.len());
        for person in people {
            let was_asked = !self.asked.is_empty() && self.asked.remove(&person.openid);
            match self.steps.judge(&self.env, person, from, was_asked)? {
                Verdict::Matched(person) => {
                    Counters::add(&self.job.counts.matched, 1);
                    if !was_asked {
                        matched.push(person);
                    }
                }
                Verdict::Unmatched => Counters::add(&self.job.counts.unmatched, 1),
                Verdict::Held => {}
                Verdict::Enough => break,
            }
        }
        if self.steps.are_full(from) {
            self.reader = None;
        }
        Ok(matched)
    }

    /// The steps that closures take now are parts of this page.
    fn enter_page(&mut self) {
        if !self.is_in_page {
            self.step.enter_page(self.page);
            self.is_in_page = true;
        }
    }

    /// What an earlier attempt was in the midst of on this page has been come to again, or was done.
    fn meet_all(&self) -> ScriptResult<()> {
        for row in self.step.missing_on(self.page) {
            if !has_taken_effect(&self.env, &row)? {
                return Err(self.env.journal_error(&self.step.journal().not_replayed(row)));
            }
        }
        Ok(())
    }

    fn leave_page(&mut self) {
        if self.is_in_page {
            self.has_written |= self.step.has_children(self.page);
            self.step.exit();
            self.is_in_page = false;
        }
    }

    /// A loop that changes nothing is gone through anew: it may fill variables.
    fn begins_anew(&self) -> bool {
        is_loop(self.job.end) && !self.has_written
    }

    /// Writes down how far it is, if a page ended with the people who came last.
    pub(crate) fn end_page(
        &mut self,
        waiting: &[ChangeItem],
        next_batch: i64,
        fold: Value,
    ) -> ScriptResult<()> {
        let Some(mark) = self.page_end.take() else { return Ok(()) };
        // What was drawn is one page, and gone through anew.
        if self.before.drawn.is_some() {
            return Ok(());
        }
        self.meet_all()?;
        self.leave_page();
        self.page = mark.page + 1;
        // Those whom a sample holds are not decided over.
        if self.steps.are_holding() || self.begins_anew() {
            return Ok(());
        }
        self.checkpoint(mark, waiting, next_batch, fold, None)
    }

    fn checkpoint(
        &self,
        mark: PageCursor,
        waiting: &[ChangeItem],
        next_batch: i64,
        fold: Value,
        drawn: Option<(usize, Vec<String>)>,
    ) -> ScriptResult<()> {
        if !self.step.journal().is_recording() {
            return Ok(());
        }
        let mut counts = self.job.counts.snapshot();
        // Those whose details were refused are counted by name.
        counts.already = Counters::read(&self.job.counts.already);
        let checkpoint = Checkpoint {
            has_written: self.has_written,
            mark,
            counts,
            failed: self.failed.clone(),
            takes: self.steps.takes(),
            waiting: waiting.to_vec(),
            next_batch,
            asked: self.asked.iter().cloned().collect(),
            drawn,
            fold,
        };
        self.env.block_on(self.step.checkpoint(&checkpoint)).map_err(|error| self.env.journal_error(&error))
    }

    /// Calls `visit` for everybody who passes, and reports; `fold` tells what it has come to.
    pub(crate) fn visit(
        mut self,
        mut visit: impl FnMut(&RunEnv, &Listed) -> ScriptResult<()>,
    ) -> ScriptResult<EndReport> {
        let result = self.visit_all(|env, person| visit(env, person), || Value::Null);
        self.end(result, &Value::Null)
    }

    /// The same with something that adds up: it is written down with each page, and with the end.
    pub(crate) fn fold(
        mut self,
        visit: impl FnMut(&RunEnv, &Listed) -> ScriptResult<()>,
        fold: impl Fn() -> Value,
    ) -> ScriptResult<EndReport> {
        let result = self.visit_all(visit, &fold);
        self.end(result, &fold())
    }

    fn visit_all(
        &mut self,
        mut visit: impl FnMut(&RunEnv, &Listed) -> ScriptResult<()>,
        fold: impl Fn() -> Value,
    ) -> ScriptResult<()> {
        let env = Arc::clone(&self.env);
        while let Some(people) = self.next()? {
            for person in people {
                visit(&env, &person)?;
            }
            self.end_page(&[], 0, fold())?;
        }
        Ok(())
    }

    /// Ends the job and posts its report; an error goes on to the script.
    pub(crate) fn end(&mut self, result: ScriptResult<()>, value: &Value) -> ScriptResult<EndReport> {
        let report = self.report(&result);
        let written = match &result {
            Ok(()) if self.begins_anew() => Ok(()),
            Ok(()) => self.env.block_on(async {
                self.step.done(&json!({"report": report, "value": value})).await?.wait().await
            }),
            Err(error) => match ScriptError::find_in(error) {
                Some(error) => {
                    let ended = json!({"error": error.to_json(), "report": report});
                    self.env.block_on(async { self.step.failed(&ended).await.map(drop) })
                }
                None => Ok(()),
            },
        };
        result?;
        written.map_err(|error| self.env.journal_error(&error))?;
        Ok(report)
    }

    /// Ends a loop that was left: what comes of that is not known here.
    pub(crate) fn leave(&mut self) {
        self.report(&Ok(()));
    }

    fn report(&mut self, result: &ScriptResult<()>) -> EndReport {
        // Stops what is still being fetched.
        self.reader = None;
        self.leave_page();
        let state = match result {
            _ if self.env.cancel.is_cancelled() => RunState::Cancelled,
            Ok(()) => RunState::Done,
            Err(_) => RunState::Error,
        };
        let mut calls = self.client.tally().snapshot();
        calls.retain(|call, count| {
            *count -= self.calls_before.get(call).copied().unwrap_or_default();
            *count > 0
        });
        let failed = std::mem::take(&mut self.failed);
        let report = EndReport::of(&self.job, state, self.env.dry.is_some(), failed, calls);
        self.env.board.end(report.clone());
        report
    }
}
