//! The text by which undo scripts name a change: `attach 100`. Scripts are recorded, and the fingerprints of their steps hold
//! it, so it never changes.

use super::change::Change;

/// A text that is not that of a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `attach ID` or `detach ID` with the id of a tag, `block`, `unblock` or `remark`, found `{found}`"
)]
pub struct NotAChange {
    /// The text.
    pub found: String,
}

impl Change {
    /// Its text in an undo script.
    #[must_use]
    pub fn script_text(self) -> String {
        match self {
            Self::Attach(id) => format!("attach {id}"),
            Self::Detach(id) => format!("detach {id}"),
            Self::Block => "block".to_owned(),
            Self::Unblock => "unblock".to_owned(),
            Self::Remark => "remark".to_owned(),
        }
    }

    /// The change that has this text.
    ///
    /// # Errors
    /// It is not exactly what [`Change::script_text`] writes.
    pub fn from_script_text(text: &str) -> Result<Self, NotAChange> {
        let change = match text.split_once(' ') {
            Some(("attach", id)) => id.parse().ok().map(Self::Attach),
            Some(("detach", id)) => id.parse().ok().map(Self::Detach),
            Some(_) => None,
            None => [Self::Block, Self::Unblock, Self::Remark]
                .into_iter()
                .find(|change| change.script_text() == text),
        };
        // A number has other spellings, such as `+7` and `007`.
        change
            .filter(|change| change.script_text() == text)
            .ok_or_else(|| NotAChange { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn change_has_the_text_of_recorded_undo_scripts() {
        for (change, text) in [
            (Change::Attach(100), "attach 100"),
            (Change::Detach(i64::MIN), "detach -9223372036854775808"),
            (Change::Block, "block"),
            (Change::Unblock, "unblock"),
            (Change::Remark, "remark"),
        ] {
            assert_eq!(change.script_text(), text);
            assert_eq!(Change::from_script_text(text), Ok(change));
        }
    }

    #[test]
    fn text_that_is_not_exactly_a_change_says_what_is_expected_and_found() {
        for text in [
            "",
            "block x",
            "block ",
            " block",
            "Block",
            "remark 7",
            "attach",
            "attach ",
            "attach +7",
            "attach 007",
            "attach -0",
            "attach 7 ",
            "attach  7",
            "attach 9223372036854775808",
            "detach 甲",
            "tag 7",
        ] {
            let error = Change::from_script_text(text).map_err(|error| error.to_string());
            let expected = format!(
                "expected `attach ID` or `detach ID` with the id of a tag, `block`, `unblock` or `remark`, found `{text}`"
            );
            assert_eq!(error, Err(expected));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn text_is_read_only_if_it_is_what_would_be_written(
            text in "(attach|detach|block|unblock|remark|[a-z]{0,7})( ?[+-]?[0-9]{0,20} ?)?"
        ) {
            if let Ok(change) = Change::from_script_text(&text) {
                prop_assert_eq!(change.script_text(), text);
            }
        }

        #[test]
        fn tag_of_any_id_is_read_back(id in any::<i64>()) {
            for change in [Change::Attach(id), Change::Detach(id)] {
                prop_assert_eq!(Change::from_script_text(&change.script_text()), Ok(change));
            }
        }
    }
}
