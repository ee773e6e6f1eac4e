//! What started a call of a handler. It is stored, and shown to scripts, as one text.

use crate::{
    script::source::trigger_spec::{CRON_KEY, INTERVAL_KEY},
    store::FAILURE_OF,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The text of a call by hand.
const MANUAL: &str = "hand";

/// What started a call of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CallTrigger {
    /// A person: `mpscript run`.
    ByHand,
    /// A trigger of the automation, by its key.
    Trigger(String),
    /// A failure, for the failure hook: of this run, or of a fire of this trigger that had no run.
    FailureOf(String),
}

/// A text that says of nothing that it started a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}, found `{found}`", Self::EXPECTED)]
pub struct UnknownCallTrigger {
    /// The text.
    pub found: String,
}

impl UnknownCallTrigger {
    /// What is expected of a text.
    pub const EXPECTED: &str = "`hand`, `cron …`, `every …` or `failure of …`";
}

impl FromStr for CallTrigger {
    type Err = UnknownCallTrigger;

    fn from_str(text: &str) -> Result<Self, UnknownCallTrigger> {
        let has_more = |prefix: &str| text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
        match text.strip_prefix(FAILURE_OF) {
            Some(failed) if !failed.is_empty() => Ok(Self::FailureOf(failed.to_owned())),
            None if text == MANUAL => Ok(Self::ByHand),
            None if [CRON_KEY, INTERVAL_KEY].into_iter().any(has_more) => Ok(Self::Trigger(text.to_owned())),
            Some(_) | None => Err(UnknownCallTrigger { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for CallTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByHand => f.write_str(MANUAL),
            Self::Trigger(key) => f.write_str(key),
            Self::FailureOf(failed) => write!(f, "{FAILURE_OF}{failed}"),
        }
    }
}

impl TryFrom<String> for CallTrigger {
    type Error = UnknownCallTrigger;

    fn try_from(text: String) -> Result<Self, UnknownCallTrigger> {
        text.parse()
    }
}

impl From<CallTrigger> for String {
    fn from(trigger: CallTrigger) -> Self {
        trigger.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what the record of a run holds, and checks that the same is written again.
    #[track_caller]
    fn assert_stored(text: &str, trigger: &CallTrigger) {
        let json = serde_json::to_string(text).expect("a text is JSON");
        let read: CallTrigger = serde_json::from_str(&json).expect("it is one");
        assert_eq!((&read, serde_json::to_string(&read).expect("it is JSON")), (trigger, json));
    }

    #[track_caller]
    fn assert_unknown(text: &str) {
        assert_eq!(text.parse::<CallTrigger>(), Err(UnknownCallTrigger { found: text.to_owned() }));
    }

    #[test]
    fn call_by_hand_is_stored_as_hand() {
        assert_stored("hand", &CallTrigger::ByHand);
    }

    #[test]
    fn call_by_cron_is_stored_as_its_key() {
        let key = "cron 0 9 * * 1-5 Asia/Shanghai 日报";
        assert_stored(key, &CallTrigger::Trigger(key.to_owned()));
    }

    #[test]
    fn call_by_interval_is_stored_as_its_key() {
        assert_stored("every 1s", &CallTrigger::Trigger("every 1s".to_owned()));
    }

    #[test]
    fn call_of_a_failure_hook_is_stored_with_the_failed_run() {
        assert_stored("failure of rwuu8q", &CallTrigger::FailureOf("rwuu8q".to_owned()));
    }

    #[test]
    fn call_of_a_failure_hook_of_a_fire_without_a_run_is_stored_with_its_trigger() {
        assert_stored("failure of every 1s", &CallTrigger::FailureOf("every 1s".to_owned()));
    }

    #[test]
    fn empty_text_is_an_error() {
        assert_unknown("");
    }

    #[test]
    fn unknown_word_is_an_error() {
        assert_unknown("手");
    }

    #[test]
    fn kind_without_its_key_is_an_error() {
        assert_unknown("cron ");
    }

    #[test]
    fn failure_of_nothing_is_an_error() {
        assert_unknown("failure of ");
    }
}
