//! The state of a fire.

use super::{
    sql::{sql, word},
    stored_enum::stored_enum,
};

stored_enum! {
    /// The state of a fire of a trigger. `Armed` and `Disarmed` are markers: rows that record when a trigger was
    /// added or removed, without a run.
    pub enum FireState {
        /// A process has claimed it; its run has not started.
        Claimed = "claimed",
        /// Its run was started and the fire is not closed, retries included.
        Running = "running",
        /// Its run did everything.
        Done = "done",
        /// Its run came to its end, but some openids failed.
        DoneWithFailures = "done_with_failures",
        /// Its run failed, and is not retried.
        Failed = "failed",
        /// Its time passed without a run.
        Missed = "missed",
        /// Its run waits for a person's decision.
        Parked = "parked",
        /// It did not run: a policy of the automation forbids it.
        Skipped = "skipped",
        /// Its run was stopped: by a person, by a later fire, by an undo.
        Stopped = "stopped",
        /// Its run took longer than the automation's timeout.
        TimedOut = "timed_out",
        /// Marker: the trigger was added.
        Armed = "armed",
        /// Marker: the trigger was removed.
        Disarmed = "disarmed",
    }
}

impl FireState {
    /// Whether the fire is not closed: it waits for its run, or has one.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Claimed | Self::Running)
    }

    /// Whether the row only records that a trigger was added or removed.
    #[must_use]
    pub const fn is_marker(self) -> bool {
        matches!(self, Self::Armed | Self::Disarmed)
    }

    /// Whether the run of the fire came to its end, be it with failed openids.
    #[must_use]
    pub const fn is_completed(self) -> bool {
        matches!(self, Self::Done | Self::DoneWithFailures)
    }

    /// The states that a closed fire can have.
    pub fn outcomes() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|state| !state.is_open() && !state.is_marker())
    }
}

/// The states of fires whose runs came to their end, for `IN` in a constant statement; see [`FireState::is_completed`].
pub(super) const COMPLETED_STATES: &str =
    sql!(word!(FireState::Done), ", ", word!(FireState::DoneWithFailures));

/// The states of fires that are not closed, likewise; see [`FireState::is_open`].
pub(super) const OPEN_STATES: &str = sql!(word!(FireState::Claimed), ", ", word!(FireState::Running));

#[cfg(test)]
mod tests {
    use super::*;

    fn in_sql(holds: impl Fn(FireState) -> bool) -> String {
        let words: Vec<String> =
            FireState::ALL.iter().filter(|state| holds(**state)).map(|state| format!("'{state}'")).collect();
        words.join(", ")
    }

    #[test]
    fn states_in_sql_are_those_of_the_enum() {
        assert_eq!(COMPLETED_STATES, in_sql(FireState::is_completed));
        assert_eq!(OPEN_STATES, in_sql(FireState::is_open));
    }
}
