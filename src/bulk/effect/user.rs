//! What the write endpoint of a follower's details does to the account.

use super::{
    dry_run::DryRun,
    effect::{
        ChangedFollowers, Effect, FollowerEffect, InDoubt, Inverse, Lock, PreState, RehearseError,
        resolve_by_resend,
    },
    followers::{holds_of_all, inverse_of_change},
    observer::{ObserveError, Observer},
};
use crate::{
    api::{
        Violation,
        answer::Empty,
        user::{
            Remark,
            rules::{check_remark, check_remark_length},
        },
    },
    bulk::model::{batch::ChangeItem, change::Change, effect::RecordedEffect},
    store::EffectKind,
};
use std::{collections::HashSet, slice};

impl Effect for Remark {
    const KIND: EffectKind = EffectKind::UserRemark;

    fn lock(&self) -> Option<Lock> {
        // Two runs that set remarks set those of different followers, or the later one wins.
        None
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let user = account.users(slice::from_ref(&self.openid)).await?.into_iter().next();
        let old = match &user {
            Some(user) if user.subscribe != Some(0) => Some(user.known_remark()?.to_owned()),
            _ => None,
        };
        let (openid, new) = (self.openid.clone(), self.remark.clone());
        let item = old.map(|old| ChangeItem::Remark { openid, new, old });
        Ok(PreState::from_followers(Change::Remark, item.into_iter().collect()))
    }

    fn inverse(recorded: &RecordedEffect) -> Inverse {
        inverse_of_change(recorded)
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, account: &Observer<'_>, _dry_run: &DryRun) -> Result<Empty, RehearseError> {
        let none = HashSet::new();
        let people =
            account.people(slice::from_ref(&self.openid), &none).await.map_err(ObserveError::Call)?;
        people.holders().try_for_each(|holder| check_remark(holder, &self.remark))?;
        Ok(Empty::default())
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        Some(ChangedFollowers { change: Change::Remark, openids: slice::from_ref(&self.openid) })
    }

    fn complete(recorded: RecordedEffect, _answer: &Empty) -> RecordedEffect {
        recorded
    }
}

impl FollowerEffect for Remark {
    type Target = ();
    const BATCH: usize = 1;

    fn from_batch((): (), items: &[ChangeItem]) -> Self {
        let item = items.first();
        Self {
            openid: item.map(|item| item.openid().to_owned()).unwrap_or_default(),
            remark: item.map(|item| item.remark_change().new).unwrap_or_default(),
        }
    }

    fn check_item(item: &ChangeItem) -> Result<(), Violation> {
        check_remark_length(&item.remark_change().new)
    }

    async fn took_effect((): (), items: &[ChangeItem], account: &Observer<'_>) -> Result<bool, ObserveError> {
        holds_of_all(account, items, |user, item| Ok(user.known_remark()? == item.remark_change().new)).await
    }
}
