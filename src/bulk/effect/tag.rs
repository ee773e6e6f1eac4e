//! What the write endpoints of tags do to the account.

use super::{
    dry_run::DryRun,
    effect::{
        ChangedFollowers, Effect, FollowerEffect, InDoubt, Inverse, Lock, NOT_OBSERVED, PreState,
        RehearseError, resolve_by_resend,
    },
    ensure_tag::find_tag,
    followers::{check_list, holds_of_all, inverse_of_change, openids_of},
    observer::{ObserveError, Observer},
};
use crate::{
    api::{
        Batched, Violation,
        answer::Empty,
        tag::{
            Attach, Create, Delete, Detach, List, Tag, Update,
            rules::{check_create, check_delete, check_exists, check_rename, check_room, check_taggable},
        },
        user::{MissingField, User},
    },
    base::as_seen,
    bulk::model::{batch::ChangeItem, change::Change, effect::RecordedEffect},
    store::EffectKind,
};
use std::collections::HashSet;

/// Warns of a tag that looks like the one of this name, and is another. `id` is the tag that is renamed.
pub(crate) fn warn_of_twin(name: &str, id: Option<i64>, tags: &[Tag]) {
    let is_twin = |tag: &&Tag| tag.name != name && Some(tag.id) != id && as_seen(&tag.name) == as_seen(name);
    if let Some(twin) = tags.iter().find(is_twin) {
        tracing::warn!("the tag {name:?} looks like the tag {:?} ({}), and is another", twin.name, twin.id);
    }
}

fn names(tags: &[Tag]) -> impl Iterator<Item = (i64, &str)> + Clone {
    tags.iter().map(|tag| (tag.id, tag.name.as_str()))
}

impl Effect for Create {
    const KIND: EffectKind = EffectKind::TagCreate;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::TagName(self.name.clone()))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        // If the tag exists, the call is refused: then there is nothing to undo.
        let tags = account.client.call(&List {}).await?.tags;
        warn_of_twin(&self.name, None, &tags);
        let exists = tags.iter().any(|tag| tag.name == self.name);
        let effect = RecordedEffect::CreateTag { id: None, name: self.name.clone() };
        Ok(if exists { PreState::default() } else { PreState::new(effect) })
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        match recorded {
            RecordedEffect::CreateTag { id, name } => {
                Inverse::DeleteTagIfEmpty { id: *id, name: name.clone() }
            }
            RecordedEffect::Change(_)
            | RecordedEffect::RenameTag { .. }
            | RecordedEffect::DeleteTag { .. }
            | RecordedEffect::Other(_) => Inverse::Irreversible(NOT_OBSERVED),
        }
    }

    async fn resolve(&self, account: &Observer<'_>) -> Result<InDoubt<Tag>, ObserveError> {
        let found = find_tag(account.client, &self.name).await?;
        let created = |tag: Tag| Tag { count: None, ..tag };
        Ok(found.map_or(InDoubt::Retry, |tag| InDoubt::Completed(created(tag))))
    }

    async fn rehearse(&self, account: &Observer<'_>, dry_run: &DryRun) -> Result<Tag, RehearseError> {
        let tags = account.tags().await.map_err(ObserveError::Call)?;
        check_create(&self.name, names(&tags))?;
        warn_of_twin(&self.name, None, &tags);
        Ok(dry_run.make_tag(&self.name))
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        None
    }

    fn complete(recorded: RecordedEffect, answer: &Tag) -> RecordedEffect {
        match recorded {
            RecordedEffect::CreateTag { name, .. } => RecordedEffect::CreateTag { id: Some(answer.id), name },
            recorded @ (RecordedEffect::Change(_)
            | RecordedEffect::RenameTag { .. }
            | RecordedEffect::DeleteTag { .. }
            | RecordedEffect::Other(_)) => recorded,
        }
    }
}

impl Effect for Update {
    const KIND: EffectKind = EffectKind::TagUpdate;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Tag(self.id))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let tags = account.tags().await?;
        warn_of_twin(&self.name, Some(self.id), &tags);
        // Without its name before there is nothing to go back to.
        let Some(Tag { name: from, .. }) = tags.into_iter().find(|tag| tag.id == self.id) else {
            return Ok(PreState::irreversible::<Self>());
        };
        Ok(PreState::new(RecordedEffect::RenameTag { id: self.id, from, to: self.name.clone() }))
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        match recorded {
            RecordedEffect::RenameTag { id, from, to } => {
                Inverse::RestoreTagName { id: *id, from: from.clone(), to: to.clone() }
            }
            RecordedEffect::Change(_)
            | RecordedEffect::CreateTag { .. }
            | RecordedEffect::DeleteTag { .. }
            | RecordedEffect::Other(_) => Inverse::Irreversible(NOT_OBSERVED),
        }
    }

    async fn resolve(&self, account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        let is_renamed = account.tag(self.id).await?.is_some_and(|tag| tag.name == self.name);
        Ok(if is_renamed { InDoubt::Completed(Empty::default()) } else { InDoubt::Retry })
    }

    async fn rehearse(&self, account: &Observer<'_>, dry_run: &DryRun) -> Result<Empty, RehearseError> {
        let tags = account.tags().await.map_err(ObserveError::Call)?;
        check_rename(self.id, &self.name, names(&tags))?;
        warn_of_twin(&self.name, Some(self.id), &tags);
        dry_run.rename_tag(self.id, &self.name);
        Ok(Empty::default())
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        None
    }

    fn complete(recorded: RecordedEffect, _answer: &Empty) -> RecordedEffect {
        recorded
    }
}

impl Effect for Delete {
    const KIND: EffectKind = EffectKind::TagDelete;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Tag(self.id))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        Ok(match account.tag(self.id).await? {
            Some(Tag { name, .. }) => PreState::new(RecordedEffect::DeleteTag { id: self.id, name }),
            None => PreState::irreversible::<Self>(),
        })
    }

    fn inverse(_recorded: &RecordedEffect) -> Inverse {
        Inverse::Irreversible("its id is never used again")
    }

    async fn resolve(&self, account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        let is_there = account.tag(self.id).await?.is_some();
        Ok(if is_there { InDoubt::Retry } else { InDoubt::Completed(Empty::default()) })
    }

    async fn rehearse(&self, account: &Observer<'_>, dry_run: &DryRun) -> Result<Empty, RehearseError> {
        let tag = account.tag(self.id).await.map_err(ObserveError::Call)?;
        check_delete(self.id, tag.map(|tag| tag.count.unwrap_or_default().unsigned_abs()))?;
        dry_run.delete_tag(self.id);
        Ok(Empty::default())
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        None
    }

    fn complete(recorded: RecordedEffect, _answer: &Empty) -> RecordedEffect {
        recorded
    }
}

impl Effect for Attach {
    const KIND: EffectKind = EffectKind::TagAttach;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Tag(self.tagid))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let items = items_to_change(account.users(&self.openid_list).await?, self.tagid, Tagged::No)?;
        Ok(PreState::from_followers(Change::Attach(self.tagid), items))
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        inverse_of_change(recorded)
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, account: &Observer<'_>, _dry_run: &DryRun) -> Result<Empty, RehearseError> {
        check_list::<Self>(&self.openid_list)?;
        check_tag(account, self.tagid).await?;
        for openids in self.openid_list.chunks(Self::MAX_ITEMS) {
            let people = account.people(openids, &HashSet::new()).await.map_err(ObserveError::Call)?;
            people.holders().try_for_each(check_taggable)?;
            for user in openids.iter().filter_map(|openid| people.user(openid)) {
                check_room(user.known_tags().map_err(ObserveError::from)?, self.tagid)?;
            }
        }
        Ok(Empty::default())
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        Some(ChangedFollowers { change: Change::Attach(self.tagid), openids: &self.openid_list })
    }

    fn complete(recorded: RecordedEffect, _answer: &Empty) -> RecordedEffect {
        recorded
    }
}

impl FollowerEffect for Attach {
    type Target = i64;
    const BATCH: usize = <Self as Batched>::MAX_ITEMS;

    fn from_batch(id: i64, items: &[ChangeItem]) -> Self {
        Self { tagid: id, openid_list: openids_of(items) }
    }

    fn check_item(_item: &ChangeItem) -> Result<(), Violation> {
        Ok(())
    }

    async fn took_effect(
        id: i64,
        items: &[ChangeItem],
        account: &Observer<'_>,
    ) -> Result<bool, ObserveError> {
        holds_of_all(account, items, |user, _| Tagged::of(user, id).map(|tagged| tagged == Tagged::Yes)).await
    }
}

impl Effect for Detach {
    const KIND: EffectKind = EffectKind::TagDetach;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Tag(self.tagid))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let items = items_to_change(account.users(&self.openid_list).await?, self.tagid, Tagged::Yes)?;
        Ok(PreState::from_followers(Change::Detach(self.tagid), items))
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        inverse_of_change(recorded)
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, account: &Observer<'_>, _dry_run: &DryRun) -> Result<Empty, RehearseError> {
        check_list::<Self>(&self.openid_list)?;
        check_tag(account, self.tagid).await?;
        for openids in self.openid_list.chunks(Self::MAX_ITEMS) {
            let people = account.people(openids, &HashSet::new()).await.map_err(ObserveError::Call)?;
            people.holders().try_for_each(check_taggable)?;
        }
        Ok(Empty::default())
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        Some(ChangedFollowers { change: Change::Detach(self.tagid), openids: &self.openid_list })
    }

    fn complete(recorded: RecordedEffect, _answer: &Empty) -> RecordedEffect {
        recorded
    }
}

impl FollowerEffect for Detach {
    type Target = i64;
    const BATCH: usize = <Self as Batched>::MAX_ITEMS;

    fn from_batch(id: i64, items: &[ChangeItem]) -> Self {
        Self { tagid: id, openid_list: openids_of(items) }
    }

    fn check_item(_item: &ChangeItem) -> Result<(), Violation> {
        Ok(())
    }

    async fn took_effect(
        id: i64,
        items: &[ChangeItem],
        account: &Observer<'_>,
    ) -> Result<bool, ObserveError> {
        holds_of_all(account, items, |user, _| Tagged::of(user, id).map(|tagged| tagged == Tagged::No)).await
    }
}

/// Whether a person has a tag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tagged {
    Yes,
    No,
}

impl Tagged {
    fn of(user: &User, id: i64) -> Result<Self, MissingField> {
        Ok(if user.known_tags()?.contains(&id) { Self::Yes } else { Self::No })
    }
}

/// Those whom a call will change: who have the tag, or have it not.
fn items_to_change(users: Vec<User>, id: i64, tagged: Tagged) -> Result<Vec<ChangeItem>, MissingField> {
    let mut items = Vec::with_capacity(users.len());
    for user in users {
        if Tagged::of(&user, id)? == tagged {
            items.extend(user.openid.map(ChangeItem::Openid));
        }
    }
    Ok(items)
}

async fn check_tag(account: &Observer<'_>, id: i64) -> Result<(), RehearseError> {
    let tags = account.tags().await.map_err(ObserveError::Call)?;
    Ok(check_exists(id, tags.iter().map(|tag| tag.id))?)
}
