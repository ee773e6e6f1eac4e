//! Logs the outage of a store: when it begins, when its reason changes, once a minute, and when it is over; not at every
//! failed step. Must never know what the step did.

use super::log::Level;
use crate::{base::Stopwatch, store::StoreError};
use std::{mem, time::Duration};

/// Between two messages about an outage that has not changed.
const REMINDER_INTERVAL: Duration = Duration::from_mins(1);

/// An outage is over when no step has failed for this long: a step may succeed because it did not need the store.
const RECOVERED_AFTER: Duration = Duration::from_secs(5);

/// The outage of the store, if there is one.
pub struct Outage {
    recovered_after: Duration,
    current: Option<Current>,
}

struct Current {
    since: Stopwatch,
    last_failure: Stopwatch,
    last_message: Stopwatch,
    error: StoreError,
}

impl Default for Outage {
    fn default() -> Self {
        Self { recovered_after: RECOVERED_AFTER, current: None }
    }
}

impl Outage {
    /// What is to be logged after a step with this result.
    pub fn observe<T>(&mut self, step: &Result<T, StoreError>) -> Option<(Level, String)> {
        let Err(error) = step else {
            let over =
                self.current.take_if(|current| current.last_failure.elapsed() >= self.recovered_after)?;
            return Some((Level::Info, format!("the store works again, after {}", duration(&over.since))));
        };
        let Some(current) = &mut self.current else {
            let now = Stopwatch::start();
            let error_now = error.clone();
            self.current =
                Some(Current { since: now, last_failure: now, last_message: now, error: error_now });
            let text = format!("the store failed and is retried until it works: {error} ({})", error.hint());
            return Some((Level::Error, text));
        };
        current.last_failure = Stopwatch::start();
        let has_changed = mem::replace(&mut current.error, error.clone()) != *error;
        if !has_changed && current.last_message.elapsed() < REMINDER_INTERVAL {
            return None;
        }
        current.last_message = Stopwatch::start();
        let since = duration(&current.since);
        Some((Level::Error, format!("the store has failed for {since}: {error} ({})", error.hint())))
    }
}

/// In whole seconds, one at least.
fn duration(since: &Stopwatch) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(since.elapsed().as_secs().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outage_is_logged_when_it_begins_changes_and_ends() {
        let place = "store.sqlite3".to_owned();
        let locked = Err::<(), _>(StoreError::Locked { location: place.clone() });
        let mut outage = Outage { recovered_after: Duration::ZERO, current: None };
        assert_eq!(outage.observe(&Ok(())), None);
        let text = outage.observe(&locked).map(|(_, text)| text);
        assert_eq!(
            text.as_deref(),
            Some(
                "the store failed and is retried until it works: the store store.sqlite3 is locked by another \
                 process (wait for the other process, or end it; nothing was lost)"
            )
        );
        assert_eq!(outage.observe(&locked), None);
        let text = outage.observe(&Err::<(), _>(StoreError::Full { location: place })).map(|(_, text)| text);
        assert!(text.is_some_and(|text| text.starts_with("the store has failed for 1s: there is no room")));
        assert!(outage.observe(&Ok(())).is_some_and(|(level, _)| level == Level::Info));
        assert_eq!(outage.observe(&Ok(())), None);
    }
}
