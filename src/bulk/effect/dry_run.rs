//! A dry run: reads are made, writes are only counted.

use crate::{
    api::{Spec, tag::Tag, user::User},
    base::lock,
    bulk::model::{batch::ChangeItem, change::Change, counts::Counters},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex},
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
    followers: ChangedTags,
}

/// Whether a follower has a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TagState {
    /// They have it.
    Attached,
    /// They don't.
    Detached,
}

/// The tags by which a follower would differ from what the platform shows, in the order of their ids, and whether they
/// would have each.
type TagDiff = Arc<[(i64, TagState)]>;

/// The followers whose tags would differ from what the platform shows.
///
/// Only those are kept: a change and its opposite leave no entry. Equal differences are kept once, since a job changes many
/// followers alike, and openids as hashes of 64 bits: a follower takes about 30 bytes. If two followers had one hash, the dry
/// run would be wrong about one of them; among five million that has a chance of about one in a million.
#[derive(Debug, Default)]
struct ChangedTags {
    hasher: RandomState,
    /// By the hash of an openid: a number of `distinct`.
    diffs: HashMap<u64, u32>,
    distinct: Vec<TagDiff>,
    numbers: HashMap<TagDiff, u32>,
}

impl ChangedTags {
    /// Brings a tag of a follower into a state; whether it was in the other one.
    fn change(&mut self, openid: &str, id: i64, to: TagState) -> bool {
        let follower = self.hasher.hash_one(openid);
        let mut diff = self.of_hash(follower).unwrap_or_default().to_vec();
        match diff.binary_search_by_key(&id, |(id, _)| *id) {
            // The opposite change was needed before this one: both together leave what the platform shows.
            Ok(at) if diff.get(at).is_some_and(|(_, from)| *from != to) => drop(diff.remove(at)),
            Ok(_) => return false,
            Err(at) => diff.insert(at, (id, to)),
        }
        if diff.is_empty() {
            self.diffs.remove(&follower);
            return true;
        }
        let number = if let Some(number) = self.numbers.get(diff.as_slice()) {
            *number
        } else {
            let diff = TagDiff::from(diff);
            // There are fewer distinct differences than followers, of whom an account has some millions.
            let number = u32::try_from(self.distinct.len()).unwrap_or(u32::MAX);
            self.distinct.push(Arc::clone(&diff));
            self.numbers.insert(diff, number);
            number
        };
        self.diffs.insert(follower, number);
        true
    }

    fn of_hash(&self, follower: u64) -> Option<&[(i64, TagState)]> {
        let number = self.diffs.get(&follower)?;
        self.distinct.get(usize::try_from(*number).ok()?).map(|diff| &**diff)
    }

    /// How a follower would differ; nothing where they are as the platform shows.
    fn of(&self, openid: &str) -> &[(i64, TagState)] {
        self.of_hash(self.hasher.hash_one(openid)).unwrap_or_default()
    }
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
        self.change_followers(change, changed);
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

    /// These followers, who need the change, would get a tag or lose it.
    pub(crate) fn change_followers(&self, change: Change, items: &[ChangeItem]) {
        let (id, to, one) = match change {
            Change::Attach(id) => (id, TagState::Attached, 1),
            Change::Detach(id) => (id, TagState::Detached, -1),
            Change::Block | Change::Unblock | Change::Remark => return,
        };
        let mut tags = lock(&self.tags);
        for item in items {
            if tags.followers.change(item.openid(), id, to) {
                let members = tags.members.entry(id).or_default();
                *members = members.saturating_add(one);
            }
        }
    }

    /// The details of a follower as they would be.
    pub(crate) fn overlay_user<'a>(&self, user: &'a User) -> Cow<'a, User> {
        let seen = lock(&self.tags);
        let Some(present) = &user.tagid_list else { return Cow::Borrowed(user) };
        let diff = user.openid.as_deref().map_or(&[][..], |openid| seen.followers.of(openid));
        // A tag that is deleted is taken off its followers.
        if diff.is_empty() && !present.iter().any(|id| seen.deleted.contains(id)) {
            return Cow::Borrowed(user);
        }
        let mut tags = present.clone();
        for (id, state) in diff {
            tags.retain(|tag| tag != id);
            match state {
                TagState::Attached => tags.push(*id),
                TagState::Detached => {}
            }
        }
        tags.retain(|id| !seen.deleted.contains(id));
        Cow::Owned(User { tagid_list: Some(tags), ..user.clone() })
    }

    /// Whether a follower would have a tag, after the changes of the dry run; `None` where it has changed nothing of that.
    pub(super) fn tag_state(&self, openid: &str, id: i64) -> Option<TagState> {
        let seen = lock(&self.tags);
        let diff = seen.followers.of(openid);
        let at = diff.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        diff.get(at).map(|(_, state)| *state)
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

    fn items(count: usize) -> Vec<ChangeItem> {
        (0..count).map(|number| ChangeItem::Openid(format!("o{number}"))).collect()
    }

    #[test]
    fn change_that_a_dry_run_undoes_keeps_no_follower() {
        let dry_run = DryRun::default();
        dry_run.change_followers(Change::Attach(100), &items(3));
        dry_run.change_followers(Change::Detach(100), &items(3));
        assert!(lock(&dry_run.tags).followers.diffs.is_empty());
    }

    #[test]
    fn followers_whom_a_dry_run_changes_alike_share_their_difference() {
        let dry_run = DryRun::default();
        dry_run.change_followers(Change::Attach(100), &items(1_000));
        assert_eq!(lock(&dry_run.tags).followers.distinct.len(), 1);
    }

    #[test]
    fn tag_that_a_dry_run_deletes_is_taken_off_its_followers() {
        let dry_run = DryRun::default();
        dry_run.delete_tag(100);
        let user = User { tagid_list: Some(vec![2, 100]), ..User::default() };
        assert_eq!(dry_run.overlay_user(&user).tagid_list, Some(vec![2]));
    }

    #[test]
    fn tag_that_a_dry_run_takes_off_its_followers_can_be_deleted() {
        let dry_run = DryRun::default();
        assert_eq!(check(&dry_run, 100_200), Err(Violation::TooManyFollowersOfTag));
        dry_run.change_followers(Change::Detach(100), &items(100_100));
        dry_run.change_followers(Change::Block, &items(7));
        assert_eq!(check(&dry_run, 100_200), Ok(()));
        assert_eq!((dry_run.overlay_members(100, 100_200), dry_run.overlay_members(100, 7)), (100, 0));
    }

    #[test]
    fn tag_that_a_dry_run_puts_on_too_many_followers_cannot_be_deleted() {
        let dry_run = DryRun::default();
        dry_run.change_followers(Change::Attach(100), &items(100_001));
        assert_eq!(check(&dry_run, 0), Err(Violation::TooManyFollowersOfTag));
    }
}
