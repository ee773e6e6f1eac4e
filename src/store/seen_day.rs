//! The days on which the store was used. A clock alone is not trusted when something is deleted for its age: one that is
//! a year ahead would delete everything.

use super::{Cells, Row, Statement, Store, StoreError};
use crate::base::EpochMs;
use std::time::Duration;

/// A day counts as past once the store was used on this many later days.
const MIN_LATER_DAYS: usize = 7;

const DAY: Duration = Duration::from_hours(24);

/// What is known of the days after one was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenDay {
    /// Whether no process has recorded this day before.
    pub is_new: bool,
    /// The latest instant that counts as past; `None` until the store was used on enough days.
    pub trusted_now: Option<EpochMs>,
}

impl Store {
    /// Records the day of `now` as a day of use. Recorded days after it come from a clock that was ahead; they are deleted.
    pub async fn see_day(&self, now: EpochMs) -> Result<SeenDay, StoreError> {
        let today = now.period(DAY);
        let seen = self.seen_days().await?;
        if seen.first() == Some(&today) {
            return Ok(SeenDay { is_new: false, trusted_now: trusted_now(&seen) });
        }
        let ahead = Statement::new("DELETE FROM mpscript_day WHERE day > $1");
        let insert =
            Statement::new("INSERT INTO mpscript_day (day) VALUES ($1) ON CONFLICT (day) DO NOTHING");
        let needless = Statement::new("DELETE FROM mpscript_day WHERE day < $1");
        let mut all = vec![ahead.with(today), insert.with(today)];
        // With today's there are enough later days without the earliest one.
        all.extend(seen.get(MIN_LATER_DAYS).map(|day| needless.with(*day)));
        let is_new = self.transaction(all).await?.get(1) == Some(&1);
        Ok(SeenDay { is_new, trusted_now: trusted_now(&self.seen_days().await?) })
    }

    /// The days on which the store was used, the latest first.
    async fn seen_days(&self) -> Result<Vec<i64>, StoreError> {
        let rows = self.query(Statement::new("SELECT day FROM mpscript_day ORDER BY day DESC")).await?;
        let day = |row: &Row| Cells::new("mpscript_day", "day", &row.cell(0).to_string(), row).integer();
        rows.iter().map(day).collect()
    }
}

/// The start of the day that has `MIN_LATER_DAYS` later ones.
fn trusted_now(days: &[i64]) -> Option<EpochMs> {
    days.get(MIN_LATER_DAYS).map(|day| EpochMs::period_start(*day, DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_instant_is_the_start_of_the_day_before_enough_later_ones() {
        let day = |number: i64| EpochMs::new(number * 86_400_000);
        assert_eq!(trusted_now(&[27, 26, 25, 24, 23, 22, 21, 20, 19]), Some(day(20)));
        assert_eq!(trusted_now(&[27, 26, 25, 24, 23, 22, 21]), None);
        assert_eq!(trusted_now(&[4, 3, 2, 1, 0, -1, -2, -3]), Some(day(-3)));
    }
}
