//! A session: lines that a person gives one after another. Each is a run of its own, recorded and journaled if it may
//! change the account; variables and functions stay from one to the next.
//!
//! Must never know how lines are edited or shown.

use super::{Outcome, Run, record};
use crate::{
    base::{Cancel, Clock},
    bulk::{Attempt, Board, DryRun, Limits, WayBack, way_back},
    client::Client,
    host::Host,
    script::{
        self, CallbackKeys, Gate, NoClient, Origin, Output, Program, Shown, Source, Trouble, check::problems,
    },
    store::{Store, StoreError},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use tokio::runtime::Runtime;

/// What all lines of a session have.
pub struct Setting {
    /// Calls the platform, or says why it can't.
    pub client: Result<Client, NoClient>,
    /// What the account's server callback is configured with, if it is.
    pub callback: Option<CallbackKeys>,
    /// Where the person stands.
    pub folder: PathBuf,
    /// Where a job keeps for a while what memory is too small for.
    pub scratch_folder: PathBuf,
    /// What time it is.
    pub clock: Clock,
    /// The wish to stop, of the client too; each line begins without it.
    pub cancel: Cancel,
    /// Where lines are recorded.
    pub store: Option<Store>,
    /// Is asked before the first change.
    pub gate: Option<Gate>,
    /// Where words go.
    pub output: Arc<dyn Output>,
    /// What a line is recorded with.
    pub options: record::Options,
}

/// Lines with their setting.
pub struct Session {
    /// What they have made.
    pub lines: script::Session,
    setting: Setting,
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
    pub fn new(setting: Setting, is_dry: bool) -> Self {
        let dry = is_dry.then(Arc::default);
        Self { lines: script::Session::default(), setting, dry, last_run: None, earlier_run: None }
    }

    /// What all its lines have.
    #[must_use]
    pub fn setting(&self) -> &Setting {
        &self.setting
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

    /// Reads a line and evaluates it.
    ///
    /// # Errors
    /// When it is no script, or the store fails before it begins.
    pub fn evaluate(
        &mut self,
        host: &Host,
        runtime: &Runtime,
        text: &str,
        board: &Arc<Board>,
    ) -> Result<Outcome<Shown>, NotBegun> {
        let folder = self.setting.folder.clone();
        let line = self.lines.read(text, &folder).map_err(|trouble| NotBegun::Script(Box::new(trouble)))?;
        self.earlier_run = self.last_run.take().or(self.earlier_run.take());
        let attempt = if line.may_write(&self.lines) {
            let options = record::Options { of_session: true, ..self.setting.options.clone() };
            self.record(host, runtime, &line.source(), &options, None)?
        } else {
            None
        };
        let run = self.run(board, attempt);
        let outcome = run.execute(runtime, |env| self.lines.evaluate(&line, &env))?;
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
        let way = runtime.block_on(way_back(store, run, self.is_dry()))?;
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
        self.last_run = None;
        let options = self.setting.options.clone();
        let attempt = self.record(host, runtime, &program.source(), &options, undoes)?;
        let outcome = self.run(board, attempt).of_program(runtime, &program)?;
        if !self.is_dry() && undoes.is_none() {
            self.last_run.clone_from(&outcome.report.run);
        }
        Ok(outcome)
    }

    /// Goes on elsewhere: with another account, say. What lines have made stays.
    pub fn set_setting(&mut self, setting: Setting) {
        self.last_run = None;
        self.setting = setting;
    }

    /// The variables are again as they were before the last line; `false` when that was done already.
    pub fn restore(&mut self) -> bool {
        self.lines.restore()
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
        let setting = &self.setting;
        setting.cancel.reset();
        Run {
            client: setting.client.clone(),
            callback: setting.callback.clone(),
            in_flight: setting.options.in_flight,
            folder: setting.folder.clone(),
            scratch_folder: setting.scratch_folder.clone(),
            clock: setting.clock.clone(),
            cancel: setting.cancel.clone(),
            params: setting.options.params.clone(),
            limits: Limits::default(),
            store: setting.store.clone(),
            attempt,
            dry: self.dry.clone(),
            may_pause: false,
            gate: setting.gate.clone(),
            board: Arc::clone(board),
            output: Arc::clone(&setting.output),
        }
    }
}
