//! What the effects on followers have in common.

use super::{
    effect::{FollowerEffect, Inverse, Known, NOT_OBSERVED, RehearseError},
    observer::{ObserveError, Observer},
};
use crate::{
    api::Endpoint,
    bulk::model::{batch::ChangeItem, effect::RecordedEffect},
};

pub(super) fn openids_of(items: &[ChangeItem]) -> Vec<String> {
    items.iter().map(|item| item.openid().to_owned()).collect()
}

/// What undoes a change to followers: the opposite change, or for remarks the former ones.
pub(super) fn inverse_of_change(recorded: &RecordedEffect) -> Inverse {
    match recorded {
        RecordedEffect::Change(change) => change.opposite().map_or(Inverse::RestoreRemarks, Inverse::Change),
        RecordedEffect::CreateTag { .. }
        | RecordedEffect::RenameTag { .. }
        | RecordedEffect::DeleteTag { .. }
        | RecordedEffect::Other(_) => Inverse::Irreversible(NOT_OBSERVED),
    }
}

/// Holds a list to the platform's bounds. A script's list of any length is cut into calls, so that it can only be too
/// short.
pub(super) fn check_list<E: Endpoint>(openids: &[String]) -> Result<(), RehearseError> {
    match E::SPEC.list {
        Some(limit) => Ok(limit.check(openids.len().min(limit.max))?),
        None => Ok(()),
    }
}

/// Whether the details of a batch's followers show that none of them needs the change any more; of one without details they
/// don't.
pub(super) async fn is_needed_by_none<E: FollowerEffect>(
    target: E::Target,
    items: &[ChangeItem],
    account: &Observer<'_>,
) -> Result<bool, ObserveError> {
    let users = account.users(&openids_of(items)).await?;
    for item in items {
        let user = users.iter().find(|user| user.openid.as_deref() == Some(item.openid()));
        let Some(user) = user else { return Ok(false) };
        if E::needs(target, item, Known::from_details(user))? {
            return Ok(false);
        }
    }
    Ok(true)
}
