//! What is older than anybody wants is forgotten, a little at each step, so that it never stands in the way of a fire.

use super::{DAEMON_LEASE, Daemon, Level};
use crate::store::StoreError;

/// Between two times that what is older is forgotten, in milliseconds.
const TIDY_EVERY: i64 = 24 * 3_600_000;

impl Daemon {
    /// Forgets some of what is old; what the store can't do now it is asked for again the next day.
    pub(super) fn tidy(&mut self, now: i64) {
        if let Err(error) = self.try_to_tidy(now) {
            self.say(Level::Warn, "", "", &format!("what is old can't be forgotten now: {error}"));
        }
    }

    fn try_to_tidy(&mut self, now: i64) -> Result<(), StoreError> {
        if (now - self.tidied_at).abs() >= TIDY_EVERY {
            self.tidied_at = now;
            self.runtime.block_on(self.store.forget_leases(DAEMON_LEASE, now - TIDY_EVERY))?;
            let records = self.runtime.block_on(self.store.automations())?;
            self.untidy = records.into_iter().map(|record| Some(record.name)).chain([None]).collect();
        }
        let Some(of) = self.untidy.pop() else { return Ok(()) };
        let before = now.saturating_sub(i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX));
        let forgotten = match &of {
            Some(name) => self.runtime.block_on(self.store.forget_fires(name, before))?,
            None => self.runtime.block_on(self.store.forget_runs_by_hand(before))?,
        };
        if forgotten > 0 {
            // There may be more.
            self.untidy.push(of);
        }
        Ok(())
    }
}
