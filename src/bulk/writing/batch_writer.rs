//! Writes changes to followers in batches, several of them in flight. A batch that is refused because of one openid is
//! halved until that openid is found and reported as failed.

use super::{
    failed_call::{AfterFailure, TagAge, after_failure},
    limits::{Limit, Limits},
};
use crate::{
    api::{
        Violation,
        errcode::{self, TOO_MANY_TAGS_OF_FOLLOWER},
        user::User,
    },
    base::{RetrySchedule, Stopwatch},
    bulk::{
        WINDOW,
        effect::dry_run::DryRun,
        journal::{
            error::JournalError,
            fail_point,
            journal::{CommitAck, Step},
        },
        model::{
            batch::{ChangeItem, Unresolved, read_failed, read_items},
            change::Change,
            counts::Counters,
            failure::Failure,
        },
    },
    client::{CallError, Client, Refusal},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;

/// How long the servers of the platform may not know a tag that was created.
const NEW_TAG_WINDOW: Duration = Duration::from_mins(1);

/// The retries of a batch that is refused because a new tag is not known yet.
const NEW_TAG_RETRY: RetrySchedule = RetrySchedule {
    max_attempts: 5,
    initial_backoff: Duration::from_millis(500),
    max_backoff: Duration::from_secs(8),
    max_elapsed: Duration::from_mins(1),
};

/// Why a job can't go on.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A call failed.
    #[error("{0}")]
    Call(#[from] CallError),
    /// A limit of the run was reached.
    #[error("{0}")]
    Limit(#[from] Limit),
    /// The journal can't be written.
    #[error("{0}")]
    Journal(#[from] JournalError),
}

/// The outcome of a batch.
#[derive(Default)]
struct BatchOutcome {
    /// The size of the batch.
    size: usize,
    /// Followers that were changed, or are in doubt.
    used: usize,
    failed: Vec<Failure>,
    /// Items in doubt: they count as failed until the run is resumed.
    in_doubt: Vec<Failure>,
    /// Items without an outcome.
    unresolved: Unresolved,
    /// Why the job can't go on.
    error: Option<JobError>,
}

/// The configuration of a writer.
#[derive(Clone)]
pub struct BatchWriterConfig {
    /// Makes the calls.
    pub client: Client,
    /// The most calls in flight.
    pub in_flight: usize,
    /// What is done.
    pub change: Change,
    /// Where it is counted.
    pub counts: Arc<Counters>,
    /// What the run may do at the most.
    pub limits: Arc<Limits>,
    /// When the tag was made, if this job has made it.
    pub created_at: Option<Stopwatch>,
    /// The step that records it.
    pub step: Step,
    /// Nothing is sent: only what would be is counted.
    pub dry: Option<Arc<DryRun>>,
}

/// Writes changes; dropping it lets the calls in flight end and makes no more.
pub struct BatchWriter {
    config: BatchWriterConfig,
    waiting: Vec<ChangeItem>,
    batches: JoinSet<BatchOutcome>,
    failed: Vec<Failure>,
    next_batch: i64,
    /// In a dry run: the openids that wait and that the platform would refuse.
    refused: HashMap<String, Violation>,
}

/// A writer that resumed, and what an earlier attempt had batched.
pub struct ResumedWriter {
    /// The writer.
    pub writer: BatchWriter,
    /// Openids that are listed again though they are batched: in a batch after the checkpoint.
    pub already_batched: HashSet<String>,
}

/// How far a writer is, for a checkpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchProgress<'a> {
    /// The items that wait for their batch to be full.
    pub waiting: &'a [ChangeItem],
    /// The number of the next batch.
    pub next_batch: i64,
}

/// The result of a writer.
pub struct FinishedWriter {
    /// The openids that failed, whatever happened.
    pub failed: Vec<Failure>,
    /// Why the job can't go on.
    pub result: Result<(), JobError>,
}

impl BatchWriter {
    /// A writer of one kind of change.
    #[must_use]
    pub fn new(config: BatchWriterConfig) -> Self {
        Self {
            config,
            waiting: Vec::new(),
            batches: JoinSet::new(),
            failed: Vec::new(),
            next_batch: 0,
            refused: HashMap::new(),
        }
    }

    /// A writer that resumes from the batches of a step: those with an outcome are counted, the others are sent again.
    /// `next_batch` is the checkpoint's.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn resume(
        config: BatchWriterConfig,
        waiting: Vec<ChangeItem>,
        next_batch: i64,
    ) -> Result<ResumedWriter, JournalError> {
        let mut writer = Self::new(config);
        let step = writer.config.step.clone();
        let (Some(store), Some(run)) = (step.journal().store(), step.journal().run()) else {
            return Ok(ResumedWriter { writer, already_batched: HashSet::new() });
        };
        let kind = writer.config.change.items();
        let totals = store.batch_totals(run, step.at()).await?;
        // Everything is decoded before anything is sent: a damaged row must not be found half way.
        let mut already_batched = HashSet::new();
        for row in store.batches_from(run, step.at(), next_batch).await? {
            already_batched.extend(read_items(&row, kind)?.iter().map(|item| item.openid().to_owned()));
        }
        let mut open = Vec::new();
        for row in store.open_batches(run, step.at()).await? {
            open.push((row.number, Unresolved::read(&row, kind)?, read_failed(&row)?));
        }
        for row in store.failed_batches(run, step.at()).await? {
            writer.failed.extend(read_failed(&row)?);
        }
        writer.next_batch = totals.next;
        let counts = &writer.config.counts;
        Counters::add(&counts.changed, usize::try_from(totals.ended - totals.failed).unwrap_or(0));
        Counters::add(&counts.failed, writer.failed.len());
        for (number, unresolved, failed) in open {
            let in_doubt = unresolved.in_doubt.iter().map(|item| item.openid().to_owned()).collect();
            let items: Vec<ChangeItem> = unresolved.in_doubt.into_iter().chain(unresolved.not_sent).collect();
            writer.config.limits.restore(items.len());
            writer.batches.spawn(write(
                writer.config.clone(),
                items,
                number,
                CommitAck::default(),
                PriorOutcome { failed, in_doubt },
            ));
        }
        // What was waiting is decided, and is not listed again.
        writer.waiting = waiting;
        writer.waiting.retain(|item| !already_batched.remove(item.openid()));
        Ok(ResumedWriter { writer, already_batched })
    }

    /// Takes one change; it is sent when its batch is full, or at the end. A dry run holds it to the platform's rules, as far
    /// as the follower's details show whether it breaks one.
    pub fn push(&mut self, item: ChangeItem, details: Option<&User>) {
        if let Some(dry) = &self.config.dry {
            let details = details.map(|user| dry.overlay_user(user));
            if let Err(violation) = self.config.change.check_item(&item, details.as_deref()) {
                self.refused.insert(item.openid().to_owned(), violation);
            }
        }
        self.waiting.push(item);
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> BatchProgress<'_> {
        BatchProgress { waiting: &self.waiting, next_batch: self.next_batch }
    }

    /// Sends the batches that are full, waiting while too many are in flight.
    ///
    /// # Errors
    /// When the job can't go on.
    pub async fn send_full(&mut self) -> Result<(), JobError> {
        while self.waiting.len() >= self.config.change.batch_size() {
            self.send_next().await?;
        }
        Ok(())
    }

    /// Sends what is left and waits for every answer.
    pub async fn finish(mut self) -> FinishedWriter {
        let mut result = Ok(());
        while result.is_ok() && !self.waiting.is_empty() {
            result = self.send_next().await;
        }
        while let Some(outcome) = self.batches.join_next().await {
            let ended = self.collect(outcome);
            result = result.and(ended);
        }
        FinishedWriter { failed: self.failed, result }
    }

    /// Waits for the answers that are on their way and sends nothing more.
    pub async fn stop(mut self) -> Vec<Failure> {
        self.waiting.clear();
        self.finish().await.failed
    }

    async fn send_next(&mut self) -> Result<(), JobError> {
        while self.batches.len() >= self.config.in_flight * WINDOW {
            match self.batches.join_next().await {
                Some(outcome) => self.collect(outcome)?,
                None => break,
            }
        }
        // Answers that have already arrived may say that the job can't go on.
        while let Some(outcome) = self.batches.try_join_next() {
            self.collect(outcome)?;
        }
        let wanted = self.config.change.batch_size().min(self.waiting.len());
        let size = loop {
            match self.config.limits.reserve(wanted) {
                Ok(size) => break size,
                // Batches in flight may still return reserved changes.
                Err(limit) => match self.batches.join_next().await {
                    Some(outcome) => self.collect(outcome)?,
                    None => return Err(limit.into()),
                },
            }
        };
        let batch: Vec<ChangeItem> = self.waiting.drain(..size).collect();
        if let Some(dry) = &self.config.dry {
            let size = batch.len();
            let mut changed = Vec::with_capacity(size);
            for item in batch {
                match self.refused.remove(item.openid()) {
                    None => changed.push(item),
                    Some(violation) => {
                        let code = violation.errcode();
                        self.failed.push(refused(item, code, errcode::text(code), None));
                    }
                }
            }
            let failed = size - changed.len();
            Counters::add(&self.config.counts.failed, failed);
            // A follower whose change is refused uses nothing of the limit, as in the live run.
            self.config.limits.release(failed);
            dry.record_batch(self.config.change.spec(), self.config.change, &changed, &self.config.counts);
            return Ok(());
        }
        let number = self.next_batch;
        self.next_batch += 1;
        let durable = self.config.step.intent(number, &batch).await?;
        self.batches.spawn(write(self.config.clone(), batch, number, durable, PriorOutcome::default()));
        Ok(())
    }

    fn collect(&mut self, outcome: Result<BatchOutcome, tokio::task::JoinError>) -> Result<(), JobError> {
        // Batches are never aborted; a panic in one is a bug to be seen.
        let outcome = outcome.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        self.config.limits.release(outcome.size - outcome.used);
        self.failed.extend(outcome.failed);
        self.failed.extend(outcome.in_doubt);
        outcome.error.map_or(Ok(()), Err)
    }
}

/// What earlier attempts left of a batch: the openids that were refused, and those in doubt.
#[derive(Default)]
struct PriorOutcome {
    failed: Vec<Failure>,
    in_doubt: HashSet<String>,
}

/// Writes one batch once its intent is on disk, and then what it came to.
async fn write(
    config: BatchWriterConfig,
    items: Vec<ChangeItem>,
    number: i64,
    intent: CommitAck,
    prior: PriorOutcome,
) -> BatchOutcome {
    if let Err(error) = intent.wait().await {
        return BatchOutcome {
            size: items.len(),
            unresolved: Unresolved { not_sent: items, ..Unresolved::default() },
            error: Some(error.into()),
            ..BatchOutcome::default()
        };
    }
    fail_point::hit("batch-intent");
    let mut outcome = send(&config, items).await;
    outcome.unresolved.keep_in_doubt(&prior.in_doubt);
    fail_point::hit("batch-call");
    let recorded = if prior.failed.is_empty() {
        config.step.outcome(number, &outcome.unresolved, &outcome.failed).await
    } else {
        let failed: Vec<Failure> = prior.failed.into_iter().chain(outcome.failed.iter().cloned()).collect();
        config.step.outcome(number, &outcome.unresolved, &failed).await
    };
    if let Err(error) = recorded {
        outcome.error.get_or_insert(error.into());
    }
    outcome
}

/// Sends one batch, in as many calls as it takes to find the openids that are refused.
async fn send(config: &BatchWriterConfig, items: Vec<ChangeItem>) -> BatchOutcome {
    let BatchWriterConfig { client, change, counts, created_at, .. } = config;
    let mut outcome = BatchOutcome { size: items.len(), ..BatchOutcome::default() };
    let mut retry = NEW_TAG_RETRY.start();
    let mut queue = vec![items];
    while let Some(part) = queue.pop() {
        let error = match change.send(client, &part).await {
            Ok(()) => {
                outcome.count_changed(part.len(), counts);
                continue;
            }
            Err(error) => error,
        };
        let is_new = created_at.is_some_and(|created| created.elapsed() < NEW_TAG_WINDOW);
        let age = if is_new { TagAge::New } else { TagAge::Settled };
        match after_failure(*change, &part, &error, age) {
            AfterFailure::ChangedExcept(failed) => {
                let (again, done): (Vec<ChangeItem>, Vec<_>) =
                    part.into_iter().partition(|item| failed.iter().any(|openid| openid == item.openid()));
                outcome.count_changed(done.len(), counts);
                queue.push(again);
            }
            AfterFailure::Bisect(refusal) => bisect(part, refusal, &mut queue, &mut outcome, counts),
            AfterFailure::SendLater => {
                queue.push(part);
                let Some(pause) = retry.next_delay() else {
                    return outcome.abort(Vec::new(), queue, error);
                };
                tokio::time::sleep(pause).await;
            }
            AfterFailure::NotSent => {
                queue.push(part);
                return outcome.abort(Vec::new(), queue, error);
            }
            AfterFailure::InDoubt => {
                let errmsg = error.to_string();
                Counters::add(&counts.failed, part.len());
                outcome.used += part.len();
                outcome.in_doubt.extend(part.iter().map(|item| Failure {
                    openid: item.openid().to_owned(),
                    errcode: None,
                    errmsg: errmsg.clone(),
                    rid: None,
                    is_of_details: false,
                }));
                return outcome.abort(part, queue, error);
            }
        }
    }
    outcome
}

impl BatchOutcome {
    fn count_changed(&mut self, followers: usize, counts: &Counters) {
        Counters::add(&counts.changed, followers);
        self.used += followers;
    }

    fn abort(mut self, in_doubt: Vec<ChangeItem>, not_sent: Vec<Vec<ChangeItem>>, error: CallError) -> Self {
        self.unresolved = Unresolved { in_doubt, not_sent: not_sent.into_iter().flatten().collect() };
        self.error = Some(error.into());
        self
    }
}

/// Splits a refused part in two; a single openid has failed.
fn bisect(
    mut part: Vec<ChangeItem>,
    refusal: &Refusal,
    queue: &mut Vec<Vec<ChangeItem>>,
    outcome: &mut BatchOutcome,
    counts: &Counters,
) {
    if part.len() > 1 {
        queue.push(part.split_off(part.len() / 2));
        queue.push(part);
        return;
    }
    Counters::add(&counts.failed, part.len());
    let Refusal { errcode, errmsg, rid, .. } = refusal;
    outcome.failed.extend(part.into_iter().map(|item| refused(item, *errcode, errmsg, rid.clone())));
}

/// A follower whose change the platform refused, or in a dry run would refuse.
fn refused(item: ChangeItem, errcode: i64, errmsg: &str, rid: Option<String>) -> Failure {
    let errmsg = if errcode == TOO_MANY_TAGS_OF_FOLLOWER { "already has 20 tags" } else { errmsg };
    let openid = item.into_openid();
    Failure { openid, errcode: Some(errcode), errmsg: errmsg.to_owned(), rid, is_of_details: false }
}
