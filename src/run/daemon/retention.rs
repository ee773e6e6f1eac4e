//! Purges fires and runs that are older than the retention period, a batch a step, so that it never delays a fire.

use super::{accounts::ServedAccounts, process::Process};
use crate::{
    base::EpochMs,
    run::kept::KeepPeriods,
    store::{AutomationId, LeaseKind, StoreError},
};
use std::time::Duration;

/// How long fires and their runs are kept by default.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(90 * 24);

/// Between two purges, and how long the lease of a dead process is kept.
const PURGE_INTERVAL: Duration = Duration::from_hours(24);

/// Something that a purge has still to go through.
enum Expirable {
    /// The fires of an automation, with their runs.
    Fires(AutomationId),
    /// Runs by hand.
    Runs,
    /// Lines of sessions.
    SessionLines,
}

/// What is purged, and when.
pub(super) struct Retention {
    /// How long fires and their runs are kept.
    pub period: Duration,
    /// How long other runs are.
    pub by_hand: KeepPeriods,
    /// The day of the last purge that was planned.
    planned: Option<i64>,
    /// The latest instant that counts as past, by which the planned purge goes.
    trusted_now: EpochMs,
    queue: Vec<Expirable>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            period: DEFAULT_RETENTION,
            by_hand: KeepPeriods::default(),
            planned: None,
            trusted_now: EpochMs::default(),
            queue: Vec::new(),
        }
    }
}

impl Retention {
    /// Purges one batch of what is recorded for these accounts, and of what was started by hand, if a purge is due or not
    /// done yet. What fails is left to the purge of the next day.
    pub(super) fn purge_expired(
        &mut self,
        process: &Process,
        accounts: &ServedAccounts,
        now: EpochMs,
    ) -> Result<(), StoreError> {
        let today = now.period(PURGE_INTERVAL);
        if self.planned != Some(today) {
            self.planned = Some(today);
            self.queue.clear();
            let before = now - PURGE_INTERVAL;
            process.wait(process.store.purge_leases(LeaseKind::Daemon, before))?;
            process.wait(process.store.purge_leases(LeaseKind::Serving, before))?;
            let seen = process.wait(process.store.see_day(now))?;
            let Some(trusted_now) = seen.trusted_now else { return Ok(()) };
            self.trusted_now = trusted_now;
            let accounts = accounts.keys();
            let records = process.wait(process.store.automations())?.into_iter();
            // The fires of one whose record can't be decoded have rows of their own.
            let ids =
                records.map(|record| record.map_or_else(|unreadable| unreadable.id, |record| record.id));
            let ours = ids.filter(|id| accounts.contains(&id.account));
            self.queue = ours.map(Expirable::Fires).collect();
            self.queue.extend([Expirable::Runs, Expirable::SessionLines]);
        }
        let Some(next) = self.queue.pop() else { return Ok(()) };
        let before = |period| self.trusted_now - period;
        let store = &process.store;
        let purged = match &next {
            Expirable::Fires(automation) => {
                process.wait(store.purge_fires(automation, before(self.period)))?
            }
            Expirable::Runs => process.wait(store.purge_runs_by_hand(before(self.by_hand.runs)))?,
            Expirable::SessionLines => {
                process.wait(store.purge_session_lines(before(self.by_hand.sessions)))?
            }
        };
        if purged > 0 {
            // The store purges a limited number at once.
            self.queue.push(next);
        }
        Ok(())
    }
}
