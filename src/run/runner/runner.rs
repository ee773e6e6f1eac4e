//! The trait that both ways to execute a run have, and how a run reports its end.

use crate::{
    base::ProcessId,
    bulk::Attempt,
    run::worker::{HandlerRun, RunOutcome},
};
use std::{
    io,
    sync::{Arc, Weak, mpsc::Sender},
};

/// Wakes the thread that waits between two steps.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Executes runs.
pub trait Runner: Send + Sync {
    /// Obtains what one run needs, its thread or its process. Nothing is recorded before: a run that can't have it waits.
    fn spawn(&self) -> io::Result<Spawned>;
}

/// A thread or a process that waits for its run; dropped, it ends without one.
pub struct Spawned {
    /// The process that executes the run.
    pub owner: ProcessId,
    /// Starts the run.
    pub start: Box<dyn FnOnce(HandlerRun, Attempt, Reporter) -> RunHandle + Send>,
}

/// A run that was started.
pub struct RunHandle(Weak<()>);

impl RunHandle {
    /// The handle of a run that is executed as long as `alive` is held.
    #[must_use]
    pub fn new(alive: &Arc<()>) -> Self {
        Self(Arc::downgrade(alive))
    }

    /// Whether nothing executes the run any more; it has reported its outcome before, unless its thread has panicked.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// A run that has ended.
pub struct RunFinished {
    /// The run.
    pub run: String,
    /// How it ended.
    pub outcome: RunOutcome,
}

/// Where a run reports its outcome.
#[derive(Clone)]
pub struct Reporter {
    /// To the daemon.
    pub finished: Sender<RunFinished>,
    /// Wakes it.
    pub waker: Waker,
}

impl Reporter {
    /// Reports how a run ended.
    pub fn report(&self, run: &str, outcome: RunOutcome) {
        // The receiver is dropped when the daemon has stopped.
        let _ = self.finished.send(RunFinished { run: run.to_owned(), outcome });
        (self.waker)();
    }
}
