//! Runs on threads of this process: for tests, whose daemons share a clock that they turn.

use super::runner::{Reporter, RunHandle, Runner, Spawned};
use crate::{
    base::ProcessId,
    bulk::Attempt,
    host::Host,
    run::worker::{self, HandlerRun},
};
use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};
use tokio::runtime::Runtime;

/// Executes each run on a thread of this process.
pub struct InProcess {
    owner: ProcessId,
    runtime: Arc<Runtime>,
}

impl InProcess {
    /// A runner whose runs belong to this process.
    #[must_use]
    pub fn new(host: &Host, runtime: &Arc<Runtime>) -> Self {
        Self { owner: host.process.clone(), runtime: Arc::clone(runtime) }
    }
}

impl Runner for InProcess {
    fn spawn(&self) -> io::Result<Spawned> {
        let (give, given) = mpsc::channel::<(HandlerRun, Attempt, Reporter)>();
        let (runtime, alive) = (Arc::clone(&self.runtime), Arc::new(()));
        let handle = RunHandle::new(&alive);
        thread::Builder::new().name("run".to_owned()).spawn(move || {
            // The sender is dropped where the run is not started after all.
            if let Ok((plan, attempt, reporter)) = given.recv() {
                let run = attempt.run.clone();
                let outcome = worker::execute(&runtime, plan, attempt);
                reporter.report(&run, outcome);
            }
            drop(alive);
        })?;
        let start = move |plan, attempt, reporter| {
            // The thread waits for it.
            let _ = give.send((plan, attempt, reporter));
            handle
        };
        Ok(Spawned { owner: self.owner.clone(), start: Box::new(start) })
    }
}
