//! The openids that a run has changed, as its journal has them, and what changed them.

use crate::{
    bulk::{
        effect::declared::Declared,
        model::{
            batch::{InDoubtItems, ItemKind, read_changed},
            target::Target,
        },
    },
    store::{BatchPosition, ChangedBatch, StepKind, Store, StoreError},
};

/// Batches of one query.
const PAGE_ROWS: i64 = 200;

/// An openid that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedOpenid {
    /// The openid.
    pub openid: String,
    /// The kind of the step that changed it.
    pub changed_by: StepKind,
    /// What that acted on.
    pub target: Option<Target>,
}

impl ChangedOpenid {
    /// The name of what changed it: a terminal operation (`tag`) or an endpoint (`tag::attach`).
    #[must_use]
    pub fn changed_by_name(&self) -> &'static str {
        match self.changed_by {
            StepKind::Terminal(kind) => kind.as_str(),
            StepKind::Call(kind) => Declared::from_kind(kind).spec.map_or(kind.as_str(), |spec| spec.name),
        }
    }
}

/// Reads the changed openids, a page at a time, in the order of their batches.
pub struct ChangedReader {
    store: Store,
    run: String,
    after: BatchPosition,
    is_over: bool,
}

impl ChangedReader {
    /// Those of this run.
    #[must_use]
    pub fn new(store: Store, run: String) -> Self {
        Self { store, run, after: BatchPosition::START, is_over: false }
    }

    /// The next ones; none after the last.
    pub async fn next(&mut self) -> Result<Vec<ChangedOpenid>, StoreError> {
        let mut done = Vec::new();
        while done.is_empty() && !self.is_over {
            let rows = self.store.changed_batches(&self.run, self.after, PAGE_ROWS).await?;
            self.is_over = i64::try_from(rows.len()).is_ok_and(|count| count < PAGE_ROWS);
            if let Some(last) = rows.last() {
                self.after = last.batch.position();
            }
            for row in &rows {
                done.extend(openids(row)?);
            }
        }
        Ok(done)
    }
}

/// The openids of a batch that were changed, with what changed them.
fn openids(row: &ChangedBatch) -> Result<impl Iterator<Item = ChangedOpenid>, StoreError> {
    let target = Target::from_columns(&row.target, row.target_id);
    let items = read_changed(&row.batch, ItemKind::of_step(row.kind), InDoubtItems::Excluded)?.into_iter();
    Ok(items.map(move |item| ChangedOpenid {
        openid: item.openid().to_owned(),
        changed_by: row.kind,
        target: target.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{BatchRow, EffectKind, TerminalKind};

    fn changed(kind: StepKind, target: &str, target_id: i64) -> String {
        let items = match ItemKind::of_step(kind) {
            ItemKind::Remarks => r#"{"type":"remarks","items":[["a","新","旧"]]}"#,
            ItemKind::None | ItemKind::Openids => r#"{"type":"openids","items":["a"]}"#,
        };
        let batch = BatchRow { size: 1, items: items.to_owned(), ..BatchRow::default() };
        let row = ChangedBatch { kind, target: target.to_owned(), target_id, batch };
        let all: Vec<ChangedOpenid> = openids(&row).into_iter().flatten().collect();
        let words: Vec<String> = all
            .iter()
            .map(|one| {
                let target = one.target.as_ref().map(Target::quoted).unwrap_or_default();
                format!("{} {} {target}", one.openid, one.changed_by_name())
            })
            .collect();
        words.concat()
    }

    #[test]
    fn changed_openid_names_what_changed_it_and_the_target() {
        let terminal = |kind| StepKind::Terminal(kind);
        assert_eq!(changed(terminal(TerminalKind::Tag), "老客户", 0), "a tag `老客户`");
        assert_eq!(changed(terminal(TerminalKind::Untag), "100", 100), "a untag 100");
        assert_eq!(changed(terminal(TerminalKind::Block), "", 0), "a block ");
        assert_eq!(changed(terminal(TerminalKind::RestoreRemark), "", 0), "a restore_remark ");
        assert_eq!(changed(StepKind::Call(EffectKind::TagAttach), "", 7), "a tag::attach 7");
        assert_eq!(changed(StepKind::Call(EffectKind::BlacklistAdd), "", 0), "a blacklist::add ");
    }
}
