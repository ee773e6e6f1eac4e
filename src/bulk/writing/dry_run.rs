//! A dry run: reads are made, writes are only counted.

use crate::{
    api::{
        Spec,
        errcode::{self, INVALID_REMARK},
        tag::Tag,
        user::rules::check_remark_length,
    },
    base::lock,
    bulk::model::{batch::ChangeItem, change::Change, counts::Counters, failure::Failure},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

/// Openids of a job that the report names.
const SAMPLES: usize = 5;

/// What a dry run would have called, and the tags as they would be.
#[derive(Debug, Default)]
pub struct DryRun {
    calls: Mutex<BTreeMap<String, u64>>,
    tags: Mutex<Tags>,
}

#[derive(Debug, Default)]
struct Tags {
    made: Vec<Tag>,
    renamed: BTreeMap<i64, String>,
    deleted: BTreeSet<i64>,
}

impl DryRun {
    /// Calls that are not made.
    pub fn would_call(&self, spec: &Spec, times: u64) {
        *lock(&self.calls).entry(format!("{} {}", spec.method.as_str(), spec.path)).or_default() += times;
    }

    /// A batch that is not sent: everybody in it would be changed but for those who are given, whom the platform would
    /// refuse.
    pub(crate) fn would_change(
        &self,
        change: Change,
        batch: Vec<ChangeItem>,
        counts: &Counters,
    ) -> Vec<Failure> {
        self.would_call(change.spec(), 1);
        let is_refused = |item: &ChangeItem| {
            change == Change::Remark && check_remark_length(&item.remark_change().new).is_err()
        };
        let (refused, changed): (Vec<ChangeItem>, Vec<ChangeItem>) = batch.into_iter().partition(is_refused);
        Counters::add(&counts.changed, changed.len());
        Counters::add(&counts.failed, refused.len());
        let mut samples = lock(&counts.samples);
        let room = SAMPLES - samples.len().min(SAMPLES);
        samples.extend(changed.iter().take(room).map(|item| item.openid().to_owned()));
        let failures = refused.into_iter().map(|item| Failure {
            openid: item.openid().to_owned(),
            errcode: Some(INVALID_REMARK),
            errmsg: errcode::text(INVALID_REMARK).to_owned(),
            rid: None,
            is_of_details: false,
        });
        failures.collect()
    }

    /// The calls that were not made since this was asked last, by `"METHOD path"`.
    #[must_use]
    pub fn take_calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut lock(&self.calls))
    }

    /// The account's tags as they would be.
    #[must_use]
    pub fn see(&self, mut tags: Vec<Tag>) -> Vec<Tag> {
        let seen = lock(&self.tags);
        tags.extend(seen.made.iter().cloned());
        tags.retain(|tag| !seen.deleted.contains(&tag.id));
        for tag in &mut tags {
            if let Some(name) = seen.renamed.get(&tag.id) {
                tag.name.clone_from(name);
            }
        }
        tags
    }

    /// A tag that would be made: its id is below zero, where the platform has none.
    pub fn make_tag(&self, name: &str) -> Tag {
        let mut tags = lock(&self.tags);
        let id = -1 - i64::try_from(tags.made.len()).unwrap_or(i64::MAX - 1);
        let tag = Tag { id, name: name.to_owned(), count: None };
        tags.made.push(Tag { count: Some(0), ..tag.clone() });
        tag
    }

    /// A tag that would have another name.
    pub fn rename_tag(&self, id: i64, name: &str) {
        lock(&self.tags).renamed.insert(id, name.to_owned());
    }

    /// A tag that would be gone.
    pub fn delete_tag(&self, id: i64) {
        lock(&self.tags).deleted.insert(id);
    }

    /// Whether an id is that of a tag which would be made.
    #[must_use]
    pub fn is_placeholder(&self, id: i64) -> bool {
        lock(&self.tags).made.iter().any(|tag| tag.id == id)
    }
}
