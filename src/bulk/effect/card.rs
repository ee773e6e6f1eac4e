//! What the write endpoint of cards does to the account.

use super::{
    dry_run::DryRun,
    effect::{ChangedFollowers, Effect, InDoubt, Inverse, Lock, PreState, RehearseError, resolve_by_resend},
    observer::{ObserveError, Observer},
};
use crate::{
    api::card::{Create, Created},
    bulk::model::effect::RecordedEffect,
    store::{EffectKind, RecordedKind},
};

impl Effect for Create {
    const KIND: EffectKind = EffectKind::CardCreate;
    const RECORDED: RecordedKind = RecordedKind::Irreversible;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        None
    }

    async fn observe(&self, _account: &Observer<'_>) -> Result<PreState, ObserveError> {
        Ok(PreState::irreversible::<Self>())
    }

    fn inverse(_recorded: &RecordedEffect) -> Inverse {
        Inverse::Irreversible("a created card stays: no declared endpoint deletes one")
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Created>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, _account: &Observer<'_>, _dry_run: &DryRun) -> Result<Created, RehearseError> {
        self.check_kind()?;
        Ok(Created { errcode: 0, errmsg: "ok".to_owned(), card_id: "dry-run".to_owned() })
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        None
    }

    fn complete(recorded: RecordedEffect, _answer: &Created) -> RecordedEffect {
        recorded
    }
}
