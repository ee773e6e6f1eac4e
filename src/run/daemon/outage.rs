//! A store that fails for a while: told when it starts_at, when it fails for another reason, each minute, and when it is
//! over; not at every try. Must never know what was tried.

use super::Level;
use crate::{base::Stopwatch, store::StoreError};
use std::{mem, time::Duration};

/// How long nothing new is told of it.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// It is over when nothing has failed for so long: not every step asks the store for what it can't do.
const QUIET: Duration = Duration::from_secs(5);

/// How long the store has failed, and what was told of it.
pub(super) struct Outage {
    quiet: Duration,
    failing: Option<Failing>,
}

struct Failing {
    since: Stopwatch,
    last: Stopwatch,
    told: Stopwatch,
    why: StoreError,
}

impl Default for Outage {
    fn default() -> Self {
        Self { quiet: QUIET, failing: None }
    }
}

impl Outage {
    /// What is to be told when a step has ended so.
    pub(super) fn follow<T>(&mut self, step: &Result<T, StoreError>) -> Option<(Level, String)> {
        let Err(error) = step else {
            let failing = self.failing.take_if(|failing| failing.last.elapsed() >= self.quiet)?;
            return Some((Level::Info, format!("the store works again, after {}", so_long(&failing.since))));
        };
        let Some(failing) = &mut self.failing else {
            let now = Stopwatch::start;
            self.failing = Some(Failing { since: now(), last: now(), told: now(), why: error.clone() });
            let text = format!("the store failed and is tried until it works: {error} ({})", error.hint());
            return Some((Level::Error, text));
        };
        failing.last = Stopwatch::start();
        let is_news = mem::replace(&mut failing.why, error.clone()) != *error;
        if !is_news && failing.told.elapsed() < TELL_EVERY {
            return None;
        }
        failing.told = Stopwatch::start();
        let since = so_long(&failing.since);
        Some((Level::Error, format!("the store has failed for {since}: {error} ({})", error.hint())))
    }
}

/// To the second.
fn so_long(since: &Stopwatch) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(since.elapsed().as_secs().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_once() {
        let place = "store.sqlite3".to_owned();
        let locked = Err::<(), _>(StoreError::Locked { place: place.clone() });
        let mut outage = Outage { quiet: Duration::ZERO, failing: None };
        assert_eq!(outage.follow(&Ok(())), None);
        let told = outage.follow(&locked).map(|(_, text)| text);
        assert_eq!(
            told.as_deref(),
            Some(
                "the store failed and is tried until it works: the store store.sqlite3 is locked by another \
                 process (wait for the other process, or end it; nothing was lost)"
            )
        );
        assert_eq!(outage.follow(&locked), None);
        let told = outage.follow(&Err::<(), _>(StoreError::Full { place })).map(|(_, text)| text);
        assert!(told.is_some_and(|text| text.starts_with("the store has failed for 1s: there is no room")));
        assert!(outage.follow(&Ok(())).is_some_and(|(level, _)| level == Level::Info));
        assert_eq!(outage.follow(&Ok(())), None);
    }
}
