//! What fires: a trigger, or a failure.

use super::stored_enum::stored_enum;

/// What the trigger of a failure hook's fire begins with; the failed run follows, or the trigger of a fire without one.
pub const FAILURE_OF: &str = "failure of ";

stored_enum! {
    /// What fired.
    pub enum FireKind {
        /// A trigger of the automation, at its scheduled instant.
        Trigger = "trigger",
        /// The automation's failure hook, after one of its runs has failed.
        FailureHook = "failure_hook",
    }
}
