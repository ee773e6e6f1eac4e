//! The items of a batch of changes, and those of them that have no outcome yet.
//!
//! One file because the kinds of items, their lists and what is read back of them are compared with each other.

use super::failure::Failure;
use crate::store::{BatchRow, JsonColumn, Quoting, RecordedKind, StoreError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::Error as _};
use std::{collections::HashSet, fmt};

/// One openid of a batch, with what the change and its undo need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeItem {
    /// The openid is all that the change needs.
    Openid(String),
    /// A remark is changed.
    Remark {
        /// The openid.
        openid: String,
        /// The new remark.
        new: String,
        /// The one before.
        old: String,
    },
}

impl ChangeItem {
    /// The openid.
    #[must_use]
    pub fn openid(&self) -> &str {
        match self {
            Self::Openid(openid) | Self::Remark { openid, .. } => openid,
        }
    }

    /// The openid alone.
    #[must_use]
    pub fn into_openid(self) -> String {
        match self {
            Self::Openid(openid) | Self::Remark { openid, .. } => openid,
        }
    }

    /// The remark before and after; `None` where the change is of something else.
    #[must_use]
    pub fn remark_change(&self) -> Option<RemarkChange> {
        match self {
            Self::Openid(_) => None,
            Self::Remark { new, old, .. } => Some(RemarkChange { old: old.clone(), new: new.clone() }),
        }
    }

    /// What it holds.
    const fn kind(&self) -> ItemKind {
        match self {
            Self::Openid(_) => ItemKind::Openids,
            Self::Remark { .. } => ItemKind::Remarks,
        }
    }
}

/// What the items of a batch hold. All that a step records hold the same, which its effect says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// The step changes no followers: it has no items.
    None,
    /// Openids alone.
    Openids,
    /// Openids with the remark before and after.
    Remarks,
}

impl ItemKind {
    /// What the items of steps with this effect hold.
    #[must_use]
    pub const fn of_effect(effect: RecordedKind) -> Self {
        match effect {
            RecordedKind::TagAttached
            | RecordedKind::TagDetached
            | RecordedKind::Blocked
            | RecordedKind::Unblocked => Self::Openids,
            RecordedKind::Remarked => Self::Remarks,
            RecordedKind::TagCreated
            | RecordedKind::TagRenamed
            | RecordedKind::TagDeleted
            | RecordedKind::Irreversible => Self::None,
        }
    }

    /// The first of these items that holds something else.
    pub(crate) fn mismatch<'a>(self, items: impl IntoIterator<Item = &'a ChangeItem>) -> Option<Self> {
        items.into_iter().map(ChangeItem::kind).find(|kind| *kind != self)
    }
}

/// As errors say it.
impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no items",
            Self::Openids => "items of the type `openids`",
            Self::Remarks => "items of the type `remarks`",
        })
    }
}

/// The remark of a follower before and after a run changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemarkChange {
    /// The text before.
    pub old: String,
    /// The text that the run wrote.
    pub new: String,
}

/// A list of items as the journal holds it. The items of a batch are of one kind, so the list says which: a tag on each
/// of a million openids would lengthen the journal by a fifth.
#[derive(Deserialize)]
#[serde(tag = "type", content = "items", rename_all = "snake_case", deny_unknown_fields)]
enum ItemList {
    Openids(Vec<String>),
    Remarks(Vec<StoredRemark<String>>),
}

/// An item that changes a remark. The journal holds it as an array: openid, new, old.
struct StoredRemark<T> {
    openid: T,
    new: T,
    old: T,
}

impl<T: Serialize> Serialize for StoredRemark<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.openid, &self.new, &self.old).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for StoredRemark<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (openid, new, old) = Deserialize::deserialize(deserializer)?;
        Ok(Self { openid, new, old })
    }
}

/// The same, borrowed.
#[derive(Serialize)]
#[serde(tag = "type", content = "items", rename_all = "snake_case")]
enum ItemListRef<'a> {
    #[serde(serialize_with = "openids")]
    Openids(&'a [ChangeItem]),
    #[serde(serialize_with = "remarks")]
    Remarks(&'a [ChangeItem]),
}

fn openids<S: Serializer>(items: &&[ChangeItem], serializer: S) -> Result<S::Ok, S::Error> {
    if items.iter().any(|item| matches!(item, ChangeItem::Remark { .. })) {
        return Err(S::Error::custom("a batch has items of two kinds"));
    }
    serializer.collect_seq(items.iter().map(ChangeItem::openid))
}

fn remarks<S: Serializer>(items: &&[ChangeItem], serializer: S) -> Result<S::Ok, S::Error> {
    if items.iter().any(|item| matches!(item, ChangeItem::Openid(_))) {
        return Err(S::Error::custom("a batch has items of two kinds"));
    }
    serializer.collect_seq(items.iter().filter_map(|item| match item {
        ChangeItem::Remark { openid, new, old } => Some(StoredRemark { openid, new, old }),
        ChangeItem::Openid(_) => None,
    }))
}

/// `#[serde(with = "item_list")]`: a list of items that says which kind they are.
pub(crate) mod item_list {
    use super::{
        ChangeItem, Deserialize, Deserializer, ItemList, ItemListRef, Serialize, Serializer, StoredRemark,
    };

    pub(crate) fn serialize<S: Serializer>(items: &[ChangeItem], serializer: S) -> Result<S::Ok, S::Error> {
        match items.first() {
            Some(ChangeItem::Remark { .. }) => ItemListRef::Remarks(items),
            Some(ChangeItem::Openid(_)) | None => ItemListRef::Openids(items),
        }
        .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<ChangeItem>, D::Error> {
        Ok(match ItemList::deserialize(deserializer)? {
            ItemList::Openids(openids) => openids.into_iter().map(ChangeItem::Openid).collect(),
            ItemList::Remarks(remarks) => remarks
                .into_iter()
                .map(|StoredRemark { openid, new, old }| ChangeItem::Remark { openid, new, old })
                .collect(),
        })
    }
}

/// The items of a batch, as the journal holds them.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Items<'a>(#[serde(with = "item_list")] pub &'a [ChangeItem]);

/// Items that were read from the journal.
#[derive(Deserialize)]
#[serde(transparent)]
struct ReadItems(#[serde(with = "item_list")] Vec<ChangeItem>);

/// The items of a batch that have no outcome yet. All of them are sent again when the run is resumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unresolved {
    /// Items whose change may have taken effect.
    #[serde(with = "item_list")]
    pub in_doubt: Vec<ChangeItem>,
    /// Items whose change certainly took no effect: an undo leaves them alone.
    #[serde(with = "item_list")]
    pub not_sent: Vec<ChangeItem>,
}

impl Unresolved {
    /// Unresolved items of a batch, which hold what `kind` says. If no outcome was recorded, the whole batch is in doubt.
    pub fn read(row: &BatchRow, kind: ItemKind) -> Result<Self, StoreError> {
        let expected = "the items without an outcome, as JSON";
        let read: Self = match row.unresolved.as_str() {
            "" if row.pending == 0 => return Ok(Self::default()),
            "" if row.pending == row.size && row.in_doubt == row.size => {
                return Ok(Self { in_doubt: read_items(row, kind)?, not_sent: Vec::new() });
            }
            "" => return Err(mismatch(row, "unresolved", expected, row.pending, "an empty text")),
            text => decode(row, "unresolved", text, expected)?,
        };
        check_count(row, "unresolved", expected, row.pending, read.len())?;
        let in_doubt = "as JSON those in doubt, which `in_doubt` counts";
        check_count(row, "unresolved", in_doubt, row.in_doubt, read.in_doubt.len())?;
        check_kind(row, "unresolved", kind, read.in_doubt.iter().chain(&read.not_sent))?;
        Ok(read)
    }

    /// Items that were in doubt before an attempt that was refused still are: the refusal says nothing of the attempt
    /// before.
    pub fn keep_in_doubt(&mut self, before: &HashSet<String>) {
        let (in_doubt, not_sent) =
            std::mem::take(&mut self.not_sent).into_iter().partition(|item| before.contains(item.openid()));
        self.not_sent = not_sent;
        self.in_doubt.extend::<Vec<ChangeItem>>(in_doubt);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_doubt.len() + self.not_sent.len()
    }

    /// Whether every item has its outcome.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All items of a batch, which hold what `kind` says.
pub fn read_items(row: &BatchRow, kind: ItemKind) -> Result<Vec<ChangeItem>, StoreError> {
    let expected = "the items of a batch, as JSON";
    let ReadItems(items) = decode(row, "items", &row.items, expected)?;
    check_count(row, "items", expected, row.size, items.len())?;
    check_kind(row, "items", kind, &items)?;
    Ok(items)
}

/// The items of a batch that failed.
pub(crate) fn read_failed(row: &BatchRow) -> Result<Vec<Failure>, StoreError> {
    let expected = "the items that failed, as JSON";
    let failed: Vec<Failure> = match row.failed.as_str() {
        "" if row.failures == 0 => return Ok(Vec::new()),
        "" => return Err(mismatch(row, "failed", expected, row.failures, "an empty text")),
        text => decode(row, "failed", text, expected)?,
    };
    check_count(row, "failed", expected, row.failures, failed.len())?;
    Ok(failed)
}

/// Whether items in doubt count as changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubtItems {
    /// They do, as they must in an undo.
    Included,
    /// They don't.
    Excluded,
}

/// The items of a batch that were changed. They hold what `kind` says.
pub fn read_changed(
    row: &BatchRow,
    kind: ItemKind,
    items_in_doubt: InDoubtItems,
) -> Result<Vec<ChangeItem>, StoreError> {
    let mut items = read_items(row, kind)?;
    let (unresolved, failed) = (Unresolved::read(row, kind)?, read_failed(row)?);
    let in_doubt: &[ChangeItem] = match items_in_doubt {
        InDoubtItems::Included => &[],
        InDoubtItems::Excluded => &unresolved.in_doubt,
    };
    let left_out: HashSet<&str> = in_doubt
        .iter()
        .chain(&unresolved.not_sent)
        .map(ChangeItem::openid)
        .chain(failed.iter().map(|failure| failure.openid.as_str()))
        .collect();
    items.retain(|item| !left_out.contains(item.openid()));
    Ok(items)
}

/// Refuses a list of another length than the batch counts: whom it leaves out would be changed again, or undone.
fn check_count(
    row: &BatchRow,
    name: &'static str,
    expected: &'static str,
    count: i64,
    found: usize,
) -> Result<(), StoreError> {
    if i64::try_from(found) == Ok(count) {
        return Ok(());
    }
    Err(mismatch(row, name, expected, count, &found.to_string()))
}

/// Refuses items that hold something else than the step's effect says: a remark that is not there would be taken for an
/// empty one, and written.
fn check_kind<'a>(
    row: &BatchRow,
    column: &'static str,
    expected: ItemKind,
    items: impl IntoIterator<Item = &'a ChangeItem>,
) -> Result<(), StoreError> {
    match expected.mismatch(items) {
        None => Ok(()),
        Some(found) => Err(StoreError::Decode {
            table: "mpscript_batch",
            row: key(row),
            column,
            expected: expected.to_string(),
            found: found.to_string(),
        }),
    }
}

fn mismatch(row: &BatchRow, column: &'static str, expected: &str, count: i64, found: &str) -> StoreError {
    StoreError::Decode {
        table: "mpscript_batch",
        row: key(row),
        column,
        expected: format!("{expected}, {count} of them"),
        found: found.to_owned(),
    }
}

fn key(row: &BatchRow) -> String {
    format!("{} batch {}", row.step, row.number)
}

/// Decodes what a column of a batch holds.
fn decode<T: DeserializeOwned>(
    row: &BatchRow,
    name: &'static str,
    json: &str,
    expected: &'static str,
) -> Result<T, StoreError> {
    let key = key(row);
    let column = JsonColumn { table: "mpscript_batch", row: &key, name, expected, quoting: Quoting::Excerpt };
    column.decode(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(size: i64, items: &str) -> BatchRow {
        BatchRow { step: "R/3".to_owned(), number: 2, size, items: items.to_owned(), ..BatchRow::default() }
    }

    #[test]
    fn items_of_a_batch_survive_their_json() {
        let openids = vec![ChangeItem::Openid("a".to_owned()), ChangeItem::Openid("b".to_owned())];
        let remarks =
            vec![ChangeItem::Remark { openid: "a".to_owned(), new: "新".to_owned(), old: "旧".to_owned() }];
        for (items, kind, json) in [
            (openids.clone(), ItemKind::Openids, r#"{"type":"openids","items":["a","b"]}"#),
            (remarks.clone(), ItemKind::Remarks, r#"{"type":"remarks","items":[["a","新","旧"]]}"#),
            (Vec::new(), ItemKind::Remarks, r#"{"type":"openids","items":[]}"#),
        ] {
            assert_eq!(serde_json::to_string(&Items(&items)).ok().as_deref(), Some(json));
            let size = i64::try_from(items.len()).expect("they are few");
            assert_eq!(read_items(&row(size, json), kind), Ok(items));
        }
        let mixed: Vec<ChangeItem> = openids.into_iter().chain(remarks).collect();
        assert!(serde_json::to_string(&Items(&mixed)).is_err());
    }

    #[test]
    fn items_that_are_damaged_name_row_expected_and_found() {
        let error = read_items(&row(1, "[\"a\""), ItemKind::Openids).unwrap_err().to_string();
        let expected = "`items` in row `R/3 batch 2` of mpscript_batch can't be read: expected the items of a batch, as JSON, \
                        found `[\"a\"` (";
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn batch_without_outcome_is_in_doubt_as_a_whole() {
        let row = BatchRow { pending: 1, in_doubt: 1, ..row(1, r#"{"type":"openids","items":["a"]}"#) };
        let in_doubt = vec![ChangeItem::Openid("a".to_owned())];
        assert_eq!(
            Unresolved::read(&row, ItemKind::Openids),
            Ok(Unresolved { in_doubt: in_doubt.clone(), not_sent: Vec::new() })
        );
        assert_eq!(read_changed(&row, ItemKind::Openids, InDoubtItems::Included), Ok(in_doubt));
        assert_eq!(read_changed(&row, ItemKind::Openids, InDoubtItems::Excluded), Ok(Vec::new()));
    }

    #[test]
    fn items_that_failed_or_were_not_sent_were_not_changed() {
        let row = BatchRow {
            pending: 2,
            in_doubt: 1,
            failures: 1,
            unresolved:
                r#"{"in_doubt":{"type":"openids","items":["b"]},"not_sent":{"type":"openids","items":["c"]}}"#
                    .to_owned(),
            failed: r#"[{"openid":"d","errcode":40003,"errmsg":"invalid openid"}]"#.to_owned(),
            ..row(4, r#"{"type":"openids","items":["a","b","c","d"]}"#)
        };
        let openids = |in_doubt| -> Vec<String> {
            let changed = read_changed(&row, ItemKind::Openids, in_doubt).unwrap_or_default();
            changed.iter().map(|item| item.openid().to_owned()).collect()
        };
        assert_eq!(
            (openids(InDoubtItems::Excluded), openids(InDoubtItems::Included)),
            (vec!["a".to_owned()], vec!["a".to_owned(), "b".to_owned()])
        );
    }

    #[test]
    fn lists_of_other_lengths_than_the_batch_counts_are_errors() {
        const ITEMS: &str = r#"{"type":"openids","items":["a","b"]}"#;
        const ONE: &str =
            r#"{"in_doubt":{"type":"openids","items":["a"]},"not_sent":{"type":"openids","items":[]}}"#;
        const FAILED: &str = r#"[{"openid":"a","errcode":40003,"errmsg":"invalid openid"}]"#;
        let two = row(2, ITEMS);
        // Size, pending, in doubt, failures; unresolved, failed; the error.
        let table = [
            ([3, 0, 0, 0], "", "", "`items` … the items of a batch, as JSON, 3 of them, found 2"),
            (
                [2, 0, 0, 1],
                "",
                "",
                "`failed` … the items that failed, as JSON, 1 of them, found an empty text",
            ),
            ([2, 0, 0, 2], "", FAILED, "`failed` … the items that failed, as JSON, 2 of them, found 1"),
            ([2, 0, 0, 0], "", FAILED, "`failed` … the items that failed, as JSON, 0 of them, found 1"),
            (
                [2, 1, 1, 0],
                "",
                "",
                "`unresolved` … the items without an outcome, as JSON, 1 of them, found an empty text",
            ),
            (
                [2, 2, 1, 0],
                ONE,
                "",
                "`unresolved` … the items without an outcome, as JSON, 2 of them, found 1",
            ),
            (
                [2, 1, 0, 0],
                ONE,
                "",
                "`unresolved` … as JSON those in doubt, which `in_doubt` counts, 0 of them, found 1",
            ),
        ];
        for ([size, pending, in_doubt, failures], unresolved, failed, expected) in table {
            let (unresolved, failed) = (unresolved.to_owned(), failed.to_owned());
            let row = BatchRow { unresolved, size, pending, in_doubt, failures, failed, ..two.clone() };
            let changed = read_changed(&row, ItemKind::Openids, InDoubtItems::Included);
            let error = changed.map_err(|error| error.to_string());
            let expected =
                expected.replace('…', "in row `R/3 batch 2` of mpscript_batch can't be read: expected");
            assert_eq!(error, Err(expected));
        }
    }

    #[test]
    fn items_of_another_kind_than_the_effect_are_errors() {
        const OPENIDS: &str = r#"{"type":"openids","items":["a"]}"#;
        const REMARKS: &str = r#"{"type":"remarks","items":[["a","新","旧"]]}"#;
        let not_sent =
            |items| format!(r#"{{"in_doubt":{{"type":"openids","items":[]}},"not_sent":{items}}}"#);
        // The kind, the items, those without an outcome; the error.
        let table = [
            (
                ItemKind::Remarks,
                OPENIDS,
                not_sent(REMARKS),
                "`items` … items of the type `remarks`, found items of the type `openids`",
            ),
            (
                ItemKind::Remarks,
                REMARKS,
                not_sent(OPENIDS),
                "`unresolved` … items of the type `remarks`, found items of the type `openids`",
            ),
            (
                ItemKind::Openids,
                REMARKS,
                not_sent(OPENIDS),
                "`items` … items of the type `openids`, found items of the type `remarks`",
            ),
            (
                ItemKind::Openids,
                OPENIDS,
                not_sent(REMARKS),
                "`unresolved` … items of the type `openids`, found items of the type `remarks`",
            ),
            (
                ItemKind::None,
                OPENIDS,
                not_sent(OPENIDS),
                "`items` … no items, found items of the type `openids`",
            ),
        ];
        for (kind, items, unresolved, expected) in table {
            let row = BatchRow { pending: 1, unresolved, ..row(1, items) };
            let error = read_changed(&row, kind, InDoubtItems::Included).map_err(|error| error.to_string());
            let expected =
                expected.replace('…', "in row `R/3 batch 2` of mpscript_batch can't be read: expected");
            assert_eq!(error, Err(expected));
        }
    }
}
