//! Changes to followers, written in overlapping batches. A batch that is refused for the sake of
//! one openid is halved until that one is found and set aside.

use super::limits::{Limit, Limits};
use crate::{
    api::errcode::{self, Class, INVALID_TAG_ID, ONE_OPENID, OPENID_BUSY, TOO_MANY_TAGS_OF_FOLLOWER},
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
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// A tag is new for so long.
const NEW: Duration = Duration::from_mins(1);

/// How often a new tag is tried that is not known yet.
const NEW_TAG: RetrySchedule = RetrySchedule {
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
    /// What it does can't be written down.
    #[error("{0}")]
    Journal(#[from] JournalError),
}

/// What a batch came to.
#[derive(Default)]
struct Written {
    /// How many the batch had.
    size: usize,
    /// Who was changed, or may have been.
    used: usize,
    failed: Vec<Failure>,
    /// Items in doubt: they count as failed until the run is resumed.
    in_doubt: Vec<Failure>,
    /// Those who are not done.
    pending: Unresolved,
    /// The job can't go on.
    broken: Option<JobError>,
}

/// What a writer is made of.
#[derive(Clone)]
pub struct BatchWriterConfig {
    /// Who calls.
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
    pub made: Option<Stopwatch>,
    /// Where it is written down.
    pub step: Step,
    /// Nothing is sent: only what would be is counted.
    pub dry: Option<Arc<DryRun>>,
}

/// Writes changes; dropping it lets the calls in flight end and makes no more.
pub struct BatchWriter {
    settings: BatchWriterConfig,
    waiting: Vec<ChangeItem>,
    batches: JoinSet<Written>,
    failed: Vec<Failure>,
    next_batch: i64,
}

impl BatchWriter {
    /// A writer of one kind of change.
    #[must_use]
    pub fn new(settings: BatchWriterConfig) -> Self {
        Self { settings, waiting: Vec::new(), batches: JoinSet::new(), failed: Vec::new(), next_batch: 0 }
    }

    /// A writer that resumes from the batches of a step: those with an outcome are counted, the others are sent again.
    /// Gives those who come again and are in a batch already: in one from `next_batch` on, after the checkpoint.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn resume(
        settings: BatchWriterConfig,
        waiting: Vec<ChangeItem>,
        next_batch: i64,
    ) -> Result<(Self, HashSet<String>), JournalError> {
        let mut writer = Self::new(settings);
        let step = writer.settings.step.clone();
        let (Some(store), Some(run)) = (step.journal().store(), step.journal().run()) else {
            return Ok((writer, HashSet::new()));
        };
        let totals = store.batch_totals(run, step.at()).await?;
        // Everything is decoded before anything is sent: a damaged row must not be found half way.
        let mut asked = HashSet::new();
        for row in store.batches_from(run, step.at(), next_batch).await? {
            asked.extend(read_items(&row)?.iter().map(|item| item.openid().to_owned()));
        }
        let mut open = Vec::new();
        for row in store.open_batches(run, step.at()).await? {
            open.push((row.number, Unresolved::read(&row)?, read_failed(&row)?));
        }
        for row in store.failed_batches(run, step.at()).await? {
            writer.failed.extend(read_failed(&row)?);
        }
        writer.next_batch = totals.next;
        let counts = &writer.settings.counts;
        Counters::add(&counts.changed, usize::try_from(totals.ended - totals.failed).unwrap_or(0));
        Counters::add(&counts.failed, writer.failed.len());
        for (number, unresolved, failed) in open {
            let in_doubt = unresolved.in_doubt.iter().map(|item| item.openid().to_owned()).collect();
            let items: Vec<ChangeItem> = unresolved.in_doubt.into_iter().chain(unresolved.not_sent).collect();
            writer.settings.limits.restore(items.len());
            writer.batches.spawn(write(
                writer.settings.clone(),
                items,
                number,
                CommitAck::default(),
                Earlier { failed, in_doubt },
            ));
        }
        // Those who waited were decided over before; they do not come again.
        writer.waiting = waiting;
        writer.waiting.retain(|item| !asked.remove(item.openid()));
        Ok((writer, asked))
    }

    /// Takes one change; it is written when its batch is full, or at the end.
    pub fn push(&mut self, item: ChangeItem) {
        self.waiting.push(item);
    }

    /// Those who wait for their batch to be full, and its number.
    #[must_use]
    pub fn waiting(&self) -> (&[ChangeItem], i64) {
        (&self.waiting, self.next_batch)
    }

    /// Sends the batches that are full, waiting while too many are in flight.
    ///
    /// # Errors
    /// When the job can't go on.
    pub async fn send_full(&mut self) -> Result<(), JobError> {
        while self.waiting.len() >= self.settings.change.batch_size() {
            self.send_one().await?;
        }
        Ok(())
    }

    /// Sends what is left and waits for every answer; gives those who failed, whatever happened.
    pub async fn finish(mut self) -> (Vec<Failure>, Result<(), JobError>) {
        let mut result = Ok(());
        while result.is_ok() && !self.waiting.is_empty() {
            result = self.send_one().await;
        }
        while let Some(written) = self.batches.join_next().await {
            let ended = self.take_in(written);
            result = result.and(ended);
        }
        (self.failed, result)
    }

    /// Waits for the answers that are on their way and sends nothing more.
    pub async fn stop(mut self) -> Vec<Failure> {
        self.waiting.clear();
        self.finish().await.0
    }

    async fn send_one(&mut self) -> Result<(), JobError> {
        while self.batches.len() >= self.settings.in_flight * WINDOW {
            match self.batches.join_next().await {
                Some(written) => self.take_in(written)?,
                None => break,
            }
        }
        // Answers that are here already may say that the job can't go on.
        while let Some(written) = self.batches.try_join_next() {
            self.take_in(written)?;
        }
        let wanted = self.settings.change.batch_size().min(self.waiting.len());
        let size = loop {
            match self.settings.limits.reserve(wanted) {
                Ok(size) => break size,
                // Batches in flight may still release some.
                Err(limit) => match self.batches.join_next().await {
                    Some(written) => self.take_in(written)?,
                    None => return Err(limit.into()),
                },
            }
        };
        let batch: Vec<ChangeItem> = self.waiting.drain(..size).collect();
        if let Some(dry) = &self.settings.dry {
            self.failed.extend(dry.record_batch(self.settings.change, batch, &self.settings.counts));
            return Ok(());
        }
        let number = self.next_batch;
        self.next_batch += 1;
        let durable = self.settings.step.intent(number, &batch).await?;
        self.batches.spawn(write(self.settings.clone(), batch, number, durable, Earlier::default()));
        Ok(())
    }

    fn take_in(&mut self, written: Result<Written, tokio::task::JoinError>) -> Result<(), JobError> {
        // Batches are never aborted; a panic in one is a bug to be seen.
        let written = written.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        self.settings.limits.release(written.size - written.used);
        self.failed.extend(written.failed);
        self.failed.extend(written.in_doubt);
        written.broken.map_or(Ok(()), Err)
    }
}

/// What earlier tries have left of a batch: who was refused, and whose change may have been made.
#[derive(Default)]
struct Earlier {
    failed: Vec<Failure>,
    in_doubt: HashSet<String>,
}

/// Writes one batch once its intent is on disk, and then what it came to.
async fn write(
    settings: BatchWriterConfig,
    items: Vec<ChangeItem>,
    number: i64,
    intent: CommitAck,
    earlier: Earlier,
) -> Written {
    if let Err(error) = intent.wait().await {
        return Written {
            size: items.len(),
            pending: Unresolved { not_sent: items, ..Unresolved::default() },
            broken: Some(error.into()),
            ..Written::default()
        };
    }
    fail_point::hit("batch-intent");
    let mut written = send(&settings, items).await;
    written.pending.keep_in_doubt(&earlier.in_doubt);
    fail_point::hit("batch-call");
    let outcome = if earlier.failed.is_empty() {
        settings.step.outcome(number, &written.pending, &written.failed).await
    } else {
        let failed: Vec<Failure> = earlier.failed.into_iter().chain(written.failed.iter().cloned()).collect();
        settings.step.outcome(number, &written.pending, &failed).await
    };
    if let Err(error) = outcome {
        written.broken.get_or_insert(error.into());
    }
    written
}

/// Sends one batch, in as many calls as it takes to find the openids that are refused.
async fn send(settings: &BatchWriterConfig, items: Vec<ChangeItem>) -> Written {
    let BatchWriterConfig { client, change, counts, made, .. } = settings;
    let mut written = Written { size: items.len(), ..Written::default() };
    let mut retry = NEW_TAG.start();
    let mut parts = vec![items];
    while let Some(part) = parts.pop() {
        let error = match change.send(client, &part).await {
            Ok(()) => {
                Counters::add(&counts.changed, part.len());
                written.used += part.len();
                continue;
            }
            Err(error) => error,
        };
        match &error {
            // The others were changed; those that are named are retried by themselves.
            CallError::Refused(refusal)
                if refusal.errcode == errcode::SOME_OPENIDS_FAILED && !refusal.failed.is_empty() =>
            {
                let (again, done): (Vec<ChangeItem>, _) =
                    part.into_iter().partition(|item| refusal.failed.iter().any(|one| one == item.openid()));
                Counters::add(&counts.changed, done.len());
                written.used += done.len();
                if done.is_empty() {
                    fail_or_halve(again, refusal, &mut parts, &mut written, counts);
                } else if !again.is_empty() {
                    parts.push(again);
                }
            }
            // A tag that was made a moment ago is not known everywhere yet.
            CallError::Refused(refusal)
                if refusal.errcode == INVALID_TAG_ID && made.is_some_and(|made| made.elapsed() < NEW) =>
            {
                parts.push(part);
                let Some(pause) = retry.next_delay() else {
                    return written.broken_off(Vec::new(), parts, error);
                };
                tokio::time::sleep(pause).await;
            }
            CallError::Refused(refusal) if may_be_one_openid(*change, refusal) => {
                fail_or_halve(part, refusal, &mut parts, &mut written, counts);
            }
            // No openid was changed, and none is at fault: what was not reached is `skipped`.
            CallError::Refused(_) | CallError::Cancelled { .. } | CallError::NoToken { .. }
                if !error.is_in_doubt() =>
            {
                parts.push(part);
                return written.broken_off(Vec::new(), parts, error);
            }
            // Whether it took effect is not known; that must not be forgotten.
            _ => {
                let errmsg = error.to_string();
                Counters::add(&counts.failed, part.len());
                written.used += part.len();
                written.in_doubt.extend(part.iter().map(|item| Failure {
                    openid: item.openid().to_owned(),
                    errcode: None,
                    errmsg: errmsg.clone(),
                    rid: None,
                    is_of_details: false,
                }));
                return written.broken_off(part, parts, error);
            }
        }
    }
    written
}

impl Written {
    fn broken_off(
        mut self,
        in_doubt: Vec<ChangeItem>,
        not_sent: Vec<Vec<ChangeItem>>,
        error: CallError,
    ) -> Self {
        self.pending = Unresolved { in_doubt, not_sent: not_sent.into_iter().flatten().collect() };
        self.broken = Some(error.into());
        self
    }
}

/// Whether a refusal can be for the sake of one openid of the batch.
fn may_be_one_openid(change: Change, refusal: &Refusal) -> bool {
    let is_of_openid = ONE_OPENID.contains(&refusal.errcode)
        || [OPENID_BUSY, errcode::SOME_OPENIDS_FAILED].contains(&refusal.errcode);
    // A call that takes a single openid is refused for that one's sake, whatever the code.
    is_of_openid || (change.batch_size() == 1 && refusal.class() == Class::Caller)
}

/// Sets the one aside, or looks for it in both halves.
fn fail_or_halve(
    mut part: Vec<ChangeItem>,
    refusal: &Refusal,
    parts: &mut Vec<Vec<ChangeItem>>,
    written: &mut Written,
    counts: &Counters,
) {
    if part.len() > 1 {
        parts.push(part.split_off(part.len() / 2));
        parts.push(part);
        return;
    }
    Counters::add(&counts.failed, part.len());
    written.failed.extend(part.into_iter().map(|item| Failure {
        openid: item.openid().to_owned(),
        errcode: Some(refusal.errcode),
        errmsg: match refusal.errcode {
            TOO_MANY_TAGS_OF_FOLLOWER => "already has 20 tags".to_owned(),
            _ => refusal.errmsg.clone(),
        },
        rid: refusal.rid.clone(),
        is_of_details: false,
    }));
}
