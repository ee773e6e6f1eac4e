//! The followers that a step of a recorded run changed.

use crate::{
    bulk::model::{
        batch::{InDoubtItems, RemarkChange, read_changed},
        change::Change,
        person::Listed,
        source::ChangedByStep,
    },
    store::{BatchPosition, BatchRow, StoreError},
};
use std::{collections::HashMap, sync::Arc};

/// Which way a recorded batch changed its followers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// As the step does.
    Change,
    /// Back: by the opposite call, which a script made in the same step.
    Opposite,
}

impl ChangedByStep {
    /// How many there are at most.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let count = self.store.count_changed(&self.run, &self.step, self.change.key()).await?;
        Ok(count.unsigned_abs())
    }

    /// For a step that may have changed a follower more than once: the followers whose first change was this one, with the
    /// state before it. `None` for a step that changes each follower once. They fit into memory, since each change was a
    /// call of its own.
    pub(crate) async fn first_net_changes(&self) -> Result<Option<Vec<Listed>>, StoreError> {
        let Self { store, run, step, change } = self;
        let opposite = change.opposite().map(Change::key);
        let is_of_calls =
            store.step_at(run, step).await?.is_none_or(|row| row.effect_kind != Some(change.recorded_kind()));
        let others = match opposite {
            Some(opposite) => store.batches_of(run, step, opposite, BatchPosition::START, 1).await?.len(),
            None => 0,
        };
        if others == 0 && !(*change == Change::Remark && is_of_calls) {
            return Ok(None);
        }
        let mut rows: Vec<(Direction, BatchRow)> = Vec::new();
        let opposite = opposite.map(|key| (Direction::Opposite, key));
        for (direction, effect) in [(Direction::Change, change.key())].into_iter().chain(opposite) {
            let found = store.batches_of(run, step, effect, BatchPosition::START, i64::MAX).await?;
            rows.extend(found.into_iter().map(|row| (direction, row)));
        }
        rows.sort_by_key(|(_, row)| row.position());
        let mut first: Vec<Listed> = Vec::new();
        let mut known: HashMap<String, Option<usize>> = HashMap::new();
        for (direction, row) in rows {
            let is_wanted = direction == Direction::Change;
            for item in read_changed(&row, change.items(), InDoubtItems::Included)? {
                match known.get(item.openid()) {
                    None => {
                        known.insert(item.openid().to_owned(), is_wanted.then_some(first.len()));
                        if is_wanted {
                            first.push(Listed::from_change(&item));
                        }
                    }
                    // The account has what the last change wrote.
                    Some(Some(at)) => {
                        let net = first[*at].remark_change.as_ref().zip(item.remark_change());
                        let net = net.map(|(first, last)| RemarkChange { old: first.old.clone(), ..last });
                        first[*at].remark_change = net.map(Arc::new);
                    }
                    Some(None) => {}
                }
            }
        }
        Ok(Some(first))
    }
}
