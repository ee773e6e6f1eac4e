//! What a step of a run is, which kind of effect it recorded, and how far it came: the enums that the journal's columns
//! `kind`, `effect_kind` and `state` hold.
//!
//! They are durable names. What a call of a kind does, which effect it records and where it is sent, is declared on the floor of
//! bulk.

use super::{
    StoreError,
    sql::{sql, words},
    stored_enum::stored_enum,
};
use serde::{Deserialize, Serialize};

stored_enum! {
    /// How far a step came.
    pub enum StepState {
        /// It was started and no outcome is recorded.
        Begun = "begun",
        /// It succeeded; its answer is recorded.
        Done = "done",
        /// It failed; its error is recorded.
        Failed = "failed",
    }
}

stored_enum! {
    /// A single call that changes the account: one variant for each write endpoint, one for all undeclared paths,
    /// and one for each compensation that undo scripts call.
    pub enum EffectKind {
        /// A tag is created.
        TagCreate = "tag_create",
        /// A tag is renamed.
        TagUpdate = "tag_update",
        /// A tag is deleted.
        TagDelete = "tag_delete",
        /// A tag is put on followers.
        TagAttach = "tag_attach",
        /// A tag is taken off followers.
        TagDetach = "tag_detach",
        /// A follower's remark is set.
        UserRemark = "user_remark",
        /// Users are put on the blacklist.
        BlacklistAdd = "blacklist_add",
        /// Users are taken off the blacklist.
        BlacklistRemove = "blacklist_remove",
        /// A picture is uploaded.
        MediaUploadImage = "media_upload_image",
        /// A card is created.
        CardCreate = "card_create",
        /// A QR code is created.
        QrcodeCreate = "qrcode_create",
        /// The day's call counts are reset.
        QuotaClear = "quota_clear",
        /// A POST to a path that no endpoint declares.
        Undeclared = "undeclared",
        /// Compensation: a renamed tag gets its former name.
        RestoreTagName = "tag_restore_name",
        /// Compensation: a tag that a run created is deleted unless a follower has it.
        DeleteTagIfEmpty = "tag_delete_if_empty",
    }
}

stored_enum! {
    /// A terminal operation of an audience. The words are the names that scripts call them by.
    pub enum TerminalKind {
        /// Puts a tag on.
        Tag = "tag",
        /// Takes a tag off.
        Untag = "untag",
        /// Puts on the blacklist.
        Block = "block",
        /// Takes off the blacklist.
        Unblock = "unblock",
        /// Sets remarks.
        Remark = "remark",
        /// Restores the remarks that a run replaced.
        RestoreRemark = "restore_remark",
        /// Calls a closure for each follower.
        Each = "each",
        /// A `for` loop.
        For = "for",
        /// Counts.
        Count = "count",
        /// Counts by a key.
        CountBy = "count_by",
        /// Writes a table.
        WriteCsv = "write_csv",
        /// Collects everything in memory.
        ToArray = "to_array",
    }
}

stored_enum! {
    /// The kind of effect that a step recorded: what queries know of what its column `effect` holds.
    pub enum RecordedKind {
        /// A tag was put on followers.
        TagAttached = "tag_attached",
        /// A tag was taken off followers.
        TagDetached = "tag_detached",
        /// Users were put on the blacklist.
        Blocked = "blocked",
        /// Users were taken off the blacklist.
        Unblocked = "unblocked",
        /// Remarks of followers were set.
        Remarked = "remarked",
        /// A tag was created.
        TagCreated = "tag_created",
        /// A tag was renamed.
        TagRenamed = "tag_renamed",
        /// A tag was deleted.
        TagDeleted = "tag_deleted",
        /// Something that can't be undone.
        Irreversible = "irreversible",
    }
}

/// What queries know of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectKey {
    /// Its kind.
    pub kind: RecordedKind,
    /// The tag whose followers it changes; 0 where it changes no tag's.
    pub tag_id: i64,
}

impl TerminalKind {
    /// Whether it gives the script a report of what it did, rather than what it counted or collected.
    #[must_use]
    pub const fn returns_report(self) -> bool {
        match self {
            Self::Tag
            | Self::Untag
            | Self::Block
            | Self::Unblock
            | Self::Remark
            | Self::RestoreRemark
            | Self::Each
            | Self::WriteCsv => true,
            Self::For | Self::Count | Self::CountBy | Self::ToArray => false,
        }
    }

    /// Whether it runs code of the script for each follower, which may make calls of its own and fill variables that
    /// no journal records.
    #[must_use]
    pub const fn is_loop(self) -> bool {
        match self {
            Self::Each | Self::For => true,
            Self::Tag
            | Self::Untag
            | Self::Block
            | Self::Unblock
            | Self::Remark
            | Self::RestoreRemark
            | Self::Count
            | Self::CountBy
            | Self::WriteCsv
            | Self::ToArray => false,
        }
    }
}

/// What a step is: stored as `call:tag_attach` or `terminal:tag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "name", rename_all = "snake_case")]
pub enum StepKind {
    /// A single call that changes the account.
    Call(EffectKind),
    /// A terminal operation of an audience.
    Terminal(TerminalKind),
}

impl StepKind {
    const CALL: &'static str = "call";
    const TERMINAL: &'static str = "terminal";

    /// SQL: every kind of call.
    pub(super) const CALLS: &'static str = words!(sql!(StepKind::CALL, ":"), EffectKind);

    /// SQL: every kind of terminal operation.
    pub(super) const TERMINALS: &'static str = words!(sql!(StepKind::TERMINAL, ":"), TerminalKind);

    /// The name within its type: `tag_attach`, `tag`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call(kind) => kind.as_str(),
            Self::Terminal(kind) => kind.as_str(),
        }
    }

    /// Every kind of step.
    pub fn all() -> impl Iterator<Item = Self> {
        let calls = EffectKind::ALL.iter().copied().map(Self::Call);
        calls.chain(TerminalKind::ALL.iter().copied().map(Self::Terminal))
    }

    /// The kind that a text stands for, if it is one.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            (Self::CALL, name) => EffectKind::from_word(name).map(Self::Call),
            (Self::TERMINAL, name) => TerminalKind::from_word(name).map(Self::Terminal),
            _ => None,
        }
    }

    /// The kind that a column holds.
    pub fn decode(
        table: &'static str,
        row: &str,
        column: &'static str,
        found: &str,
    ) -> Result<Self, StoreError> {
        Self::from_text(found).ok_or_else(|| StoreError::Decode {
            table,
            row: row.to_owned(),
            column,
            expected: "`call:` or `terminal:` with the name of one".to_owned(),
            found: format!("`{found}`"),
        })
    }
}

impl std::fmt::Display for StepKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Call(_) => Self::CALL,
            Self::Terminal(_) => Self::TERMINAL,
        };
        write!(f, "{kind}:{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_kind_survives_its_text_and_its_json() {
        for kind in StepKind::all() {
            assert_eq!(StepKind::from_text(&kind.to_string()), Some(kind));
            let json = serde_json::to_string(&kind).unwrap_or_default();
            assert_eq!(serde_json::from_str::<StepKind>(&json).ok(), Some(kind), "{json}");
        }
        let attach = StepKind::Call(EffectKind::TagAttach);
        assert_eq!(attach.to_string(), "call:tag_attach");
        assert_eq!(serde_json::json!(attach), serde_json::json!({"type": "call", "name": "tag_attach"}));
    }

    #[test]
    fn kinds_in_statements_are_as_the_column_holds_them() {
        let list = |of: &str| {
            let kinds = StepKind::all().map(|kind| kind.to_string()).filter(|kind| kind.starts_with(of));
            kinds.map(|kind| format!("'{kind}'")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!([StepKind::CALLS, StepKind::TERMINALS], [list("call:"), list("terminal:")]);
    }

    #[test]
    fn step_kind_unknown_is_error_with_row_expected_and_found() {
        let error = StepKind::decode("mpscript_step", "20261128-1/3", "kind", "followers().tag(\"甲\")");
        let error = error.unwrap_err().to_string();
        assert_eq!(
            error,
            "`kind` in row `20261128-1/3` of mpscript_step can't be read: expected `call:` or `terminal:` with the \
             name of one, found `followers().tag(\"甲\")`"
        );
        let error = StepState::decode("mpscript_step", "r/1", "state", "DONE").unwrap_err().to_string();
        assert_eq!(
            error,
            "`state` in row `r/1` of mpscript_step can't be read: expected one of `begun` `done` `failed`, found `DONE`"
        );
    }
}
