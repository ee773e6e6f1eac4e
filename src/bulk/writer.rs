//! Changes to followers, written in overlapping batches. A batch that is refused for the sake of
//! one openid is halved until that one is found and set aside.

use super::{
    WINDOW,
    board::Counts,
    limits::{Limit, Limits},
    report::Failure,
};
use crate::{
    api::{
        Batched, blacklist,
        errcode::{self, Class, ONE_OPENID},
        tag, user,
    },
    base::{RetrySchedule, Stopwatch},
    client::{CallError, Client, Refusal},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// The platform is still busy with one of the openids.
const OPENID_BUSY: i64 = 45169;

/// There is no such tag, or none that this part of the platform knows of yet.
const UNKNOWN_TAG: i64 = 45159;

/// The follower has as many tags as there may be.
const TOO_MANY_TAGS: i64 = 45059;

/// A tag is new for so long.
const NEW: Duration = Duration::from_mins(1);

/// How often a new tag is tried that is not known yet.
const NEW_TAG: RetrySchedule = RetrySchedule {
    tries: 5,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(8),
    in_all: Duration::from_mins(1),
};

/// What is done to followers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Put this tag on.
    Attach(i64),
    /// Take this tag off.
    Detach(i64),
    /// Put on the blacklist.
    Block,
    /// Take off the blacklist.
    Unblock,
    /// Set the remark that comes with each openid.
    Remark,
}

/// One openid, with what the change needs beside it.
#[derive(Clone, Debug)]
struct Item {
    openid: String,
    remark: String,
}

/// Why a job can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// A call failed.
    #[error("{0}")]
    Call(#[from] CallError),
    /// A limit of the run was reached.
    #[error("{0}")]
    Limit(#[from] Limit),
}

#[derive(Default)]
struct Written {
    /// How many the batch had.
    size: usize,
    /// Who was changed, or may have been.
    used: usize,
    failed: Vec<Failure>,
    /// The job can't go on.
    broken: Option<CallError>,
}

/// Writes changes; dropping it lets calls that are under way end and makes no more.
pub struct Writer {
    client: Client,
    change: Change,
    most_batches: usize,
    waiting: Vec<Item>,
    batches: JoinSet<Written>,
    counts: Arc<Counts>,
    failed: Vec<Failure>,
    limits: Arc<Limits>,
    /// When the tag was made, if this job has made it.
    made: Option<Stopwatch>,
}

impl Writer {
    /// A writer of one kind of change.
    #[must_use]
    pub fn new(
        client: &Client,
        in_flight: usize,
        change: Change,
        counts: Arc<Counts>,
        limits: Arc<Limits>,
        made: Option<Stopwatch>,
    ) -> Self {
        Self {
            client: client.clone(),
            change,
            most_batches: in_flight * WINDOW,
            waiting: Vec::new(),
            batches: JoinSet::new(),
            counts,
            failed: Vec::new(),
            limits,
            made,
        }
    }

    /// Takes one change; it is written when its batch is full, or at the end.
    pub fn push(&mut self, openid: String, remark: String) {
        self.waiting.push(Item { openid, remark });
    }

    /// Sets an openid aside that could not even be looked at.
    pub fn set_aside(&mut self, failures: Vec<Failure>) {
        self.failed.extend(failures);
    }

    /// Sends the batches that are full, waiting while too many are under way.
    ///
    /// # Errors
    /// When the job can't go on.
    pub async fn send_full(&mut self) -> Result<(), Stop> {
        while self.waiting.len() >= self.batch_size() {
            self.send_one().await?;
        }
        Ok(())
    }

    /// Sends what is left and waits for every answer; gives those who failed, whatever happened.
    pub async fn finish(mut self) -> (Vec<Failure>, Result<(), Stop>) {
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

    fn batch_size(&self) -> usize {
        match self.change {
            Change::Attach(_) => tag::Attach::MOST,
            Change::Detach(_) => tag::Detach::MOST,
            Change::Block => blacklist::Add::MOST,
            Change::Unblock => blacklist::Remove::MOST,
            Change::Remark => 1,
        }
    }

    async fn send_one(&mut self) -> Result<(), Stop> {
        while self.batches.len() >= self.most_batches {
            match self.batches.join_next().await {
                Some(written) => self.take_in(written)?,
                None => break,
            }
        }
        // Answers that are here already may say that the job can't go on.
        while let Some(written) = self.batches.try_join_next() {
            self.take_in(written)?;
        }
        let wanted = self.batch_size().min(self.waiting.len());
        let size = loop {
            match self.limits.take(wanted) {
                Ok(size) => break size,
                // What is under way may still give some back.
                Err(limit) => match self.batches.join_next().await {
                    Some(written) => self.take_in(written)?,
                    None => return Err(limit.into()),
                },
            }
        };
        let batch: Vec<Item> = self.waiting.drain(..size).collect();
        let counts = Arc::clone(&self.counts);
        self.batches.spawn(write(self.client.clone(), self.change, batch, counts, self.made));
        Ok(())
    }

    fn take_in(&mut self, written: Result<Written, tokio::task::JoinError>) -> Result<(), Stop> {
        // Batches are never aborted; a panic in one is a bug to be seen.
        let written = written.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        self.limits.give_back(written.size - written.used);
        self.failed.extend(written.failed);
        written.broken.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Writes one batch, in as many calls as it takes to find the openids that are refused.
async fn write(
    client: Client,
    change: Change,
    items: Vec<Item>,
    counts: Arc<Counts>,
    made: Option<Stopwatch>,
) -> Written {
    let mut written = Written { size: items.len(), ..Written::default() };
    let mut retry = NEW_TAG.start();
    let mut parts = vec![items];
    while let Some(mut part) = parts.pop() {
        let error = match call(&client, change, &part).await {
            Ok(()) => {
                Counts::add(&counts.changed, part.len());
                written.used += part.len();
                continue;
            }
            Err(error) => error,
        };
        match &error {
            // The others were done; those that are named are tried once more by themselves.
            CallError::Refused(refusal)
                if refusal.errcode == errcode::SOME_OPENIDS_FAILED && !refusal.failed.is_empty() =>
            {
                let (again, done): (Vec<Item>, _) =
                    part.into_iter().partition(|item| refusal.failed.contains(&item.openid));
                Counts::add(&counts.changed, done.len());
                written.used += done.len();
                if done.is_empty() {
                    fail_or_halve(again, refusal, &mut parts, &mut written, &counts);
                } else if !again.is_empty() {
                    parts.push(again);
                }
            }
            // A tag that was made a moment ago is not known everywhere yet.
            CallError::Refused(refusal)
                if refusal.errcode == UNKNOWN_TAG && made.is_some_and(|made| made.elapsed() < NEW) =>
            {
                let Some(pause) = retry.next_pause() else {
                    written.broken = Some(error);
                    return written;
                };
                tokio::time::sleep(pause).await;
                parts.push(part);
            }
            CallError::Refused(refusal) if may_be_one_openid(change, refusal) => {
                fail_or_halve(part, refusal, &mut parts, &mut written, &counts);
            }
            // Nobody was changed, and nobody is to blame: what was not reached is `skipped`.
            CallError::Refused(_) | CallError::Cancelled { .. } | CallError::NoToken { .. } => {
                written.broken = Some(error);
                return written;
            }
            // Whether it took effect is not known; that must not be forgotten.
            CallError::NoAnswer { .. } | CallError::Unreadable { .. } | CallError::NoTls(_) => {
                let errmsg = error.to_string();
                Counts::add(&counts.failed, part.len());
                written.used += part.len();
                written.failed.extend(part.drain(..).map(|item| Failure {
                    openid: item.openid,
                    errcode: None,
                    errmsg: errmsg.clone(),
                    rid: None,
                }));
                written.broken = Some(error);
                return written;
            }
        }
    }
    written
}

/// Whether a refusal can be for the sake of one openid of the batch.
fn may_be_one_openid(change: Change, refusal: &Refusal) -> bool {
    let is_of_openid = ONE_OPENID.contains(&refusal.errcode)
        || [OPENID_BUSY, errcode::SOME_OPENIDS_FAILED].contains(&refusal.errcode);
    // A remark's call has one openid, so whatever the request is refused for is its own.
    is_of_openid || (change == Change::Remark && refusal.class() == Class::Caller)
}

/// Sets the one aside, or looks for it in both halves.
fn fail_or_halve(
    mut part: Vec<Item>,
    refusal: &Refusal,
    parts: &mut Vec<Vec<Item>>,
    written: &mut Written,
    counts: &Counts,
) {
    if part.len() > 1 {
        parts.push(part.split_off(part.len() / 2));
        parts.push(part);
        return;
    }
    Counts::add(&counts.failed, part.len());
    written.failed.extend(part.into_iter().map(|item| Failure {
        openid: item.openid,
        errcode: Some(refusal.errcode),
        errmsg: match refusal.errcode {
            TOO_MANY_TAGS => "already has 20 tags".to_owned(),
            _ => refusal.errmsg.clone(),
        },
        rid: refusal.rid.clone(),
    }));
}

async fn call(client: &Client, change: Change, items: &[Item]) -> Result<(), CallError> {
    let openid_list = || items.iter().map(|item| item.openid.clone()).collect();
    match change {
        Change::Attach(tagid) => {
            client.call(&tag::Attach { tagid, openid_list: openid_list() }).await.map(drop)
        }
        Change::Detach(tagid) => {
            client.call(&tag::Detach { tagid, openid_list: openid_list() }).await.map(drop)
        }
        Change::Block => client.call(&blacklist::Add { openid_list: openid_list() }).await.map(drop),
        Change::Unblock => client.call(&blacklist::Remove { openid_list: openid_list() }).await.map(drop),
        Change::Remark => {
            // A batch of remarks has one item (see `batch_size`).
            for Item { openid, remark } in items.iter().cloned() {
                client.call(&user::Remark { openid, remark }).await?;
            }
            Ok(())
        }
    }
}
