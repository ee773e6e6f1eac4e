//! The clock by which all processes of a store judge heartbeats and leases: the database server's. The processes of a file
//! are on one machine, whose clock they share.

use super::{Cells, Statement, Store, StoreError, StoreTime, store_time::Reading};
use crate::base::{Clock, ClockSkew, lock};
use std::time::Duration;

/// A reading that took longer says too little of how far two clocks differ.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);

impl Store {
    /// The time now. To be asked before the rows are read that are judged by it.
    pub async fn time(&self, clock: &Clock) -> Result<StoreTime, StoreError> {
        let Some(sql) = self.driver.server_clock() else { return Ok(StoreTime::new(clock.now())) };
        // By how much a test has advanced `clock` is added to what the server says, and is no difference of clocks.
        let machine = Clock::system();
        let asked_at = machine.monotonic();
        let known = *lock(&self.reading);
        let reading = match known {
            Some(known) if known.is_recent(asked_at, machine.now()) => known,
            _ => {
                let rows = self.query(Statement::new(sql)).await?;
                let at = machine.monotonic();
                let Some(row) = rows.first() else {
                    let (location, reason) =
                        (self.location().to_owned(), "its server tells no time".to_owned());
                    return Err(StoreError::Other { location, reason });
                };
                let server = Cells::new("the server", "clock_timestamp", "clock", row).instant()?;
                let is_exact = at.saturating_sub(asked_at) <= MAX_ROUND_TRIP;
                let measured = is_exact.then(|| ClockSkew::between(machine.now(), server));
                let wall = machine.now();
                let reading =
                    Reading { server, at, wall, skew: measured.or(known.and_then(|known| known.skew)) };
                *lock(&self.reading) = Some(reading);
                reading
            }
        };
        Ok(reading.continued_to(clock.monotonic()))
    }

    /// How far this machine's clock is from the server's, as it was measured last; `None` where there is no server, or it was
    /// not asked for the time yet.
    #[must_use]
    pub fn clock_skew(&self) -> Option<ClockSkew> {
        lock(&self.reading).and_then(|reading| reading.skew)
    }
}
