//! The state of a run: one enum for the store, for reports and for what commands show.

use super::{
    sql::{sql, word},
    stored_enum::stored_enum,
};

stored_enum! {
    /// The state of a run, or of one of its jobs.
    pub enum RunState {
        /// It has not ended.
        Running = "running",
        /// Everything was done.
        Done = "done",
        /// It came to its end, but some openids failed.
        DoneWithFailures = "done_with_failures",
        /// A person stopped it.
        Cancelled = "cancelled",
        /// It failed.
        Error = "error",
        /// The day's quota is used up.
        Paused = "paused",
        /// It waits for a person's decision.
        Parked = "parked",
        /// Its process died, or missed its heartbeats; the attempt is fenced.
        Interrupted = "interrupted",
    }
}

impl RunState {
    /// Whether the run came to its end, be it with failed openids: there is nothing to resume.
    #[must_use]
    pub const fn is_completed(self) -> bool {
        match self {
            Self::Done | Self::DoneWithFailures => true,
            Self::Running
            | Self::Cancelled
            | Self::Error
            | Self::Paused
            | Self::Parked
            | Self::Interrupted => false,
        }
    }

    /// The word as a person reads it: `done with failures`.
    #[must_use]
    pub fn in_words(self) -> String {
        self.as_str().replace('_', " ")
    }
}

/// The states of runs that came to their end, for `IN` in a constant statement; see [`RunState::is_completed`].
pub(super) const COMPLETED_STATES: &str =
    sql!(word!(RunState::Done), ", ", word!(RunState::DoneWithFailures));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completed_states_in_sql_are_those_of_the_enum() {
        let completed = RunState::ALL.iter().filter(|state| state.is_completed());
        let words: Vec<String> = completed.map(|state| format!("'{state}'")).collect();
        assert_eq!(COMPLETED_STATES, words.join(", "));
    }
}
