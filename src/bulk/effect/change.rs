//! What a job's change is as a call: each is the effect of one endpoint.

use super::{
    effect::{Effect, FollowerEffect},
    observer::{ObserveError, Observer},
};
use crate::{
    api::{Endpoint, Spec, Violation, blacklist, tag, user},
    bulk::model::{batch::ChangeItem, change::Change},
    client::{CallError, Client},
    store::{EffectKind, TerminalKind},
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
}

impl BatchedCalls {
    const fn of<E: FollowerEffect>() -> Self {
        Self { spec: E::SPEC, size: E::BATCH }
    }

    /// Those of a terminal operation; `None` for one that only reads.
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

    /// Makes it for a batch.
    pub(crate) async fn send(self, client: &Client, items: &[ChangeItem]) -> Result<(), CallError> {
        with_effect!(self, E, target => client.call(&E::from_batch(target, items)).await.map(drop))
    }

    /// Whether the platform would take what is asked for one follower, as far as a dry run knows.
    pub(crate) fn check_item(self, item: &ChangeItem) -> Result<(), Violation> {
        with_effect!(self, E, _ => E::check_item(item))
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
