//! Purges fires and runs that are older than the retention period, a batch a step, so that it never delays a fire.

use super::process::{DAEMON_LEASE, Process, SERVING_LEASE};
use crate::{
    base::EpochMs,
    store::{AutomationId, StoreError},
};
use std::{collections::BTreeSet, time::Duration};

/// How long fires and their runs are kept by default.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(90 * 24);

/// Between two purges.
const PURGE_INTERVAL: Duration = Duration::from_hours(24);

/// Something that a purge has still to go through.
enum Expirable {
    /// The fires of an automation, with their runs.
    Fires(AutomationId),
    /// Runs of an account's automations that belong to no fire: those started by hand, and failure hooks.
    ManualRuns(String),
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
    /// Purges one batch of what is recorded for these accounts, if a purge is due or not done yet. What fails is left to
    /// the purge of the next day.
    pub(super) fn purge_expired(
        &mut self,
        process: &Process,
        accounts: &BTreeSet<String>,
        now: EpochMs,
    ) -> Result<(), StoreError> {
        if now.distance(self.planned_at) >= PURGE_INTERVAL {
            self.planned_at = now;
            let before = now - PURGE_INTERVAL;
            process.wait(process.store.purge_leases(DAEMON_LEASE, before))?;
            process.wait(process.store.purge_leases(SERVING_LEASE, before))?;
            let records = process.wait(process.store.automations())?;
            let ours =
                records.into_iter().map(|record| record.id).filter(|id| accounts.contains(&id.account));
            let runs = accounts.iter().cloned().map(Expirable::ManualRuns);
            self.queue = ours.map(Expirable::Fires).chain(runs).collect();
        }
        let Some(next) = self.queue.pop() else { return Ok(()) };
        let before = now - self.period;
        let purged = match &next {
            Expirable::Fires(automation) => process.wait(process.store.purge_fires(automation, before))?,
            Expirable::ManualRuns(account) => {
                process.wait(process.store.purge_runs_without_fire(account, before))?
            }
        };
        if purged > 0 {
            // The store purges a limited number at once.
            self.queue.push(next);
        }
        Ok(())
    }
}
