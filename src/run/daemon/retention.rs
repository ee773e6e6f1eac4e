//! Purges fires and runs that are older than the retention period, a batch a step, so that it never delays a fire.

use super::process::{DAEMON_LEASE, Process};
use crate::{base::EpochMs, store::StoreError};
use std::time::Duration;

/// How long fires and their runs are kept by default.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(90 * 24);

/// Between two purges.
const PURGE_INTERVAL: Duration = Duration::from_hours(24);

/// Something that a purge has still to go through.
enum Expirable {
    /// The fires of an automation, with their runs.
    Fires(String),
    /// Runs of automations that belong to no fire: those started by hand, and failure hooks.
    ManualRuns,
}

/// What is purged, and when.
pub(super) struct Retention {
    pub period: Duration,
    /// When the last purge was planned.
    planned_at: EpochMs,
    queue: Vec<Expirable>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { period: DEFAULT_RETENTION, planned_at: EpochMs::default(), queue: Vec::new() }
    }
}

impl Retention {
    /// Purges one batch, if a purge is due or not done yet. What fails is left to the purge of the next day.
    pub(super) fn purge_expired(&mut self, process: &Process, now: EpochMs) -> Result<(), StoreError> {
        if now.distance(self.planned_at) >= PURGE_INTERVAL {
            self.planned_at = now;
            let before = now - PURGE_INTERVAL;
            process.wait(process.store.purge_leases(DAEMON_LEASE, before))?;
            let records = process.wait(process.store.automations())?;
            let fires = records.into_iter().map(|record| Expirable::Fires(record.name));
            self.queue = fires.chain([Expirable::ManualRuns]).collect();
        }
        let Some(next) = self.queue.pop() else { return Ok(()) };
        let before = now - self.period;
        let purged = match &next {
            Expirable::Fires(automation) => process.wait(process.store.purge_fires(automation, before))?,
            Expirable::ManualRuns => process.wait(process.store.purge_runs_without_fire(before))?,
        };
        if purged > 0 {
            // The store purges a limited number at once.
            self.queue.push(next);
        }
        Ok(())
    }
}
