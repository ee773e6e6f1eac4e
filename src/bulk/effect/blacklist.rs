//! What the write endpoints of the blacklist do to the account.

use super::{
    dry_run::DryRun,
    effect::{
        ChangedFollowers, Effect, FollowerEffect, InDoubt, Inverse, Known, Lock, PreState, RehearseError,
        resolve_by_resend,
    },
    followers::{check_list, inverse_of_change, openids_of},
    observer::{ObserveError, Observer},
};
use crate::{
    api::{
        Batched, Violation,
        answer::Empty,
        blacklist::{Add, Remove},
        user::{
            MissingField, User,
            rules::{check_block, check_unblock},
        },
    },
    bulk::{
        listing::details::NeededField,
        model::{batch::ChangeItem, change::Change, effect::RecordedEffect, source::Source},
    },
    store::{EffectKind, RecordedKind},
};
use std::collections::HashSet;

/// Those of these openids whom a change of the blacklist changes.
async fn items_that_need<E: FollowerEffect<Target = ()>>(
    openids: &[String],
    account: &Observer<'_>,
) -> Result<Vec<ChangeItem>, ObserveError> {
    let blocked = account.blacklisted(openids).await?;
    let mut items = Vec::new();
    for openid in openids {
        let item = ChangeItem::Openid(openid.clone());
        if E::needs((), &item, Known::from_membership(blocked.contains(openid)))? {
            items.push(item);
        }
    }
    Ok(items)
}

impl Effect for Add {
    const KIND: EffectKind = EffectKind::BlacklistAdd;
    const RECORDED: RecordedKind = RecordedKind::Blocked;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Blacklist)
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let items = items_that_need::<Self>(&self.openid_list, account).await?;
        Ok(PreState::from_followers(Change::Block, items))
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        inverse_of_change(recorded)
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, account: &Observer<'_>, _dry_run: &DryRun) -> Result<Empty, RehearseError> {
        check_list::<Self>(&self.openid_list)?;
        for openids in self.openid_list.chunks(Self::MAX_ITEMS) {
            let people = account.people(openids, &HashSet::new()).await.map_err(ObserveError::Call)?;
            check_block(people.holders())?;
        }
        Ok(Empty::default())
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        Some(ChangedFollowers { change: Change::Block, openids: &self.openid_list })
    }

    fn complete(recorded: RecordedEffect, _answer: &Empty) -> RecordedEffect {
        recorded
    }
}

impl FollowerEffect for Add {
    type Target = ();
    const BATCH: usize = <Self as Batched>::MAX_ITEMS;
    const SHOWN_BY: Option<NeededField> = None;

    fn from_batch((): (), items: &[ChangeItem]) -> Self {
        Self { openid_list: openids_of(items) }
    }

    fn members((): ()) -> Option<Source> {
        Some(Source::Blacklisted)
    }

    fn needs((): (), _item: &ChangeItem, known: Known<'_>) -> Result<bool, MissingField> {
        Ok(!known.is_member)
    }

    fn check_item((): (), _item: &ChangeItem, _details: Option<&User>) -> Result<(), Violation> {
        Ok(())
    }

    async fn took_effect((): (), items: &[ChangeItem], account: &Observer<'_>) -> Result<bool, ObserveError> {
        account.blacklist.invalidate().await;
        Ok(items_that_need::<Self>(&openids_of(items), account).await?.is_empty())
    }
}

impl Effect for Remove {
    const KIND: EffectKind = EffectKind::BlacklistRemove;
    const RECORDED: RecordedKind = RecordedKind::Unblocked;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        Some(Lock::Blacklist)
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let items = items_that_need::<Self>(&self.openid_list, account).await?;
        Ok(PreState::from_followers(Change::Unblock, items))
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        inverse_of_change(recorded)
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, account: &Observer<'_>, _dry_run: &DryRun) -> Result<Empty, RehearseError> {
        check_list::<Self>(&self.openid_list)?;
        let blocked = account.blacklisted(&self.openid_list).await?;
        for openids in self.openid_list.chunks(Self::MAX_ITEMS) {
            let people = account.people(openids, &blocked).await.map_err(ObserveError::Call)?;
            check_unblock(people.holders())?;
        }
        Ok(Empty::default())
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        Some(ChangedFollowers { change: Change::Unblock, openids: &self.openid_list })
    }

    fn complete(recorded: RecordedEffect, _answer: &Empty) -> RecordedEffect {
        recorded
    }
}

impl FollowerEffect for Remove {
    type Target = ();
    const BATCH: usize = <Self as Batched>::MAX_ITEMS;
    const SHOWN_BY: Option<NeededField> = None;

    fn from_batch((): (), items: &[ChangeItem]) -> Self {
        Self { openid_list: openids_of(items) }
    }

    fn members((): ()) -> Option<Source> {
        Some(Source::Blacklisted)
    }

    fn needs((): (), _item: &ChangeItem, known: Known<'_>) -> Result<bool, MissingField> {
        Ok(known.is_member)
    }

    fn check_item((): (), _item: &ChangeItem, _details: Option<&User>) -> Result<(), Violation> {
        Ok(())
    }

    async fn took_effect((): (), items: &[ChangeItem], account: &Observer<'_>) -> Result<bool, ObserveError> {
        account.blacklist.invalidate().await;
        Ok(items_that_need::<Self>(&openids_of(items), account).await?.is_empty())
    }
}
