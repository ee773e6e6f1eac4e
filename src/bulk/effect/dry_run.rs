//! A dry run: reads are made, writes are only counted.

use crate::{
    api::{Spec, tag::Tag},
    base::lock,
    bulk::model::{batch::ChangeItem, change::Change, counts::Counters},
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
    /// How many followers more, or fewer, would have each.
    members: BTreeMap<i64, i64>,
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

    /// Counts a batch that is not sent, and those in it that would be changed.
    pub(crate) fn record_batch(
        &self,
        spec: &Spec,
        change: Change,
        changed: &[ChangeItem],
        counts: &Counters,
    ) {
        self.would_call(spec, 1);
        self.change_members(change, changed.len());
        Counters::add(&counts.changed, changed.len());
        let mut samples = lock(&counts.samples);
        let room = MAX_SAMPLES - samples.len().min(MAX_SAMPLES);
        samples.extend(changed.iter().take(room).map(|item| item.openid().to_owned()));
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
            if let (Some(count), Some(more)) = (&mut tag.count, seen.members.get(&tag.id)) {
                *count = count.saturating_add(*more).max(0);
            }
        }
        tags
    }

    /// How many followers a tag would have that `present` have now.
    pub(crate) fn overlay_members(&self, id: i64, present: i64) -> i64 {
        let more = lock(&self.tags).members.get(&id).copied().unwrap_or_default();
        present.saturating_add(more).max(0)
    }

    /// Counts the followers that would get a tag, or lose it.
    pub(crate) fn change_members(&self, change: Change, followers: usize) {
        let followers = i64::try_from(followers).unwrap_or(i64::MAX);
        let (id, more) = match change {
            Change::Attach(id) => (id, followers),
            Change::Detach(id) => (id, -followers),
            Change::Block | Change::Unblock | Change::Remark => return,
        };
        let mut tags = lock(&self.tags);
        let members = tags.members.entry(id).or_default();
        *members = members.saturating_add(more);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Violation, tag::rules::check_delete};

    /// The rule of deletion for a tag of a name, as the dry run sees the tags.
    fn check(dry_run: &DryRun, count: i64) -> Result<(), Violation> {
        let tag = Tag { id: 100, name: "会员".to_owned(), count: Some(count) };
        let seen = dry_run.overlay_tags(vec![tag]);
        let count = seen.first().and_then(|tag| tag.count).map(i64::unsigned_abs);
        check_delete(100, count)
    }

    #[test]
    fn tag_that_a_dry_run_takes_off_its_followers_can_be_deleted() {
        let dry_run = DryRun::default();
        assert_eq!(check(&dry_run, 100_200), Err(Violation::TooManyFollowersOfTag));
        dry_run.change_members(Change::Detach(100), 100_100);
        dry_run.change_members(Change::Block, 7);
        assert_eq!(check(&dry_run, 100_200), Ok(()));
        assert_eq!((dry_run.overlay_members(100, 100_200), dry_run.overlay_members(100, 7)), (100, 0));
    }

    #[test]
    fn tag_that_a_dry_run_puts_on_too_many_followers_cannot_be_deleted() {
        let dry_run = DryRun::default();
        dry_run.change_members(Change::Attach(100), 100_001);
        assert_eq!(check(&dry_run, 0), Err(Violation::TooManyFollowersOfTag));
    }
}
