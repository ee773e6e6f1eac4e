//! The reason of a fire, as its column keeps it. The kind and the state of a row say which of the two it holds, so that
//! no text of a script is ever taken for a failure: a claimed failure hook has the failure that it reports, every other
//! fire has a note.

use super::{FireKind, FireState, JsonColumn, Quoting, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The key that tags a failure in its column. Rows of earlier versions have no tag.
const TAG: &str = "reason";

/// The tag of a failure.
const FAILURE: &str = "failure";

/// Why a fire is in its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FireReason {
    /// Why it did not run, how it failed or what it did, for a person; empty if there is nothing to say.
    Note(String),
    /// The failure that a failure hook is called with; gone once the run has it.
    Failure(ReportedFailure),
}

/// The failure of a fire's run, as `on_failure` is given it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportedFailure {
    /// What went wrong.
    pub message: String,
    /// How the fire was closed.
    pub state: FireState,
    /// Its run; empty if it had none.
    pub run: String,
    /// The handler that was called.
    pub handler: String,
    /// The time of the fire, in the zone of its trigger.
    pub scheduled: String,
}

impl Default for FireReason {
    fn default() -> Self {
        Self::Note(String::new())
    }
}

impl From<&str> for FireReason {
    fn from(note: &str) -> Self {
        Self::Note(note.to_owned())
    }
}

impl FireReason {
    /// What it says to a person; empty if that is nothing.
    #[must_use]
    pub fn note(&self) -> &str {
        match self {
            Self::Note(note) => note,
            Self::Failure(_) => "",
        }
    }

    /// What the column holds.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Note(note) => note.clone(),
            Self::Failure(failure) => {
                let mut tagged = json!(failure);
                tagged[TAG] = FAILURE.into();
                tagged.to_string()
            }
        }
    }

    /// The reason of a fire of this kind and state.
    pub(super) fn decode(
        row: &str,
        kind: FireKind,
        state: FireState,
        text: &str,
    ) -> Result<Self, StoreError> {
        match (kind, state) {
            (FireKind::FailureHook, FireState::Claimed) => decode_failure(row, text).map(Self::Failure),
            (FireKind::FailureHook | FireKind::Trigger, _) => Ok(Self::Note(text.to_owned())),
        }
    }
}

fn decode_failure(row: &str, text: &str) -> Result<ReportedFailure, StoreError> {
    let column = JsonColumn {
        table: "mpscript_fire",
        row,
        name: "reason",
        expected: "the failure that a failure hook reports, as JSON",
        // A script's message may hold what is not masked once it is damaged.
        quoting: Quoting::Never,
    };
    let mut object: Map<String, Value> = column.decode(text)?;
    match object.remove(TAG) {
        None => {}
        Some(tag) if tag == FAILURE => {}
        Some(_) => {
            return Err(StoreError::Decode {
                table: column.table,
                row: row.to_owned(),
                column: column.name,
                expected: column.expected.to_owned(),
                found: format!("another `{TAG}` than `{FAILURE}`"),
            });
        }
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| column.error(text, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> ReportedFailure {
        ReportedFailure {
            message: "没有表格".to_owned(),
            state: FireState::TimedOut,
            run: "rwuu8q".to_owned(),
            handler: "run".to_owned(),
            scheduled: "2026-11-30T09:00:00+08:00".to_owned(),
        }
    }

    fn decode_hook(text: &str) -> Result<FireReason, String> {
        FireReason::decode("店 日报, 1", FireKind::FailureHook, FireState::Claimed, text)
            .map_err(|error| error.to_string())
    }

    /// The error of a failure that is JSON, and of another form.
    fn other_form() -> String {
        "`reason` in row `店 日报, 1` of mpscript_fire can't be read: expected the failure that a failure hook reports, as \
         JSON, found JSON that has another form"
            .to_owned()
    }

    #[test]
    fn failure_is_stored_with_a_tag() {
        let stored: Value =
            serde_json::from_str(&FireReason::Failure(failure()).encode()).expect("it is JSON");
        let expected = json!({
            "reason": "failure", "message": "没有表格", "state": "timed_out", "run": "rwuu8q", "handler": "run",
            "scheduled": "2026-11-30T09:00:00+08:00",
        });
        assert_eq!(stored, expected);
    }

    #[test]
    fn stored_failure_is_read_again() {
        let failure = FireReason::Failure(failure());
        assert_eq!(decode_hook(&failure.encode()), Ok(failure));
    }

    #[test]
    fn failure_of_an_earlier_version_is_read_without_a_tag() {
        assert_eq!(decode_hook(&json!(failure()).to_string()), Ok(FireReason::Failure(failure())));
    }

    #[test]
    fn failure_with_another_tag_is_an_error_that_names_the_row() {
        let mut other = json!(failure());
        other["reason"] = "某事".into();
        assert_eq!(
            decode_hook(&other.to_string()),
            Err("`reason` in row `店 日报, 1` of mpscript_fire can't be read: expected the failure that a failure hook \
                 reports, as JSON, found another `reason` than `failure`"
                .to_owned())
        );
    }

    #[test]
    fn failure_with_an_unknown_field_is_an_error() {
        let mut more = json!(failure());
        more["余"] = 1.into();
        assert_eq!(decode_hook(&more.to_string()), Err(other_form()));
    }

    #[test]
    fn failure_without_its_run_is_an_error() {
        let mut less = json!(failure());
        less.as_object_mut().expect("it is an object").remove("run");
        assert_eq!(decode_hook(&less.to_string()), Err(other_form()));
    }

    #[test]
    fn claimed_failure_hook_with_a_note_is_an_error_that_does_not_quote_it() {
        let error = decode_hook("机密").expect_err("it is no JSON");
        assert!(error.contains("row `店 日报, 1`") && !error.contains("机密"), "{error}");
    }

    #[test]
    fn claimed_failure_hook_with_a_text_is_an_error_that_does_not_quote_it() {
        let error = decode_hook("\"机密\"").expect_err("it is no failure");
        assert!(error.contains("row `店 日报, 1`") && !error.contains("机密"), "{error}");
    }

    #[test]
    fn note_is_stored_as_it_is() {
        assert_eq!(FireReason::from("3 changed").encode(), "3 changed");
    }

    #[test]
    fn note_of_a_closed_failure_hook_that_looks_like_a_failure_stays_a_note() {
        let text = FireReason::Failure(failure()).encode();
        let read = FireReason::decode("店 日报, 1", FireKind::FailureHook, FireState::Failed, &text);
        assert_eq!(read, Ok(FireReason::Note(text)));
    }

    #[test]
    fn note_of_a_claimed_trigger_that_looks_like_a_failure_stays_a_note() {
        let text = FireReason::Failure(failure()).encode();
        let read = FireReason::decode("店 日报, 1", FireKind::Trigger, FireState::Claimed, &text);
        assert_eq!(read, Ok(FireReason::Note(text)));
    }
}
