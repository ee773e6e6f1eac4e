//! What the write endpoints of tags do to the account.

use super::{
    dry_run::DryRun,
    effect::{
        ChangedFollowers, Effect, FollowerEffect, InDoubt, Inverse, Known, Lock, NOT_OBSERVED, PreState,
        RehearseError, resolve_by_resend,
    },
    ensure_tag::find_tag,
    followers::{check_list, inverse_of_change, is_needed_by_none, openids_of},
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
    bulk::{
        listing::details::NeededField,
        model::{batch::ChangeItem, change::Change, effect::RecordedEffect, source::Source},
    },
    store::{EffectKind, RecordedKind},
};
use std::collections::HashSet;

/// The state before the creation of a tag of this name, which is not there.
pub(crate) fn before_creation(name: &str) -> PreState {
    PreState::new(RecordedEffect::CreateTag { id: None, name: name.to_owned() })
}

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
    const RECORDED: RecordedKind = RecordedKind::TagCreated;
    const CHANGES_TAGS: bool = true;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::TagName(self.name.clone()))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        // If the tag exists, the call is refused: then there is nothing to undo.
        let tags = account.client.call(&List {}).await?.tags;
        warn_of_twin(&self.name, None, &tags);
        let exists = tags.iter().any(|tag| tag.name == self.name);
        Ok(if exists { PreState::default() } else { before_creation(&self.name) })
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
    const RECORDED: RecordedKind = RecordedKind::TagRenamed;
    const CHANGES_TAGS: bool = true;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Tag(self.id))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let tags = account.tags().await?;
        // A dry run warns where it rehearses the call.
        if account.dry_run.is_none() {
            warn_of_twin(&self.name, Some(self.id), &tags);
        }
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
    const RECORDED: RecordedKind = RecordedKind::TagDeleted;
    const CHANGES_TAGS: bool = true;

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
    const RECORDED: RecordedKind = RecordedKind::TagAttached;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Tag(self.tagid))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let items = items_that_need::<Self>(account.users(&self.openid_list).await?, self.tagid)?;
        Ok(PreState::from_followers(Change::Attach(self.tagid), items))
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        inverse_of_change(recorded)
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, account: &Observer<'_>, dry_run: &DryRun) -> Result<Empty, RehearseError> {
        check_list::<Self>(&self.openid_list)?;
        check_tag(account, self.tagid).await?;
        let mut changed = Vec::new();
        for openids in self.openid_list.chunks(Self::MAX_ITEMS) {
            let people = account.people(openids, &HashSet::new()).await.map_err(ObserveError::Call)?;
            people.holders().try_for_each(check_taggable)?;
            for user in openids.iter().filter_map(|openid| people.user(openid)) {
                check_room(user.known_tags().map_err(ObserveError::from)?, self.tagid)?;
            }
            changed.extend(
                items_that_need::<Self>(people.into_users(), self.tagid).map_err(ObserveError::from)?,
            );
        }
        dry_run.change_followers(Change::Attach(self.tagid), &changed);
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
    const SHOWN_BY: Option<NeededField> = Some(NeededField::Tags);

    fn from_batch(id: i64, items: &[ChangeItem]) -> Self {
        Self { tagid: id, openid_list: openids_of(items) }
    }

    fn members(id: i64) -> Option<Source> {
        Some(Source::Members(id))
    }

    fn needs(id: i64, _item: &ChangeItem, known: Known<'_>) -> Result<bool, MissingField> {
        Ok(!known.has_tag(id)?)
    }

    fn check_item(id: i64, _item: &ChangeItem, details: Option<&User>) -> Result<(), Violation> {
        let tags = details.and_then(|user| user.tagid_list.as_deref());
        tags.map_or(Ok(()), |tags| check_room(tags, id))
    }

    async fn took_effect(
        id: i64,
        items: &[ChangeItem],
        account: &Observer<'_>,
    ) -> Result<bool, ObserveError> {
        is_needed_by_none::<Self>(id, items, account).await
    }
}

impl Effect for Detach {
    const KIND: EffectKind = EffectKind::TagDetach;
    const RECORDED: RecordedKind = RecordedKind::TagDetached;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Tag(self.tagid))
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let items = items_that_need::<Self>(account.users(&self.openid_list).await?, self.tagid)?;
        Ok(PreState::from_followers(Change::Detach(self.tagid), items))
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        inverse_of_change(recorded)
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, account: &Observer<'_>, dry_run: &DryRun) -> Result<Empty, RehearseError> {
        check_list::<Self>(&self.openid_list)?;
        check_tag(account, self.tagid).await?;
        let mut changed = Vec::new();
        for openids in self.openid_list.chunks(Self::MAX_ITEMS) {
            let people = account.people(openids, &HashSet::new()).await.map_err(ObserveError::Call)?;
            people.holders().try_for_each(check_taggable)?;
            changed.extend(
                items_that_need::<Self>(people.into_users(), self.tagid).map_err(ObserveError::from)?,
            );
        }
        dry_run.change_followers(Change::Detach(self.tagid), &changed);
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
    const SHOWN_BY: Option<NeededField> = Some(NeededField::Tags);

    fn from_batch(id: i64, items: &[ChangeItem]) -> Self {
        Self { tagid: id, openid_list: openids_of(items) }
    }

    fn members(id: i64) -> Option<Source> {
        Some(Source::Members(id))
    }

    fn needs(id: i64, _item: &ChangeItem, known: Known<'_>) -> Result<bool, MissingField> {
        known.has_tag(id)
    }

    fn check_item(_id: i64, _item: &ChangeItem, _details: Option<&User>) -> Result<(), Violation> {
        Ok(())
    }

    async fn took_effect(
        id: i64,
        items: &[ChangeItem],
        account: &Observer<'_>,
    ) -> Result<bool, ObserveError> {
        is_needed_by_none::<Self>(id, items, account).await
    }
}

/// Those of these people whom a call changes.
fn items_that_need<E: FollowerEffect<Target = i64>>(
    users: impl IntoIterator<Item = User>,
    id: i64,
) -> Result<Vec<ChangeItem>, MissingField> {
    let mut items = Vec::new();
    for user in users {
        let Some(item) = user.openid.clone().map(ChangeItem::Openid) else { continue };
        if E::needs(id, &item, Known::from_details(&user))? {
            items.push(item);
        }
    }
    Ok(items)
}

async fn check_tag(account: &Observer<'_>, id: i64) -> Result<(), RehearseError> {
    let tags = account.tags().await.map_err(ObserveError::Call)?;
    Ok(check_exists(id, tags.iter().map(|tag| tag.id))?)
}
