//! Write-ahead journal of a run. Each step records its intent before the call and its outcome after it, so that a run
//! interrupted at any point can be replayed from the top and continue where it stopped.
//!
//! Every job and every call that writes is a step with a place (`3`, or `3/7/2` for the second one on the seventh page
//! of the third), a kind and a fingerprint. A completed step answers from the journal; an incomplete one resumes from its
//! checkpoint. Must never know scripts: what a step answers is JSON of the floor above.
//!
//! One task commits the writes, many in one transaction: a call waits until its own intent is durable, and the calls that
//! run beside it share the wait.
//!
//! One file because a step and its journal are two ends of one protocol: what a step writes is what `begin` replays.

use super::{
    checkpoint::Checkpoint,
    committer::{GroupCommitter, MAX_GROUP, PendingCommit},
    error::JournalError,
    fail_point,
    recorded_json::RecordedJson,
    replay::{
        Following, ReplayAction, ReplayScope, Slot, StepIdentity, action, depends_on_later, first_unreached,
    },
};
use crate::{
    api::{Resend, answer::Empty},
    base::{Cancel, Clock, lock},
    bulk::effect::effect::Lock,
    bulk::model::{
        batch::{ChangeItem, Items, Unresolved},
        effect::RecordedEffect,
        failure::Failure,
        target::Target,
    },
    store::{
        BatchOutcome, JournalWrite, LeaseKey, LeaseKind, NewStep, StepRow, StepState, Store, StoreError,
    },
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// A run that missed its heartbeats for this long is presumed dead, and its write locks are free.
pub const HEARTBEAT_TTL: Duration = Duration::from_secs(8);

/// A person's answer to whether a call in doubt took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It took no effect: make the call.
    Retry,
    /// It took effect, and this was the answer.
    Completed(Value),
}

impl Resolution {
    /// It took effect, and its answer was that it did and nothing else.
    #[must_use]
    pub fn completed() -> Self {
        Self::Completed(json!(Empty::default()))
    }
}

/// Which attempt of which run it is.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The run.
    pub run: String,
    /// The account, as the client names it.
    pub account: String,
    /// 1 when the run starts, one more with each resume.
    pub attempt: i64,
    /// What a person says of the call that the run is parked at.
    pub resolution: Option<Resolution>,
}

/// What the journal knows of a step that the script has reached.
pub enum Replay {
    /// Nothing is recorded: it starts once its entry is durable.
    Fresh(Step, CommitAck),
    /// It was started, and the script never got its outcome.
    Incomplete(Step, Box<StepRow>),
    /// It succeeded with this answer.
    Completed(RecordedJson),
    /// It failed with this error, and the script handled it.
    Failed(RecordedJson),
    /// An earlier attempt left this loop early (`break`): it has child steps, never completed, and later steps exist.
    Abandoned(Box<StepRow>),
}

/// Resolves once the entry is durable (its group commit has been fsynced).
#[derive(Default)]
pub struct CommitAck(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl CommitAck {
    /// Waits.
    ///
    /// # Errors
    /// When the store did not take it.
    pub async fn wait(self) -> Result<(), JournalError> {
        match self.0 {
            None => Ok(()),
            // The writer answers every entry as long as it lives.
            Some(written) => Ok(written.await.map_err(|_| JournalError::Closed)??),
        }
    }
}

/// The journal of one run. Clones share it.
#[derive(Clone, Default)]
pub struct Journal(Option<Arc<Inner>>);

struct Inner {
    attempt: Attempt,
    store: Store,
    clock: Clock,
    cancel: Cancel,
    entries: mpsc::Sender<PendingCommit>,
    next_seq: AtomicI64,
    /// The last step that an earlier attempt has begun.
    last_before: i64,
    scopes: Mutex<Vec<ReplayScope>>,
    /// In-flight steps of an earlier attempt on pages that replay left without reaching them.
    unreached: Mutex<Vec<StepRow>>,
    resolution: Mutex<Option<Resolution>>,
    parked: Arc<Mutex<Option<JournalError>>>,
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Journal {
    /// Opens the journal of an attempt, and sends heartbeats until it is closed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        store: Store,
        attempt: Attempt,
        clock: Clock,
        cancel: Cancel,
    ) -> Result<Self, StoreError> {
        let (last, undecodable) = match last_recorded(&store, &attempt).await {
            Ok(last) => (last, None),
            // The run is parked, as it is where its script reaches a row that can't be decoded.
            Err(error @ StoreError::Decode { .. }) => (0, Some(error)),
            Err(error) => return Err(error),
        };
        let (entries, received) = mpsc::channel(MAX_GROUP * 4);
        let parked = Arc::default();
        let committer = GroupCommitter {
            store: store.clone(),
            run: attempt.run.clone(),
            attempt: attempt.attempt,
            clock: clock.clone(),
            cancel: cancel.clone(),
            parked: Arc::clone(&parked),
        };
        let beating = AbortOnDropHandle::new(tokio::spawn(committer.clone().heartbeat()));
        let writing = AbortOnDropHandle::new(tokio::spawn(committer.write(received)));
        let journal = Self(Some(Arc::new(Inner {
            resolution: Mutex::new(attempt.resolution.clone()),
            attempt,
            store,
            clock,
            cancel,
            entries,
            next_seq: AtomicI64::new(last + 1),
            last_before: last,
            scopes: Mutex::new(vec![ReplayScope::default()]),
            unreached: Mutex::default(),
            parked,
            tasks: Mutex::new(vec![beating, writing]),
        })));
        if let Some(error) = undecodable {
            journal.park(error.into());
        }
        Ok(journal)
    }

    /// Sends heartbeats for a run that records nothing, until the returned handle is dropped.
    pub fn keep_alive(
        store: Store,
        attempt: &Attempt,
        clock: Clock,
        cancel: Cancel,
    ) -> AbortOnDropHandle<()> {
        let run = attempt.run.clone();
        let committer =
            GroupCommitter { store, run, attempt: attempt.attempt, clock, cancel, parked: Arc::default() };
        AbortOnDropHandle::new(tokio::spawn(committer.heartbeat()))
    }

    /// Whether anything is written down at all.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this attempt resumes the run.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.attempt.attempt > 1)
    }

    /// The run's id, if it has one.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        self.0.as_ref().map(|inner| inner.attempt.run.as_str())
    }

    /// The store that it is kept in.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.0.as_ref().map(|inner| &inner.store)
    }

    /// A step starts, or is replayed. A step that is not the recorded one parks the run, and so do a row that can't be
    /// decoded, a store that fails, and a page that was left with steps in flight.
    pub async fn begin(&self, identity: &StepIdentity, resend: Resend) -> Result<Replay, JournalError> {
        let Some(inner) = &self.0 else { return Ok(Replay::Fresh(Step::default(), CommitAck::default())) };
        self.verify_pages_replayed()?;
        self.replay(inner, identity, resend).await.map_err(|error| self.park(error))
    }

    async fn replay(
        &self,
        inner: &Inner,
        identity: &StepIdentity,
        resend: Resend,
    ) -> Result<Replay, JournalError> {
        inner.read_page().await?;
        let slot = lock(&inner.scopes).last_mut().map(|scope| scope.place(identity, resend));
        let (at, recorded) = match slot.unwrap_or_else(|| Slot::Next(String::new())) {
            Slot::Matched(row) => (row.step.clone(), Some(*row)),
            Slot::Fresh(at) => (at, None),
            Slot::Next(at) if inner.attempt.attempt == 1 => (at, None),
            Slot::Next(at) => {
                let recorded = inner.store.step_at(&inner.attempt.run, &at).await?;
                (at, recorded)
            }
            Slot::Mismatch(row) => return Err(mismatch(row, identity)),
        };
        let step = Step { journal: self.clone(), at };
        let following = match recorded.as_ref().filter(|row| depends_on_later(identity, row)) {
            Some(row) => inner.following(row).await?,
            None => Following::Nothing,
        };
        match (action(identity, recorded.as_ref(), following), recorded) {
            (ReplayAction::Answer, Some(row)) => Ok(Replay::Completed(inner.answer(row))),
            (ReplayAction::Raise, Some(row)) => Ok(Replay::Failed(inner.answer(row))),
            (ReplayAction::Resume, Some(row)) => Ok(Replay::Incomplete(step, Box::new(row))),
            (ReplayAction::Skip, Some(row)) => Ok(Replay::Abandoned(Box::new(row))),
            (ReplayAction::Park, Some(row)) => Err(mismatch(row, identity)),
            (_, None) | (ReplayAction::Start, Some(_)) => {
                let seq = inner.next_seq.fetch_add(1, Ordering::SeqCst);
                let written = step.write(|run, at| {
                    let target = Target::columns(identity.target.as_ref());
                    let new = NewStep {
                        step: at,
                        seq,
                        kind: identity.kind,
                        fingerprint: &identity.fingerprint,
                        label: &identity.label,
                        target: target.name,
                        target_id: target.tag_id,
                    };
                    JournalWrite::begun(run, &new)
                });
                Ok(Replay::Fresh(step.clone(), written.await?))
            }
        }
    }

    /// Takes the write lock of something for as long as the run lives.
    ///
    /// # Errors
    /// When another run writes it, or the store fails, which parks the run: nothing of the step was sent.
    pub async fn lock(&self, lock: &Lock) -> Result<(), JournalError> {
        let Some(inner) = self.0.as_deref() else { return Ok(()) };
        let Some(by) =
            Self::acquire_lock(inner, &lock.key()).await.map_err(|error| self.park(error.into()))?
        else {
            return Ok(());
        };
        Err(JournalError::Locked { by, what: lock.to_string() })
    }

    /// Takes a write lock; gives the run that holds it, if another one does.
    async fn acquire_lock(inner: &Inner, what: &str) -> Result<Option<String>, StoreError> {
        let Inner { store, attempt, clock, .. } = inner;
        let key = LeaseKey::new(LeaseKind::Write, format!("{} {what}", attempt.account));
        // A process that is presumed dead may only be suspended.
        store.fence_stale_runs(store.time(clock).await? - HEARTBEAT_TTL).await?;
        loop {
            if store.acquire_write_lock(&key, &attempt.run).await? {
                return Ok(None);
            }
            // One that has no owner any more was released since: it is asked for again.
            if let Some(owner) = store.lease_owner(&key).await? {
                return Ok(Some(owner));
            }
        }
    }

    /// Whether the next step is a part of a page.
    #[must_use]
    pub fn is_in_page(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| lock(&inner.scopes).len() > 1)
    }

    /// The person's answer for the call that the run is parked at; once.
    #[must_use]
    pub fn resolution(&self) -> Option<Resolution> {
        self.0.as_ref().and_then(|inner| lock(&inner.resolution).take())
    }

    /// Parks the run: it stops here and waits for a person.
    pub fn park(&self, error: JournalError) -> JournalError {
        if let Some(inner) = &self.0 {
            lock(&inner.parked).get_or_insert_with(|| error.clone());
            inner.cancel.cancel();
        }
        error
    }

    /// Why the run waits for a person, if it does.
    #[must_use]
    pub fn parked(&self) -> Option<JournalError> {
        self.0.as_ref().and_then(|inner| lock(&inner.parked).clone())
    }

    /// After the script ends: finds a step that an earlier attempt left in flight and that replay never reached. Such a
    /// step would be lost, so the run is parked.
    pub async fn verify_replayed(&self) -> Result<(), JournalError> {
        let Some(inner) = self.0.as_ref().filter(|inner| inner.attempt.attempt > 1) else { return Ok(()) };
        self.verify_pages_replayed()?;
        // The top-level steps that replay has reached.
        let replayed = lock(&inner.scopes).first().map_or(0, |scope| scope.next);
        let unfinished = inner.store.in_flight_steps(&inner.attempt.run).await?;
        first_unreached(replayed, unfinished).map_or(Ok(()), |row| Err(self.not_replayed(row)))
    }

    /// Parks the run if replay left a page without reaching a step that was in flight on it. This is asked once the
    /// script goes on: a run that an error ends may reach the step when it is resumed.
    pub fn verify_pages_replayed(&self) -> Result<(), JournalError> {
        self.unreached().into_iter().next().map_or(Ok(()), |row| Err(self.not_replayed(row)))
    }

    /// The in-flight steps of an earlier attempt on pages that replay left without reaching them.
    #[must_use]
    pub fn unreached(&self) -> Vec<StepRow> {
        self.0.as_ref().map_or_else(Vec::new, |inner| lock(&inner.unreached).clone())
    }

    /// The account shows that an unreached step took effect: it is not lost.
    pub fn confirm_effect(&self, step: &str) {
        if let Some(inner) = &self.0 {
            lock(&inner.unreached).retain(|row| row.step != step);
        }
    }

    fn not_replayed(&self, row: StepRow) -> JournalError {
        self.park(JournalError::NotReplayed { step: row.step, what: row.label })
    }

    /// Waits until everything is durable.
    pub async fn flush(&self) -> Result<(), JournalError> {
        self.send(None).await?.wait().await
    }

    /// Ends the tasks: the run has ended, and clones of the journal write nothing more and send no heartbeat.
    pub fn close(&self) {
        if let Some(inner) = &self.0 {
            lock(&inner.tasks).clear();
        }
    }

    async fn send(&self, write: Option<JournalWrite>) -> Result<CommitAck, JournalError> {
        let Some(inner) = &self.0 else { return Ok(CommitAck::default()) };
        let (durable, acknowledged) = oneshot::channel();
        match inner.entries.send(PendingCommit { write, durable }).await {
            Ok(()) => Ok(CommitAck(Some(acknowledged))),
            Err(_) => Err(self.parked().unwrap_or(JournalError::Closed)),
        }
    }
}

impl Inner {
    /// The recorded answer or error of a step.
    fn answer(&self, row: StepRow) -> RecordedJson {
        RecordedJson::new(&self.attempt.run, &row.step, "answer", row.answer)
    }

    /// What earlier attempts recorded after a step.
    async fn following(&self, row: &StepRow) -> Result<Following, StoreError> {
        let run = &self.attempt.run;
        if !self.store.has_later_step(run, row, self.last_before).await? {
            return Ok(Following::Nothing);
        }
        let has_children = self.store.has_children(run, &row.step).await?;
        Ok(if has_children { Following::ChildrenAndSteps } else { Following::Steps })
    }

    /// Reads what an earlier attempt has left of the page that the next step is of.
    async fn read_page(&self) -> Result<(), StoreError> {
        if self.attempt.attempt == 1 {
            return Ok(());
        }
        let prefix = {
            let scopes = lock(&self.scopes);
            scopes.last().filter(|scope| scope.is_unread_page()).map(|scope| scope.prefix.clone())
        };
        let Some(prefix) = prefix else { return Ok(()) };
        let rows = self.store.children(&self.attempt.run, &prefix).await?;
        if let Some(scope) = lock(&self.scopes).last_mut() {
            scope.load(rows);
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        lock(&self.tasks).clear();
    }
}

/// A step that runs.
#[derive(Clone, Default)]
pub struct Step {
    journal: Journal,
    at: String,
}

impl Step {
    /// Its place in the run.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The journal that records it.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    async fn write(&self, entry: impl FnOnce(&str, &str) -> JournalWrite) -> Result<CommitAck, JournalError> {
        match self.journal.run() {
            None => Ok(CommitAck::default()),
            Some(run) => self.journal.send(Some(entry(run, &self.at))).await,
        }
    }

    /// It starts again; nothing else of its record changes.
    pub async fn reopen(&self) -> Result<CommitAck, JournalError> {
        let seq = self.journal.0.as_ref().map_or(0, |inner| inner.next_seq.fetch_add(1, Ordering::SeqCst));
        self.write(|run, at| JournalWrite::reopened(run, at, seq)).await
    }

    /// What it does to the account is known.
    pub async fn change(&self, effect: &RecordedEffect) -> Result<CommitAck, JournalError> {
        let json = json("the effect of a step", effect)?;
        self.write(|run, at| JournalWrite::effect(run, at, effect.key(), &json)).await
    }

    /// It had no effect after all.
    pub async fn clear_effect(&self) -> Result<CommitAck, JournalError> {
        self.write(JournalWrite::no_effect).await
    }

    /// How far it is.
    pub async fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), JournalError> {
        let checkpoint = json("a checkpoint", checkpoint)?;
        let durable = self.write(|run, at| JournalWrite::checkpoint(run, at, &checkpoint)).await?;
        fail_point::hit_after(durable.wait(), "checkpoint").await;
        Ok(())
    }

    /// A batch is about to be sent: not before this is durable.
    pub async fn intent(&self, number: i64, items: &[ChangeItem]) -> Result<CommitAck, JournalError> {
        if !self.journal.is_recording() {
            return Ok(CommitAck::default());
        }
        let (size, items) = (count(items), json("a batch", &Items(items))?);
        self.write(|run, at| JournalWrite::intent(run, at, number, &items, size)).await
    }

    /// What became of a batch: its items without an outcome, and those that failed.
    pub async fn outcome(
        &self,
        number: i64,
        unresolved: &Unresolved,
        failed: &[Failure],
    ) -> Result<(), JournalError> {
        if !self.journal.is_recording() {
            return Ok(());
        }
        let unresolved_json =
            if unresolved.is_empty() { String::new() } else { json("the outcome of a batch", unresolved)? };
        let failed_json =
            if failed.is_empty() { String::new() } else { json("the outcome of a batch", &failed)? };
        let outcome = BatchOutcome {
            pending: count(&unresolved.in_doubt) + count(&unresolved.not_sent),
            in_doubt: count(&unresolved.in_doubt),
            unresolved: &unresolved_json,
            failures: count(failed),
            failed: &failed_json,
        };
        let durable = self.write(|run, at| JournalWrite::outcome(run, at, number, &outcome)).await?;
        fail_point::hit_after(durable.wait(), "batch-outcome").await;
        Ok(())
    }

    /// It has succeeded with this answer.
    pub async fn done(&self, answer: &Value) -> Result<CommitAck, JournalError> {
        let answer = answer.to_string();
        self.write(|run, at| JournalWrite::ended(run, at, StepState::Done, &answer)).await
    }

    /// It has failed, and the script gets the error. Where the journal can't be decoded it stays in flight: what is
    /// recorded must not be overwritten.
    pub async fn failed(&self, error: &Value) -> Result<CommitAck, JournalError> {
        if matches!(self.journal.parked(), Some(JournalError::Undecodable(_))) {
            return Ok(CommitAck::default());
        }
        let error = error.to_string();
        self.write(|run, at| JournalWrite::ended(run, at, StepState::Failed, &error)).await
    }

    /// What the places of the steps on a page of this one begin with.
    fn page_prefix(&self, page: u64) -> String {
        format!("{}/{page}/", self.at)
    }

    /// The steps that earlier attempts have recorded on a page of this one. A row that can't be decoded parks the run.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recorded_on_page(&self, page: u64) -> Result<Vec<StepRow>, JournalError> {
        let Some(inner) = self.journal.0.as_ref().filter(|inner| inner.attempt.attempt > 1) else {
            return Ok(Vec::new());
        };
        let recorded = inner.store.children(&inner.attempt.run, &self.page_prefix(page)).await;
        recorded.map_err(|error| self.journal.park(error.into()))
    }

    /// The steps that follow are those of a page of this one.
    pub fn enter_page(&self, page: u64) {
        if let Some(inner) = &self.journal.0 {
            lock(&inner.scopes).push(ReplayScope::new(self.page_prefix(page)));
        }
    }

    /// Whether steps were begun on this page of it.
    #[must_use]
    pub fn has_children(&self, page: u64) -> bool {
        let prefix = self.page_prefix(page);
        let inner = self.journal.0.as_ref();
        inner.is_some_and(|inner| {
            lock(&inner.scopes).iter().any(|scope| scope.prefix == prefix && scope.next > 0)
        })
    }

    /// The steps that follow are no longer those of this page. Those that an earlier attempt left in flight on it and
    /// that replay did not reach are unreached from now on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn exit_page(&self, page: u64) -> Result<(), StoreError> {
        let Some(inner) = &self.journal.0 else { return Ok(()) };
        let prefix = self.page_prefix(page);
        let left: Vec<ReplayScope> =
            lock(&inner.scopes).extract_if(.., |scope| scope.prefix.starts_with(&prefix)).collect();
        if inner.attempt.attempt == 1 {
            return Ok(());
        }
        for scope in left {
            let mut rows = inner.store.in_flight_on_page(&inner.attempt.run, &scope.prefix).await?;
            rows.retain(|row| !scope.has_reached(&row.step));
            lock(&inner.unreached).extend(rows);
        }
        Ok(())
    }
}

/// The number of the last step that earlier attempts have begun; 0 when there is none.
async fn last_recorded(store: &Store, attempt: &Attempt) -> Result<i64, StoreError> {
    if attempt.attempt == 1 {
        return Ok(0);
    }
    // Replay finds steps by their places, so that it would pass over a damaged one.
    store.check_places(&attempt.run).await?;
    store.last_step(&attempt.run).await
}

/// The text of a column that holds JSON.
fn json(what: &'static str, value: &impl Serialize) -> Result<String, JournalError> {
    serde_json::to_string(value)
        .map_err(|error| JournalError::Unrecordable { what, reason: error.to_string() })
}

/// Another step is recorded in the place of this one.
fn mismatch(row: StepRow, identity: &StepIdentity) -> JournalError {
    JournalError::ReplayMismatch { step: row.step, was: row.label, is: identity.label.clone() }
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}
