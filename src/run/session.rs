//! A session: lines that are evaluated one after another. Each is a run of its own, recorded and journaled if it may
//! change the account; variables and functions stay from one line to the next.
//!
//! Must never know how lines are edited or displayed.

use super::{Execution, Outcome, RunConfig, record};
use crate::{
    bulk::{Attempt, DryRun, Limits, ProgressBoard, RunState, UndoPlan, plan_undo},
    client::Client,
    host::Host,
    script::{self, Origin, Program, Rendered, ScriptFailure, Source, check::problems},
    store::{StartedBy, Store, StoreError},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::runtime::Runtime;

/// A session on an account.
pub struct Session {
    /// The variables, functions and imports of its lines.
    pub lines: script::Session,
    config: RunConfig,
    /// The options that a line is recorded with.
    options: record::RunOptions,
    dry: Option<Arc<DryRun>>,
    /// For each line that can be undone, oldest first: the id of its run, or `None` if it did not change the account.
    runs: Vec<Option<String>>,
    /// The run of the latest line that changed the account and whose variables can't be restored any more.
    earlier_run: Option<String>,
}

/// Why a line was not evaluated.
#[derive(Debug)]
pub enum SessionError {
    /// It can't be parsed or checked.
    Script(Box<ScriptFailure>),
    /// It can't be recorded.
    Store(StoreError),
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What the lines of a session do to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineMode {
    /// They change it.
    Real,
    /// They are dry runs.
    Dry,
}

impl Session {
    /// A session without any line.
    #[must_use]
    pub fn new(config: RunConfig, options: record::RunOptions, mode: LineMode) -> Self {
        let dry = (mode == LineMode::Dry).then(Arc::default);
        Self { lines: script::Session::default(), config, options, dry, runs: Vec::new(), earlier_run: None }
    }

    /// Where its lines are recorded.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.config.store.as_ref()
    }

    /// Whether lines are dry runs.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.dry.is_some()
    }

    /// Makes lines dry runs from now on, or real ones. The changes that dry runs simulated are discarded.
    pub fn set_mode(&mut self, mode: LineMode) {
        match (mode, &self.dry) {
            (LineMode::Real, _) => self.dry = None,
            (LineMode::Dry, None) => self.dry = Some(Arc::default()),
            (LineMode::Dry, Some(_)) => {}
        }
    }

    /// Reads and evaluates a line, or the text of a file that is named.
    pub fn evaluate(
        &mut self,
        host: &Host,
        runtime: &Runtime,
        text: &str,
        file: Option<&str>,
        board: &Arc<ProgressBoard>,
    ) -> Result<Outcome<Rendered>, SessionError> {
        let folder = self.options.folder.clone();
        let line = self
            .lines
            .read(text, file, &folder)
            .map_err(|trouble| SessionError::Script(Box::new(trouble)))?;
        self.begin(Some(self.lines.count()));
        let attempt = if line.may_write(&self.lines) {
            self.record(host, runtime, &line.source(), &self.options, None, StartedBy::Session)?
        } else {
            None
        };
        let run = self.run(board, attempt);
        let mut outcome = run.execute(runtime, |env| self.lines.evaluate(&line, &env))?;
        self.discard_noop_run(runtime, &mut outcome)?;
        self.note_run(&outcome);
        Ok(outcome)
    }

    /// Notes the run of the last line, if it changed the account.
    fn note_run<T>(&mut self, outcome: &Outcome<T>) {
        let is_dry = self.is_dry();
        if let Some(last) = self.runs.last_mut() {
            *last = outcome.report.run.clone().filter(|_| outcome.report.has_changed() && !is_dry);
        }
    }

    /// The latest run that changed the account, and how many lines must be undone to undo it; 0 when that can't be done in
    /// this session any more.
    #[must_use]
    pub fn last_undoable(&self) -> Option<(usize, String)> {
        let at = self.runs.iter().rposition(Option::is_some);
        let here = at.and_then(|at| Some((self.runs.len() - at, self.runs[at].clone()?)));
        here.or_else(|| Some((0, self.earlier_run.clone()?)))
    }

    /// Restores the variables to what they were before the last line; `false` when there is no line to go back to.
    pub fn rollback(&mut self) -> bool {
        self.runs.pop();
        self.lines.rollback()
    }

    /// The run of the last line with its undo plan, if it changed the account.
    pub fn last_change(&self, runtime: &Runtime) -> Result<Option<(String, UndoPlan)>, StoreError> {
        let last = self.runs.last().and_then(Option::as_ref);
        let (Some(store), Some(run)) = (&self.config.store, last) else { return Ok(None) };
        let plan = runtime.block_on(plan_undo(store, run))?;
        Ok((!plan.is_empty()).then(|| (run.clone(), plan)))
    }

    /// Runs a script, which does not see the session's variables; it may be the undo script of a run.
    pub fn run_script(
        &mut self,
        host: &Host,
        runtime: &Runtime,
        origin: &Origin,
        undoes: Option<&str>,
        board: &Arc<ProgressBoard>,
    ) -> Result<Outcome<String>, SessionError> {
        let script = |trouble: ScriptFailure| SessionError::Script(Box::new(trouble));
        let program = Arc::new(Program::load(origin).map_err(script)?);
        if let Some(trouble) = problems(&program, &BTreeMap::new()).into_iter().next() {
            return Err(script(trouble));
        }
        self.begin(undoes.is_none().then(|| self.lines.count() + 1));
        let mut options = self.options.clone();
        options.roots.extend(origin.folder());
        let attempt =
            self.record(host, runtime, &program.source(), &options, undoes, options.started_by())?;
        let mut run = self.run(board, attempt);
        run.config.files.allow(&options.roots);
        let outcome = run.run_program(runtime, &program)?;
        if undoes.is_none() {
            self.note_run(&outcome);
        }
        Ok(outcome)
    }

    /// Continues with another account. Variables, functions and imports stay.
    pub fn switch_account(&mut self, config: RunConfig, options: record::RunOptions) {
        // What the lines did on the account before is undone there.
        self.runs.iter_mut().for_each(|run| *run = None);
        self.earlier_run = None;
        (self.config, self.options) = (config, options);
    }

    /// Resets the cancellation of the last line, and takes a snapshot of the variables that this line can be undone to.
    fn begin(&mut self, can_be_undone: Option<usize>) {
        self.config.cancel.reset();
        if let Some(line) = can_be_undone {
            let kept = self.lines.snapshot(line);
            self.runs.push(None);
            self.forget_runs(self.runs.len().saturating_sub(kept));
        }
    }

    /// Drops the oldest entries, whose snapshots are gone.
    fn forget_runs(&mut self, count: usize) {
        let gone = self.runs.drain(..count).flatten().last();
        self.earlier_run = gone.or(self.earlier_run.take());
    }

    /// Clears variables, functions and imports.
    pub fn reset(&mut self) {
        self.lines.reset();
        self.forget_runs(self.runs.len());
    }

    /// Deletes the record of a line that could have changed the account and did not.
    fn discard_noop_run<T>(&self, runtime: &Runtime, outcome: &mut Outcome<T>) -> Result<(), StoreError> {
        let report = &mut outcome.report;
        let has_ended = [RunState::Done, RunState::Error, RunState::Cancelled].contains(&report.state);
        let is_idle = report.dry_run || (has_ended && !report.has_changed());
        if let (true, Some(store)) = (is_idle, &self.config.store)
            && let Some(run) = report.run.take()
        {
            runtime.block_on(store.delete_run(&run))?;
        }
        Ok(())
    }

    fn record(
        &self,
        host: &Host,
        runtime: &Runtime,
        source: &Source,
        options: &record::RunOptions,
        undoes: Option<&str>,
        started_by: StartedBy,
    ) -> Result<Option<Attempt>, StoreError> {
        let Some(store) = &self.config.store else { return Ok(None) };
        let account = self.config.client.as_ref().map(Client::account_key).unwrap_or_default();
        let new = record::NewRun {
            source,
            options,
            account,
            is_dry: self.is_dry(),
            undoes,
            started_by,
            owner: &host.process,
        };
        runtime.block_on(record::begin(host, store, &new))
    }

    fn run(&self, board: &Arc<ProgressBoard>, attempt: Option<Attempt>) -> Execution {
        Execution {
            config: self.config.clone(),
            limits: Limits::default(),
            attempt,
            dry: self.dry.clone(),
            may_wait: false,
            saves_state: false,
            board: Arc::clone(board),
        }
    }
}
