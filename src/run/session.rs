//! A session: lines that a person gives one after another. Each is a run of its own, recorded and journaled if it may
//! change the account; variables and functions stay from one to the next.
//!
//! Must never know how lines are edited or shown.

use super::{Outcome, Run, Setting, record};
use crate::{
    bulk::{Attempt, Board, DryRun, Limits, RunState, WayBack, way_back},
    client::Client,
    host::Host,
    script::{self, Origin, Program, Shown, Source, Trouble, check::problems},
    store::StoreError,
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::runtime::Runtime;

/// Lines with their setting.
pub struct Session {
    /// What they have made.
    pub lines: script::Session,
    setting: Setting,
    /// What a line is recorded with.
    options: record::Options,
    dry: Option<Arc<DryRun>>,
    /// The run of the last line, if that has changed the account.
    last_run: Option<String>,
    /// The last line before it that did.
    earlier_run: Option<String>,
}

/// Why a line was not evaluated.
#[derive(Debug)]
pub enum NotBegun {
    /// It is no script.
    Script(Box<Trouble>),
    /// It can't be recorded.
    Store(StoreError),
}

impl From<StoreError> for NotBegun {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Session {
    /// A session in which nothing was said yet.
    #[must_use]
    pub fn new(setting: Setting, options: record::Options, is_dry: bool) -> Self {
        let dry = is_dry.then(Arc::default);
        Self { lines: script::Session::default(), setting, options, dry, last_run: None, earlier_run: None }
    }

    /// Whether lines change nothing.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.dry.is_some()
    }

    /// From now on lines change nothing, or they do; what a dry run has made up is forgotten with it.
    pub fn set_dry(&mut self, is_dry: bool) {
        if is_dry != self.is_dry() {
            self.dry = is_dry.then(Arc::default);
        }
    }

    /// Reads a line, of a file where one is named, and evaluates it.
    ///
    /// # Errors
    /// When it is no script, or the store fails before it begins.
    pub fn evaluate(
        &mut self,
        host: &Host,
        runtime: &Runtime,
        (text, file): (&str, Option<&str>),
        board: &Arc<Board>,
    ) -> Result<Outcome<Shown>, NotBegun> {
        let folder = self.setting.folder.clone();
        let line =
            self.lines.read(text, file, &folder).map_err(|trouble| NotBegun::Script(Box::new(trouble)))?;
        self.begin();
        let attempt = if line.may_write(&self.lines) {
            let options = record::Options { of_session: true, ..self.options.clone() };
            self.record(host, runtime, &line.source(), &options, None)?
        } else {
            None
        };
        let run = self.run(board, attempt);
        let mut outcome = run.execute(runtime, |env| self.lines.evaluate(&line, &env))?;
        self.forget_idle(runtime, &mut outcome)?;
        if !self.is_dry() {
            self.last_run = outcome.report.run.clone().filter(|_| outcome.report.has_changed());
        }
        Ok(outcome)
    }

    /// The run of the last line before the last one that has changed the account.
    #[must_use]
    pub fn earlier_change(&self) -> Option<&str> {
        self.earlier_run.as_deref()
    }

    /// The run of the last line with the way back from it, if it has changed the account.
    ///
    /// # Errors
    /// When its journal can't be read.
    pub fn last_change(&self, runtime: &Runtime) -> Result<Option<(String, WayBack)>, StoreError> {
        let (Some(store), Some(run)) = (&self.setting.store, &self.last_run) else { return Ok(None) };
        let way = runtime.block_on(way_back(store, run, false))?;
        let has_changed = !way.script.is_empty() || !way.lasting.is_empty();
        Ok(has_changed.then(|| (run.clone(), way)))
    }

    /// Runs a script of its own, which finds nothing of what lines have made; it may be one that takes a run back.
    ///
    /// # Errors
    /// When it is no script, or the store fails before it begins.
    pub fn run_script(
        &mut self,
        host: &Host,
        runtime: &Runtime,
        (origin, undoes): (&Origin, Option<&str>),
        board: &Arc<Board>,
    ) -> Result<Outcome<String>, NotBegun> {
        let script = |trouble: Trouble| NotBegun::Script(Box::new(trouble));
        let program = Arc::new(Program::load(origin).map_err(script)?);
        if let Some(trouble) = problems(&program, &BTreeMap::new()).into_iter().next() {
            return Err(script(trouble));
        }
        self.begin();
        let attempt = self.record(host, runtime, &program.source(), &self.options, undoes)?;
        let outcome = self.run(board, attempt).of_program(runtime, &program)?;
        if !self.is_dry() && undoes.is_none() {
            self.last_run = outcome.report.run.clone().filter(|_| outcome.report.has_changed());
        }
        Ok(outcome)
    }

    /// Goes on elsewhere: with another account, say. What lines have made stays.
    pub fn go_to(&mut self, setting: Setting, options: record::Options) {
        (self.last_run, self.earlier_run) = (None, None);
        (self.setting, self.options) = (setting, options);
    }

    /// What was the last line is an earlier one now, and whoever wanted it to stop has had their wish.
    fn begin(&mut self) {
        self.earlier_run = self.last_run.take().or(self.earlier_run.take());
        self.setting.cancel.reset();
    }

    /// A line that might have changed the account and did not is no run that anybody would look for.
    fn forget_idle<T>(&self, runtime: &Runtime, outcome: &mut Outcome<T>) -> Result<(), StoreError> {
        let report = &mut outcome.report;
        let has_ended = [RunState::Done, RunState::Error, RunState::Cancelled].contains(&report.state);
        let is_idle = report.dry_run || (has_ended && !report.has_changed());
        if let (true, Some(store)) = (is_idle, &self.setting.store)
            && let Some(run) = report.run.take()
        {
            runtime.block_on(store.forget_run(&run))?;
        }
        Ok(())
    }

    fn record(
        &self,
        host: &Host,
        runtime: &Runtime,
        source: &Source,
        options: &record::Options,
        undoes: Option<&str>,
    ) -> Result<Option<Attempt>, StoreError> {
        let Some(store) = &self.setting.store else { return Ok(None) };
        let account = self.setting.client.as_ref().map(Client::account_key).unwrap_or_default();
        let new = record::NewRun { source, options, account, is_dry: self.is_dry(), undoes };
        runtime.block_on(record::begin(host, store, &new))
    }

    fn run(&self, board: &Arc<Board>, attempt: Option<Attempt>) -> Run {
        Run {
            setting: self.setting.clone(),
            limits: Limits::default(),
            attempt,
            dry: self.dry.clone(),
            may_pause: false,
            keeps_state: false,
            board: Arc::clone(board),
        }
    }
}
