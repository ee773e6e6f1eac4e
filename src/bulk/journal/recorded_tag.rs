//! What a run's journal knows of a tag that is not on the account any more.

use super::journal::Journal;
use crate::{bulk::model::effect::RecordedEffect, store::StoreError};

/// Steps that are read at once.
const PAGE_ROWS: i64 = 500;

/// A tag that a run has made, renamed or deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedTag {
    /// Its last name.
    pub name: String,
    /// The step of the run that deleted it, if one did.
    pub deleted_by: Option<String>,
}

impl Journal {
    /// What the run has recorded of the tag of this id, if it is resumed and has recorded anything.
    pub async fn recorded_tag(&self, id: i64) -> Result<Option<RecordedTag>, StoreError> {
        let (Some(store), Some(run), true) = (self.store(), self.run(), self.is_resumed()) else {
            return Ok(None);
        };
        let mut known = None;
        // From the first: the number of a damaged one may be negative.
        let mut after = i64::MIN;
        loop {
            let rows = store.steps(run, after, PAGE_ROWS).await?;
            let Some(last) = rows.last() else { return Ok(known) };
            after = last.seq;
            for row in &rows {
                known = match RecordedEffect::read(run, row)? {
                    Some(RecordedEffect::CreateTag { id: Some(made), name }) if made == id => {
                        Some(RecordedTag { name, deleted_by: None })
                    }
                    Some(RecordedEffect::RenameTag { id: renamed, to, .. }) if renamed == id => {
                        Some(RecordedTag { name: to, deleted_by: None })
                    }
                    Some(RecordedEffect::DeleteTag { id: deleted, name }) if deleted == id => {
                        Some(RecordedTag { name, deleted_by: Some(row.step.clone()) })
                    }
                    Some(
                        RecordedEffect::CreateTag { .. }
                        | RecordedEffect::RenameTag { .. }
                        | RecordedEffect::DeleteTag { .. }
                        | RecordedEffect::Change(_)
                        | RecordedEffect::Other(_),
                    )
                    | None => known,
                };
            }
        }
    }
}
