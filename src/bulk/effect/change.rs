//! What a job's change is as a call: each is the effect of one endpoint.

use super::{
    dry_run::{DryRun, TagState},
    effect::{Effect, FollowerEffect, Known, Lock},
    observer::{ObserveError, Observer},
};
use crate::{
    api::{
        Endpoint, Spec, Violation, blacklist, tag,
        user::{self, MissingField, User},
    },
    bulk::{
        listing::details::NeededField,
        model::{batch::ChangeItem, change::Change, source::Source},
    },
    client::{CallError, Client},
    store::{EffectKind, RecordedKind, TerminalKind},
};

/// Evaluates an expression for the endpoint of a change, with what the change names beside the followers.
macro_rules! with_effect {
    ($change:expr, $endpoint:ident, $target:pat => $value:expr) => {
        match $change {
            Change::Attach(id) => {
                type $endpoint = tag::Attach;
                let $target = id;
                $value
            }
            Change::Detach(id) => {
                type $endpoint = tag::Detach;
                let $target = id;
                $value
            }
            Change::Block => {
                type $endpoint = blacklist::Add;
                #[allow(
                    clippy::ignored_unit_patterns,
                    reason = "this change names nothing beside the followers"
                )]
                let $target = ();
                $value
            }
            Change::Unblock => {
                type $endpoint = blacklist::Remove;
                #[allow(
                    clippy::ignored_unit_patterns,
                    reason = "this change names nothing beside the followers"
                )]
                let $target = ();
                $value
            }
            Change::Remark => {
                type $endpoint = user::Remark;
                #[allow(
                    clippy::ignored_unit_patterns,
                    reason = "this change names nothing beside the followers"
                )]
                let $target = ();
                $value
            }
        }
    };
}

/// The calls by which a job changes followers, before it is known what else they name.
#[derive(Clone, Copy, Debug)]
pub struct BatchedCalls {
    /// Their declaration.
    pub spec: &'static Spec,
    /// The most followers of one call.
    pub size: usize,
    /// The field of the followers' details that shows who needs the change, where they show it.
    pub shown_by: Option<NeededField>,
    /// The kind of effect that they record.
    pub(super) records: RecordedKind,
}

impl BatchedCalls {
    const fn of<E: FollowerEffect>() -> Self {
        Self { spec: E::SPEC, size: E::BATCH, shown_by: E::SHOWN_BY, records: E::RECORDED }
    }

    /// Those of a terminal operation; `None` for one that only reads. Whether an operation changes followers, and which effect
    /// it records, is declared here alone.
    #[must_use]
    pub const fn from_kind(kind: TerminalKind) -> Option<Self> {
        match kind {
            TerminalKind::Tag => Some(Self::of::<tag::Attach>()),
            TerminalKind::Untag => Some(Self::of::<tag::Detach>()),
            TerminalKind::Block => Some(Self::of::<blacklist::Add>()),
            TerminalKind::Unblock => Some(Self::of::<blacklist::Remove>()),
            TerminalKind::Remark | TerminalKind::RestoreRemark => Some(Self::of::<user::Remark>()),
            TerminalKind::Each
            | TerminalKind::For
            | TerminalKind::Count
            | TerminalKind::CountBy
            | TerminalKind::WriteCsv
            | TerminalKind::ToArray => None,
        }
    }
}

impl Change {
    /// The kind of the call that makes it.
    #[must_use]
    pub fn kind(self) -> EffectKind {
        with_effect!(self, E, _ => E::KIND)
    }

    /// The declaration of the call that makes it.
    #[must_use]
    pub fn spec(self) -> &'static Spec {
        with_effect!(self, E, _ => E::SPEC)
    }

    /// The most followers of one call.
    #[must_use]
    pub fn batch_size(self) -> usize {
        with_effect!(self, E, _ => E::BATCH)
    }

    /// What no other run may write while a job makes it; see [`Effect::lock`].
    #[must_use]
    pub fn lock(self) -> Option<Lock> {
        with_effect!(self, E, target => Effect::lock(&E::from_batch(target, &[])))
    }

    /// The list that it adds followers to or removes them from, where there is one.
    #[must_use]
    pub fn members(self) -> Option<Source> {
        with_effect!(self, E, target => E::members(target))
    }

    /// Whether a follower needs it, or is as it would leave them.
    ///
    /// # Errors
    /// Their details lack what shows it.
    pub fn needs(self, item: &ChangeItem, known: Known<'_>) -> Result<bool, MissingField> {
        with_effect!(self, E, target => E::needs(target, item, known))
    }

    /// The same after the changes of a dry run.
    ///
    /// # Errors
    /// Their details lack what shows it.
    pub fn needs_after(
        self,
        dry_run: &DryRun,
        item: &ChangeItem,
        known: Known<'_>,
    ) -> Result<bool, MissingField> {
        let needs = self.needs(item, known)?;
        let (id, wanted) = match self {
            Self::Attach(id) => (id, TagState::Attached),
            Self::Detach(id) => (id, TagState::Detached),
            Self::Block | Self::Unblock | Self::Remark => return Ok(needs),
        };
        Ok(dry_run.tag_state(item.openid(), id).map_or(needs, |present| present != wanted))
    }

    /// Makes it for a batch.
    pub(crate) async fn send(self, client: &Client, items: &[ChangeItem]) -> Result<(), CallError> {
        with_effect!(self, E, target => client.call(&E::from_batch(target, items)).await.map(drop))
    }

    /// Whether the platform would take what is asked for one follower, as far as a dry run knows.
    pub(crate) fn check_item(self, item: &ChangeItem, details: Option<&User>) -> Result<(), Violation> {
        with_effect!(self, E, target => E::check_item(target, item, details))
    }

    /// Whether every follower of a batch is in the state that it leads to.
    pub async fn took_effect(
        self,
        items: &[ChangeItem],
        account: &Observer<'_>,
    ) -> Result<bool, ObserveError> {
        with_effect!(self, E, target => E::took_effect(target, items, account).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> ChangeItem {
        ChangeItem::Openid("oA".to_owned())
    }

    fn follower(tags: &[i64], remark: &str) -> User {
        User { tagid_list: Some(tags.to_vec()), remark: Some(remark.to_owned()), ..User::default() }
    }

    #[test]
    fn job_takes_the_lock_that_its_calls_declare() {
        let openid_list = || vec!["oA".to_owned()];
        let remark = user::Remark { openid: "oA".to_owned(), remark: "客户".to_owned() };
        for (change, of_call) in [
            (Change::Attach(100), Effect::lock(&tag::Attach { tagid: 100, openid_list: openid_list() })),
            (Change::Detach(100), Effect::lock(&tag::Detach { tagid: 100, openid_list: openid_list() })),
            (Change::Block, Effect::lock(&blacklist::Add { openid_list: openid_list() })),
            (Change::Unblock, Effect::lock(&blacklist::Remove { openid_list: openid_list() })),
            (Change::Remark, Effect::lock(&remark)),
        ] {
            assert_eq!(change.lock(), of_call, "{change:?}");
        }
    }

    #[test]
    fn details_show_who_needs_a_tag_or_lacks_room_for_it() {
        let full: Vec<i64> = (200..220).collect();
        let needs =
            |change: Change, tags: &[i64]| change.needs(&item(), Known::from_details(&follower(tags, "")));
        assert_eq!(needs(Change::Attach(100), &[2]), Ok(true));
        assert_eq!(needs(Change::Attach(100), &[2, 100]), Ok(false));
        assert_eq!(needs(Change::Detach(100), &[2, 100]), Ok(true));
        assert_eq!(needs(Change::Detach(100), &[2]), Ok(false));
        let check = |change: Change| change.check_item(&item(), Some(&follower(&full, "")));
        assert_eq!(check(Change::Attach(100)), Err(Violation::TooManyTagsOfFollower));
        assert_eq!((check(Change::Attach(200)), check(Change::Detach(100))), (Ok(()), Ok(())));
    }

    #[test]
    fn list_shows_who_needs_a_change_where_details_do_not() {
        let needs = |change: Change, is_member| change.needs(&item(), Known::from_membership(is_member));
        for (change, if_member) in [
            (Change::Attach(100), false),
            (Change::Detach(100), true),
            (Change::Block, false),
            (Change::Unblock, true),
        ] {
            assert_eq!((needs(change, true), needs(change, false)), (Ok(if_member), Ok(!if_member)));
        }
    }

    #[test]
    fn remark_is_needed_where_another_one_is_there() {
        let (openid, new, old) = ("oA".to_owned(), "客户".to_owned(), String::new());
        let item = ChangeItem::Remark { openid: openid.clone(), new, old };
        let needs = |remark: &str| Change::Remark.needs(&item, Known::from_details(&follower(&[], remark)));
        assert_eq!((needs("旧"), needs("客户")), (Ok(true), Ok(false)));
        let missing = MissingField { openid, field: "remark" };
        assert_eq!(Change::Remark.needs(&item, Known::from_membership(false)), Err(missing));
    }
}
