//! What the write endpoint of a follower's details does to the account.

use super::{
    dry_run::DryRun,
    effect::{
        ChangedFollowers, Effect, FollowerEffect, InDoubt, Inverse, Known, Lock, PreState, RehearseError,
        resolve_by_resend,
    },
    followers::{inverse_of_change, is_needed_by_none},
    observer::{ObserveError, Observer},
};
use crate::{
    api::{
        Violation,
        answer::Empty,
        user::{
            MissingField, Remark, User,
            rules::{check_remark, check_remark_length},
        },
    },
    bulk::{
        listing::details::NeededField,
        model::{batch::ChangeItem, change::Change, effect::RecordedEffect, source::Source},
    },
    store::{EffectKind, RecordedKind},
};
use std::{collections::HashSet, slice};

impl Effect for Remark {
    const KIND: EffectKind = EffectKind::UserRemark;
    const RECORDED: RecordedKind = RecordedKind::Remarked;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        // Two runs that set remarks set those of different followers, or the later one wins.
        None
    }

    async fn observe(&self, account: &Observer<'_>) -> Result<PreState, ObserveError> {
        let user = account.users(slice::from_ref(&self.openid)).await?.into_iter().next();
        let mut items = Vec::new();
        if let Some(user) = user.filter(|user| user.subscribe != Some(0)) {
            let (new, old) = (self.remark.clone(), user.known_remark()?.to_owned());
            let item = ChangeItem::Remark { openid: self.openid.clone(), new, old };
            if Self::needs((), &item, Known::from_details(&user))? {
                items.push(item);
            }
        }
        Ok(PreState::from_followers(Change::Remark, items))
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
    const SHOWN_BY: Option<NeededField> = Some(NeededField::Remark);

    fn from_batch((): (), items: &[ChangeItem]) -> Self {
        match items.first() {
            Some(ChangeItem::Remark { openid, new, .. }) => {
                Self { openid: openid.clone(), remark: new.clone() }
            }
            // Without a remark it names no follower either, so that none would get an empty one.
            Some(ChangeItem::Openid(_)) | None => Self { openid: String::new(), remark: String::new() },
        }
    }

    fn members((): ()) -> Option<Source> {
        None
    }

    fn needs((): (), item: &ChangeItem, known: Known<'_>) -> Result<bool, MissingField> {
        let missing = || MissingField { openid: item.openid().to_owned(), field: "remark" };
        let present = known.details.ok_or_else(missing)?.known_remark()?;
        Ok(present != item.remark_change().ok_or_else(missing)?.new)
    }

    fn check_item((): (), item: &ChangeItem, _details: Option<&User>) -> Result<(), Violation> {
        item.remark_change().map_or(Ok(()), |change| check_remark_length(&change.new))
    }

    async fn took_effect((): (), items: &[ChangeItem], account: &Observer<'_>) -> Result<bool, ObserveError> {
        is_needed_by_none::<Self>((), items, account).await
    }
}
