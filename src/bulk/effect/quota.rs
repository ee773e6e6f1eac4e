//! What the write endpoint of quotas does to the account.

use super::{
    dry_run::DryRun,
    effect::{ChangedFollowers, Effect, InDoubt, Inverse, Lock, PreState, RehearseError, resolve_by_resend},
    observer::{ObserveError, Observer},
};
use crate::{
    api::{answer::Empty, quota::Clear},
    bulk::model::effect::RecordedEffect,
    store::{EffectKind, RecordedKind},
};

impl Effect for Clear {
    const KIND: EffectKind = EffectKind::QuotaClear;
    const RECORDED: RecordedKind = RecordedKind::Irreversible;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        None
    }

    async fn observe(&self, _account: &Observer<'_>) -> Result<PreState, ObserveError> {
        Ok(PreState::irreversible::<Self>())
    }

    fn inverse(_recorded: &RecordedEffect) -> Inverse {
        Inverse::Irreversible("a reset of the quotas counts against the ten of a month")
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Empty>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, account: &Observer<'_>, _dry_run: &DryRun) -> Result<Empty, RehearseError> {
        let own = account.client.appid();
        // Left out, it is the account's own.
        let request = Self { appid: Some(self.appid.clone().unwrap_or_else(|| own.to_owned())) };
        request.check(own)?;
        Ok(Empty::default())
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        None
    }

    fn complete(recorded: RecordedEffect, _answer: &Empty) -> RecordedEffect {
        recorded
    }
}
