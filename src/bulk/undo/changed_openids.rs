//! Everybody whom a run has changed, as its journal has it, and by what.

use crate::{
    bulk::model::{batch::Unresolved, change::Change, effect::RecordedEffect},
    store::{DoneRow, Store, StoreError},
};

/// Batches that are read together.
const TOGETHER: i64 = 200;

/// Somebody who was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedOpenid {
    /// Who.
    pub openid: String,
    /// What did it: a job's end (`tag`) or a call (`tag::attach`).
    pub end: String,
    /// What it did it to: a tag's name, or its id where a script named it so.
    pub target: String,
}

/// Reads those who were changed, some at a time, in the order in which they were asked to be.
pub struct ChangedReader {
    store: Store,
    run: String,
    after: (i64, i64),
    is_over: bool,
}

impl ChangedReader {
    /// Those of this run.
    #[must_use]
    pub fn new(store: Store, run: String) -> Self {
        Self { store, run, after: (-1, -1), is_over: false }
    }

    /// The next ones; none after the last.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn next(&mut self) -> Result<Vec<ChangedOpenid>, StoreError> {
        let mut done = Vec::new();
        while done.is_empty() && !self.is_over {
            let rows = self.store.done_batches(&self.run, self.after, TOGETHER).await?;
            self.is_over = i64::try_from(rows.len()).is_ok_and(|count| count < TOGETHER);
            if let Some(last) = rows.last() {
                self.after = (last.batch.seq, last.batch.number);
            }
            done.extend(rows.iter().flat_map(people));
        }
        Ok(done)
    }
}

/// Those of a batch who have neither failed nor are yet to be changed.
fn people(row: &DoneRow) -> impl Iterator<Item = ChangedOpenid> {
    let (end, target) = by(&row.what, &row.change);
    Unresolved::changed(&row.batch, false).into_iter().map(move |item| ChangedOpenid {
        openid: item.openid().to_owned(),
        end: end.clone(),
        target: target.clone(),
    })
}

/// What a step is called, and what it does something to: `followers().tag("甲")` is `tag` and `甲`, and a call of
/// its own is its name and the tag's id.
fn by(what: &str, change: &str) -> (String, String) {
    let change = match serde_json::from_str(change) {
        Ok(RecordedEffect::Change(change)) => Some(change),
        _ => None,
    };
    let ends: &[&str] = match change {
        Some(Change::Attach(_)) => &["tag"],
        Some(Change::Detach(_)) => &["untag"],
        Some(Change::Block) => &["block"],
        Some(Change::Unblock) => &["unblock"],
        Some(Change::Remark) => &["remark", "restore_remark"],
        None => &[],
    };
    let id = match change {
        Some(Change::Attach(id) | Change::Detach(id)) => id.to_string(),
        _ => String::new(),
    };
    for end in ends {
        if what.ends_with(&format!(".{end}()")) {
            return ((*end).to_owned(), id);
        }
        let begun = format!(".{end}(");
        // The target is written as Rust writes a text, which nearly always is as JSON does.
        let target = what.match_indices(&begun).find_map(|(at, _)| {
            let rest = what.get(at + begun.len()..)?.strip_suffix(')')?;
            serde_json::from_str(rest).ok()
        });
        match target {
            Some(target) => return ((*end).to_owned(), target),
            None if what.contains(&begun) => return ((*end).to_owned(), id),
            None => {}
        }
    }
    (what.split('(').next().unwrap_or_default().to_owned(), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_what_it_was_and_what_it_was_done_to() {
        let by = |what: &str, change: &str| {
            let (end, target) = by(what, change);
            format!("{end} {target}")
        };
        assert_eq!(by("followers().tag(\"老客户\")", "\"attach 100\""), "tag 老客户");
        assert_eq!(by("followers().tag(\"a.tag(\\\"b\")", "\"attach 100\""), "tag a.tag(\"b");
        assert_eq!(by("members(\"x\").untag(\"\\u{202e}\")", "\"detach 100\""), "untag 100");
        assert_eq!(by("followers().block()", "\"block\""), "block ");
        assert_eq!(by("changed_by(…).restore_remark()", "\"remark\""), "restore_remark ");
        assert_eq!(by("tag::attach({\"tagid\":7})", "\"attach 7\""), "tag::attach 7");
    }

    #[test]
    fn those_who_failed_or_are_not_done_were_not_changed() {
        let batch = crate::store::BatchRow {
            items: "[\"a\",\"b\",\"c\",[\"d\",\"new\",\"old\"]]".to_owned(),
            pending_items: "{\"unsure\":[\"b\"]}".to_owned(),
            pending: 1,
            failed: "[{\"openid\":\"c\",\"errcode\":40003,\"errmsg\":\"invalid openid\"}]".to_owned(),
            ..Default::default()
        };
        let row = DoneRow { what: "x.block()".to_owned(), change: "\"block\"".to_owned(), batch };
        let openids: Vec<String> = people(&row).map(|done| done.openid).collect();
        assert_eq!(openids, ["a", "d"]);
    }
}
