//! Purges fires and runs that are older than the retention period, a batch a step, so that it never delays a fire.

use super::{accounts::ServedAccounts, process::Process};
use crate::{
    base::EpochMs,
    client::AccountKey,
    run::kept::{KeepPeriods, purge_calls},
    store::{AutomationId, AutomationRecord, StoreError, UnreadableAutomation},
};
use std::time::Duration;

/// How long fires and their runs are kept by default.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(90 * 24);

/// The interval between two purges, and how long an expired lease is kept.
const PURGE_INTERVAL: Duration = Duration::from_hours(24);

/// A kind of rows that a planned purge has not finished yet.
enum Expirable {
    /// The fires of an automation, with their runs.
    Fires(AutomationId),
    /// The fires of an automation that no daemon serves any more, with their runs.
    ForeignFires(AutomationId),
    /// All that is recorded of an automation, of a sandbox that no daemon serves any more.
    Unserved(AutomationId),
    /// What is recorded of calls: the ledger, tokens, budgets.
    Calls,
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
    /// How long what no daemon serves any more is kept: its own daemon may have kept it for longer than this one.
    fn foreign_period(&self) -> Duration {
        self.period.max(DEFAULT_RETENTION)
    }

    /// Purges one batch of what is recorded for these accounts and for those that no daemon serves, and of what was started
    /// by hand, if a purge is due or not done yet. What fails is left to the purge of the next day.
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
            process.wait(process.store.purge_leases(process.store_time()? - PURGE_INTERVAL))?;
            let seen = process.wait(process.store.see_day(now))?;
            let Some(trusted_now) = seen.trusted_now else { return Ok(()) };
            self.trusted_now = trusted_now;
            let (ours, served) = (accounts.keys(), process.served_accounts()?);
            let unserved_since = trusted_now - self.foreign_period();
            let expirable = |record: Result<AutomationRecord, UnreadableAutomation>| {
                // The fires of one whose record can't be decoded have rows of their own.
                let (id, seen_at) = record.map_or_else(
                    |unreadable| (unreadable.id, EpochMs::MAX),
                    |record| (record.id, record.served_at.max(record.confirmed_at)),
                );
                match id.account.as_str() {
                    account if ours.contains(account) => Some(Expirable::Fires(id)),
                    // The daemon that serves it has a retention of its own, also while it is stopped for a time.
                    account if served.includes(account) || seen_at >= unserved_since => None,
                    account if is_sandbox(account) => Some(Expirable::Unserved(id)),
                    _ => Some(Expirable::ForeignFires(id)),
                }
            };
            let records = process.wait(process.store.automations())?;
            self.queue = vec![Expirable::Calls];
            self.queue.extend(records.into_iter().filter_map(expirable));
            self.queue.extend([Expirable::Runs, Expirable::SessionLines]);
            process.wait(process.store.confirm_served(accounts.ids(), now))?;
        }
        let Some(next) = self.queue.pop() else { return Ok(()) };
        let before = |period| self.trusted_now - period;
        let store = &process.store;
        let purged = match &next {
            Expirable::Fires(automation) => {
                process.wait(store.purge_fires(automation, before(self.period)))?
            }
            Expirable::ForeignFires(automation) => {
                process.wait(store.purge_fires(automation, before(self.foreign_period())))?
            }
            Expirable::Unserved(automation) => {
                process.wait(store.purge_unserved(automation, before(self.foreign_period())))?
            }
            Expirable::Calls => {
                process.wait(purge_calls(store, self.trusted_now))?;
                0
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

/// Whether an account is a sandbox's: its key names an address of this machine.
fn is_sandbox(account: &str) -> bool {
    account.parse::<AccountKey>().is_ok_and(|key| key.is_on_this_machine())
}
