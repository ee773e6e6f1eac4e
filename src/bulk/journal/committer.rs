//! The tasks of a run's journal: one commits its writes in groups, the other sends heartbeats.

use super::error::JournalError;
use crate::{
    base::{Cancel, Clock, Stopwatch, lock},
    store::{AttemptStatus, JournalWrite, Store, StoreError},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// The most writes of one commit.
pub(crate) const MAX_GROUP: usize = 256;

/// Between two heartbeats. Each is a commit: at a shorter interval those of a hundred runs would keep a SQLite store's only
/// writer busy.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// How often a run looks whether it is to stop, which only reads.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// How often a commit is attempted, a second apart.
const MAX_ATTEMPTS: u32 = 10;

/// A write that waits for its group.
pub(crate) struct PendingCommit {
    /// Absent where it is only asked whether everything before is durable.
    pub write: Option<JournalWrite>,
    /// Gets the answer.
    pub durable: oneshot::Sender<Result<(), StoreError>>,
}

/// The committer of one attempt's journal.
#[derive(Clone)]
pub(crate) struct GroupCommitter {
    pub store: Store,
    pub run: String,
    pub attempt: i64,
    pub clock: Clock,
    pub cancel: Cancel,
    pub parked: Arc<Mutex<Option<JournalError>>>,
}

impl GroupCommitter {
    /// Commits what comes; what has come together is one group.
    pub(crate) async fn write(self, mut received: mpsc::Receiver<PendingCommit>) {
        let mut batch = Vec::with_capacity(MAX_GROUP);
        let mut result = Ok(());
        while received.recv_many(&mut batch, MAX_GROUP).await > 0 {
            let (writes, waiting): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|PendingCommit { write, durable }| (write, durable)).unzip();
            let entries: Vec<JournalWrite> = writes.into_iter().flatten().collect();
            // After a failed commit nothing more is written: a later entry without the earlier ones would be an
            // inconsistent journal.
            if result.is_ok() && !entries.is_empty() {
                result = self.write_together(entries).await;
                if let Err(error) = &result {
                    lock(&self.parked).get_or_insert_with(|| error.clone().into());
                    self.cancel.cancel();
                }
            }
            for waiting in waiting {
                // The receiver was dropped if nothing waits for it.
                let _ = waiting.send(result.clone());
            }
        }
    }

    async fn write_together(&self, entries: Vec<JournalWrite>) -> Result<(), StoreError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.write_now(&entries).await {
                Err(
                    StoreError::Locked { .. }
                    | StoreError::TimedOut { .. }
                    | StoreError::Unreachable { .. }
                    | StoreError::Down { .. }
                    | StoreError::Full { .. },
                ) if attempts < MAX_ATTEMPTS && !self.cancel.is_cancelled() => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                written => return written,
            }
        }
    }

    async fn write_now(&self, entries: &[JournalWrite]) -> Result<(), StoreError> {
        let now = self.store.time(&self.clock).await?;
        self.store.write_journal(&self.run, self.attempt, now, entries).await
    }

    async fn send_heartbeat(&self) -> Result<AttemptStatus, StoreError> {
        let now = self.store.time(&self.clock).await?;
        self.store.heartbeat(&self.run, self.attempt, now).await
    }

    /// Sends heartbeats, and stops the run when that is requested or its attempt was fenced.
    pub(crate) async fn heartbeat(self) {
        let mut since_sent = Stopwatch::start();
        loop {
            tokio::time::sleep(STATUS_INTERVAL).await;
            let is_due = since_sent.elapsed() >= HEARTBEAT_INTERVAL;
            let status = if is_due {
                self.send_heartbeat().await
            } else {
                self.store.attempt_status(&self.run, self.attempt).await
            };
            if is_due && status.is_ok() {
                since_sent = Stopwatch::start();
            }
            match status {
                Ok(AttemptStatus::Fenced) => {
                    let place = self.store.location().to_owned();
                    lock(&self.parked).get_or_insert(StoreError::Conflict { location: place }.into());
                    self.cancel.cancel();
                }
                Ok(AttemptStatus::StopRequested) => self.cancel.cancel(),
                Err(error) if error.is_final() => {
                    lock(&self.parked).get_or_insert(error.into());
                    self.cancel.cancel();
                }
                // A store that does not answer now may half a second later; entries that it does not take stop the run.
                Ok(AttemptStatus::Alive) | Err(_) => {}
            }
        }
    }
}
