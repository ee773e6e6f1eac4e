//! A job that is running: what it does, and how far it is.

use super::{counts::Counters, estimate::Estimate, target::Target};
use crate::{base::Stopwatch, store::TerminalKind};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// A job that is running.
#[derive(Debug)]
pub struct Job {
    /// What it does: `tag`, `count`.
    pub operation: TerminalKind,
    /// What it does it to.
    pub target: Option<Target>,
    /// The most openids that it lists.
    pub max_listed: Option<usize>,
    /// How far it is.
    pub counts: Arc<Counters>,
    /// The calls that it is estimated to make, once that is known.
    pub cost: OnceLock<Vec<Estimate>>,
    since: Stopwatch,
}

impl Job {
    /// A job that begins now.
    #[must_use]
    pub fn begin(operation: TerminalKind, target: Option<Target>, max_listed: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            operation,
            target,
            max_listed,
            counts: Arc::default(),
            cost: OnceLock::new(),
            since: Stopwatch::start(),
        })
    }

    /// How long it has run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}
