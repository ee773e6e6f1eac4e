//! A dry run: reads are made, writes are only counted.

use crate::{
    api::{Spec, errcode, tag::Tag},
    base::lock,
    bulk::model::{batch::ChangeItem, change::Change, counts::Counters, failure::Failure},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

/// Openids of a job that the report names.
const MAX_SAMPLES: usize = 5;

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
    /// What stands for a secret that a dry run does not fetch.
    pub const SECRET: &str = "dry-run";

    /// The openid of the person whose code a dry run does not exchange; it has an openid's form.
    pub const OPENID: &str = "oDRY-RUN--------------------";

    /// Calls that are not made.
    pub fn would_call(&self, spec: &Spec, times: u64) {
        *lock(&self.calls).entry(format!("{} {}", spec.method.as_str(), spec.path)).or_default() += times;
    }

    /// Counts a batch that is not sent: everything in it would be changed, but for what the platform would refuse.
    /// Those are returned.
    pub(crate) fn record_batch(
        &self,
        change: Change,
        batch: Vec<ChangeItem>,
        counts: &Counters,
    ) -> Vec<Failure> {
        self.would_call(change.spec(), 1);
        let mut failures = Vec::new();
        let mut changed = Vec::with_capacity(batch.len());
        for item in batch {
            match change.check_item(&item) {
                Ok(()) => changed.push(item),
                Err(violation) => failures.push(Failure {
                    openid: item.openid().to_owned(),
                    errcode: Some(violation.errcode()),
                    errmsg: errcode::text(violation.errcode()).to_owned(),
                    rid: None,
                    is_of_details: false,
                }),
            }
        }
        Counters::add(&counts.changed, changed.len());
        Counters::add(&counts.failed, failures.len());
        let mut samples = lock(&counts.samples);
        let room = MAX_SAMPLES - samples.len().min(MAX_SAMPLES);
        samples.extend(changed.iter().take(room).map(|item| item.openid().to_owned()));
        failures
    }

    /// The calls that were not made since this was asked last, by `"METHOD path"`.
    #[must_use]
    pub fn take_calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut lock(&self.calls))
    }

    /// The account's tags as they would be.
    #[must_use]
    pub fn overlay_tags(&self, mut tags: Vec<Tag>) -> Vec<Tag> {
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

    /// A tag that would be deleted.
    pub fn delete_tag(&self, id: i64) {
        lock(&self.tags).deleted.insert(id);
    }

    /// Whether an id is that of a tag which would be made.
    #[must_use]
    pub fn is_placeholder(&self, id: i64) -> bool {
        lock(&self.tags).made.iter().any(|tag| tag.id == id)
    }
}
