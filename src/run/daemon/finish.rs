//! What becomes of a run when it has ended: its fire is closed, it is tried once more, and somebody hears of it.

use super::{Daemon, Level, LogRecord, Stopped, Waiting, told};
use crate::{
    bulk::{JournalError, RunState},
    run::{registry::Revision, worker::RunFinished},
    script::HandlerCall,
    store::{FAILURE_OF, Fire, FireState, StoreError},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// How long the first retry waits, and the longest wait, in milliseconds.
const INITIAL_RETRY: i64 = 10_000;
const MAX_RETRY: i64 = 600_000;

/// A run that the store has stopped so often waits for a person.
const MAX_ATTEMPTS: i64 = 20;

impl Daemon {
    /// Ends a fire; `false` when it is somebody else's by now.
    pub(super) fn close(&self, fire: &Fire, state: FireState, reason: &str) -> Result<bool, StoreError> {
        self.close_and_add(fire, (state, reason), None)
    }

    /// The same, and at once another one is there that lets somebody hear of it.
    fn close_and_add(
        &self,
        fire: &Fire,
        (state, reason): (FireState, &str),
        another: Option<&Fire>,
    ) -> Result<bool, StoreError> {
        let to = Fire {
            state,
            reason: reason.to_owned(),
            node: self.node.clone(),
            at: self.host.clock.now_ms(),
            ..fire.clone()
        };
        let is_ours = self.runtime.block_on(self.store.change_fire_and_add(fire, &to, another))?;
        if is_ours {
            if !fire.source.starts_with(FAILURE_OF) {
                self.stats.ended(&fire.automation, state, to.at);
            }
            let level = if state == FireState::Done { Level::Info } else { Level::Warn };
            let colon = if reason.is_empty() { "" } else { ": " };
            self.say(level, &fire.automation, &fire.run, &format!("{state}{colon}{reason}"));
        }
        Ok(is_ours)
    }

    /// Records what became of a run.
    pub(super) fn settle(&mut self, ended: &RunFinished) -> Result<(), StoreError> {
        let Some(running) = self.running.get(&ended.run) else { return Ok(()) };
        let (fire, revision, stopped) = (running.fire.clone(), running.revision.clone(), running.stopped);
        let RunFinished { run, call, outcome } = ended;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // It is silent from now on, and is gone on with when it was so for long enough.
            Err(error) => {
                self.say(Level::Error, &call.automation, run, &format!("the store failed: {error}"));
                return Ok(());
            }
        };
        if let Some(why) = &outcome.end_not_recorded {
            self.say(Level::Error, &call.automation, run, &format!("its end is not recorded: {why}"));
            return Ok(());
        }
        let why = outcome.trouble.as_ref().map(|trouble| told(&trouble.diagnostic));
        let why = why.or(outcome.parked.as_ref().map(ToString::to_string)).unwrap_or_default();
        let message = outcome.report.error.clone().unwrap_or_else(|| why.clone());
        let state = outcome.report.state;
        match (state, stopped) {
            (RunState::Done | RunState::DoneWithFailures, _) => {
                let closed =
                    if state == RunState::Done { FireState::Done } else { FireState::DoneWithFailures };
                let changed = outcome.report.totals.changed;
                let did = if changed > 0 { format!("{changed} changed") } else { String::new() };
                self.succeed(&fire, revision.as_ref(), closed, &did)
            }
            // What it has done is written down, and the next process goes on with it.
            (RunState::Cancelled, Some(Stopped::Leaving)) => {
                self.say(Level::Info, &fire.automation, run, "put off: the next process goes on with it");
                Ok(())
            }
            (RunState::Running | RunState::Interrupted, _) => Ok(()),
            (RunState::Cancelled, Some(Stopped::TimedOut)) => {
                let timeout = revision.as_ref().map(|revision| revision.automation.timeout);
                let timeout = timeout.map(|timeout| humantime::format_duration(timeout).to_string());
                let reason = format!("it took longer than {}", timeout.unwrap_or_default());
                self.fail(&fire, revision.as_ref(), call, FireState::TimedOut, (&reason, &reason))
            }
            (RunState::Cancelled, Some(Stopped::Replaced)) => {
                self.close(&fire, FireState::Stopped, "a later fire has replaced it").map(drop)
            }
            (RunState::Cancelled, None) => {
                self.close(&fire, FireState::Stopped, "somebody has stopped it").map(drop)
            }
            // The clock has jumped, or this process slept, and somebody has taken it for dead: whoever looks first
            // goes on with it. The same when the store did not take what it has done.
            (RunState::Parked, None)
                if matches!(outcome.parked, Some(JournalError::Fenced | JournalError::Store(_))) =>
            {
                self.say(Level::Warn, &fire.automation, run, &why);
                let record = self.runtime.block_on(self.store.run(run))?.unwrap_or_default();
                if record.attempt > MAX_ATTEMPTS {
                    return self.fail(&fire, revision.as_ref(), call, FireState::Parked, (&why, &message));
                }
                let not_before = self.host.clock.now_ms() + wait_before(record.attempt);
                self.retries.push(Waiting { fire, revision, not_before });
                Ok(())
            }
            (RunState::Parked, _) => {
                self.fail(&fire, revision.as_ref(), call, FireState::Parked, (&why, &message))
            }
            (RunState::Error | RunState::Paused, _) => {
                let retries = revision.as_ref().map_or(0, |revision| revision.automation.retries);
                // What the day's quota has ended is no fault of its own.
                let is_paused = state == RunState::Paused;
                if is_paused || fire.failures < i64::from(retries) {
                    let failures = fire.failures + i64::from(!is_paused);
                    let to = Fire { failures, at: self.host.clock.now_ms(), ..fire.clone() };
                    if !self.runtime.block_on(self.store.change_fire(&fire, &to))? {
                        return Ok(());
                    }
                    let fire = to;
                    let wait = if is_paused { MAX_RETRY } else { wait_before(failures) };
                    let after = humantime::format_duration(Duration::from_millis(wait.unsigned_abs()));
                    self.say(
                        Level::Warn,
                        &fire.automation,
                        run,
                        &format!("failed: {why}; once more in {after}"),
                    );
                    let not_before = self.host.clock.now_ms() + wait;
                    self.retries.push(Waiting { fire, revision, not_before });
                    return Ok(());
                }
                self.fail(&fire, revision.as_ref(), call, FireState::Failed, (&why, &message))
            }
        }
    }

    /// Ends a fire whose run is done, and tells whoever wants to hear of it.
    pub(super) fn succeed(
        &self,
        fire: &Fire,
        revision: Option<&Arc<Revision>>,
        state: FireState,
        did: &str,
    ) -> Result<(), StoreError> {
        if self.close(fire, state, did)?
            && let Some(url) = revision.and_then(|revision| revision.automation.ping.clone())
        {
            self.ping(url, fire);
        }
        Ok(())
    }

    /// Ends a fire that has failed, and tells whoever wants to hear of it.
    pub(super) fn fail(
        &mut self,
        fire: &Fire,
        revision: Option<&Arc<Revision>>,
        call: &HandlerCall,
        state: FireState,
        (reason, message): (&str, &str),
    ) -> Result<(), StoreError> {
        let revision = revision.filter(|revision| revision.automation.has_failure_hook);
        // Who fails to hear is told of no more.
        let Some(revision) = revision.filter(|_| !fire.source.starts_with(FAILURE_OF)) else {
            return self.close(fire, state, reason).map(drop);
        };
        let error = json!({
            "message": message, "state": state, "run": fire.run, "handler": call.handler,
            "scheduled": call.scheduled,
        });
        let now = self.host.clock.now_ms();
        let of = if fire.run.is_empty() { &fire.source } else { &fire.run };
        // A fire of its own, so that somebody hears of it whatever becomes of this process.
        let heard = Fire {
            automation: fire.automation.clone(),
            source: format!("{FAILURE_OF}{of}"),
            instant: fire.instant,
            state: FireState::Claimed,
            reason: error.to_string(),
            node: self.node.clone(),
            at: now,
            ..Fire::default()
        };
        if self.close_and_add(fire, (state, reason), Some(&heard))? {
            let revision = Some(Arc::clone(revision));
            // Those that wait are not waited for.
            self.queue.insert(0, Waiting { fire: heard, revision, not_before: now });
        }
        Ok(())
    }

    /// Tells somebody's address that a run has succeeded.
    fn ping(&self, url: String, fire: &Fire) {
        let (log, automation, run) = (Arc::clone(&self.log), fire.automation.clone(), fire.run.clone());
        let at = self.host.clock.now_ms();
        self.runtime.spawn(async move {
            if let Err(error) = crate::client::ping(&url).await {
                let text = format!("the ping failed: {error}");
                log.write(&LogRecord {
                    at,
                    level: Level::Warn,
                    automation: &automation,
                    run: &run,
                    is_printed: false,
                    text: &text,
                });
            }
        });
    }
}

fn wait_before(attempt: i64) -> i64 {
    let doublings = u32::try_from(attempt.clamp(1, 10) - 1).unwrap_or_default();
    (INITIAL_RETRY << doublings).min(MAX_RETRY)
}
