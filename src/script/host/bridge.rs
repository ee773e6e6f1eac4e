//! The only place where a script's thread waits for asynchronous work.
//!
//! A script has a thread of its own, so blocking it delays no other task. The work that is waited for must not call a
//! closure of the script, which may block itself.

use super::{
    env::RunEnv,
    error::{ErrorKind, ScriptError, ScriptFailure, ScriptResult},
};
use crate::{
    api::tag::Tag,
    base::{Diagnostic, Stopwatch},
    bulk::{JournalError, Limit, Lock, ObserveError, Observer, RecordedJson},
    client::{CallError, Client},
};
use rhai::{Dynamic, EvalAltResult, Position};
use serde::de::DeserializeOwned;
use std::{future::Future, time::Duration};

/// How long a run that may wait waits for a lock. It also ends a deadlock of two runs.
const MAX_LOCK_WAIT: Duration = Duration::from_mins(10);

/// How often a waiting run tries to take the lock.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

impl RunEnv {
    /// Decodes what an earlier attempt recorded; if it can't be decoded the run is parked.
    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        recorded: &RecordedJson,
        expected: &'static str,
    ) -> ScriptResult<T> {
        let decoded = recorded.decode(expected);
        decoded.map_err(|error| self.journal_error(&self.journal.park(error.into())))
    }

    /// Blocks on `work`, which must end soon after cancellation, as every call does.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.calls.runtime.block_on(work)
    }

    /// The client, or the script error that says why there is none.
    pub(crate) fn client(&self) -> Result<&Client, Box<EvalAltResult>> {
        self.calls.client.as_ref().map_err(|no_client| ScriptError::no_client(no_client).raise())
    }

    /// Masks known secrets in texts that a script gave as openids, before a job sends and records them.
    pub(crate) fn mask_openids(&self, openids: Vec<String>) -> Vec<String> {
        self.io.secrets.mask_all(openids)
    }

    /// Refuses to write a text that holds a secret: it would be seen on the account, and recorded here. `what` names it.
    pub(crate) fn refuse_secret(&self, what: &str, text: &str) -> ScriptResult<()> {
        let Some(secret) = self.io.secrets.find(text) else { return Ok(()) };
        let message = format!("{what} holds {secret}");
        let hint = "nothing was sent; does the script take a text from an answer that repeats what was sent?";
        Err(ScriptError::usage(message, hint).raise())
    }

    /// Blocks on a call; its failure becomes a script error.
    pub(crate) fn call<T>(
        &self,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, Box<EvalAltResult>> {
        self.block_on(work).map_err(|error| self.call_error(&error).raise())
    }

    /// Reads the account for effects.
    pub(crate) fn observer(&self) -> ScriptResult<Observer<'_>> {
        Ok(Observer {
            client: self.client()?,
            in_flight: self.calls.in_flight,
            scratch_folder: &self.io.scratch_folder,
            blacklist: &self.blacklist,
            dry_run: self.policy.dry.as_deref(),
        })
    }

    /// Blocks on a read of the account; its failure becomes a script error.
    pub(crate) fn observe<T, E: Into<ObserveError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> ScriptResult<T> {
        self.block_on(work).map_err(|error| self.observe_error(&error.into()).raise())
    }

    /// The account's tags; in a dry run, with the changes that it would have made.
    pub(crate) fn tags(&self) -> ScriptResult<Vec<Tag>> {
        let account = self.observer()?;
        self.call(account.tags())
    }

    /// Checks that the account may be changed. The person is asked for confirmation once per run.
    pub(crate) fn confirm_write(&self) -> Result<(), Box<EvalAltResult>> {
        let Some(confirm) = self.policy.confirm.as_ref().filter(|_| self.policy.dry.is_none()) else {
            return Ok(());
        };
        self.confirmed.get_or_init(|| confirm()).clone().map_err(|diagnostic| {
            let hint = diagnostic.hint.unwrap_or_default();
            ScriptError::usage(diagnostic.message, hint).raise()
        })
    }

    /// Takes the run's write lock on a tag or on the blacklist; waits for another run's lock if the policy allows it.
    pub(crate) fn lock(&self, lock: &Lock) -> Result<(), Box<EvalAltResult>> {
        if self.policy.dry.is_some() {
            return Ok(());
        }
        let since = Stopwatch::start();
        let mut is_reported = false;
        loop {
            let error = match self.block_on(self.journal.lock(lock)) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let may_wait =
                self.policy.may_wait && !self.calls.cancel.is_cancelled() && since.elapsed() < MAX_LOCK_WAIT;
            let (JournalError::Locked { by, .. }, true) = (&error, may_wait) else {
                return Err(self.journal_error(&error));
            };
            if !is_reported {
                self.io.output.print(&format!("run {by} is writing {lock}: waiting for its end"));
                is_reported = true;
            }
            self.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                    () = self.calls.cancel.cancelled() => {}
                }
            });
        }
    }

    /// A failed call as a script error.
    pub(crate) fn call_error(&self, error: &CallError) -> ScriptError {
        self.pause_on_quota(ScriptError::from_call(error, self.io.setting_names))
    }

    /// A failed read of the account as a script error.
    pub(crate) fn observe_error(&self, error: &ObserveError) -> ScriptError {
        self.pause_on_quota(ScriptError::from_observe(error, self.io.setting_names))
    }

    /// A limit of the run that was reached, as a script error.
    #[allow(clippy::unnecessary_box_returns, reason = "the engine's results hold boxed errors")]
    pub(crate) fn limit_error(&self, limit: &Limit) -> Box<EvalAltResult> {
        let hint = "what was done is in the report; raise the limit if it was meant to be more (resume takes one too)";
        let setting = self.io.setting_names.of(limit.setting());
        ScriptError::usage(format!("{limit} ({setting})"), hint).raise()
    }

    /// Returns the error, and pauses the run if the day's quota is used up. A script that catches it must not go on: its
    /// later steps would run before the interrupted one, and again when the run is resumed.
    pub(crate) fn pause_on_quota(&self, error: ScriptError) -> ScriptError {
        if error.kind == ErrorKind::Quota {
            // The first error is kept: it is where the run stopped.
            let _ = self.ending.set(error.clone());
        }
        error
    }

    /// Ends the script at its next operation with this error, which it can't catch. Calls in flight are awaited, as those of a
    /// script that fails.
    pub(crate) fn end_script(&self, failure: &ScriptFailure) {
        let Diagnostic { message, hint, .. } = failure.diagnostic.clone();
        let error = ScriptError::usage(message, hint.unwrap_or_default());
        let _ = self.ending.set(ScriptError { kind: failure.kind, ..error });
    }

    /// Fails once the script is to end, for what runs long without an operation of the script.
    pub(crate) fn check_ending(&self) -> ScriptResult<()> {
        match self.ending.get().cloned() {
            Some(error) => Err(EvalAltResult::ErrorTerminated(Dynamic::from(error), Position::NONE).into()),
            None => Ok(()),
        }
    }

    /// What ends the script at its next operation, for the engine's progress callback: it was cancelled, it pauses, or it has
    /// taken too much memory.
    pub(crate) fn interruption(&self) -> Option<Dynamic> {
        if self.calls.cancel.is_cancelled() {
            return Some(Dynamic::UNIT);
        }
        self.ending.get().cloned().map(Dynamic::from)
    }

    /// The result of a script, or the error with which it was to end, if it has caught that.
    pub(crate) fn unless_ending<T>(&self, result: ScriptResult<T>) -> ScriptResult<T> {
        match (&result, self.ending.get()) {
            (Ok(_), Some(error)) => Err(error.clone().raise()),
            _ => result,
        }
    }

    /// A fault of the run's journal as a script error.
    #[allow(clippy::unnecessary_box_returns, reason = "the engine's results hold boxed errors")]
    pub(crate) fn journal_error(&self, error: &JournalError) -> Box<EvalAltResult> {
        // A script must not catch this: the run parks, and the row is not overwritten.
        if matches!(error, JournalError::Undecodable(_)) {
            self.journal.park(error.clone());
        }
        let run = self.journal.run().unwrap_or("ID");
        ScriptError::from_journal(error, run, self.io.setting_names).raise()
    }
}
