//! What the write endpoint of QR codes does to the account.

use super::{
    dry_run::DryRun,
    effect::{ChangedFollowers, Effect, InDoubt, Inverse, Lock, PreState, RehearseError, resolve_by_resend},
    observer::{ObserveError, Observer},
};
use crate::{
    api::qrcode::{Create, Ticket},
    bulk::model::effect::RecordedEffect,
    store::{EffectKind, RecordedKind},
};

impl Effect for Create {
    const KIND: EffectKind = EffectKind::QrcodeCreate;
    const RECORDED: RecordedKind = RecordedKind::Irreversible;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        None
    }

    async fn observe(&self, _account: &Observer<'_>) -> Result<PreState, ObserveError> {
        Ok(PreState::irreversible::<Self>())
    }

    fn inverse(_recorded: &RecordedEffect) -> Inverse {
        Inverse::Irreversible("a QR code can not be withdrawn")
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Ticket>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, _account: &Observer<'_>, _dry_run: &DryRun) -> Result<Ticket, RehearseError> {
        self.check()?;
        let url = "http://weixin.qq.com/q/dry-run".to_owned();
        Ok(Ticket { ticket: "dry-run".to_owned(), expire_seconds: Some(60), url })
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        None
    }

    fn complete(recorded: RecordedEffect, _answer: &Ticket) -> RecordedEffect {
        recorded
    }
}
